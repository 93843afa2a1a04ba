"""How sure a number is: standard errors from one sample, also where several images come from one patient."""

from typing import NamedTuple

import numpy as np
import torch


class Estimate(NamedTuple):
    """A number and its standard error (NaN where too few images say nothing about it)."""

    value: float
    error: float


def influence_error(influence, groups=None):
    """Standard error of a statistic from the influence of each observation on it, (n,) -> float.

    The infinitesimal jackknife (Efron 1982, section 6): SE^2 = sum of squared influences. Observations of one group, e.g. the
    frames of one patient, are summed before they are squared, as they are not independent.
    """
    sums = _by_group(influence - influence.mean(), groups)
    n = len(sums)
    return float((sums.square().sum() * n / (n - 1)).sqrt()) if n > 1 else float("nan")


def mean(values, groups=None):
    """The mean of (n,) values as an `Estimate`."""
    values = values.double()
    return Estimate(float(values.mean()), influence_error(values / len(values), groups))


def share(hits, groups=None):
    """The share of booleans (n,) as an `Estimate`.

    Where all agree no spread is seen, which proves nothing: the error is then that of two more hits and two more misses
    (Agresti and Coull 1998, section 2).
    """
    found = mean(hits, groups)
    if 0 < found.value < 1:
        return found
    n = len(hits if groups is None else np.unique(groups)) + 4
    p = (found.value * (n - 4) + 2) / n
    return Estimate(found.value, (p * (1 - p) / n) ** 0.5)


def halves(n, draws=100, seed=0, groups=None):
    """Random halves of n observations, float64 (draws, n) of 0 and 1; a group is drawn as a whole."""
    codes = np.arange(n) if groups is None else np.unique(np.asarray(groups), return_inverse=True)[1]
    coins = np.random.default_rng(seed).random((draws, codes.max() + 1))
    return torch.from_numpy((coins < np.median(coins, axis=1, keepdims=True))[:, codes].astype(np.float64))


def half_sample_error(statistic, *sets, draws=20, seed=0, groups=()):
    """Standard error of `statistic(*sets)`: its deviation over random halves of every set (Shao and Wu 1989, delete-half).

    Half the data have twice the variance, and a half differs from the whole by as much as the whole from the truth. NaN
    where a set has fewer than 8 observations, or a single group, which has no half.
    """
    groups = groups or [None] * len(sets)
    if min(map(len, sets)) < 8 or any(g is not None and len(np.unique(np.asarray(g))) < 2 for g in groups):
        return float("nan")
    drawn = [halves(len(s), draws, seed + i, g).bool() for i, (s, g) in enumerate(zip(sets, groups))]
    values = [statistic(*(s[keep[d].to(s.device)] for s, keep in zip(sets, drawn))) for d in range(draws)]
    return float(np.std(values, ddof=1))


def _by_group(values, groups):
    if groups is None:
        return values
    codes = torch.from_numpy(np.unique(np.asarray(groups), return_inverse=True)[1]).to(values.device)
    return torch.zeros(int(codes.max()) + 1, dtype=values.dtype, device=values.device).index_add_(0, codes, values)
