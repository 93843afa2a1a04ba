"""Radial power spectrum: is the texture as fine as that of real images, without the peaks of a checkerboard?"""

import numpy as np
import torch

from echogan.metrics.pictures import blocks, pair, pictures

BINS = 24


def radial_spectrum(images, bins=BINS):
    """(frequency, power): mean power of Hann-windowed images in rings of 0.02-0.5 cycles per pixel, each (bins,).

    Images are scaled to [0, 1] and their own mean is removed, so the spectrum tells texture, not brightness.
    """
    edges = np.linspace(0.02, 0.5, bins + 1)
    return (edges[1:] + edges[:-1]) / 2, rings(images, bins).mean(0).cpu().numpy()


def spectral_difference(images, reference):
    """Mean absolute difference of the two radial spectra in dB (0 = the same texture scale; lower is better)."""
    return decibels(*(rings(s) for s in pair(images, reference)))


def decibels(a, b):
    """`spectral_difference` of two sets of ring powers, (N, bins) and (M, bins)."""
    a, b = (10 * torch.log10(power.mean(0) + 1e-12) for power in (a, b))
    return float((a - b).abs().nanmean())


def rings(images, bins=BINS):
    """The power of each image (uint8, square) in each ring, float64 (N, bins); NaN where a ring holds no frequency."""
    images = pictures(images)
    size = images.shape[-1]
    hann = torch.from_numpy(np.hanning(size).astype(np.float32)).to(images.device)
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None]).ravel()
    ring = np.digitize(radius, np.linspace(0.02, 0.5, bins + 1)) - 1
    member = torch.from_numpy(np.eye(bins)[:, np.clip(ring, 0, bins - 1)] * ((ring >= 0) & (ring < bins)))
    # (bins, frequencies): each row averages the power of its ring; NaN where the ring is empty
    member = (member / member.sum(1, keepdim=True)).to(images.device)
    return torch.cat([_power(block, hann[:, None] * hann) @ member.T for block in blocks(images)])


def _power(block, window):
    f = block.float() / 255
    f = (f - f.mean((1, 2), keepdim=True)) * window
    return torch.fft.rfft2(f).abs().square().flatten(1).double()
