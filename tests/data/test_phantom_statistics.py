"""Pictures of the phantom against aggregate measurements of public apical four-chamber frames (phantom_targets.json)."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from echogan.data.phantom.phantom import make_phantom
from echogan.sector import ECHONET, study_mask

TARGETS = json.loads(Path(__file__).with_name("phantom_targets.json").read_text(encoding="utf-8"))
REFERENCES = ("stylegan_reference_128", "echonet_demo_112")


@pytest.fixture(scope="module")
def pictures():
    """120 stills at random moments: raw, and as the reference study prepared its frames."""
    rng = np.random.default_rng(0)
    phantoms = map(make_phantom, range(5000, 5120))
    raw = [phantom.still(rng.uniform(0, phantom.timing.period)) for phantom in phantoms]
    return dict(zip(REFERENCES, (np.stack([prepared(x) for x in raw]), np.stack(raw))))


def prepared(frame):
    """Mask, Lanczos 112 -> 128, bilateral filter of 5 px: what the StyleGAN2-ADA reference was trained on."""
    large = cv2.resize(frame & study_mask(), (128, 128), interpolation=cv2.INTER_LANCZOS4)
    return cv2.bilateralFilter(large, d=5, sigmaColor=15, sigmaSpace=15)


def grey_levels(pictures):
    """Every pixel inside the fan, less a margin."""
    sector = ECHONET.resized(pictures.shape[1])
    radius, angle = sector.polar()
    inside = (np.abs(angle) < sector.half_angle - 0.02) & (radius < sector.radius * 0.993) & (radius > 2)
    return pictures[:, inside]


def spectrum(pictures):
    """Radial power (Hann window) in dB, 24 bins of 0.02-0.5 cycles per 112-px pixel, relative to the first six."""
    n = pictures.shape[1]
    window = np.outer(np.hanning(n), np.hanning(n))
    waves = np.fft.fft2((pictures / 255 - pictures.mean((1, 2), keepdims=True) / 255) * window)
    frequency = np.fft.fftfreq(n) * n / 112
    ring = np.digitize(np.hypot(*np.meshgrid(frequency, frequency)), np.linspace(0.02, 0.5, 25))
    power = np.mean(np.abs(waves) ** 2, 0)
    bins = np.array([power[ring == i + 1].mean() for i in range(24)])
    return 10 * np.log10(bins / bins[:6].mean())


def divergence(p, q):
    """Jensen-Shannon divergence of two histograms, in bit."""
    middle = (p + q) / 2
    return 0.5 * sum(np.sum(x[x > 0] * np.log2(x[x > 0] / middle[x > 0])) for x in (p, q))


@pytest.mark.parametrize("name", REFERENCES)
def test_grey_levels_match_the_reference(pictures, name):
    target, levels = TARGETS[name], grey_levels(pictures[name])
    histogram = np.bincount(levels.ravel() // 8, minlength=32) / levels.size
    assert divergence(histogram, np.array(target["histogram"])) < 0.02
    assert abs(levels.mean() - target["mean"]) < 8


@pytest.mark.parametrize("name", REFERENCES)
def test_spectrum_matches_the_reference(pictures, name):
    deviation = np.abs(spectrum(pictures[name]) - TARGETS[name]["spectrum_db"])
    assert deviation.mean() < 1.5 and deviation.max() < 4


def test_far_speckle_is_as_wide_as_the_reference(pictures):
    width = lateral_width(pictures["echonet_demo_112"])
    assert width == pytest.approx(TARGETS["echonet_demo_112"]["lateral_fwhm_far"], rel=0.2)


def lateral_width(pictures, near=65, far=105, threshold=55):
    """FWHM (px) across the beams of frame minus local mean, where that mean is bright, at depths near..far."""
    depth, angle = np.meshgrid(np.linspace(near, far, 80), np.linspace(-0.76, 0.76, 180), indexing="ij")
    x, y = ECHONET.apex_x + depth * np.sin(angle), ECHONET.apex_y + depth * np.cos(angle)
    seen = (x > 1) & (x < 110) & (y > 1) & (y < 110)
    maps = x.astype(np.float32), y.astype(np.float32)
    products, counts = np.zeros(30), np.zeros(30)
    for picture in pictures.astype(np.float32):
        mean = cv2.GaussianBlur(picture, (0, 0), 3)
        bright = (cv2.remap(mean, *maps, cv2.INTER_CUBIC) > threshold) & seen
        rest = np.where(bright, cv2.remap(picture - mean, *maps, cv2.INTER_CUBIC), 0)
        for lag in range(30):
            stop = 180 - lag
            products[lag] += np.sum(rest[:, lag:] * rest[:, :stop])
            counts[lag] += np.sum(bright[:, lag:] & bright[:, :stop])
    correlation = products / counts * counts[0] / products[0]
    below = np.argmax(correlation < 0.5)
    before, after = correlation[below - 1], correlation[below]
    return 2 * (below - 1 + (before - 0.5) / (before - after)) * (angle[0, 1] - angle[0, 0]) * (near + far) / 2


def test_frames_decorrelate_as_slowly_as_the_reference():
    target = TARGETS["echonet_demo_112"]["correlation"]
    clips = [make_phantom(seed).video(24)[0][:, ECHONET.mask()].astype(float) for seed in range(12)]
    for lag in (1, 2, 4):
        ours = np.mean([np.corrcoef(a, b)[0, 1] for clip in clips for a, b in zip(clip, clip[lag:])])
        assert ours == pytest.approx(target[str(lag)], abs=0.03)
