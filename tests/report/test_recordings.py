"""Figures of data: the phases of a recording, a sheet of frames."""

import numpy as np
import pytest

from echogan.data.clip import Clip
from echogan.preprocessing.preview import see
from echogan.report import recordings
from echogan.sector import ECHONET
from tests.data.studies import ED, ES, beating


def said(figure):
    """All words of a figure."""
    return " ".join(text.get_text() for text in figure.findobj(lambda a: hasattr(a, "get_text")))


@pytest.mark.parametrize("traced", [True, False])
def test_the_curve_and_its_marks_are_those_of_extraction(traced):
    clip = Clip(beating(30), "a", "a", "synthetic phantom", sector=ECHONET, **({"ed": ED, "es": ES} if traced else {}))
    seen = see(clip)
    figure = recordings.phases(clip, seen)
    curve = figure.axes[-1]
    np.testing.assert_array_equal(curve.lines[0].get_ydata(), seen.white)
    words = said(figure)
    assert f"systole counted, frame {seen.counted.systole}" in words and "synthetic phantom" in words
    assert (f"diastole traced, frame {ED}" in words) == traced
    shown = [ax.images[0].get_array() for ax in figure.axes[:-1]]
    np.testing.assert_array_equal(shown[::2], seen.kept)
    np.testing.assert_array_equal(np.array(shown[1::2]) > 0, seen.binary)


def test_the_sheet_shows_each_split_without_repeats_and_says_how_many(frames):
    frames.index["duplicate_of"] = [None, "p0_f0.png"] + [None] * 62
    figure = recordings.frames(frames)
    assert [ax.get_title(loc="left") for ax in figure.axes] == [
        "TRAIN: 48 frames of 24 patients", "VAL: 8 frames of 4 patients", "TEST: 8 frames of 4 patients"
    ]  # fmt: skip
    picture = figure.axes[1].images[0].get_array()
    np.testing.assert_array_equal(picture[:32, 34:66, 0], frames.images[49])
    assert "test blobs" in said(figure)
    first, second = (figure.axes[0].images[0].get_array()[:32, x : x + 32, 0] for x in (0, 34))
    np.testing.assert_array_equal(first, frames.images[0])
    assert not (second == frames.images[1]).all()


def test_masks_are_outlined(frames):
    frames.masks, frames.labels = (frames.images > 99).astype(np.uint8), {"none": 0, "blob": 1}
    figure = recordings.frames(frames)
    amber = (figure.axes[0].images[0].get_array() == (255, 176, 0)).all(-1)
    assert amber.any() and "Outlined: blob" in said(figure)
