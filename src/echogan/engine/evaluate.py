"""A reading during training: generated images against frames of VAL, beside what real images reach."""

from collections import Counter

import numpy as np

from echogan.errors import at_least
from echogan.metrics.histogram import jensen_shannon
from echogan.metrics.kernel import kernel_distance
from echogan.metrics.sliced import sliced_wasserstein
from echogan.metrics.spectrum import spectral_difference

READINGS = 512  # images a side of a reading during training

WEIGHT_FREE = {"SWD": sliced_wasserstein, "JSD": jensen_shannon, "spectrum_dB": spectral_difference}


def distances(images, reference, prefix=""):
    """{metric: value} of every metric that needs no network; uint8 (N, H, W) against (M, H, W)."""
    return {prefix + name: metric(images, reference) for name, metric in WEIGHT_FREE.items()}


def spread(images, n, seed=0):
    """At most `n` of the images, in their order: a random choice, the same for equal seeds."""
    if len(images) <= n:
        return images
    at_least(0, seed=seed)
    return images[np.sort(np.random.default_rng(seed).permutation(len(images))[:n])]


def in_turn(groups, n):
    """Positions of at most `n` rows: the first of each group (a patient, say), then the second of each, and on."""
    seen, turns = Counter(), []
    for position, group in enumerate(groups):
        turns.append((seen[group], position))
        seen[group] += 1
    return [position for _, position in sorted(turns)[:n]]


def apart(frames, n):
    """At most `n` rows of a `FrameSet`, in their order, of as many patients as there are."""
    return frames.where(np.isin(np.arange(len(frames)), in_turn(frames.index["patient"], n)))


class Reading:
    """Measures `n` generated images against frames of VAL, beside the floor: frames of TRAIN against the same.

    With an `encoder` (`encoders.find("lite0")`) there is a kernel distance too, and it chooses the best weights.
    """

    def __init__(self, train, val, n=READINGS, encoder=None):
        self.reference, self.n, self.encoder = val, n, encoder
        self.chosen_by = f"KID_{encoder.name}" if encoder else "SWD"  # lower is better
        self.features = encoder(val) if encoder else None
        self.floor = {**distances(train, val, "floor_"), **self._kernel(train, "floor_")}

    def row(self, images):
        """Columns of metrics.csv, of uint8 images (N, H, W)."""
        counts = {"split": "VAL", "n_real": len(self.reference), "n_fake": len(images)}
        return {**counts, **distances(images, self.reference), **self._kernel(images), **self.floor}

    def _kernel(self, images, prefix=""):
        if self.encoder is None:
            return {}
        value, _ = kernel_distance(self.encoder(images), self.features)
        return {"encoder": self.encoder.name, f"{prefix}KID_{self.encoder.name}": value}
