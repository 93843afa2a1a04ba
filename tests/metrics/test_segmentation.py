"""Dice, surface distances and plausibility against their definitions, written out the slow way."""

import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt
from scipy.spatial.distance import cdist

from echogan.errors import BadInput
from echogan.metrics.segmentation import compared, dice, hd95, largest

LABELS = {"outside": 0, "left ventricle": 1, "myocardium": 2, "inside": 4}


def shapes(n=12, size=40, seed=0):
    """Boolean (n, size, size): an ellipse each, with a dent."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:size, :size]
    cy, cx = rng.uniform(14, 26, (2, n, 1, 1))
    ry, rx = rng.uniform(5, 13, (2, n, 1, 1))
    masks = ((y - cy) / ry) ** 2 + ((x - cx) / rx) ** 2 < 1
    masks[:, 18:20, :20] = False
    return masks


def surface(mask):
    """Pixels with a 4-neighbour outside the mask, one by one."""
    padded = np.pad(mask, 1)
    return [
        (r, c) for r, c in np.argwhere(mask)
        if not (padded[r, c + 1] and padded[r + 2, c + 1] and padded[r + 1, c] and padded[r + 1, c + 2])
    ]  # fmt: skip


def test_dice_is_twice_the_overlap_over_both_sizes():
    a, b = shapes(seed=1), shapes(seed=2)
    expected = [2 * len(i & j) / (len(i) + len(j)) for i, j in zip(*(map(points, (a, b))))]
    np.testing.assert_allclose(dice(a, b), expected)


def points(masks):
    return [set(map(tuple, np.argwhere(mask))) for mask in masks]


def test_hd95_equals_all_pairs_of_surface_points():
    a, b = shapes(seed=1), shapes(seed=2)
    for first, second, found in zip(a, b, hd95(a, b, 0.5)):
        between = 0.5 * cdist(surface(first), surface(second))
        expected = max(np.percentile(between.min(1), 95), np.percentile(between.min(0), 95))
        assert found == pytest.approx(expected, rel=1e-5)


def test_hd95_equals_scipys_distance_transforms_with_a_spacing_per_mask():
    a, b, mm = shapes(seed=3), shapes(seed=4), np.linspace(0.2, 1.5, 12)
    for first, second, spacing, found in zip(a, b, mm, hd95(a, b, mm)):
        edges = [np.zeros_like(first) for _ in range(2)]
        for edge, mask in zip(edges, (first, second)):
            edge[tuple(np.transpose(surface(mask)))] = True
        one, two = edges
        there = distance_transform_edt(~two, sampling=spacing)[one]
        back = distance_transform_edt(~one, sampling=spacing)[two]
        assert found == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-5)


def test_a_shift_is_its_own_distance():
    a = np.zeros((1, 32, 32), bool)
    a[0, 8:16, 8:16] = True
    assert hd95(a, np.roll(a, 5, axis=2)) == 5 and hd95(a, a) == 0


def test_empty_masks():
    full, empty = np.ones((1, 3, 4), bool), np.zeros((1, 3, 4), bool)
    assert np.isnan(dice(empty, empty)) and np.isnan(hd95(empty, empty))
    assert dice(full, empty) == 0 and hd95(full, empty, 2.0) == hd95(empty, full, 2.0) == 2 * 5


def test_compared_names_structures_and_leaves_the_background_out():
    masks = np.zeros((2, 16, 16), np.uint8)
    masks[:, 4:8, 4:8], masks[:, 8:12, 4:8], masks[:, 12:] = 1, 2, 4
    other = masks.copy()
    other[0, 4:8, 4:6] = 0
    table = compared(other, masks, LABELS)
    assert list(table) == ["Dice_left_ventricle", "HD95_left_ventricle", "Dice_myocardium", "HD95_myocardium"]
    assert table["Dice_left_ventricle"].tolist() == pytest.approx([2 / 3, 1]) and (table["Dice_myocardium"] == 1).all()
    with pytest.raises(BadInput, match="must be of one shape"):
        compared(masks, masks[:, :8], LABELS)


def test_the_largest_part_counts_pixels_that_touch_by_a_corner():
    cavity = np.zeros((20, 20), bool)
    cavity[2:8, 2:8], cavity[4, 4], cavity[12:15, 12:15], cavity[15, 15] = True, False, True, True
    assert largest(cavity).sum() == 35 and largest(cavity[10:]).sum() == 10
    assert not largest(np.zeros((3, 3), bool)).any()
