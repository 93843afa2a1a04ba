"""Real against synthetic in a space of features: two principal components to look at, and one number."""

from typing import NamedTuple

import torch

from echogan.errors import BadInput


class Plane(NamedTuple):
    """Coordinates (N, k) and (M, k), and the share of the variance along each of the k axes, in %."""

    real: torch.Tensor
    fake: torch.Tensor
    explained: torch.Tensor


def principal_plane(real, fake, k=2):
    """Features (N, d) and (M, d) on the first k principal components of the *real* ones.

    Axes of the real set alone: what synthetic images add cannot turn them.
    """
    real, fake = _features(real, fake)
    centre = real.mean(0)
    _, sizes, axes = torch.linalg.svd(real - centre, full_matrices=False)
    explained = 100 * sizes[:k].square() / sizes.square().sum()
    return Plane((real - centre) @ axes[:k].T, (fake - centre) @ axes[:k].T, explained)


def told_apart(real, fake):
    """Leave-one-out accuracy in % of naming each feature after its nearest neighbour (Lopez-Paz and Oquab 2017).

    50: indistinguishable; 100: separate clusters; below 50: synthetic ones sit on single real ones, which is copying. Rows
    must be independent (one image per patient): a real one's nearest neighbour is often another frame of the same patient,
    which tells sets of equal distribution apart. Sets are cut to equal size, the larger one to its first rows.
    """
    real, fake = _features(real, fake)
    n = min(len(real), len(fake))
    both = torch.cat([real[:n], fake[:n]])
    distance = torch.cdist(both, both).fill_diagonal_(torch.inf)
    of_real = torch.arange(2 * n, device=both.device) < n
    return 100 * float((of_real[distance.argmin(1)] == of_real).double().mean())


def _features(real, fake):
    real, fake = (torch.as_tensor(x).double() for x in (real, fake))
    if real.ndim != 2 or fake.ndim != 2 or real.shape[1] != fake.shape[1] or min(len(real), len(fake)) < 3:
        raise BadInput(
            f"features {tuple(real.shape)} and {tuple(fake.shape)} cannot share a plane; give (N, d) and (M, d) of 3 or more"
        )
    return real, fake
