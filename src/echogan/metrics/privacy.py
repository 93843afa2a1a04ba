"""Do generated images copy the patients they were trained on? Answers from distances to the nearest training frame.

Every answer compares generated images with real ones of patients that training never saw, asked in the same way of the same
training frames: those are as near as images get without any copying.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import beta, mannwhitneyu

from echogan.errors import BadInput
from echogan.metrics.pictures import pictures

RATE = 0.05  # of unseen real patients that are flagged
LEAST = 20  # unseen patients: with fewer, no threshold flags one in twenty
FOLDS = 10
IN_A_CELL = 20  # generated images without which a cell says nothing (Meehan 2020)
CELLS = 3


@dataclass(frozen=True)
class Share:
    """`k` of `n`, with the 95 % interval of Clopper and Pearson (1934); all as shares from 0 to 1."""

    k: int
    n: int

    value = property(lambda self: self.k / self.n)
    low = property(lambda self: float(beta.ppf(0.025, self.k, self.n - self.k + 1)) if self.k else 0.0)
    high = property(lambda self: float(beta.ppf(0.975, self.k + 1, self.n - self.k)) if self.k < self.n else 1.0)

    def columns(self, name):
        """{name, name_low, name_high} in percent."""
        return {name: 100 * self.value, f"{name}_low": 100 * self.low, f"{name}_high": 100 * self.high}


def one_each(patients, seed=0):
    """Indices of one random frame of every patient, ascending: frames of one patient are near-copies of each other."""
    order = np.random.default_rng(seed).permutation(len(patients))
    return np.sort(order[np.unique(np.asarray(patients)[order], return_index=True)[1]])


def refuse_shared(training, heldout):
    """A `BadInput` that lists the patients who are on both sides."""
    shared = sorted(set(training) & set(heldout))
    if shared:
        some = ", ".join(map(str, shared[:5])) + (f" and {len(shared) - 5} more" if len(shared) > 5 else "")
        raise BadInput(
            f"{len(shared)} patient{'s are' if len(shared) > 1 else ' is'} in both the training and the held-out frames "
            f"({some}); split by patient, else real images pass for copies"
        )


def threshold(heldout, rate=RATE):
    """The distance below which an image is flagged: of unseen patients, at most a share of `rate` lies below.

    `heldout`: (n,) distances of n patients, one image each. The k-th smallest with k = rate (n + 1), rounded down: a further
    patient lies below it with probability k / (n + 1) whatever the distribution (split conformal, Vovk 2005), and a threshold
    from n patients realises between 4 and 6 % in 95 of 100 cases where n >= 1,900.
    """
    if len(heldout) < LEAST:
        raise BadInput(
            f"a threshold needs {LEAST} held-out patients or more, got {len(heldout)}; extract more VAL and TEST patients"
        )
    return float(np.sort(heldout)[int(rate * (len(heldout) + 1)) - 1])


def false_flags(heldout, rate=RATE, seed=0):
    """`Share` of unseen patients that are flagged, each by a threshold of the nine tenths of them that it is not among."""
    fold = np.random.default_rng(seed).permutation(len(heldout)) % FOLDS
    if len(heldout) < LEAST * FOLDS / (FOLDS - 1):  # too few for tenths: each by all the others
        fold = np.arange(len(heldout))
    flagged = 0
    for each in np.unique(fold):
        ours, others = heldout[fold == each], np.sort(heldout[fold != each])
        flagged += int((ours < others[int(rate * (len(others) + 1)) - 1]).sum())
    return Share(flagged, len(heldout))


def authentic(distance, own):
    """AuthPct (Alaa 2022) as a `Share`: images farther from their nearest training frame than that is from its own nearest.

    `distance` (n,) to the nearest training frame, `own` (n,) from that frame to the nearest one of another patient.
    """
    return Share(int((distance > own).sum()), len(distance))


def data_copying(fakes, heldout, fake_cells=None, heldout_cells=None):
    """C_T (Meehan 2020): < 0 copying, about 0 none, > 0 images that lie farther from the training frames than real ones.

        Z_U = (U - nm / 2) / sqrt(nm (n + m + 1) / 12)

    U counts the pairs in which the generated image (of m) lies farther from its nearest training frame than the unseen one (of
    n); within one cell of image space, then averaged over cells by the share of unseen images. Under no copying one cell's Z_U is
    standard normal. Cells (n,) are whole numbers; those with fewer than `IN_A_CELL` generated images count as empty.
    """
    fake_cells = np.zeros(len(fakes), int) if fake_cells is None else fake_cells
    heldout_cells = np.zeros(len(heldout), int) if heldout_cells is None else heldout_cells
    scores, weights = [], []
    for cell in np.unique(heldout_cells):
        q, p = fakes[fake_cells == cell], heldout[heldout_cells == cell]
        if len(q) >= IN_A_CELL:
            scores.append(_z_score(q, p))
            weights.append(len(p))
    return float(np.average(scores, weights=weights)) if scores else float("nan")


def _z_score(q, p):
    n, m = len(p), len(q)
    u = mannwhitneyu(q, p, method="asymptotic").statistic
    return (u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12)


def cells(training, *others, k=CELLS, seed=0):
    """Which of `k` regions of image space each image of every set lies in: k-means of 8 x 8 thumbnails of `training`."""
    points = _thumbnails(training)
    centres = points[np.random.default_rng(seed).permutation(len(points))[:k]]
    for _ in range(50):
        cell = _nearest(points, centres)
        moved = torch.stack([points[cell == i].mean(0) if (cell == i).any() else c for i, c in enumerate(centres)])
        if torch.equal(moved, centres):
            break
        centres = moved
    return [_nearest(_thumbnails(images), centres).numpy() for images in others]


def _nearest(points, centres):
    return torch.cdist(points, centres).argmin(1)


def _thumbnails(images):
    return F.interpolate(pictures(images).cpu()[:, None].float(), size=(8, 8), mode="area").flatten(1)
