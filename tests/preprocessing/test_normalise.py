import cv2
import numpy as np
import pytest

from echogan.errors import BadInput
from echogan.preprocessing.normalise import SIZES, check_size, normalise
from echogan.sector import study_mask


@pytest.fixture
def frame():
    noise = np.random.default_rng(0).integers(0, 256, (112, 112), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (5, 5), 0)


def lanczos4(n, size):
    """(size, n) interpolation matrix of OpenCV's Lanczos kernel with half width 4, borders repeated, rows normalised."""
    matrix = np.zeros((size, n))
    for i in range(size):
        centre = (i + 0.5) * n / size - 0.5
        taps = np.arange(int(np.floor(centre)) - 3, int(np.floor(centre)) + 5)
        weight = np.sinc(centre - taps) * np.sinc((centre - taps) / 4)
        np.add.at(matrix[i], taps.clip(0, n - 1), weight / weight.sum())
    return matrix


@pytest.mark.parametrize("size", [128, 256])
def test_enlarging_is_lanczos_with_four_lobes(frame, size):
    matrix = lanczos4(112, size)
    expected = matrix @ (frame & study_mask()).astype(float) @ matrix.T
    error = np.abs(normalise(frame, size) - np.clip(expected, 0, 255))[study_mask(size) > 0]
    assert error.max() <= 1


@pytest.mark.parametrize("bilateral", [False, True])
@pytest.mark.parametrize("size", SIZES)
def test_nothing_is_lit_outside_the_mask(size, bilateral):
    image = normalise(np.full((112, 112), 255, np.uint8), size, bilateral)
    assert image.shape == (size, size) and image.dtype == np.uint8
    assert not image[study_mask(size) == 0].any()
    assert (image > 0).mean() == pytest.approx(0.681, abs=0.005)


def test_the_original_order_leaves_a_halo_that_ours_removes():
    mask = study_mask()
    original = cv2.resize(np.full_like(mask, 255) & mask, (128, 128), interpolation=cv2.INTER_LANCZOS4)
    assert (original > 0).mean() > 0.695


def test_the_bilateral_filter_is_that_of_the_study_inside_the_mask(frame):
    masked = frame & study_mask()
    original = cv2.bilateralFilter(cv2.resize(masked, (128, 128), interpolation=cv2.INTER_LANCZOS4), 5, 15, 15)
    ours = normalise(frame, 128, bilateral=True)
    assert np.abs(ours.astype(int) - original)[study_mask(128) > 0].max() <= 2
    assert np.abs(ours.astype(int) - normalise(frame, 128)).max() > 2


def test_the_native_size_is_not_resampled(frame):
    np.testing.assert_array_equal(normalise(frame, 112), frame & study_mask())


def test_shrinking_does_not_alias():
    rows = np.zeros((112, 112), np.uint8)
    rows[::2] = 200
    inside = normalise(rows, 64)[30:50, 25:40]
    assert np.ptp(inside.astype(int)) < 40 and abs(inside.mean() - 100) < 10


def test_other_sizes_are_refused():
    with pytest.raises(BadInput, match="size must be one of 64, 112, 128, 256 pixels, got 100"):
        check_size(100)
