"""Whether two ways to measure the same patients agree, and whether one is better: Bland-Altman, paired Wilcoxon."""

from typing import NamedTuple

import numpy as np
from scipy.stats import wilcoxon

from echogan.errors import BadInput

LEAST = 6  # pairs: with five no difference reaches p < 0.05, however large


class Agreement(NamedTuple):
    """Of n differences: their mean, the limits that hold 95 % of them, and their mean size."""

    n: int
    bias: float
    low: float
    high: float
    mae: float


def bland_altman(measured, reference):
    """`Agreement` of measured - reference, (n,) both: bias -/+ 1.96 sd (Bland and Altman 1986); pairs with a NaN are left out."""
    gap = np.asarray(measured, float) - np.asarray(reference, float)
    gap = gap[np.isfinite(gap)]
    if len(gap) < 2:
        raise BadInput(f"limits of agreement need two pairs or more, got {len(gap)}; measure more patients")
    bias, sd = gap.mean(), gap.std(ddof=1)
    return Agreement(len(gap), *map(float, (bias, bias - 1.96 * sd, bias + 1.96 * sd, np.abs(gap).mean())))


def paired_p(first, second):
    """Two-sided p value of Wilcoxon's signed-rank test over pairs (n,); NaN for fewer than `LEAST`, 1 where all are equal."""
    gap = np.asarray(first, float) - np.asarray(second, float)
    gap = gap[np.isfinite(gap)]
    if len(gap) < LEAST:
        return float("nan")
    return float(wilcoxon(gap).pvalue) if gap.any() else 1.0
