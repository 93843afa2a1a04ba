"""A trained run as a function: what every other module of this package is handed as `enhance`."""

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

MULTIPLE = 16  # pixels: a network that halves its picture up to four times divides these sides without remainder


@dataclass(frozen=True)
class Enhancer:
    """`enhance(images, strength)`: float (T, 1, H, W) in [-1, 1] of any size -> the same; strength 0 changes nothing."""

    enhance: Callable
    name: str  # arch/config
    sha256: str  # of the weights
    header: dict = field(default_factory=dict)
    back: Callable | None = None  # the way back of a cycle, from good to poor: images (T, 1, H, W) -> the same
    known: Range | None = None  # of its training pictures

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
        return through(images, lambda batch: model.translated(batch, strength=strength))

    @torch.no_grad()
    def back(images):
        return through(images, model.returned)

    def through(images, way):
        padded = _padded(images.to(device))
        made = way(Batch({"image": padded, "A": padded}, len(padded)))
        return made[..., : images.shape[-2], : images.shape[-1]].to(images.device)

    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    known = read_range(json.loads(str(header["range"])), path) if "range" in header else None
    both_ways = back if getattr(model, "two_ways", False) else None
    return Enhancer(enhance, f"{header['arch']}/{header['name']}", digest, header, both_ways, known)


def _padded(images):
    """Grown to the right and below to whole multiples, by what the last row and column are."""
    bottom, right = (-side % MULTIPLE for side in images.shape[-2:])
    return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images
