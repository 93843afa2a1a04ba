"""What the readings of a run say: whether it improves, stands still or has collapsed. Pure functions of its columns."""

import numpy as np

MEDIAN = 3  # readings under the rolling median: a single lucky one never chooses
COLLAPSED = 0.1  # of the variety of real images
PATIENCE = 3  # collapsed readings in a row


def counted(rows, stage="generate", idle=0.0):
    """Those rows of metrics.csv that choose: what training read in a stage; not those that `echogan evaluate --keep` added.

    What reconstructs best need not generate at all: stages are not compared. The untrained network, which a run has until
    `idle` kimg, counts as long as there is no other reading: beside a run that went astray it may look good, and is not
    what one wants to sample from.
    """
    own = [row for row in rows if row.get("variety") not in (None, "") and (row.get("stage") or "generate") == stage]
    for bound in (idle, 0.0):
        if trained := [row for row in own if float(row["kimg"]) > bound]:
            return trained
    return own


def smoothed(readings):
    """Rolling median of the last `MEDIAN` readings at each of them; lower is better."""
    return [float(np.median(readings[max(0, i + 1 - MEDIAN) : i + 1])) for i in range(len(readings))]


def chosen(readings):
    """Position of the reading whose weights are kept in the end: the last that was the best when it was taken; None without one.

    Best is a smoothed reading that no earlier one lies below, and never one where the reading itself is worse than that: a
    median does not see a single bad reading, but the weights are those of that moment.
    """
    medians = np.array(smoothed(readings), float)
    best = np.isfinite(medians) & _reach(medians, np.fmin.accumulate(medians)) & _reach(readings, medians)
    return int(np.flatnonzero(best)[-1]) if best.any() else None


def improved(readings):
    """Whether the last reading is the one to keep the weights of."""
    return chosen(readings) == len(readings) - 1


def _reach(values, bounds):
    return np.asarray(values) <= bounds + 1e-5 * np.abs(bounds)  # readings come back from the file with six digits


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
