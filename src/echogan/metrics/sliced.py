"""Sliced Wasserstein distance between two sets of images."""

import numpy as np
import torch

from echogan.metrics.pictures import blocks, pair


def sliced_wasserstein(images, reference, projections=512, seed=0):
    """Sliced 2-Wasserstein distance of pixel vectors, in grey levels (0 = equal sets; lower is better).

        SW2(P, Q)^2 = E_theta  int_0^1 (F_theta,P^-1(q) - F_theta,Q^-1(q))^2 dq

    (Bonneel 2015, eq. 3.) theta is uniform on the unit sphere: a set moved by a fixed picture d lies at a distance of
    about |d| / sqrt(pixels), the root mean square of d in grey levels. The sets, uint8 (N, H, W) and
    (M, H, W), may differ in size: both quantile functions are read at max(N, M) levels. Small sets have a positive
    floor; give it beside the number (the same distance between two sets of real images of the same sizes).
    """
    return between(*(shadows(s, projections, seed) for s in pair(images, reference)))


def shadows(images, projections=512, seed=0):
    """Every image on every direction, float32 (N, projections)."""
    theta = torch.from_numpy(directions(images[0].numel(), projections, seed)).to(images.device)
    return torch.cat([block.flatten(1).float() @ theta for block in blocks(images)])


def between(a, b):
    """The distance of two sets of shadows, (N, projections) and (M, projections)."""
    a, b = a.sort(0).values, b.sort(0).values
    n = max(len(a), len(b))
    levels = (torch.arange(n, device=a.device) + 0.5) / n
    return float((_quantiles(a, levels) - _quantiles(b, levels)).double().square().mean().sqrt())


def directions(pixels, n, seed):
    """`n` uniform random directions of unit length, float32 (pixels, n)."""
    theta = np.random.default_rng(seed).standard_normal((pixels, n), np.float32)
    return theta / np.linalg.norm(theta, axis=0)


def _quantiles(ordered, levels):
    """The empirical quantile function of sorted columns (N, P) at `levels`."""
    return ordered[(levels.double() * len(ordered)).long().clamp(max=len(ordered) - 1)]
