"""Directions of W that change images most, without any label (SeFa, Shen and Zhou 2021).

    d = argmax |A d|^2 with |d| = 1, where A stacks the matrices by which the layers turn w into styles

so the directions are the eigenvectors of A^T A, the most telling first. What each changes is measured on the images.
"""

from dataclasses import dataclass

import numpy as np
import torch

from echogan.errors import BadInput, at_least
from echogan.metrics.volume import CAVITY, ejection_fraction, ventricle, volume

# Which share of the resolutions each part takes, from the lowest on.
PARTS = {"all": (0.0, 1.0), "coarse": (0.0, 1 / 3), "middle": (1 / 3, 2 / 3), "fine": (2 / 3, 1.0)}


@dataclass(frozen=True)
class Directions:
    """k unit vectors of W, and the layers they are applied to."""

    vectors: torch.Tensor  # (k, latent)
    strengths: np.ndarray  # (k,): the eigenvalues
    spread: torch.Tensor  # (): standard deviation of w, root mean square over all directions
    layers: slice


def directions(space, k=5, part="all"):
    """The `Directions` of a space: the k strongest of all layers, or of the coarse, middle or fine third of the resolutions."""
    if part not in PARTS:
        raise BadInput(f"part must be one of {', '.join(PARTS)}, got {part!r}")
    at_least(1, k=k)
    blocks = space.G.blocks
    first, last = (round(share * len(blocks)) for share in PARTS[part])
    if first == last:
        raise BadInput(f"a generator of {space.size} px has no {part} part; take all, coarse or fine")
    styles = [layer.style for block in blocks[first:last] for layer in (block.up, block.conv) if layer is not None]
    a = torch.cat([style.weight * style.weight_gain for style in styles]).double()
    values, vectors = torch.linalg.eigh(a.T @ a)
    order = values.argsort(descending=True)[:k]
    vectors = _pointed(vectors[:, order].T).float()
    spread = space.sample(2000).var(0).mean().sqrt()
    layers = slice(max(2 * first - 1, 0), 2 * last)  # the last grey layer's w is also that of the next block's way up
    return Directions(vectors, values[order].cpu().numpy(), spread, layers)


def _pointed(vectors):
    """Each vector with its largest entry positive: an eigenvector may as well point the other way."""
    largest = vectors.gather(1, vectors.abs().argmax(1, keepdim=True))
    return vectors * largest.sign()


def strips(space, found, seeds, steps=(-3, -2, -1, 0, 1, 2, 3), truncation=0.7):
    """uint8 (k, len(seeds), len(steps), H, W): images moved along each direction by steps of w's standard deviation."""
    ws = space.layered(space.of_seeds(seeds, truncation))
    moves = torch.tensor(steps, dtype=torch.float32, device=ws.device) * found.spread
    shown = []
    for vector in found.vectors:
        moved = ws[:, None].repeat(1, len(steps), 1, 1)
        moved[:, :, found.layers] += moves[None, :, None, None] * vector
        shown.append(space.draw(moved.flatten(0, 1)).reshape(len(seeds), len(steps), space.size, space.size))
    return np.stack(shown)


def brightness(images):
    """Mean grey level (N,) of uint8 images (N, H, W)."""
    return images.reshape(len(images), -1).mean(1)


def left_ventricle(segment, labels):
    """Area of the left ventricle in % of the image, (N,) of uint8 images (N, H, W).

    `segment` maps images to label ids uint8 (N, H, W), and `labels` names these: name -> id.
    """
    return lambda images: 100 * (segment(images) == labels[CAVITY]).reshape(len(images), -1).mean(1)


def ventricle_volume(segment, labels):
    """Volume of the left ventricle by discs, (N,) in pixels^3 / 1000; NaN where a chamber was not found."""
    return lambda images: np.array([_volume(mask, labels) for mask in segment(images)])


def _volume(mask, labels):
    try:
        return volume(ventricle(mask, labels))
    except BadInput:  # a generated heart may lack its ventricle or atrium
        return np.nan


def effects(pictures, measures):
    """{measure: (k, steps)}: what each direction changes, the mean over seeds of the difference to the unmoved image.

    `pictures` come from `strips`; `measures` maps a name to a function of uint8 images (N, H, W) that gives (N,), such as
    `brightness`, or `left_ventricle(...)`. The unmoved image is that of the middle step.
    """
    found = {name: _measured(pictures, measure) for name, measure in measures.items()}
    return {name: (values - _unmoved(values)).mean(1) for name, values in found.items()}


def ejected(pictures, volumes):
    """What each step leaves out of the unmoved image's ventricle, as an ejection fraction in %: (k, steps), median of seeds.

    Positive where the ventricle is smaller, as in systole. `volumes` is a measure such as `ventricle_volume(...)`.
    """
    values = _measured(pictures, volumes)
    shares = np.ma.masked_invalid(ejection_fraction(_unmoved(values), values))
    return np.ma.median(shares, 1).filled(np.nan)


def changes(pictures, segment=None, labels=None):
    """{measure: (k, steps)} of the grey level and, with a segmenter, of the left ventricle's area and ejection."""
    if segment is None:
        return effects(pictures, {"grey level": brightness})
    measures = {"grey level": brightness, "LV area (%)": left_ventricle(segment, labels)}
    return {
        **effects(pictures, measures),
        "LV ejection (%)": ejected(pictures, ventricle_volume(segment, labels)),
    }


def _measured(pictures, measure):
    """(k, seeds, steps) of pictures (k, seeds, steps, H, W)."""
    return np.asarray(measure(pictures.reshape(-1, *pictures.shape[3:])), float).reshape(pictures.shape[:3])


def _unmoved(values):
    return values[:, :, [values.shape[2] // 2]]
