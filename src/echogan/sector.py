"""Geometry of the ultrasound sector, and the mask that the original study put on every frame.

Lengths are pixels of the 112 x 112 EchoNet-Dynamic frame unless a `size` says otherwise; pixel centres are whole numbers.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import cv2
import numpy as np

STUDY_SIZE = 112


@dataclass(frozen=True)
class Sector:
    """A fan: apex (x, y) and radius in pixels, half angle in radians, in a frame of width x height pixels."""

    apex_x: float
    apex_y: float
    radius: float
    half_angle: float
    width: int
    height: int
    stretch: float = 1.0  # height of a pixel's content relative to its width (anisotropic pixels)

    def polar(self):
        """Radius (pixels of width) and angle (radians, 0 = straight down) of every pixel, each (height, width) float32."""
        y, x = np.mgrid[: self.height, : self.width].astype(np.float32)
        x, y = x - np.float32(self.apex_x), (y - np.float32(self.apex_y)) / np.float32(self.stretch)
        return np.hypot(x, y), np.arctan2(x, y)

    def mask(self):
        """True inside the fan, (height, width)."""
        radius, angle = self.polar()
        return (radius <= self.radius) & (np.abs(angle) <= self.half_angle)

    def resized(self, size):
        """The same fan in a square frame of `size` pixels (this frame must be square)."""
        k = size / self.width
        x, y = ((p + 0.5) * k - 0.5 for p in (self.apex_x, self.apex_y))
        return replace(
            self,
            apex_x=x,
            apex_y=y,
            radius=self.radius * k,
            width=size,
            height=size,
        )


# Measured on public demonstration clips and on the reference study's images: both agree within a pixel.
ECHONET = Sector(61.7, 6.6, 113.5, float(np.deg2rad(45.0)), 112, 112)


@lru_cache(maxsize=8)
def study_mask(size=STUDY_SIZE):
    """The original study's mask, uint8 (size, size) of 0 or 255: a triangle united with the lower half of an ellipse.

    Triangle (60, 5), (-15, 80), (127, 80); ellipse centre (55, 78), axes (70, 40): 68.1 % of 112 x 112. Other sizes
    are that raster enlarged by nearest neighbour, so one mask serves preview, extraction and evaluation.
    """
    triangle, lower = np.zeros((2, STUDY_SIZE, STUDY_SIZE), np.uint8)
    cv2.fillConvexPoly(triangle, np.array([(60, 5), (-15, 80), (127, 80)], np.int32), 255)
    cv2.ellipse(lower, (55, 78), (70, 40), 0, 0, 180, 255, -1)
    mask = cv2.resize(triangle | lower, (size, size), interpolation=cv2.INTER_NEAREST_EXACT)
    mask.flags.writeable = False
    return mask
