"""Kernel distance between two sets of features: KID where they are those of the 2015 Inception."""

import torch

from echogan.metrics.estimate import Estimate, halves
from echogan.metrics.features import matched

BLOCK = 2048  # rows of a kernel matrix held at once


def kernel_distance(fakes, reals, groups=None, fake_groups=None, draws=100):
    """Unbiased squared maximum mean discrepancy of features (n, d) and (m, d), as an `Estimate`.

        MMD^2 = mean_{i != j} k(x_i, x_j) + mean_{i != j} k(y_i, y_j) - 2 mean_{ij} k(x_i, y_j),   k(a, b) = (a.b / d + 1)^3

    (Binkowski 2018, eq. 4.) All pairs are used, so the value has no subset noise; its error is the deviation over 100 random
    halves of both sets. The value is unbiased at every n and may fall below 0. `groups` (m,) names the patient of each
    real image, `fake_groups` (n,) of each other one, where they are of patients too; a patient is drawn as a whole.
    """
    x, y = matched("KID", fakes, reals, least=2)
    chosen = [halves(len(s), draws, i, g).to(s.device) for i, (s, g) in enumerate(((x, fake_groups), (y, groups)))]
    value, *drawn = _estimates(x, y, *(torch.cat([torch.ones_like(c[:1]), c]) for c in chosen)).tolist()
    enough = min(len(x), len(y)) >= 8
    return Estimate(value, float(torch.tensor(drawn).std()) if enough else float("nan"))


def _estimates(x, y, p, q):
    """MMD^2 for every row of weights p (r, n) and q (r, m) of 0 and 1, float64 (r,)."""
    n, m = p.sum(1), q.sum(1)
    within = [(_weighted(f, f, w, w) - w @ _kernel_of_equals(f)) / (c * (c - 1)) for f, w, c in ((x, p, n), (y, q, m))]
    return within[0] + within[1] - 2 * _weighted(x, y, p, q) / (n * m)


def _weighted(a, b, p, q):
    """sum_ij p_i k(a_i, b_j) q_j for every row of p and q, block by block."""
    total = torch.zeros(len(p), dtype=p.dtype, device=p.device)
    for start in range(0, len(a), BLOCK):
        rows = slice(start, start + BLOCK)
        total += ((p[:, rows] @ (a[rows] @ b.T / a.shape[1] + 1) ** 3) * q).sum(1)
    return total


def _kernel_of_equals(a):
    return (a.square().mean(1) + 1) ** 3
