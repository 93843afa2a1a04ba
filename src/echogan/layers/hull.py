"""Where an ultrasound image has anything to show: the convex hull of what is lit, as the fan of a sector is convex."""

from math import pi

import torch

DIRECTIONS = 511  # of half planes on each side, 45 degrees among them: a straight edge of 112 px is right within 0.2 px
BLACK = 1.5  # grey levels of 255 up to which a pixel counts as unlit


def sector_of(images):
    """Images (B, 1, H, W) in [-1, 1] -> boolean of that shape: the hull of their lit pixels. An all black one has none."""
    return hull(images > 2 * BLACK / 255 - 1)


def hull(lit):
    """Boolean (B, 1, H, W) -> the same: the smallest convex set, up to its resolution, that holds all true pixels."""
    height, width = lit.shape[2:]
    x, y = (torch.arange(n, device=lit.device, dtype=torch.float) for n in (width, height))
    right = x.where(lit, -torch.inf).amax(3)  # the last lit pixel of each row, (B, 1, H)
    left = x.where(lit, torch.inf).amin(3)
    rows = lit.any(3).long()
    rows = (rows.cummax(2).values * rows.flip(2).cummax(2).values.flip(2)).bool()
    between = (x <= _envelope(right, y)[..., None]) & (x >= -_envelope(-left, y)[..., None])
    return (between & rows[..., None]) | lit  # rounding may put a line short of a lit pixel


def _envelope(ends, y):
    """The least concave function of the row that nowhere falls below `ends` (B, 1, H): each direction bounds it by a line."""
    angle = torch.linspace(-pi / 2, pi / 2, DIRECTIONS + 2, device=y.device)[1:-1, None]
    across, down = angle.cos(), angle.sin()  # (directions, 1)
    reach = (across * ends[:, :, None] + down * y).amax(3, keepdim=True)  # how far the hull goes, (B, 1, directions, 1)
    return ((reach - down * y) / across).amin(2) + 1e-3
