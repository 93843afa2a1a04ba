"""Outlines into masks, exactly: a pixel belongs to what encloses its centre."""

import numpy as np


def enclosed(points, shape):
    """Whether each pixel centre of `shape` (H, W) lies in the closed polygon through `points` (n, 2) of x, y; bool (H, W).

    Even-odd rule along every row of pixels (Foley et al., Computer Graphics, scan-line conversion); of a border that runs
    through a centre, the left and the upper one are inside.
    """
    height, width = shape
    start, end = np.asarray(points, float), np.roll(points, -1, axis=0)
    top, bottom = (np.clip(np.ceil(f(start[:, 1], end[:, 1])), 0, height).astype(int) for f in (np.minimum, np.maximum))
    rows = bottom - top
    edge = np.repeat(np.arange(len(start)), rows)
    row = top[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(rows) - rows, rows)
    slope = np.divide(*(end - start).T, out=np.zeros(len(start)), where=rows > 0)
    x = start[edge, 0] + (row - start[edge, 1]) * slope[edge]
    column = np.clip(np.ceil(x), 0, width).astype(int)
    crossings = np.bincount(row * (width + 1) + column, minlength=height * (width + 1)).reshape(height, -1)
    return (np.cumsum(crossings[:, :width], axis=1, dtype=np.uint16) & 1).astype(bool)
