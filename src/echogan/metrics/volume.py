"""Left-ventricular volume from masks by the modified Simpson rule: the ventricle as a stack of twenty discs.

    one view     V = pi/4 sum d_i^2   L/20
    two views    V = pi/4 sum a_i b_i L/20,  L the longer of the two axes      (Lang et al., ASE/EACVI 2015)

The long axis runs from the middle of the mitral plane, where the cavity faces the left atrium, to the farthest point of the
cavity. A disc's diameter is the cavity's area in its slice over the slice's height; a pixel lies in several slices, so that
discs little thicker than it do not hold one row of pixels and then two.
"""

from typing import NamedTuple

import numpy as np
from scipy.ndimage import distance_transform_edt

from echogan.errors import BadInput
from echogan.metrics.segmentation import largest

DISCS = 20
FINE = 4  # parts of a pixel's side
CAVITY, ATRIUM = "left ventricle", "left atrium"


class Ventricle(NamedTuple):
    """One view of the cavity, in mm or pixels: how long it is, and the `DISCS` diameters from apex to base."""

    length: float
    diameters: np.ndarray


def ventricle(mask, labels, spacing=None):
    """The `Ventricle` in one mask uint8 (H, W), in mm where `spacing` (mm per pixel) is given.

    Of a chamber in pieces the largest counts. A mask without a left ventricle or left atrium is refused.
    """
    cavity, atrium = (_chamber(mask, labels, name) for name in (CAVITY, ATRIUM))
    base = mitral_plane(cavity, atrium).mean(0)
    points = np.argwhere(cavity).astype(float)
    axis = points[np.hypot(*(points - base).T).argmax()] - base
    axis /= np.hypot(*axis) or 1  # the cavity may be one pixel
    depth = points @ axis
    length = np.ptp(depth) + 1  # a pixel reaches half its width to both sides of its centre
    depth = (depth.max() + 0.5 - _parts(points) @ axis).clip(0, length)
    areas = np.histogram(depth, DISCS, (0, length))[0] / FINE**2
    scale = spacing or 1.0
    return Ventricle(length * scale, areas * DISCS / length * scale)


def _parts(points):
    """The centres of the `FINE` x `FINE` parts of each pixel, (n FINE^2, 2)."""
    steps = (np.arange(FINE) + 0.5) / FINE - 0.5
    return (points[:, None] + np.stack(np.meshgrid(steps, steps), -1).reshape(-1, 2)).reshape(-1, 2)


def mitral_plane(cavity, atrium):
    """The pixels of the cavity that are nearest to some pixel of the atrium, (n, 2) as row, column."""
    nearest = np.asarray(distance_transform_edt(~cavity, return_distances=False, return_indices=True))
    return np.unique(nearest[:, atrium].T, axis=0)


def volume(*views):
    """Volume by discs of one `Ventricle`, or of the two of a biplane study: mL from mm, else cubed pixels / 1000."""
    if not 1 <= len(views) <= 2:
        raise BadInput(f"a volume by discs needs one or two views, got {len(views)}")
    first, second = views[0], views[-1]
    height = max(first.length, second.length) / DISCS
    return float(np.pi / 4 * np.sum(first.diameters * second.diameters) * height / 1000)


def ejection_fraction(edv, esv):
    """100 (EDV - ESV) / EDV in %; NaN where EDV is 0, as of a cavity that hardly was found."""
    return 100 * (edv - esv) / np.where(edv == 0, np.nan, edv)


def _chamber(mask, labels, name):
    if name not in labels:
        raise BadInput(f"the labels name no {name} ({', '.join(labels)}); volumes by discs need it")
    found = largest(mask == labels[name])
    if not found.any():
        raise BadInput(f"the mask has no {name}, so it has no volume by discs; leave it out or segment it again")
    return found
