"""Planted copies stay within what they are said to be."""

import numpy as np
import pytest

from echogan.metrics import copies
from tests.conftest import blobs


@pytest.fixture
def ramps():
    """Images in which grey tells the place: row in one, column in the other."""
    place = np.arange(64, dtype=np.uint8)[:, None].repeat(64, 1) * 3
    return np.stack([place, place.T])


def test_a_crop_keeps_85_to_100_percent_of_the_area_inside_the_image(ramps):
    sides = []
    for seed in range(40):
        rows, columns = (copies.cropped(x, np.random.default_rng(seed)).astype(float) / 3 for x in ramps)
        height, width = rows[-9, 32] - rows[8, 32], columns[32, -9] - columns[32, 8]
        assert height == pytest.approx(width, abs=1)
        sides.append(height / 47)
        assert (copies.cropped(ramps[0], np.random.default_rng(seed)) <= 63 * 3).all()
    assert 0.85**0.5 - 0.02 < min(sides) < 0.94 and 0.98 < max(sides) <= 1.02


def test_a_turn_is_at_most_ten_degrees_about_the_centre(ramps):
    angles = []
    for seed in range(40):
        image = copies.turned(ramps[0], np.random.default_rng(seed)).astype(float) / 3
        down, right = (image[42, 32] - image[22, 32]) / 20, (image[32, 42] - image[32, 22]) / 20
        angles.append(np.degrees(np.arctan2(right, down)))
        assert image[31:33, 31:33].mean() == pytest.approx(31.5, abs=0.5)
    assert -10.5 < min(angles) < -7 and 7 < max(angles) < 10.5


def test_gamma_is_between_the_named_bounds_and_keeps_black_and_white():
    grey = np.array([[0, 64], [128, 255]], np.uint8)
    made = np.stack([copies.regraded(grey, np.random.default_rng(seed)) for seed in range(60)])
    assert (made[:, 0, 0] == 0).all() and (made[:, 1, 1] == 255).all()
    gammas = np.log(made[:, 1, 0] / 255) / np.log(128 / 255)
    assert 0.69 < gammas.min() < 0.76 and 1.3 < gammas.max() < 1.41


@pytest.mark.parametrize("kind", copies.KINDS)
def test_every_kind_gives_images_of_the_same_shape_the_same_for_one_seed(kind):
    images = blobs(3)
    made = copies.planted(images, kind, seed=5)
    assert made.shape == images.shape and made.dtype == np.uint8
    assert (made == copies.planted(images, kind, seed=5)).all()
    assert (made == images).all() == (kind == "exact")
