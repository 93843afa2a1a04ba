"""Are fakes like real images, and are all kinds of real images among them? Nearest neighbours in feature space."""

import torch

from echogan.errors import BadInput
from echogan.metrics.estimate import mean, share
from echogan.metrics.features import matched

BLOCK = 1024  # rows of a distance matrix held at once


def manifold(fakes, reals, groups=None, precision_k=3, density_k=5):
    """{"precision", "recall", "density", "coverage"}, each an `Estimate`, of features (n, d) and (m, d).

    With B(z) the ball around z that reaches to its k-th nearest neighbour in its own set:

        precision = share of fakes inside any B(real)         recall   = share of reals inside any B(fake)
        density   = mean over fakes of |{real : fake in B(real)}| / k
        coverage  = share of reals whose B(real) holds a fake

    (precision and recall with k = 3: Kynkaanniemi 2019, eq. 1-2; density and coverage with k = 5: Naeem 2020, eq. 3-4.) The
    coverage of a perfect generator is about 1 - 2^-k = 0.97, not 1. Errors hold the balls fixed; `groups` (m,) names
    the patient of each real image.
    """
    largest = max(precision_k, density_k)
    x, y = matched("precision and recall", fakes, reals, least=largest + 2)
    narrow, wide = radii(y, (precision_k, density_k))
    (of_fake,) = radii(x, (precision_k,))
    if not wide.max() > 0:
        raise BadInput("precision and recall need real images that differ; these all look the same to the encoder")
    precise, dense, recalled = [], [], torch.zeros_like(narrow, dtype=torch.bool)
    nearest = torch.full_like(narrow, torch.inf)
    for rows in _blocks(len(x)):
        d = distance(x[rows], y)
        precise.append((d <= narrow).any(1))
        dense.append((d <= wide).sum(1).double() / density_k)
        recalled |= (d <= of_fake[rows, None]).any(0)
        nearest = torch.minimum(nearest, d.amin(0))
    return {
        "precision": share(torch.cat(precise)),
        "recall": share(recalled, groups),
        "density": mean(torch.cat(dense)),
        "coverage": share(nearest <= wide, groups),
    }


def radii(x, ks):
    """For each k, the distance of every row of (n, d) to its k-th nearest other row, (n,)."""
    found = []
    for rows in _blocks(len(x)):
        d = distance(x[rows], x)
        d[torch.arange(len(d)), torch.arange(rows.start, rows.start + len(d))] = -1  # itself, exactly nearest
        found.append(d.topk(max(ks) + 1, largest=False, sorted=True).values)
    ordered = torch.cat(found)
    return [ordered[:, k] for k in ks]


def distance(a, b):
    """Euclidean distances of the rows of float64 (n, d) and (m, d), (n, m)."""
    squared = a.square().sum(1)[:, None] + b.square().sum(1) - 2 * a @ b.T
    return squared.clamp_(min=0).sqrt_()


def _blocks(n):
    return [slice(start, start + BLOCK) for start in range(0, n, BLOCK)]
