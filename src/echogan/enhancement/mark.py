"""Words burnt into a picture where no tissue is."""

import cv2
import numpy as np

from echogan.errors import BadInput

WORDS = ("RESEARCH ONLY - NOT FOR DIAGNOSIS", "RESEARCH ONLY", "RESEARCH", "R!")
_FONT, _MARGIN = cv2.FONT_HERSHEY_SIMPLEX, 2
_CLEAR = 3  # pixels around the sector, whose border is found no more exactly


def place(mask, words=WORDS):
    """((x, y, width, height), the longest of the `words` that fits, its scale) outside `mask`, True inside the sector.

    The box is the lowest that is free, then the leftmost; a picture without any room is a `BadInput`.
    """
    mask = cv2.dilate(mask.astype(np.uint8), np.ones((2 * _CLEAR + 1,) * 2, np.uint8))
    for text in words:
        for scale in (len(mask) / 600, len(mask) / 900, 0.3):
            (width, tall), base = cv2.getTextSize(text, _FONT, scale, 1)
            corner = _free(mask, tall + base + 2 * _MARGIN, width + 2 * _MARGIN)
            if corner is not None:
                return (*corner, width + 2 * _MARGIN, tall + base + 2 * _MARGIN), text, scale
    raise BadInput("there is no room outside the sector for the mark of research use; give frames with a border")


def _free(mask, height, width):
    """(x, y) of a box of this size without sector, or None."""
    if height > mask.shape[0] or width > mask.shape[1]:
        return None
    total = cv2.integral(mask)
    inside = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    rows, columns = np.nonzero(inside == 0)
    return (int(columns[rows == rows.max()].min()), int(rows.max())) if len(rows) else None


def burn(frame, box, text, scale):
    """`frame` (H, W) with the words in `box`, white on black, as a new array."""
    x, y, width, height = box
    level = 255 if frame.dtype == np.uint8 else 65535
    (_, tall), _ = cv2.getTextSize(text, _FONT, scale, 1)
    letters = np.zeros((height, width), np.uint8)
    cv2.putText(letters, text, (_MARGIN, _MARGIN + tall), _FONT, scale, 255, 1, cv2.LINE_AA)
    letters = letters * (255 / letters.max())  # small ones are drawn faint
    marked = frame.copy()
    marked[y : y + height, x : x + width] = np.rint(letters).astype(frame.dtype) * (level // 255)
    return marked
