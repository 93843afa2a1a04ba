"""Speckle of known grain, made in the fan itself."""

import numpy as np
import pytest
import scipy.ndimage as nd
import torch

from echogan.errors import BadInput
from echogan.metrics.histogram import jensen_shannon
from echogan.metrics.sliced import sliced_wasserstein
from echogan.metrics.speckle import grains, speckle, summary, width
from echogan.sector import ECHONET, study_mask


def grained(n, axial, lateral, seed=0, size=112, contrast=30):
    """uint8 (n, size, size): Gaussian noise of given deviations (pixels) along and across the beams, in the sector."""
    fan = ECHONET.resized(size)
    radius, angle = fan.polar()
    middle = 0.55 * size
    rng, images = np.random.default_rng(seed), []
    for _ in range(n):
        field = nd.gaussian_filter(rng.normal(size=(2 * size, 3 * size)), (axial, lateral), mode="wrap")
        rows, columns = radius, (angle * middle) % (3 * size - 1)
        image = nd.map_coordinates(field / field.std(), [rows, columns], order=1)
        images.append(np.where(study_mask(size) > 0, 128 + contrast * image, 0))
    return np.clip(images, 0, 255).astype(np.uint8)


def test_grains_are_as_long_as_they_were_made_along_and_across_the_beams():
    # a Gaussian of deviation s has an autocorrelation of deviation s sqrt 2, and a full width of 2.355 times that
    found = speckle(grained(6, axial=0.8, lateral=1.6))
    assert found["speckle_axial"] == pytest.approx(2.355 * 0.8 * 2**0.5, rel=0.25)
    assert found["speckle_lateral"] == pytest.approx(2.355 * 1.6 * 2**0.5, rel=0.25)
    turned = speckle(grained(6, axial=1.6, lateral=0.8))
    assert turned["speckle_axial"] > 1.4 * turned["speckle_lateral"]


def test_twice_the_contrast_is_half_the_signal_to_noise():
    weak, strong = (speckle(grained(4, 0.8, 0.8, contrast=c))["speckle_SNR"] for c in (10, 20))
    assert weak == pytest.approx(2 * strong, rel=0.1)


def test_images_without_texture_have_no_width():
    found = speckle(np.full((3, 64, 64), 90, np.uint8))
    assert np.isnan(found["speckle_axial"]) and np.isnan(found["speckle_SNR"])


def test_statistics_of_a_set_are_those_of_all_its_images():
    images = grained(5, 0.8, 1.2)
    parts = torch.cat([grains(images[:2]), grains(images[2:])])
    assert summary(parts) == pytest.approx(speckle(images))


def test_the_width_of_a_triangle_is_read_at_half_its_height():
    assert width(torch.tensor([1.0, 0.75, 0.4, 0.1])) == pytest.approx(2 * (1 + 0.25 / 0.35))
    assert np.isnan(width(torch.ones(5)))


@pytest.mark.parametrize("metric", [sliced_wasserstein, jensen_shannon])
def test_images_that_cannot_be_compared_are_refused(metric):
    images = np.zeros((4, 32, 32), np.uint8)
    with pytest.raises(BadInput, match="32 x 32 and 64 x 64"):
        metric(images, np.zeros((4, 64, 64), np.uint8))
    with pytest.raises(BadInput, match="uint8"):
        metric(images / np.nan, images)
