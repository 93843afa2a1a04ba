"""How alike two images are, pair by pair: SSIM, MS-SSIM and PSNR. Which pairs mean something is told in `paired`."""

import torch
import torch.nn.functional as F

from echogan.errors import BadInput
from echogan.metrics.pictures import BLOCK, pair

SIGMA, RADIUS = 1.5, 5  # the window of Wang 2004, cut where scikit-image cuts it
C1, C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)  # of the scales, finest first (Wang 2003, section 3.2)
SCALES = 4  # five need sides above 160 pixels
CAP = 100.0  # dB; one grey level in one pixel of 256 x 256 is 96


def ssim(images, reference):
    """Structural similarity of each pair of uint8 images (N, H, W), float64 (N,): 1 = identical.

    scikit-image's with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255`: the mean over
    all places where the whole window lies inside the image.
    """
    return _in_blocks(lambda a, b: torch.mul(*_terms(a, b)).mean((1, 2)), images, reference, 1)


def ms_ssim(images, reference, scales=SCALES):
    """Multi-scale SSIM of each pair (Wang 2003), float64 (N,), with the first `scales` weights scaled to a sum of 1.

    Contrast and structure of every scale, luminance of the coarsest; scales are halved by 2 x 2 means. A scale without
    any common structure (a negative mean) counts as 0.
    """
    weights = torch.tensor(WEIGHTS[:scales], dtype=torch.float64)
    return _in_blocks(lambda a, b: _over_scales(a, b, weights / weights.sum()), images, reference, scales)


def psnr(images, reference):
    """Peak signal-to-noise ratio of each pair in dB, float64 (N,): 10 log10(255^2 / MSE), at most `CAP` (identical)."""
    error = _in_blocks(lambda a, b: (a - b).square().mean((1, 2)), images, reference, 0)
    return (10 * torch.log10(255**2 / error)).clamp(max=CAP)


def smallest(scales):
    """The side in pixels below which the window does not fit into the coarsest of so many scales."""
    return (2 * RADIUS + 1) * 2 ** (scales - 1)


def _in_blocks(metric, images, reference, scales):
    a, b = pair(images, reference)
    if len(a) != len(b):
        raise BadInput(f"{len(a)} images and {len(b)} references are no pairs; give as many of both")
    if scales and min(a.shape[1:]) < smallest(scales):
        raise BadInput(
            f"SSIM of {scales} scale{'s' * (scales > 1)} needs images of {smallest(scales)} pixels or more, "
            f"got {a.shape[2]} x {a.shape[1]}"
        )
    found = [metric(x.float(), y.float()) for x, y in zip(a.split(BLOCK), b.split(BLOCK))]
    return torch.cat(found).double()


def _over_scales(a, b, weights):
    value = torch.ones(len(a), dtype=torch.float64, device=a.device)
    for scale, weight in enumerate(weights.tolist()):
        if scale:
            a, b = (F.avg_pool2d(x[:, None], 2)[:, 0] for x in (a, b))
        luminance, structure = _terms(a, b)
        last = scale == len(weights) - 1
        value *= (luminance * structure if last else structure).mean((1, 2)).clamp_min(0).double() ** weight
    return value


def _terms(a, b):
    """Luminance and contrast-structure at every place, each (n, H - 2 RADIUS, W - 2 RADIUS) (Wang 2004, eq. 13)."""
    a, b = a - 127.5, b - 127.5  # squares of half the size: float32 keeps the small variances
    rows, columns = (_window(side, a.device) for side in a.shape[1:])
    mean_a, mean_b, aa, bb, ab = (rows @ x @ columns.T for x in (a, b, a * a, b * b, a * b))
    covariance, variances = ab - mean_a * mean_b, aa - mean_a**2 + bb - mean_b**2
    mean_a, mean_b = mean_a + 127.5, mean_b + 127.5
    luminance = (2 * mean_a * mean_b + C1) / (mean_a**2 + mean_b**2 + C1)
    return luminance, (2 * covariance + C2) / (variances + C2)


def _window(side, device):
    """The Gaussian window at every place where it fits whole, as a matrix (side - 2 RADIUS, side)."""
    offset = torch.arange(side, device=device) - torch.arange(RADIUS, side - RADIUS, device=device)[:, None]
    weight = torch.exp(-(offset**2) / (2 * SIGMA**2)) * (offset.abs() <= RADIUS)
    return weight / weight.sum(1, keepdim=True)
