import numpy as np
import pytest
from pydicom.data import get_testdata_file

from echogan.data.clip import Clip
from echogan.data.dicom import read_dicom
from echogan.preprocessing import preview
from echogan.sector import ECHONET, study_mask
from tests.data.studies import ED, ES, beating


@pytest.fixture
def clip():
    return Clip(beating(30), "a", "a", "test", sector=ECHONET, ed=ED, es=ES)


def test_the_outline_is_that_of_the_mask_of_extraction(clip):
    clip.frames[:] = 100
    shown = preview.mask_overlay(clip)
    assert shown.shape == (336, 336, 3) and shown.dtype == np.uint8
    inside = np.kron(study_mask(), np.ones((3, 3), np.uint8)) > 0
    amber = (shown == preview.AMBER).all(-1)
    assert amber.any() and not amber[~inside].any()
    assert (shown[inside & ~amber] == 100).all()
    assert (shown[~inside] != 100).any(axis=-1).all()


def test_the_strip_shows_four_frames_above_their_white_pixels(clip):
    strip = preview.phase_strip(clip)
    assert strip.shape == (28 + 2 * 336, 4 * 336, 3)
    white = strip[28 + 336 :: 3, ::3, 0]
    columns = np.split(white, 4, axis=1)
    for column, frame in zip(columns, (0, ES, ED, 29)):
        expected = (clip.frames[frame] > 30) & (study_mask() > 0)
        np.testing.assert_array_equal(column > 0, expected)


def test_a_foreign_recording_is_shown_as_it_would_be_extracted():
    cine = read_dicom(get_testdata_file("examples_ybr_color.dcm", download=False))
    assert preview.mask_overlay(cine, frame=0).shape == (336, 336, 3)
    assert preview.phase_strip(cine, "counted").shape == (700, 1344, 3)
