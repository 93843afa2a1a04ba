"""Frechet distance between two sets of features: FID where they are those of the 2015 Inception."""

import numpy as np
import torch

from echogan.metrics.estimate import Estimate, influence_error
from echogan.metrics.features import matched


def frechet(fakes, reals, groups=None, fake_groups=None):
    """The Frechet distance of two sets of features (n, d) and (m, d), as an `Estimate`.

        d^2 = |m1 - m2|^2 + tr S1 + tr S2 - 2 tr (S1 S2)^(1/2)

    (Heusel 2017, eq. 6), in float64 and with unbiased covariances. No matrix square root is formed: with A, B the centred
    features over sqrt(n - 1), the last trace is the sum of the singular values of A B'. It is biased upward by about
    1 / n (Chong 2020): compare equal n only, beside the floor. `groups` (m,) names the patient of each real image, whose
    frames count as one observation of the error; `fake_groups` (n,) of each other one, where they are of patients too.
    """
    x, y = matched("FID", fakes, reals)
    dm = x.mean(0) - y.mean(0)
    a, b = _scaled(x), _scaled(y)
    root, of_x, of_y = _trace_of_root(a, b)
    value = dm @ dm + a.square().sum() + b.square().sum() - 2 * root
    # derivative of the distance by the weight of each image: its part of every term above
    to_x = a.square().sum(1) - of_x + 2 * (x - x.mean(0)) @ dm / len(x)
    to_y = b.square().sum(1) - of_y - 2 * (y - y.mean(0)) @ dm / len(y)
    return Estimate(float(value), float(np.hypot(influence_error(to_x, fake_groups), influence_error(to_y, groups))))


def frechet_infinity(fakes, reals, points=5, seed=0):
    """(distance, warning): the Frechet distance extrapolated to infinitely many images on both sides.

    d^2(n) = d^2 + c / n is fitted to equal shares of both sets, from a half to the whole (Chong and Forsyth 2020, who thin
    out the fakes alone). The line holds where every share has more images than the features have dimensions: below that
    the result is still too large, and `warning` says so; it is "" above.
    """
    x, y = matched("FID_inf", fakes, reals, least=8)
    rng = np.random.default_rng(seed)
    x, y = (s[torch.from_numpy(rng.permutation(len(s))).to(s.device)] for s in (x, y))
    inverse = np.linspace(1, 2, points)  # 1 / share
    values = [_distance(x[: round(len(x) / i)], y[: round(len(y) / i)]) for i in inverse]
    _, at_zero = np.polyfit(inverse, values, 1)
    smallest, d = min(len(x), len(y)) // 2, x.shape[1]
    warning = f"extrapolated from {smallest} images a side, fewer than the {d} dimensions: still biased upward"
    return float(at_zero), warning if smallest <= d else ""


def _distance(x, y):
    """`frechet` without its error, to six digits: the eigenvalues of M M' are those of M squared, several times as fast."""
    dm, a, b = x.mean(0) - y.mean(0), _scaled(x), _scaled(y)
    product = _triangle(a) @ _triangle(b).T
    root = torch.linalg.eigvalsh(product @ product.T).clamp(min=0).sqrt().sum()
    return float(dm @ dm + a.square().sum() + b.square().sum() - 2 * root)


def _scaled(x):
    """Centred features A with A' A = the unbiased covariance."""
    return (x - x.mean(0)) / (len(x) - 1) ** 0.5


def _triangle(a):
    """R of a = Q R where `a` is tall: the singular values of A B' need no more."""
    return torch.linalg.qr(a, mode="r").R if len(a) > a.shape[1] else a


def _trace_of_root(a, b):
    """tr (S1 S2)^(1/2), and the parts of each row of a and of b in it.

    With A B' = U s V', the parts are the diagonals of U s U' and V s V': twice the derivative by the weight of a row.
    """
    (qa, ra), (qb, rb) = (torch.linalg.qr(f) if len(f) > f.shape[1] else (None, f) for f in (a, b))
    # At most d x d by now. LAPACK on the CPU takes seconds; what CUDA offers for singular values takes longer.
    u, s, vt = (part.to(a.device) for part in torch.linalg.svd((ra @ rb.T).cpu(), full_matrices=False))
    u = u if qa is None else qa @ u
    v = vt.T if qb is None else qb @ vt.T
    return s.sum(), u.square() @ s, v.square() @ s
