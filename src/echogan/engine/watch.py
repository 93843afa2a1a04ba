"""What the readings of a run say: whether it improves, stands still or has collapsed. Pure functions of its columns."""

import numpy as np

MEDIAN = 3  # readings under the rolling median: a single lucky one never chooses
COLLAPSED = 0.1  # of the variety of real images
PATIENCE = 3  # collapsed readings in a row


def smoothed(readings):
    """Rolling median of the last `MEDIAN` readings at each of them; lower is better."""
    return [float(np.median(readings[max(0, i + 1 - MEDIAN) : i + 1])) for i in range(len(readings))]


def improved(readings):
    """Whether the last smoothed reading is the best so far; never where it is no number, or where the reading is worse than it.

    A median does not see a single bad reading, but the weights are those of that moment.
    """
    values = smoothed(readings)
    numbers = [value for value in values if np.isfinite(value)]
    bound = values[-1] * (1 + 1e-5)  # readings come back from the file with six digits
    return bool(numbers) and values[-1] <= min(numbers) * (1 + 1e-5) and readings[-1] <= bound


def stalled(kimg, readings, patience):
    """Whether the best smoothed reading lies `patience` kimg or more back; never with a patience of 0 or without a best one."""
    values = smoothed(readings)
    if not patience or not np.isfinite(values).any():
        return False
    return kimg[-1] - kimg[int(np.nanargmin(values))] >= patience


def variety(images):
    """How much images differ from each other: standard deviation over the set, mean over pixels; (N, H, W) -> grey levels."""
    return float(np.std(images, axis=0, dtype=np.float64).mean())


def collapsed(varieties):
    """Whether a run has collapsed: its last `PATIENCE` readings show images that are all alike, an earlier one did not.

    `varieties`: `variety` of the generated images over that of real ones, at every reading. An untrained generator's images
    are always alike, so that alone is no collapse.
    """
    return max(varieties[-PATIENCE:]) < COLLAPSED <= max(varieties)
