"""SSIM, MS-SSIM and PSNR of pairs, against scikit-image and against scipy's filters."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from echogan.errors import BadInput
from echogan.metrics.similarity import CAP, WEIGHTS, ms_ssim, psnr, ssim
from tests.conftest import blobs


def noise(n, size=32, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size)).astype(np.uint8)


def speckled(n, size=96, seed=0):
    """Blobs under speckle, with black around: the easy and the hard places of an ultrasound image."""
    rng = np.random.default_rng(seed)
    return (blobs(n, size, seed) * rng.rayleigh(0.6, (n, size, size)).clip(0, 1)).astype(np.uint8)


PAIRS = {
    "unrelated noise": (noise(3), noise(3, seed=1)),
    "speckle": (speckled(3), speckled(3, seed=1)),
    "nearly the same": (speckled(3), np.minimum(speckled(3), 180)),
    "black and white": (np.zeros((1, 20, 20), np.uint8), np.full((1, 20, 20), 255, np.uint8)),
}


@pytest.mark.parametrize("name", PAIRS)
def test_ssim_is_that_of_scikit_image(name):
    a, b = PAIRS[name]
    how = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    expected = [structural_similarity(x, y, **how) for x, y in zip(a, b)]
    assert ssim(a, b).tolist() == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("name", PAIRS)
def test_psnr_is_that_of_scikit_image(name):
    a, b = PAIRS[name]
    assert psnr(a, b).tolist() == pytest.approx([peak_signal_noise_ratio(x, y) for x, y in zip(a, b)], rel=1e-5)


def test_identical_images_reach_one_and_the_cap():
    a = noise(2, 96)
    a[1] = 7  # flat
    assert ssim(a, a).tolist() == pytest.approx([1, 1], abs=1e-6)
    assert ms_ssim(a, a).tolist() == pytest.approx([1, 1], abs=1e-6)
    assert psnr(a, a).tolist() == [CAP, CAP]


def of_scales(a, b, scales):
    """Wang 2003 with scipy's filter, float64, one pair."""
    a, b, value = a.astype(float), b.astype(float), 1.0
    weights = np.array(WEIGHTS[:scales]) / sum(WEIGHTS[:scales])
    for scale, weight in enumerate(weights):
        if scale:
            a, b = (x[: len(x) // 2 * 2, : len(x) // 2 * 2] for x in (a, b))
            a, b = (x.reshape(len(x) // 2, 2, -1, 2).mean((1, 3)) for x in (a, b))
        smooth = lambda x: gaussian_filter(x, 1.5, radius=5)[5:-5, 5:-5]  # noqa: E731
        mean_a, mean_b = smooth(a), smooth(b)
        structure = (2 * (smooth(a * b) - mean_a * mean_b) + 58.5225) / (
            smooth(a * a) - mean_a**2 + smooth(b * b) - mean_b**2 + 58.5225
        )
        luminance = (2 * mean_a * mean_b + 6.5025) / (mean_a**2 + mean_b**2 + 6.5025)
        value *= max((luminance * structure if scale == scales - 1 else structure).mean(), 0) ** weight
    return value


@pytest.mark.parametrize("scales", [1, 2, 4])
def test_multi_scale_ssim_is_the_product_over_scales(scales):
    a, b = speckled(3, 97), np.minimum(speckled(3, 97) + 20, 180).astype(np.uint8)
    assert ms_ssim(a, b, scales).tolist() == pytest.approx([of_scales(x, y, scales) for x, y in zip(a, b)], rel=1e-4)


def test_one_scale_is_ssim():
    a, b = speckled(4), np.minimum(speckled(4), 150)
    assert ms_ssim(a, b, 1).tolist() == pytest.approx(ssim(a, b).tolist(), rel=1e-6)


def test_many_pairs_are_taken_in_blocks_and_keep_their_order(monkeypatch):
    a, b = noise(7, 16), noise(7, 16, seed=1)
    one_by_one = [float(ssim(a[i : i + 1], b[i : i + 1])) for i in range(7)]
    monkeypatch.setattr("echogan.metrics.similarity.BLOCK", 3)
    assert ssim(a, torch.from_numpy(b)).tolist() == pytest.approx(one_by_one, rel=1e-6)


def test_what_makes_no_pairs_is_refused():
    with pytest.raises(BadInput, match="3 images and 2 references"):
        psnr(noise(3), noise(2))
    with pytest.raises(BadInput, match="32 x 32 and 16 x 16"):
        ssim(noise(2), noise(2, 16))
    with pytest.raises(BadInput, match="88 pixels or more, got 64 x 64"):
        ms_ssim(noise(2, 64), noise(2, 64))
    with pytest.raises(BadInput, match="uint8"):
        ssim(noise(2) / 255, noise(2) / 255)
