"""Jensen-Shannon divergence between the grey-level histograms of two sets of images."""

import numpy as np


def jensen_shannon(images, reference, mask=None):
    """JSD of the pooled 256-bin histograms in bits: H((P+Q)/2) - (H(P) + H(Q))/2, 0 (equal) to 1 (disjoint).

    `mask` (H, W), where given, keeps the pixels inside it: outside the sector all sets are black and agree. This is the
    divergence, not its square root, and it sees no structure: shuffled pixels score 0.
    """
    p, q = (grey_levels(s, mask) for s in (images, reference))
    return float(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2)


def grey_levels(images, mask=None):
    """Share of each of the 256 grey levels among all pixels (inside the mask) of all images."""
    values = images if mask is None else images[:, mask > 0]
    return np.bincount(values.ravel(), minlength=256) / values.size


def entropy(p):
    """Shannon entropy in bits."""
    p = p[p > 0]
    return float(-(p * np.log2(p)).sum())
