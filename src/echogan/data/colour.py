"""What is colour in ultrasound, which is flow and not tissue: one rule for DICOMs, videos, pictures and what is enhanced.

The chroma of a pixel is the distance of its strongest from its weakest primary, in grey levels; JPEG makes a little of it.
"""

import cv2
import numpy as np

MEAN_CHROMA = 6  # grey levels, on average over the ultrasound
COLOURED, COLOURED_SHARE = 40, 0.01  # or this many in this share of its pixels: a small flow box
LOOKED_AT = 16  # frames of a film in which colour is looked for: flow may begin late


class Glance:
    """Shown a film frame by frame, it keeps `LOOKED_AT` of them or more, less than twice as many, evenly spread: `kept`."""

    def __init__(self):
        self.kept, self.step = {}, 1  # {number: frame}

    def add(self, number, frame):
        """The next frame; whoever shows it must not write to it again."""
        if number % self.step:
            return
        self.kept[number] = frame
        if len(self.kept) == 2 * LOOKED_AT:
            self.step *= 2
            self.kept = {i: frame for i, frame in self.kept.items() if i % self.step == 0}


def chroma(picture):
    """Chroma of each pixel of a picture uint8 (H, W, 3), in RGB or BGR: uint8 (H, W)."""
    a, b, c = cv2.split(picture)
    return cv2.subtract(cv2.max(cv2.max(a, b), c), cv2.min(cv2.min(a, b), c))


def share(levels):
    """Share of pixels that are coloured, of their chroma uint8, any shape."""
    return np.count_nonzero(levels > COLOURED) / max(levels.size, 1)


def is_grey(levels):
    """Whether pixels of the chroma `levels`, uint8, any shape, hold no flow."""
    return not levels.size or bool(cv2.mean(levels)[0] <= MEAN_CHROMA and share(levels) <= COLOURED_SHARE)


def told(levels):
    """What a message says of colour, after the name of the picture."""
    mean = cv2.mean(levels)[0]
    return f"has colour in {share(levels):.0%} of its ultrasound (chroma {mean:.0f} grey levels: Doppler, or a tint)"
