"""Metrics that need no network, against independent formulas."""

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from scipy.stats import wasserstein_distance

from echogan.metrics.histogram import jensen_shannon
from echogan.metrics.sliced import directions, sliced_wasserstein
from echogan.metrics.spectrum import radial_spectrum, spectral_difference


def noise(n, size=16, seed=0, low=0, high=200):
    return np.random.default_rng(seed).integers(low, high, (n, size, size)).astype(np.uint8)


def test_equal_sets_in_any_order_are_at_distance_zero():
    a = noise(20)
    assert sliced_wasserstein(a, a[::-1]) == 0
    assert jensen_shannon(a, a[::-1]) == pytest.approx(0, abs=1e-12)
    assert spectral_difference(a, a[::-1]) == pytest.approx(0, abs=1e-9)


def test_a_set_moved_by_a_picture_is_at_the_root_mean_square_of_that_picture():
    a, picture = noise(30), noise(1, seed=5, high=55)
    expected = np.sqrt(np.mean(picture.astype(float) ** 2))
    assert sliced_wasserstein(a + picture, a, projections=4000) == pytest.approx(expected, rel=0.05)


def test_one_projection_is_the_quantile_distance_of_its_scores():
    a, b = noise(40), noise(40, seed=1, high=120)
    theta = directions(256, 1, seed=0)[:, 0]
    x, y = (s.reshape(40, -1) @ theta for s in (a.astype(float), b.astype(float)))
    assert sliced_wasserstein(a, b, projections=1) == pytest.approx(
        np.sqrt(np.mean((np.sort(x) - np.sort(y)) ** 2)), rel=1e-4
    )
    assert sliced_wasserstein(a, b, projections=1) >= wasserstein_distance(x, y) * (1 - 1e-4)  # W2 >= W1


def test_sets_of_different_sizes_use_the_same_quantiles():
    a = noise(12)
    assert sliced_wasserstein(np.repeat(a, 3, axis=0), a) == pytest.approx(0, abs=1e-4)


def test_a_repeated_frame_is_further_than_the_mean_and_both_are_further_than_the_data():
    a, b = noise(60), noise(60, seed=1)
    mean = np.repeat(a.mean(0, keepdims=True).astype(np.uint8), 60, 0)
    one = np.repeat(a[:1], 60, 0)
    assert sliced_wasserstein(a, b) < sliced_wasserstein(mean, b) < sliced_wasserstein(one, b)


def test_divergence_agrees_with_scipy_in_bits_and_is_one_for_disjoint_greys():
    a, b = noise(9), noise(9, seed=2, high=90)
    p, q = (np.bincount(s.ravel(), minlength=256) / s.size for s in (a, b))
    assert jensen_shannon(a, b) == pytest.approx(jensenshannon(p, q, base=2) ** 2, rel=1e-9)
    assert jensen_shannon(a // 2, a // 2 + 128) == pytest.approx(1)


def test_a_mask_leaves_the_background_out():
    a, b = noise(5), noise(5, seed=1)
    mask = np.zeros((16, 16), np.uint8)
    mask[4:12, 4:12] = 255
    inside = [s[:, 4:12, 4:12] for s in (a, b)]
    assert jensen_shannon(a, b, mask) == pytest.approx(jensen_shannon(*inside))


def test_a_wave_peaks_at_its_own_frequency():
    x = np.arange(64)
    wave = (127 + 100 * np.sin(2 * np.pi * 0.25 * x))[None, None].repeat(64, 1).repeat(2, 0).astype(np.uint8)
    frequency, power = radial_spectrum(wave)
    assert frequency[np.argmax(power)] == pytest.approx(0.25, abs=0.02)


def test_twice_the_contrast_is_six_decibels():
    a = noise(50, 64, high=100)
    assert spectral_difference(a * 2, a) == pytest.approx(20 * np.log10(2), rel=0.02)
