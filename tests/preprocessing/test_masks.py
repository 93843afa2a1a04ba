"""Laws of masks: what is refused is named, what is drawn obeys, what is deformed stays in its sector."""

import numpy as np
import pytest

from echogan.errors import BadInput
from echogan.preprocessing.masks import Law, check_masks, check_present, flaw
from echogan.preprocessing.shapes import Copies, Deformed, Shapes, plausible
from tests.preprocessing.hearts import CAMUS, hearts, labelled


@pytest.fixture(scope="module")
def pairs():
    return hearts(24)


# ------------------------------------------------------------------------------------------------ flaws


def test_hearts_have_no_flaw(pairs):
    assert {flaw(mask, CAMUS) for mask in pairs.reshape(-1, *pairs.shape[2:])} == {""}


def spoilt(mask, what):
    mask = mask.copy()
    rows, columns = (int(axis.mean()) for axis in np.nonzero(mask == 1))
    if what == "two":
        mask[50:56, 8:14] = 1
    elif what == "hole":
        mask[rows - 2 : rows + 2, columns - 2 : columns + 2] = 4
    elif what == "empty":
        mask[mask == 3] = 4
    elif what == "id":
        mask[0, 0] = 9
    return mask


@pytest.mark.parametrize(
    "what, said",
    [
        ("two", "has 2 pieces of left ventricle"),
        ("hole", "has a hole in its left ventricle"),
        ("empty", "has no left atrium"),
        ("id", "has the label 9, which labels.json does not name"),
    ],
)
def test_a_flaw_is_named(pairs, what, said):
    assert flaw(spoilt(pairs[0, 0], what), CAMUS) == said


def test_a_speck_is_no_second_ventricle_and_a_closed_wall_no_hole(pairs):
    mask = pairs[0, 0].copy()
    mask[2, 2] = 1
    assert flaw(mask, CAMUS) == ""
    ring = np.where(np.isin(mask, (1, 2)), 2, mask)
    ring[24:30, 30:36] = 1  # the wall encloses the whole ventricle
    assert flaw(ring, CAMUS) == ""


def test_the_file_of_a_flawed_mask_is_named(pairs):
    frames = labelled(pairs, CAMUS)
    frames.masks[3] = spoilt(frames.masks[3], "two")
    with pytest.raises(BadInput, match=rf"{frames.index['file'][3]} .* has 2 pieces of left ventricle"):
        check_masks(frames)


def test_a_label_that_no_training_mask_shows_is_refused_and_one_without_a_name(pairs):
    frames = labelled(pairs, CAMUS)
    check_present(frames)
    frames.masks[5] = spoilt(frames.masks[5], "id")
    with pytest.raises(BadInput, match=rf"{frames.index['file'][5]} has the label 9"):
        check_present(frames)
    frames = labelled(pairs, CAMUS)
    frames.masks[frames.masks == 3] = 4
    with pytest.raises(BadInput, match=r"the label 3 \(left atrium\)"):
        check_present(frames)


# ------------------------------------------------------------------------------------------------ laws


def test_a_law_holds_for_its_own_masks_and_breaks_where_a_mask_is_unlike_them(pairs):
    law = Law.of(pairs[:, 0], CAMUS)
    assert {law.breach(mask) for mask in pairs[:, 0]} == {""}
    assert law.breach(pairs[0, 0][::-1]) == "has its left ventricle below its left atrium"
    small = np.where((pairs[0, 0] == 1) & (np.arange(64)[:, None] < 28), 2, pairs[0, 0])
    assert "left ventricle of" in law.breach(small) and "beyond" in law.breach(small)


def test_what_cannot_be_drawn_ends_with_the_last_reason(pairs):
    law = Law.of(pairs[:, 0], CAMUS)
    with pytest.raises(BadInput, match=r"no plausible mask in 200 draws .*pieces of left ventricle"):
        plausible(lambda: [spoilt(pairs[0, 0], "two")], [law])


# ------------------------------------------------------------------------------------------------ new masks


def test_shapes_have_as_many_components_as_recordings_allow_and_their_variance(pairs):
    shapes = Shapes(pairs, CAMUS)
    assert 3 < len(shapes.modes) < len(pairs)  # these hearts have few degrees of freedom
    distances = np.stack([[shapes._distances(mask) for mask in group] for group in pairs]).reshape(len(pairs), -1)
    assert np.square(shapes.modes).sum() == pytest.approx(distances.var(0, ddof=1).sum(), rel=1e-3)


def test_drawn_shapes_are_new_keep_the_law_and_contract(pairs):
    shapes, rng = Shapes(pairs, CAMUS), np.random.default_rng(0)
    drawn = np.stack([shapes.draw(0, rng) for _ in range(12)])
    assert drawn.shape == (12, 2, 64, 64) and drawn.dtype == np.uint8
    for phase in (0, 1):
        law = Law.of(pairs[:, phase], CAMUS)
        assert {law.breach(mask) for mask in drawn[:, phase]} == {""}
    assert not any((mask == old).all() for mask in drawn[:, 0] for old in pairs[:, 0])
    area = (drawn == 1).sum((2, 3))
    assert (area[:, 1] < area[:, 0]).all() and area[:, 0].std() > 0.3 * (pairs[:, 0] == 1).sum((1, 2)).std()


def test_shapes_are_drawn_at_the_size_of_their_masks_and_need_three():
    assert Shapes(hearts(6, 128), CAMUS).draw(0, np.random.default_rng(1)).shape == (2, 128, 128)
    with pytest.raises(BadInput, match="2 recordings are too few"):
        Shapes(hearts(2), CAMUS)


def test_two_labels_will_do():
    heads = (hearts(12)[:, :1] == 1).astype(np.uint8)
    drawn = Shapes(heads, {"background": 0, "head": 1}).draw(0, np.random.default_rng(0))
    assert set(np.unique(drawn)) == {0, 1}


def test_a_deformed_heart_differs_but_the_sector_does_not(pairs):
    deformed, rng = Deformed(pairs, CAMUS), np.random.default_rng(0)
    for number in range(8):
        new = deformed.draw(number, rng)
        assert np.array_equal(new == 0, pairs[number] == 0) and not np.array_equal(new, pairs[number])
        areas = [(group == 1).sum((1, 2)) for group in (new, pairs[number])]
        ratios = [area[1] / area[0] for area in areas]
        assert ratios[0] == pytest.approx(ratios[1], abs=0.08)  # both phases move alike


def test_copies_are_the_masks(pairs):
    assert np.array_equal(Copies(pairs, CAMUS).draw(5, None), pairs[5])
