"""The distance that finds copies: unmoved by what a copy may have gone through, large between patients."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from echogan.errors import BadInput
from echogan.metrics.registration import SIDE, Gallery, align, correlation, poses, texture, warp
from tests.metrics.patients import patients_of, speckle


def turned(image, degrees):
    return ndimage.rotate(image.astype(float), degrees, reshape=False, order=3).clip(0, 255).astype(np.uint8)


def cut(image, top, bottom, left, right):
    """The window without these many pixels at each side, enlarged again."""
    window = image[top : len(image) - bottom, left : len(image) - right].astype(float)
    zoom = np.array(image.shape) / window.shape
    return ndimage.zoom(window, zoom, order=1, grid_mode=True, mode="nearest").clip(0, 255).astype(np.uint8)


def regraded(image, gamma):
    return (255 * (image / 255) ** gamma).round().astype(np.uint8)


CHANGES = {
    "exact": lambda x: x,
    "turned left": lambda x: turned(x, 10),
    "turned right": lambda x: turned(x, -10),
    "cut at a corner": lambda x: cut(x, 5, 0, 5, 0),
    "cut all around": lambda x: cut(x, 2, 3, 3, 2),
    "cut at one side": lambda x: cut(x, 0, 0, 0, 9),
    "brighter": lambda x: regraded(x, 0.7),
    "darker": lambda x: regraded(x, 1.4),
    "all at once": lambda x: regraded(turned(cut(x, 4, 0, 0, 4), -8), 1.3),
    "blurred": lambda x: ndimage.gaussian_filter(x.astype(float), 0.8).astype(np.uint8),
    "half the size": lambda x: x.reshape(len(x) // 2, 2, -1, 2).mean((1, 3)).astype(np.uint8),
}


@pytest.fixture(scope="module")
def gallery():
    return speckle(60)


@pytest.fixture(scope="module")
def found(gallery):
    """What is nearest to every changed copy of every tenth image, and to 40 other patients."""
    copies = [change(x) for change in CHANGES.values() for x in gallery[::10]]
    full = np.stack([x.repeat(64 // len(x), 0).repeat(64 // len(x), 1) for x in copies])
    answer = Gallery.of(gallery).nearest(np.concatenate([full, speckle(40, seed=1)]))
    parts = [range(6 * i, 6 * i + 6) for i in range(len(CHANGES))]
    of = {name: (answer.index[part], answer.distance[part]) for name, part in zip(CHANGES, parts)}
    return of, answer.distance[len(full) :]


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_copy_is_nearer_than_any_other_patient(found, change):
    (index, distance), others = found[0][change], found[1]
    assert index.tolist() == list(range(0, 60, 10))
    assert distance.max() < 0.5 * others.min()


def test_an_exact_copy_is_at_zero(gallery):
    assert Gallery.of(gallery).nearest(gallery[:9]).distance == pytest.approx(0, abs=1e-5)


def test_the_nearest_is_that_of_a_loop_over_pairs(gallery):
    queries = np.stack([turned(x, 4) for x in speckle(6, seed=2)])
    pairs = np.stack([Gallery.of(g[None]).nearest(queries).distance for g in gallery[:4]], axis=1)
    found = Gallery.of(gallery[:4]).nearest(queries)
    assert found.index.tolist() == pairs.argmin(1).tolist()
    assert found.distance == pytest.approx(pairs.min(1), abs=1e-5)


def test_blocks_of_queries_change_nothing_and_progress_is_told(gallery, monkeypatch):
    queries, told = speckle(7, seed=3), []
    whole = Gallery.of(gallery).nearest(queries)
    monkeypatch.setattr("echogan.metrics.registration.BLOCK", 3)
    parts = Gallery.of(gallery).nearest(queries, callback=lambda done, total: told.append((done, total)))
    assert parts.index.tolist() == whole.index.tolist() and parts.distance == pytest.approx(whole.distance, abs=1e-5)
    assert told == [(3, 7), (6, 7), (7, 7)]


def test_frames_of_ones_own_patient_are_left_out(gallery):
    twice, patients = patients_of(gallery[:10], 2)
    found = Gallery.of(twice, patients).nearest(twice, patients)
    assert (patients[found.index] != patients).all() and found.distance.min() > 0.1
    assert Gallery.of(twice, patients).nearest(twice).distance.max() < 1e-5
    one = Gallery.of(twice[:2], patients[:2]).nearest(twice[:1], patients[:1])
    assert one.distance == pytest.approx([2])  # nobody else is there: as far as can be


def test_an_image_without_texture_is_near_nothing(gallery):
    flat = np.full((2, 64, 64), 90, np.uint8)
    assert Gallery.of(gallery).nearest(flat).distance.min() > 0.9
    assert Gallery.of(np.concatenate([flat, gallery[:1]])).nearest(gallery[:1]).index.tolist() == [2]


def test_texture_forgets_brightness_and_size():
    image = speckle(1, size=128)
    half = CHANGES["half the size"](image[0])[None]
    assert texture(image).shape == (1, SIDE, SIDE)
    for other in (regraded(image, 0.8), half):
        assert float(correlation(texture(image), texture(other), torch.ones(1, SIDE, SIDE))) > 0.98
    with pytest.raises(BadInput, match="uint8"):
        texture(image / 255)


def test_poses_undo_what_they_are_named_after():
    grid = poses()
    assert (grid == torch.eye(2, 3)).all((1, 2)).sum() == 1
    corner = torch.tensor([1.0, 1.0, 1.0])
    reach = (grid @ corner).abs().amax(1)
    assert reach.max() < 1.55 and reach.min() > 0.8
    assert torch.linalg.det(grid[:, :, :2]).max() == pytest.approx(1 / 0.92**2, rel=1e-5)


def test_alignment_finds_a_small_shift_and_never_ends_worse_than_it_began():
    x = texture(speckle(8))
    shift = torch.eye(2, 3).repeat(8, 1, 1)
    shift[:, :, 2] = 0.03
    moved, _ = warp(x, shift)
    start = torch.eye(2, 3).repeat(8, 1, 1)
    before = correlation(moved, x, torch.ones_like(x))
    assert (align(moved, x, start) > before + 0.1).all()
    unrelated = x.flip(0)
    assert (align(x, unrelated, start) >= correlation(x, unrelated, torch.ones_like(x))).all()
