"""Lesions planted where none is: an enhancer that loses them, or paints them, must be seen to do so."""

from dataclasses import dataclass

import cv2
import numpy as np

RADIUS = 0.035  # of the side of the picture
BRIGHT, DARK = 60.0, 0.55  # grey levels added; share of the grey level taken away
FROM_BORDER = 2.0  # radii
TONES = ("bright", "dark")
PLACES = 8  # in which lesions are planted, one at a time
SURVIVES = 0.86  # of their contrast in one picture, and (benchmarks/lesion_free_target.py, 64 px)
RECORDING = 0.89  # on average over one patient's: honest enhancers keep more of it in 95 of 100
CHAMBERS, TISSUE = 50, 67  # per cent of the sector's places, by their grey level: the darker half, the brighter third


@dataclass(frozen=True)
class Lesion:
    """A round spot: centre (x, y) and radius in pixels, "bright" or "dark"."""

    x: float
    y: float
    radius: float
    tone: str

    def profile(self, shape):
        """1 in the middle, falling smoothly to 0 at twice the radius, float (H, W)."""
        y, x = np.mgrid[: shape[0], : shape[1]]
        distance = np.hypot(x - self.x, y - self.y) / self.radius
        return np.exp(-0.5 * np.maximum(distance / 0.6, 0) ** 2)


def somewhere(mask, tone, rng, image=None):
    """A `Lesion` inside `mask`, away from its border; bright ones in the darker half of `image`, dark ones in its tissue.

    A dark one in the dark would be seen by nobody, so neither can its loss be: tissue is the brighter third.
    """
    radius = RADIUS * max(mask.shape)
    room = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1] > FROM_BORDER * radius
    if image is not None:
        local = cv2.GaussianBlur(image.astype(np.float32), (0, 0), radius)
        limit = np.percentile(local[room], CHAMBERS if tone == "bright" else TISSUE) if room.any() else 0
        fits = room & ((local <= limit) if tone == "bright" else (local >= limit))
        room = fits if fits.any() else room
    y, x = np.nonzero(room if room.any() else mask)
    i = int(rng.integers(len(x)))
    return Lesion(float(x[i]), float(y[i]), radius, tone)


def planted(image, lesion):
    """`image` uint8 (H, W) with a lesion: echo added, or taken away in proportion, so that speckle stays."""
    profile = lesion.profile(image.shape)
    grey = image + BRIGHT * profile if lesion.tone == "bright" else image * (1 - DARK * profile)
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


def contrast(with_lesion, without, lesion):
    """How much brighter (darker: negative) the lesion made its place, grey levels weighted by its profile."""
    weight = lesion.profile(without.shape)
    return float(((with_lesion.astype(float) - without) * weight).sum() / weight.sum())


def lost(kept):
    """Pictures (N,) in which the lesions of any tone fade, by the shares of `survival`."""
    return np.any([share < SURVIVES for share in kept.values()], axis=0)


def survival(enhance, images, mask, seed=0, places=PLACES):
    """Share of the contrast of planted lesions that `enhance` (images uint8 (N, H, W) -> the same) keeps: {tone: (N,)}.

    1 = all of it, 0 = removed; above 1 it was made stronger; NaN where none would be seen. Of each image `places` lesions of
    each tone, one at a time and far from the borders: what one of them keeps is mostly the speckle it lies on.
    """
    rng, plain, shares = np.random.default_rng(seed), enhance(images), {}
    for tone in TONES:
        found = np.stack([_kept(enhance, images, plain, mask, tone, rng) for _ in range(places)])
        seen = np.isfinite(found).sum(0)
        shares[tone] = np.divide(np.nansum(found, 0), seen, out=np.full(len(images), np.nan), where=seen > 0)
    return shares


def _kept(enhance, images, plain, mask, tone, rng):
    """Share (N,) of the contrast of one lesion in each image that is left of it; `plain` = `enhance(images)`."""
    lesions = [somewhere(mask, tone, rng, image) for image in images]
    ill = np.stack([planted(image, lesion) for image, lesion in zip(images, lesions)])
    put = np.array([contrast(*told) for told in zip(ill, images, lesions)])
    kept = np.array([contrast(*told) for told in zip(enhance(ill), plain, lesions)])
    return np.divide(kept, put, out=np.full(len(images), np.nan), where=np.abs(put) > 1)
