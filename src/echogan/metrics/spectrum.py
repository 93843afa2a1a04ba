"""Radial power spectrum: is the texture as fine as that of real images, without the peaks of a checkerboard?"""

import numpy as np


def radial_spectrum(images, bins=24):
    """(frequency, power): mean power of Hann-windowed images in rings of 0.02-0.5 cycles per pixel, each (bins,).

    Images are scaled to [0, 1] and their own mean is removed, so the spectrum tells texture, not brightness.
    """
    size = images.shape[-1]
    window = np.outer(np.hanning(size), np.hanning(size)).astype(np.float32)
    power = np.zeros((size, size // 2 + 1))
    for image in images:
        f = image.astype(np.float32) / 255
        power += np.abs(np.fft.rfft2((f - f.mean()) * window)) ** 2
    radius = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    edges = np.linspace(0.02, 0.5, bins + 1)
    ring = np.digitize(radius, edges)
    rings = [power[ring == i + 1] for i in range(bins)]
    return (edges[1:] + edges[:-1]) / 2, np.array([r.mean() if r.size else np.nan for r in rings]) / len(images)


def spectral_difference(images, reference):
    """Mean absolute difference of the two radial spectra in dB (0 = the same texture scale; lower is better)."""
    a, b = (10 * np.log10(radial_spectrum(s)[1] + 1e-12) for s in (images, reference))
    return float(np.nanmean(np.abs(a - b)))
