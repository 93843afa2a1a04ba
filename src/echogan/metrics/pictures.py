"""What every metric of pixels asks of images."""

import numpy as np
import torch

from echogan.errors import BadInput

BLOCK = 512  # images computed on at once


def pictures(images, least=1):
    """Images as a uint8 tensor (N, H, W), on the device where they are; anything else is refused."""
    if isinstance(images, np.ndarray):
        images = torch.from_numpy(np.ascontiguousarray(images))
    if images.ndim != 3 or images.dtype != torch.uint8:
        kind = str(images.dtype).removeprefix("torch.")
        raise BadInput(f"metrics of pixels take grey images uint8 (N, H, W), not {kind} {tuple(images.shape)}")
    if len(images) < least:
        raise BadInput(f"these metrics need at least {least} images, got {len(images)}; give more")
    return images


def pair(images, reference):
    """Both sets as tensors on the device of the first, if their images are of one size."""
    a, b = pictures(images), pictures(reference)
    if a.shape[1:] != b.shape[1:]:
        sizes = " and ".join(f"{s.shape[2]} x {s.shape[1]}" for s in (a, b))
        raise BadInput(f"images of {sizes} pixels cannot be compared; bring both to one size first")
    return a, b.to(a.device)


def blocks(images):
    """Views of the images, `BLOCK` at a time."""
    return images.split(BLOCK)
