"""The hull of what is lit, against OpenCV's convex hull and against the sector that made the picture."""

import cv2
import numpy as np
import pytest
import torch

from echogan.layers.hull import hull, sector_of
from echogan.sector import ECHONET, study_mask


def by_opencv(lit):
    """The pixels whose centre lies in or on the polygon of OpenCV's hull."""
    points = cv2.convexHull(np.argwhere(lit)[:, ::-1].astype(np.float32))
    inside = [[cv2.pointPolygonTest(points, (x, y), False) >= 0 for x in range(lit.shape[1])] for y in range(len(lit))]
    return np.array(inside)


@pytest.mark.parametrize("seed", range(4))
def test_it_is_the_convex_hull(seed):
    rng = np.random.default_rng(seed)
    lit = np.zeros((31, 40), bool)
    lit[tuple(rng.integers((31, 40), size=(12, 2)).T)] = True
    found = hull(torch.from_numpy(lit)[None, None])[0, 0].numpy()
    expected = by_opencv(lit)
    assert (
        not (expected & ~found).any() and (found & ~expected).sum() <= 2
    )  # edges of any slope are right within 0.2 px


@pytest.mark.parametrize("size", [64, 112, 128])
def test_of_speckle_in_a_fan_it_is_the_fan(size):
    fan = ECHONET.resized(size).mask()
    grey = np.random.default_rng(0).uniform(0, 1, fan.shape) * fan
    grey[grey < 0.3] = 0  # cavities are black and belong to it all the same
    found = sector_of(torch.from_numpy(2 * grey - 1).float()[None, None])[0, 0].numpy()
    assert not (found & ~fan).any() and (fan & ~found).mean() < 0.01


def test_in_large_pictures_nothing_beside_the_fan_counts_and_nothing_lit_is_left_out():
    fan = ECHONET.resized(1024).mask()
    lit = fan & (np.random.default_rng(0).uniform(size=fan.shape) < 0.5)
    lit[[0, 300, 700], [512, 400, 600]] = True
    found = hull(torch.from_numpy(np.stack([fan, lit & fan])[:, None]))[:, 0].numpy()
    assert not (found & ~fan).any() and not (lit & fan & ~found[1]).any()


def test_the_study_mask_is_almost_convex():
    mask = study_mask(112) > 0
    found = hull(torch.from_numpy(mask)[None, None])[0, 0].numpy()
    assert not (mask & ~found).any() and (found & ~mask).mean() < 0.03


def test_nothing_lit_nothing_found():
    assert not sector_of(-torch.ones(2, 1, 16, 16)).any()
    one = -torch.ones(1, 1, 16, 16)
    one[0, 0, 5, 7] = 1
    assert sector_of(one).nonzero().tolist() == [[0, 0, 5, 7]]


def test_two_grey_levels_above_black_count_as_lit_and_one_does_not():
    levels = torch.tensor([0.0, 1.0, 2.0]).view(3, 1, 1, 1).expand(3, 1, 4, 4) / 127.5 - 1
    assert sector_of(levels).flatten(1).any(1).tolist() == [False, False, True]
