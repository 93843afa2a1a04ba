"""Frames with masks in one call: the phantom, a study of CAMUS, a folder that is ready; what has no masks is refused."""

import pytest

from echogan.config import folder
from echogan.data.frames import load_frames, save_index
from echogan.data.images import write_png
from echogan.errors import BadInput
from echogan.preprocessing.labelled import write_camus, write_frames
from echogan.preprocessing.prepare_labelled import prepare_labelled
from tests.conftest import framed
from tests.preprocessing.hearts import hearts, labelled


def test_the_phantom_is_made_once():
    heard = []

    def hear(step, done, total):
        heard.append(step.partition(" ")[0])

    frames = prepare_labelled("phantom", 3, size=64, callback=hear)
    assert frames.masks is not None and len(frames) == 12 and frames.labels["left atrium"] == 3
    assert set(heard) == {"phantom", "camus", "frames"}
    heard.clear()
    assert prepare_labelled("phantom", 3, size=64, callback=hear).fingerprint() == frames.fingerprint()
    assert heard == ["frames"]


def test_a_release_of_camus_becomes_frames_and_a_folder_of_frames_stays(tmp_path):
    write_camus(labelled(hearts(12)), tmp_path / "release")
    frames = prepare_labelled(tmp_path / "release", size=64)
    assert len(frames) == 24 and len(list(folder("data").glob("release_*_64px/index.csv"))) == 1
    write_frames(frames, tmp_path / "ready")
    assert prepare_labelled(tmp_path / "ready").fingerprint() == load_frames(tmp_path / "ready").fingerprint()


def test_frames_without_masks_are_refused(tmp_path):
    frames = framed(4, 2, 2)
    for name, image in zip(frames.index["file"], frames.images):
        write_png(tmp_path / "images" / name, image)
    save_index(tmp_path, frames.index, frames.manifest)
    with pytest.raises(BadInput, match="has no masks"):
        prepare_labelled(tmp_path)
