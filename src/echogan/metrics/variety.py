"""How many different images a set holds, and how sure a classifier is of each."""

import torch

from echogan.errors import BadInput
from echogan.metrics.estimate import Estimate
from echogan.metrics.features import usable


def vendi(features):
    """Vendi score of features (n, d): the effective number of different images, from 1 (all alike) to n.

        exp( - sum_i l_i log l_i ),  l the eigenvalues of K / n,  K_ij = cosine of the angle between features i and j

    (Friedman and Dieng 2023, eq. 2.) It grows with n: compare with real images at the same n.
    """
    x = usable("the Vendi score", features)
    norms = x.norm(dim=1, keepdim=True)
    if not (norms > 0).all():
        raise BadInput("the Vendi score needs features that are not all 0; look at the images they come from")
    x = x / norms
    gram = x @ x.T if len(x) <= x.shape[1] else x.T @ x  # the same eigenvalues but for zeros
    share = torch.linalg.eigvalsh(gram / len(x)).clamp(min=0)
    return float(torch.exp(torch.special.entr(share).sum()))


def inception_score(logits, splits=10):
    """Inception Score of a classifier's logits (n, classes): exp E_x KL( p(y|x) || p(y) ), as an `Estimate`.

    (Salimans 2016, section 4.) The value is the mean over `splits` parts of the set, the error their deviation, as is usual.
    The classes are the classifier's own: those of ImageNet say nothing about echocardiograms.
    """
    x = usable("the Inception Score", logits, least=2 * splits)
    log_p = x.log_softmax(1)
    scores = []
    for part in log_p.chunk(splits):
        marginal = part.exp().mean(0)
        scores.append((part.exp() * (part - marginal.log())).sum(1).mean().exp())
    scores = torch.stack(scores)
    return Estimate(float(scores.mean()), float(scores.std()) if splits > 1 else float("nan"))
