"""A trained run as a function: what every other module of this package is handed as `enhance`.

A network knows speckle and walls by their size in pixels. So a picture larger than those it learnt from is shown to it as
small as they were, and only what it changed is made large again:

    y = x + up(G(down(x)) - down(x))

The fine speckle of x stays; a haze or a shadow is as large as the network has learnt it to be.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F

from echogan.contract import Batch
from echogan.engine.checkpoint import load_weights
from echogan.engine.sampling import find_weights
from echogan.errors import BadInput
from echogan.metrics.familiar import Range, read_range

LEAST = 8  # pixels a side that a network wants
MULTIPLE = 16  # pixels: a network that halves its picture up to four times divides these sides without remainder


@dataclass(frozen=True)
class Enhancer:
    """`enhance(images, strength)`: float (T, 1, H, W) in [-1, 1] of any size -> the same; strength 0 changes nothing.

    `scale` px is the larger side at which it looks at larger images.
    """

    enhance: Callable
    name: str  # arch/config
    sha256: str  # of the weights
    header: dict = field(default_factory=dict)
    back: Callable | None = None  # the way back of a cycle, from good to poor: images (T, 1, H, W) -> the same
    known: Range | None = None  # of its training pictures
    scale: int = 0

    def __call__(self, images, strength=1.0):
        return self.enhance(images, strength)


def load_enhancer(source, kimg=None, device="cpu", module=None):
    """The `Enhancer` of a run (folder, or <arch>/<config>) or a .safetensors file.

    `kimg` as in `find_weights`, `module` as in `load_weights`.
    """
    path = find_weights(source, kimg)
    model, header = load_weights(path, device, module)
    if "strength" not in model.choices:
        raise BadInput(f"{source} is no enhancer: {header['arch']} has no strength; give a run of cyclegan")

    def enhance(images, strength):
        return at_scale(images, scale, lambda x: through(x, lambda batch: model.translated(batch, strength=strength)))

    @torch.no_grad()
    def back(images):
        return at_scale(images, scale, lambda x: through(x, model.returned))

    def through(images, way):
        padded = _padded(images.to(device))
        made = way(Batch({"image": padded, "A": padded}, len(padded)))
        return made[..., : images.shape[-2], : images.shape[-1]].to(images.device)

    scale = model.config.resolution
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = read_range(json.loads(str(header["range"])), path) if "range" in header else None
    both_ways = back if getattr(model, "two_ways", False) else None
    return Enhancer(enhance, f"{header['arch']}/{header['name']}", digest, header, both_ways, known, scale)


def at_scale(images, scale, made):
    """`made` of images (T, 1, H, W) in [-1, 1]; of those with a side above `scale` px, its change to a copy of that size."""
    height, width = images.shape[-2:]
    if max(height, width) <= scale:
        return made(images)
    sides = tuple(max(LEAST, round(side * scale / max(height, width))) for side in (height, width))
    small = F.interpolate(images, sides, mode="bilinear", antialias=True)
    change = F.interpolate(made(small) - small, (height, width), mode="bicubic")
    return (images + change).clamp(-1, 1)


def _padded(images):
    """Grown to the right and below to whole multiples, by what the last row and column are."""
    bottom, right = (-side % MULTIPLE for side in images.shape[-2:])
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images
