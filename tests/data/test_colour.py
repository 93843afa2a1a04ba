"""What counts as colour, by numpy's own range of the primaries and by boxes of a known size."""

import numpy as np
import pytest

from echogan.data.colour import chroma, is_grey, share, told


def test_chroma_is_the_range_of_the_primaries():
    picture = np.random.default_rng(0).integers(0, 256, (9, 7, 3), np.uint8)
    assert np.array_equal(chroma(picture), np.ptp(picture, axis=-1))


@pytest.mark.parametrize(("coloured", "grey"), [(100, True), (101, False)])
def test_a_flow_box_of_more_than_a_hundredth_is_colour(coloured, grey):
    levels = np.zeros(10_000, np.uint8)
    levels[:coloured] = 41  # on average far below the other limit
    assert is_grey(levels) is grey and share(levels) == coloured / 10_000


@pytest.mark.parametrize(("level", "grey"), [(6, True), (7, False)])
def test_a_tint_of_more_than_six_levels_is_colour(level, grey):
    assert is_grey(np.full((5, 4), level, np.uint8)) is grey


def test_nothing_is_grey():
    assert is_grey(np.zeros(0, np.uint8)) is True


def test_a_message_has_both_numbers():
    assert told(np.full(10, 50, np.uint8)).startswith("has colour in 100% of its ultrasound (chroma 50 grey levels")
