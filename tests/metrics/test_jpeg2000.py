"""JPEG 2000 at a given number of bits: within them, as near as it gets, by the markers of the code stream."""

import cv2
import numpy as np
import pytest

from echogan.errors import BadInput
from echogan.metrics import jpeg2000
from tests.conftest import blobs


@pytest.fixture(scope="module")
def images():
    """Blobs with noise: something to spend bits on."""
    noise = np.random.default_rng(0).integers(0, 60, (4, 64, 64))
    return np.clip(blobs(4, 64).astype(int) + noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("bits", [600, 2400, 9600])
def test_no_more_bits_than_given_and_nearly_all_of_them(images, bits):
    kept, used = jpeg2000.at_bits(images, bits)
    assert kept.shape == images.shape and kept.dtype == np.uint8
    assert (used <= bits).all() and used.mean() > 0.85 * bits


def test_more_bits_keep_more(images):
    errors = [np.square(jpeg2000.at_bits(images, bits)[0] - images.astype(float)).mean() for bits in (400, 1600, 6400)]
    assert errors[0] > 1.2 * errors[1] > 1.4 * errors[2]


def test_an_image_that_needs_fewer_bits_uses_fewer():
    kept, used = jpeg2000.at_bits(np.zeros((1, 64, 64), np.uint8), 10_000)
    assert kept.max() == 0 and used[0] < 1000


def test_headers_are_not_counted(images):
    data = jpeg2000.encoded(images[0], 10)
    assert 0 < 8 * len(data) - jpeg2000.payload(data) < 8 * 200
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), 0), jpeg2000._decoded(data))


def test_no_bits_are_refused(images):
    with pytest.raises(BadInput, match="8 bits or more"):
        jpeg2000.at_bits(images, 0)
