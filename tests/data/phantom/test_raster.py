"""Outlines into masks against another library's test of points."""

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from echogan.data.phantom.raster import enclosed


@pytest.mark.parametrize("seed", range(20))
def test_a_pixel_is_inside_where_its_centre_is(seed):
    rng = np.random.default_rng(seed)
    angle = np.sort(rng.uniform(0, 2 * np.pi, 24))
    star = np.stack([30 + rng.uniform(5, 45, 24) * np.cos(angle), 40 + rng.uniform(5, 60, 24) * np.sin(angle)], 1)
    y, x = np.mgrid[:80, :60]
    inside = Outline(star).contains_points(np.stack([x.ravel(), y.ravel()], 1)).reshape(80, 60)
    np.testing.assert_array_equal(enclosed(star, (80, 60)), inside)


def test_the_area_is_that_of_the_circle():
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    circle = 100.3 + 80 * np.stack([np.cos(angle), np.sin(angle)], 1)
    assert np.count_nonzero(enclosed(circle, (200, 200))) == pytest.approx(np.pi * 80**2, rel=1e-3)


def test_a_border_belongs_to_one_of_two_neighbours():
    left, right = np.array([[1, 1], [4, 1], [4, 5], [1, 5]]), np.array([[4, 1], [8, 1], [8, 5], [4, 5]])
    assert not (enclosed(left, (8, 10)) & enclosed(right, (8, 10))).any()
    assert (enclosed(left, (8, 10)) | enclosed(right, (8, 10))).sum() == 7 * 4


def test_what_lies_outside_the_picture_is_cut_off():
    square = np.array([[-5.0, -5], [20, -5], [20, 20], [-5, 20]])
    assert enclosed(square, (10, 12)).all()
    assert not enclosed(square + 50, (10, 12)).any()
