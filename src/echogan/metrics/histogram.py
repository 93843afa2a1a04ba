"""Jensen-Shannon divergence between the grey-level histograms of two sets of images."""

import torch

from echogan.metrics.pictures import blocks, pair, pictures


def jensen_shannon(images, reference, mask=None):
    """JSD of the pooled 256-bin histograms in bits: H((P+Q)/2) - (H(P) + H(Q))/2, 0 (equal) to 1 (disjoint).

    `mask` (H, W), where given, keeps the pixels inside it: outside the sector all sets are black and agree. This is the
    divergence, not its square root, and it sees no structure: shuffled pixels score 0.
    """
    images, reference = pair(images, reference)
    return divergence(grey_levels(images, mask), grey_levels(reference, mask))


def divergence(p, q):
    """`jensen_shannon` of the grey levels of two sets, each (N, 256)."""
    p, q = (counts.sum(0, dtype=torch.float64) / counts.sum() for counts in (p, q))
    return float(entropy((p + q) / 2) - (entropy(p) + entropy(q)) / 2)


def grey_levels(images, mask=None):
    """How many pixels (inside the mask) of each image have each grey level, (N, 256)."""
    images = pictures(images)
    inside = slice(None) if mask is None else torch.as_tensor(mask > 0).flatten().to(images.device)
    return torch.cat([_counted(block.flatten(1)[:, inside]) for block in blocks(images)])


def entropy(p):
    """Shannon entropy in bits."""
    return torch.special.entr(p).sum() / torch.log(p.new_tensor(2.0))


def _counted(pixels):
    own = torch.arange(len(pixels), device=pixels.device)[:, None] * 256  # a range of bins for every image
    return torch.bincount((pixels + own).flatten(), minlength=256 * len(pixels)).view(-1, 256)
