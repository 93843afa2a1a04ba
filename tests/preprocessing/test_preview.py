import numpy as np
import pytest
from pydicom.data import get_testdata_file

from echogan.data.clip import Clip
from echogan.data.dicom import read_dicom
from echogan.data.frames import load_frames
from echogan.data.video import read_video_clip
from echogan.preprocessing import preview
from echogan.preprocessing.extract import extract
from echogan.preprocessing.phase import Phases
from echogan.sector import ECHONET, study_mask
from tests.data.studies import ED, ES, beating, write_avi


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


def test_what_is_seen_is_what_extraction_keeps(clip, tmp_path):
    avi = write_avi(tmp_path / "a.avi", clip.frames)
    seen = preview.see(read_video_clip(avi), "counted")
    extract(avi, tmp_path / "frames", size=112, frames_per_clip="4", phases="counted", workers=1)
    frames = load_frames(tmp_path / "frames")
    np.testing.assert_array_equal(seen.kept, frames.images)
    assert [pick.frame for pick in seen.picks] == list(frames.index["frame"])


def test_counting_and_tracing_stand_beside_each_other(clip):
    seen = preview.see(clip)
    assert (seen.used, seen.traced) == (seen.traced, Phases(ES, ED, "traced")) and seen.counted.method == "counted"
    assert (
        seen.white[seen.counted.systole] == seen.white.max() and seen.white[seen.counted.diastole] == seen.white.min()
    )
    expected = [(clip.frames[frame] > 30) & (study_mask() > 0) for frame in (0, ES, ED, 29)]
    np.testing.assert_array_equal(seen.binary, expected)
    np.testing.assert_array_equal(seen.white[[0, ES, ED, 29]], np.sum(expected, axis=(1, 2)))


def test_a_foreign_recording_is_shown_as_it_would_be_extracted():
    cine = read_dicom(get_testdata_file("examples_ybr_color.dcm", download=False))
    assert preview.mask_overlay(cine, frame=0).shape == (336, 336, 3)
    assert preview.see(cine, "counted").kept.shape == (4, 112, 112)
