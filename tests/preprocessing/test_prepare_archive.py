"""The ZIP of a notebook's frames: written once, never over something else, never under a name that nobody would find."""

from dataclasses import replace

import pytest

from echogan.config import folder
from echogan.errors import BadInput
from echogan.preprocessing import prepared
from echogan.preprocessing.archive import write_dataset
from echogan.preprocessing.prepare import prepare
from echogan.preprocessing.prepare_archive import prepare_archive
from tests.conftest import framed


def test_an_archive_is_written_once_and_says_so(frames, tmp_path):
    path, new = prepare_archive(frames, tmp_path / "a.zip")
    assert new and len(prepare(path)) == len(frames)
    before = path.read_bytes()
    assert prepare_archive(frames, str(path)) == (path, False) and path.read_bytes() == before


def test_what_is_there_is_not_taken_for_these_frames(frames, tmp_path):
    others = framed(4, 2, 2)
    others.manifest["source"] = "another"
    prepare_archive(others, tmp_path / "a.zip")
    write_dataset(frames, tmp_path / "b.zip")
    for name in ("a.zip", "b.zip"):
        with pytest.raises(BadInput, match=rf"{name} holds something else and is left as it is"):
            prepare_archive(frames, tmp_path / name)


def test_frames_that_lost_a_row_since_are_other_frames(frames, tmp_path):
    prepare_archive(frames, tmp_path / "a.zip")
    fewer = replace(frames, images=frames.images[1:], index=frames.index.iloc[1:])
    with pytest.raises(BadInput, match=r"a\.zip holds something else and is left as it is"):
        prepare_archive(fewer, tmp_path / "a.zip")


def test_a_folder_and_a_name_that_others_would_refuse_are_refused_first(frames, tmp_path):
    with pytest.raises(BadInput, match=r"is a folder; name a file in it, such as .*frames\.zip"):
        prepare_archive(frames, tmp_path)
    with pytest.raises(BadInput, match=r"must end in \.zip"):
        prepare_archive(frames, tmp_path / "frames")
    assert list(tmp_path.iterdir()) == []


def test_left_empty_it_lies_beside_the_runs_on_drive_else_with_the_data(frames, tmp_path, monkeypatch):
    assert prepare_archive(frames)[0].parent == folder("data")
    drive = tmp_path / "drive"
    for module in ("echogan.config", prepared.__name__):
        monkeypatch.setattr(f"{module}.DRIVE", drive)
    monkeypatch.setenv("ECHOGAN_EXPERIMENTS", str(drive / "MyDrive" / "Mine" / "experiments"))
    with pytest.raises(BadInput, match="not mounted; tick use_drive"):
        prepare_archive(frames)
    (drive / "MyDrive").mkdir(parents=True)
    assert prepare_archive(frames, " ")[0].parent == drive / "MyDrive" / "Mine"
