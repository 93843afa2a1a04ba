"""Speckle, what makes an echo an echo: how long its grains are along and across the beams, and how strong."""

from functools import lru_cache

import numpy as np
import torch
import torch.nn.functional as F

from echogan.metrics.pictures import blocks, pictures
from echogan.sector import ECHONET, study_mask

STATISTICS = ("speckle_axial", "speckle_lateral", "speckle_SNR")
WINDOW = 9  # pixels of the local mean that is taken away before speckle is measured
LAGS = 12  # pixels
FLAT = 0.1  # grey levels: a smaller deviation is rounding


def speckle(images):
    """{"speckle_axial", "speckle_lateral" (pixels), "speckle_SNR"} inside the sector of uint8 images (N, H, W).

    The widths are those of the autocorrelation of the residual (image minus its mean over 9 pixels) at half its height,
    along the beams and, at equal pixels, across them (Wagner 1983, who derives them from the point spread of the scanner).
    The SNR is local mean / local deviation in tissue, i.e. where it is brighter than the sector's mean: 1.91 for fully
    developed speckle before compression, larger in compressed images. Compare with real images at the same size.
    """
    return summary(grains(images))


def summary(grains):
    """`speckle` of the rows of `grains`; NaN where an image has no texture at all."""
    curves = grains[:, 1:].view(len(grains), 2, LAGS + 1)
    mean = curves.mean(0)
    axial, lateral = (width(curve / curve[0]) if curve[0] > FLAT**2 else float("nan") for curve in mean)
    return dict(zip(STATISTICS, (axial, lateral, float(grains[:, 0].nanmean()))))


def width(curve):
    """Full width at half height of an autocorrelation (1 at lag 0), in pixels; NaN where it does not fall to a half."""
    below = torch.nonzero(curve < 0.5).flatten()
    if not len(below):
        return float("nan")
    i = int(below[0])
    return 2 * float(i - 1 + (curve[i - 1] - 0.5) / (curve[i - 1] - curve[i]))


def grains(images):
    """For each image its SNR and its two autocorrelations (not normalised), float64 (N, 1 + 2 (LAGS + 1))."""
    images = pictures(images)
    beams, inside = (torch.from_numpy(part).to(images.device) for part in _beams(images.shape[-1]))
    found = []
    for block in blocks(images):
        fan = F.grid_sample(block[:, None].float(), beams.expand(len(block), -1, -1, -1), align_corners=False)[:, 0]
        local, deviation = _local(fan, inside)
        residual = torch.where(inside, fan - local, 0).double()
        found.append(torch.cat([_snr(local, deviation, inside, fan), _correlated(residual, inside)], 1))
    return torch.cat(found)


@lru_cache(maxsize=4)
def _beams(size):
    """Where a grid of (depth, beam) lies in the image, for `grid_sample`, and which of its points are in the sector.

    Depths are a pixel apart; beams are a pixel apart at half depth.
    """
    fan = ECHONET.resized(size)
    depth = np.arange(0.15 * size, 0.95 * size)
    middle = depth[len(depth) // 2]
    angle = np.arange(-0.9 * fan.half_angle, 0.9 * fan.half_angle, 1 / middle)
    x = fan.apex_x + depth[:, None] * np.sin(angle)
    y = fan.apex_y + depth[:, None] * np.cos(angle)
    column, row = (np.clip(np.rint(p).astype(int), 0, size - 1) for p in (x, y))
    inside = (study_mask(size)[row, column] > 0) & (np.abs(x - size / 2) < size / 2 - 1) & (y < size - 1)
    grid = np.stack([(2 * x + 1) / size - 1, (2 * y + 1) / size - 1], -1).astype(np.float32)
    return grid[None], inside


def _local(fan, inside):
    """Mean and deviation over `WINDOW` pixels around every point, of those inside the sector."""
    share = _smooth(inside[None].float()).clamp(min=1e-6)
    kept = torch.where(inside, fan, 0)
    local = _smooth(kept) / share
    return local, (_smooth(kept.square()) / share - local.square()).clamp(min=0).sqrt()


def _smooth(x):
    return F.avg_pool2d(x[:, None], WINDOW, 1, WINDOW // 2)[:, 0]


def _snr(local, deviation, inside, fan):
    """Median of mean / deviation over tissue, (n, 1)."""
    brightness = (fan * inside).sum((1, 2), keepdim=True) / inside.sum()
    tissue = inside & (local > brightness) & (deviation > FLAT)
    ordered = torch.where(tissue, local / deviation, torch.nan).flatten(1).sort(1).values  # NaN come last
    middle = (tissue.sum((1, 2)) - 1).clamp(min=0) // 2  # nanmedian would not be deterministic on a GPU
    return ordered.gather(1, middle[:, None]).double()


def _correlated(residual, inside):
    """Mean product of points that are 0 .. LAGS pixels apart, along depth and across it, (n, 2 (LAGS + 1))."""
    means = []
    for axis in (1, 2):
        for lag in range(LAGS + 1):
            near, far = (residual.narrow(axis, start, residual.shape[axis] - lag) for start in (0, lag))
            both = torch.logical_and(*(inside.narrow(axis - 1, start, near.shape[axis]) for start in (0, lag)))
            means.append((near * far).sum((1, 2)) / both.sum())
    return torch.stack(means, 1)
