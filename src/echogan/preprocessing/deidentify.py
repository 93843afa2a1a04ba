"""What is burnt into a recording around its sector: blanked, and looked at for text before and after.

Names, dates and scales stand still and bright while tissue moves and speckles, and letters are strokes side by side.
That is all this knows of writing: it reads nothing, so it serves any language, and it may take a trace for a word.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from echogan.preprocessing.align import find_sector

DARK = 2  # grey levels that a lossy codec makes of black
LIT = 40  # grey levels: less is the ringing of JPEG
STEADY = 24  # grey levels that a burnt-in pixel moves at most
STROKE = 64  # grey levels by which a pen stroke outshines the tissue it is written on
MARGIN = 2  # pixels around the sector that blur across its border

_PEN = 5  # pixels: broader than a stroke
_SMALL, _LARGE = 4, 0.12  # height of letters: pixels at least, of the picture at most
_STROKES = 4  # of a word, along its busiest row


@dataclass(frozen=True)
class Marks:
    """What was found burnt in: boxes (x, y, width, height) of text, and how many other marks, outside the sector; text inside.

    `inside` is None for a still, in which nothing tells letters from tissue.
    """

    text: tuple
    others: int
    inside: tuple | None


def extremes(frames):
    """The darkest and the brightest that each pixel ever is, uint8 (2, H, W), and how many frames the iterator gave."""
    first = next(frames)
    low, high, count = first.copy(), first.copy(), 1
    for frame in frames:
        np.minimum(low, frame, out=low)
        np.maximum(high, frame, out=high)
        count += 1
    return np.stack([low, high]), count


def sector_of(clip, range_of):
    """The fan of a recording from its `extremes`; `clip` says where its ultrasound is, its frames are not looked at."""
    if clip.sector is not None:
        return clip.sector
    low, high = range_of
    return find_sector(replace(clip, frames=range_of if (low != high).any() else high[None]))


def inside(sector, region=None):
    """True where the ultrasound is, bool (H, W): the fan, within the region (x0, y0, x1, y1) that the file names."""
    mask = sector.mask()
    if region is not None:
        x0, y0, x1, y1 = region
        box = np.zeros_like(mask)
        box[y0 : y1 + 1, x0 : x1 + 1] = True
        mask &= box
    return mask


def find_marks(range_of, mask, cine):
    """`Marks` in a recording with these `extremes`, whose ultrasound is where `mask` (H, W) is true."""
    low, high = range_of
    around = cv2.dilate(mask.astype(np.uint8), np.ones((2 * MARGIN + 1,) * 2, np.uint8)) == 0
    text, others = _written((high > LIT) & around)
    if not cine:
        return Marks(text, others, None)
    thin = cv2.morphologyEx(low, cv2.MORPH_TOPHAT, np.ones((_PEN, _PEN), np.uint8)) > STROKE
    steady = thin & (high - low < STEADY) & ~around
    return Marks(text, others, _written(steady)[0])


def _written(lit):
    """(boxes of text, number of other marks) among the lit pixels, bool (H, W)."""
    tallest = round(_LARGE * len(lit))
    # Letters and words lie closer than the tallest are high: joined sideways, they make one long mark.
    joined = cv2.morphologyEx(lit.astype(np.uint8), cv2.MORPH_CLOSE, np.ones((1, max(5, tallest // 2 | 1)), np.uint8))
    stats = cv2.connectedComponentsWithStats(joined)[2]
    marks = [tuple(int(n) for n in row[:4]) for row in stats[1:] if row[cv2.CC_STAT_AREA] >= _SMALL]
    text = tuple(box for box in marks if _SMALL <= box[3] <= tallest and _strokes(lit, box) >= _STROKES)
    return text, len(marks) - len(text)


def _strokes(lit, box):
    """How often the busiest row of a box turns from dark to lit."""
    x, y, width, height = box
    rows = np.pad(lit[y : y + height, x : x + width], ((0, 0), (1, 0))).astype(np.int8)
    return int((np.diff(rows, axis=1) == 1).sum(axis=1).max())


def leftover(frames, mask, block=1):
    """How many pixels are ever lit outside `mask` (H, W) in frames as read back from disk.

    block: pixels of a block of a lossy codec, in which the border of the sector rings; blocks that touch it are only
    asked for more than ringing.
    """
    high = extremes(frames)[0][1]
    height, width = (-(-side // block) for side in mask.shape)
    blocks = np.pad(mask, [(0, height * block - mask.shape[0]), (0, width * block - mask.shape[1])])
    touched = blocks.reshape(height, block, width, block).any(axis=(1, 3)).repeat(block, 0).repeat(block, 1)
    touched = touched[: mask.shape[0], : mask.shape[1]]
    return int((high > np.where(touched, LIT, DARK))[~mask].sum())
