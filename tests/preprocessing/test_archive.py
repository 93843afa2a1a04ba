"""Archives in and out: a study's ZIP gives what its folder gives, frames come back from theirs."""

import zipfile

import pytest

from echogan.config import folder
from echogan.data.frames import load_frames
from echogan.data.phantom.study import write_echonet
from echogan.errors import BadInput
from echogan.preprocessing import archive
from echogan.preprocessing.extract import extract
from echogan.preprocessing.prepare import prepare


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """Four synthetic phantoms in EchoNet-Dynamic's layout."""
    root = tmp_path_factory.mktemp("study") / "phantom"
    write_echonet(root, 4, frames=44, workers=1)
    return root


def archived(study, path, spoil=()):
    """The study as the owners ship theirs: inside a folder, beside what an archiver leaves; `spoil`ed videos cut short."""
    with zipfile.ZipFile(path, "w") as opened:
        opened.writestr("__MACOSX/EchoNet-Dynamic/._FileList.csv", b"\0\1")
        for file in sorted(f for f in study.rglob("*") if f.is_file()):
            data = file.read_bytes()
            cut = data[: len(data) // 2] if file.stem in spoil else data
            opened.writestr(f"EchoNet-Dynamic/{file.relative_to(study).as_posix()}", cut)
    return path


def test_a_zipped_study_gives_the_frames_of_the_folder(study, tmp_path):
    extract(study, tmp_path / "frames", size=64, workers=1)
    expected, told = load_frames(tmp_path / "frames"), []
    found = prepare(archived(study, tmp_path / "study.zip"), size=64, callback=lambda *where: told.append(where))
    assert found.fingerprint() == expected.fingerprint()
    assert found.index.equals(expected.index) and found.kind == "synthetic phantom"
    assert told[-1] == ("extract", 4, 4)


def test_the_zip_is_never_unpacked_as_a_whole(study, tmp_path, monkeypatch):
    read, seen = archive.read_recording, []

    def watched(recording):
        seen.append([file.name for file in recording.path.parent.iterdir()])
        return read(recording)

    monkeypatch.setattr(archive, "read_recording", watched)
    prepare(archived(study, tmp_path / "study.zip"), size=64)
    assert len(seen) == 4 and all(len(files) == 1 for files in seen)


def test_a_damaged_video_in_a_zip_is_skipped_and_named(study, tmp_path):
    broken = sorted(f.stem for f in (study / "Videos").iterdir())[0]
    found = prepare(archived(study, tmp_path / "study.zip", spoil=[broken]), size=64)
    assert found.manifest["recordings"] == 3
    assert [row["recording"] for row in found.manifest["skipped"]] == [broken]


def test_frames_come_back_from_their_archive(frames, tmp_path):
    archive.pack(frames, tmp_path / "blobs.zip")
    again = prepare(tmp_path / "blobs.zip")
    assert again.fingerprint() == frames.fingerprint() and again.kind == frames.kind
    assert list(again.index["patient"]) == list(frames.index["patient"])


def test_an_archive_that_exists_is_never_replaced(frames, tmp_path):
    (tmp_path / "mine.zip").write_bytes(b"precious")
    with pytest.raises(BadInput, match="left as it is"):
        archive.pack(frames, tmp_path / "mine.zip")
    assert (tmp_path / "mine.zip").read_bytes() == b"precious"


def test_an_unreadable_zip_is_named(tmp_path):
    (tmp_path / "EchoNet.zip").write_bytes(b"no archive")
    with pytest.raises(BadInput, match=r"EchoNet\.zip is not a readable ZIP"):
        prepare(tmp_path / "EchoNet.zip")


def test_a_zip_without_tables_is_named_and_leaves_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as opened:
        opened.writestr("holiday.jpg", b"sea")
    with pytest.raises(BadInput, match=r"other\.zip.FileList\.csv is missing"):
        prepare(tmp_path / "other.zip")
    assert not [p for p in folder("data").rglob("*")]
