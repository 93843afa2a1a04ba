"""Sliced Wasserstein distance between two sets of images."""

import numpy as np


def sliced_wasserstein(images, reference, projections=512, seed=0):
    """Sliced 2-Wasserstein distance of pixel vectors, in grey levels (0 = equal sets; lower is better).

        SW2(P, Q)^2 = E_theta  int_0^1 (F_theta,P^-1(q) - F_theta,Q^-1(q))^2 dq

    (Bonneel 2015, eq. 3.) theta is uniform on the unit sphere: a set moved by a fixed picture d lies at a distance of
    about |d| / sqrt(pixels), the root mean square of d in grey levels. The sets, uint8 (N, H, W) and
    (M, H, W), may differ in size: both quantile functions are read at max(N, M) levels. Small sets have a positive
    floor; give it beside the number (the same distance between two sets of real images of the same sizes).
    """
    theta = directions(images[0].size, projections, seed)
    a, b = (np.sort(s.reshape(len(s), -1).astype(np.float32) @ theta, axis=0) for s in (images, reference))
    levels = (np.arange(max(len(a), len(b))) + 0.5) / max(len(a), len(b))
    difference = _quantiles(a, levels) - _quantiles(b, levels)
    return float(np.sqrt(np.mean(difference.astype(np.float64) ** 2)))


def directions(pixels, n, seed):
    """`n` uniform random directions of unit length, float32 (pixels, n)."""
    theta = np.random.default_rng(seed).standard_normal((pixels, n), np.float32)
    return theta / np.linalg.norm(theta, axis=0)


def _quantiles(ordered, levels):
    """The empirical quantile function of sorted columns (N, P) at `levels`."""
    return ordered[np.minimum((levels * len(ordered)).astype(int), len(ordered) - 1)]
