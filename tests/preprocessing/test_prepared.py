"""What all three `prepare` functions do alike: a path that leads nowhere is refused, and no file is taken for another."""

import os

import pytest

from echogan.config import folder
from echogan.data.images import write_png
from echogan.errors import BadInput
from echogan.preprocessing import prepared
from echogan.preprocessing.archive import pack
from echogan.preprocessing.prepare import prepare
from echogan.preprocessing.prepare_labelled import prepare_labelled
from echogan.preprocessing.prepare_unpaired import prepare_unpaired
from tests.conftest import blobs, framed

each = pytest.mark.parametrize("make", [prepare, prepare_labelled, prepare_unpaired])


@each
@pytest.mark.parametrize("nothing", ["", "  "])
def test_an_empty_path_is_not_the_current_folder(make, nothing, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_png(tmp_path / "scan.png", blobs(1)[0])  # would be trained on
    with pytest.raises(BadInput, match=r'^data is empty; write "phantom" or a path$'):
        make(nothing)
    assert not folder("data").exists()


@each
def test_what_is_missing_is_said_to_be_missing(make, tmp_path):
    with pytest.raises(BadInput, match=r'frames.zip does not exist; use "phantom", '):
        make(tmp_path / "frames.zip")


def test_a_path_counts_from_the_current_folder_then_from_the_projects_and_may_begin_at_ones_home(tmp_path, monkeypatch):
    project, training, own = (tmp_path / name for name in ("project", "project/training", "own"))
    for place in (project, training, own):
        (place / "FRAMES").mkdir(parents=True)
    monkeypatch.setattr(prepared, "home", lambda: project)
    monkeypatch.setenv("HOME", str(own))
    monkeypatch.setenv("USERPROFILE", str(own))  # Windows
    monkeypatch.chdir(training)
    assert prepared.found("~/FRAMES", "") == own / "FRAMES"
    assert prepared.found("FRAMES", "") == training / "FRAMES"
    (training / "FRAMES").rmdir()
    assert prepared.found("FRAMES", "") == project / "FRAMES"
    (project / "FRAMES").rmdir()
    with pytest.raises(BadInput) as error:
        prepared.found("FRAMES", "frames")
    places = f"{training / 'FRAMES'} or {project / 'FRAMES'}"
    assert str(error.value) == f'{places} does not exist; use "phantom", frames'


@each
def test_a_drive_that_is_not_mounted_is_named(make, tmp_path, monkeypatch):
    monkeypatch.setattr("echogan.config.DRIVE", tmp_path / "drive")
    monkeypatch.setattr(prepared, "DRIVE", tmp_path / "drive")
    path = tmp_path / "drive" / "MyDrive" / "frames.zip"
    with pytest.raises(BadInput, match="not mounted; tick use_drive and run that cell"):
        make(path)
    path.parent.mkdir(parents=True)
    with pytest.raises(BadInput, match="does not exist"):
        make(path)


def test_files_of_one_name_do_not_share_their_frames(tmp_path):
    heard = []
    pack(framed(4, 2, 2), tmp_path / "one" / "study.zip")
    pack(framed(6, 2, 2), tmp_path / "two" / "study.zip")
    sizes = [
        len(prepare(tmp_path / place / "study.zip", callback=lambda step, *_: heard.append(step)))
        for place in ("one", "two", "one")
    ]
    assert sizes == [8, 10, 8] and len(list(folder("data").iterdir())) == 2
    assert heard[0] == heard[2] != heard[1] and heard[0].startswith("frames of ") and "study_" in heard[0]


def test_a_file_that_has_changed_is_read_again(tmp_path):
    path = tmp_path / "study.zip"
    pack(framed(4, 2, 2), path)
    assert len(prepare(path)) == 8
    path.unlink()
    pack(framed(4, 2, 4), path)
    assert len(prepare(path)) == 10
    before = prepared.kept(path)
    os.utime(path, (0, 0))
    assert prepared.kept(path) != before


def test_a_folder_that_has_grown_is_read_again(tmp_path):
    for i, image in enumerate(blobs(6)):
        write_png(tmp_path / "scans" / f"p{i}.png", image)
        if i in (3, 5):
            assert len(prepare(tmp_path / "scans", size=64)) == i + 1
    before = prepared.kept(tmp_path / "scans")
    (tmp_path / "scans" / ".hidden").write_bytes(b"what a file manager leaves")
    assert prepared.kept(tmp_path / "scans") == before


def test_folders_of_one_name_do_not_share_their_frames(tmp_path):
    for place, n in (("one", 4), ("two", 5)):
        for i, image in enumerate(blobs(n)):
            write_png(tmp_path / place / "scans" / f"p{i}.png", image)
    assert [len(prepare(tmp_path / place / "scans", size=64)) for place in ("one", "two")] == [4, 5]
