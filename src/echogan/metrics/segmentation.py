"""Label masks against reference masks: overlap and surface distance.

Masks are uint8 (N, H, W) of label ids; `labels` is their schema, name -> id. A is the set of pixels with one label, B that
of the reference.
"""

import cv2
import numpy as np
import pandas as pd
from scipy.ndimage import binary_erosion

from echogan.data.labels import structures
from echogan.errors import BadInput


def column(metric, structure):
    """The name of a column, e.g. Dice_left_ventricle."""
    return f"{metric}_{structure.replace(' ', '_')}"


def compared(masks, reference, labels, spacing=None):
    """One row per mask: `Dice_<structure>` and `HD95_<structure>` of every structure of the schema.

    spacing: mm per pixel of each mask (N,) or of all; HD95 is in mm then, else in pixels.
    """
    masks, reference = _pair(masks, reference)
    columns = {}
    for name, code in structures(labels).items():
        columns[column("Dice", name)] = dice(masks == code, reference == code)
        columns[column("HD95", name)] = hd95(masks == code, reference == code, spacing)
    return pd.DataFrame(columns)


def dice(a, b):
    """2 |A & B| / (|A| + |B|) of boolean (N, H, W) pairs, float (N,); NaN where both are empty (Dice 1945)."""
    sizes = np.sum(a, axis=(1, 2)) + np.sum(b, axis=(1, 2))
    both = np.sum(a & b, axis=(1, 2))
    return np.divide(2.0 * both, sizes, out=np.full(len(sizes), np.nan), where=sizes > 0)


def hd95(a, b, spacing=None):
    """max(P95 of the distances from A's outline to B's, P95 from B's to A's), float (N,) (Huttenlocher 1993, 95 % rank).

    In mm where `spacing` (mm per pixel, of each or of all) is given, else in pixels. NaN where both are empty; the
    picture's diagonal, the largest distance there is, where one is.
    """
    scale = np.broadcast_to(1.0 if spacing is None else np.asarray(spacing, float), len(a))
    return scale * np.array([_hd95(*pair) for pair in zip(a, b)])


def _hd95(a, b):
    if not (a.any() and b.any()):
        return np.hypot(*a.shape) if a.any() or b.any() else np.nan
    a, b = outline(a), outline(b)
    to_a, to_b = (
        cv2.distanceTransform((~edge).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE) for edge in (a, b)
    )
    return max(np.percentile(to_b[a], 95), np.percentile(to_a[b], 95))


def outline(mask):
    """The pixels of a boolean (H, W) that touch its complement by an edge, or the border of the picture."""
    return mask & ~binary_erosion(mask)


def largest(mask):
    """The largest part of a boolean (H, W)."""
    count, parts, numbers, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return parts == 1 + numbers[1:, cv2.CC_STAT_AREA].argmax() if count > 1 else mask


def _pair(masks, reference):
    masks, reference = np.asarray(masks), np.asarray(reference)
    if masks.shape != reference.shape or masks.ndim != 3:
        raise BadInput(
            f"masks {masks.shape} and reference {reference.shape} must be of one shape (N, H, W); resize one"
        )
    return masks, reference
