"""Archives in and out: a study's ZIP gives what its folder gives, frames come back from theirs."""

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echogan.config import folder
from echogan.data.frames import COLUMNS, FrameSet, load_frames
from echogan.data.phantom.study import write_echonet
from echogan.errors import BadInput
from echogan.preprocessing import archive
from echogan.preprocessing.extract import extract
from echogan.preprocessing.prepare import prepare
from tests.preprocessing.pictures import picture, zipped


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
    assert told[-2] == ("extract", 4, 4) and told[-1][0].startswith("frames of ")


def test_only_the_videos_beside_the_list_are_the_study(study, tmp_path):
    path = archived(study, tmp_path / "study.zip")
    clean = prepare(path, size=64).fingerprint()
    names = sorted(file.stem for file in (study / "Videos").iterdir())
    with zipfile.ZipFile(path, "a") as opened:  # another patient's video under every name, and an older list
        for name in names:
            opened.write(study / "Videos" / f"{names[0]}.avi", f"EchoNet-Dynamic/output/videos/{name}.avi")
        opened.writestr("EchoNet-Dynamic/old/FileList.csv", "FileName\n")
    assert prepare(path, size=64).fingerprint() == clean


def test_a_zip_of_two_studies_is_refused(study, tmp_path):
    table = (study / "FileList.csv").read_bytes()
    path = zipped(tmp_path / "two.zip", {"one/FileList.csv": table, "two/FileList.csv": table})
    with pytest.raises(BadInput, match=r"two\.zip holds the studies one and two; pack each by itself"):
        prepare(path, size=64)


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


def test_a_zip_of_nothing_we_know_is_named_and_leaves_nothing(tmp_path):
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as opened:
        opened.writestr("holiday.txt", b"sea")
    with pytest.raises(BadInput, match=r"other\.zip holds no recording and no picture; give an EchoNet-Dynamic"):
        prepare(tmp_path / "other.zip")
    assert not [p for p in folder("data").rglob("*")]


# ------------------------------------------------------------------------------------------------ StyleGAN2-ADA


def as_the_official_loader(path):
    """Images and labels as ImageFolderDataset of the official code reads them, and how each member is stored."""
    with zipfile.ZipFile(path) as opened:
        names = sorted(n for n in opened.namelist() if Path(n).suffix.lower() in Image.registered_extensions())
        images = [np.asarray(Image.open(opened.open(name))) for name in names]
        said = json.load(opened.open("dataset.json"))["labels"]
        assert all(info.compress_type == zipfile.ZIP_STORED for info in opened.infolist())
    return names, images, None if said is None else np.array([dict(said)[name] for name in names], np.int64)


def test_a_data_set_is_read_by_the_official_loader(frames, tmp_path):
    archive.write_dataset(frames, tmp_path / "a.zip")
    names, images, labels = as_the_official_loader(tmp_path / "a.zip")
    assert names[:2] == ["00000/img00000000.png", "00000/img00000001.png"] and labels is None
    np.testing.assert_array_equal(images, frames.images)


def test_classes_are_its_labels(frames, tmp_path):
    frames.index["phase"] = ["systole", "diastole"] * 32
    assert archive.write_dataset(frames, tmp_path / "a.zip", "phase") == ("diastole", "systole")
    labels = as_the_official_loader(tmp_path / "a.zip")[2]
    np.testing.assert_array_equal(labels, [1, 0] * 32)
    with pytest.raises(BadInput, match=r"column quality of the frames' index\.csv has no label"):
        archive.write_dataset(frames, tmp_path / "b.zip", "quality")
    assert not (tmp_path / "b.zip").exists()


def test_a_thousand_and_one_images_fill_two_folders(tmp_path):
    index = pd.DataFrame({"file": [f"{i}.png" for i in range(1001)], "split": "TRAIN"}).reindex(columns=list(COLUMNS))
    archive.write_dataset(FrameSet(np.zeros((1001, 32, 32), np.uint8), index), tmp_path / "a.zip")
    assert as_the_official_loader(tmp_path / "a.zip")[0][-2:] == ["00000/img00000999.png", "00001/img00001000.png"]


def test_sides_must_be_a_power_of_two(frames, tmp_path):
    with pytest.raises(BadInput, match="power of two, not 30; extract at 64"):
        archive.write_dataset(replace(frames, images=frames.images[:, 1:-1, 1:-1]), tmp_path / "a.zip")
    assert not list(tmp_path.iterdir())


def test_equal_frames_give_equal_archives_that_come_back_with_patients_and_splits(frames, tmp_path):
    for name in ("a.zip", "b.zip"):
        archive.write_dataset(frames, tmp_path / name)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    extract(tmp_path / "a.zip", tmp_path / "out", size=64, workers=1)
    back = load_frames(tmp_path / "out")
    assert back.kind == "test blobs" and len(back) == 64
    for column in ("patient", "split"):
        assert list(back.index[column]) == list(frames.index[column])


def test_masks_travel_in_a_packed_archive(frames, tmp_path):
    masked = replace(frames, masks=(frames.images > 99).astype(np.uint8), labels={"none": 0, "blob": 1})
    archive.pack(masked, tmp_path / "a.zip")
    assert prepare(tmp_path / "a.zip").fingerprint() == masked.fingerprint()


def test_a_packed_archive_that_names_what_it_lacks_is_refused(frames, tmp_path):
    archive.pack(frames, tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as old, zipfile.ZipFile(tmp_path / "b.zip", "w") as new:
        for info in old.infolist():
            table = (
                old.read(info).replace(b"p3_f0.png", b"../p3.png") if info.filename == "index.csv" else old.read(info)
            )
            new.writestr(info, table)
    with pytest.raises(BadInput, match=r"index\.csv names '\.\./p3\.png', which is not there whole"):
        prepare(tmp_path / "b.zip")
    assert not list(folder("data").rglob("*"))


def test_one_call_prepares_pictures_and_their_archives_too(frames, tmp_path):
    archive.write_dataset(frames, tmp_path / "gan.zip")
    found = prepare(tmp_path / "gan.zip", size=64)
    assert len(found) == 64 and found.size == 64 and list(found.index["split"]) == list(frames.index["split"])
    (kept,) = folder("data").glob("gan_*_64px")
    again = prepare(kept)
    assert again.fingerprint() == found.fingerprint()
    np.savez(
        tmp_path / "hc18.npz",
        train_images=np.stack([picture(i) for i in range(5)]),
        train_masks=np.ones((5, 32, 32), np.uint8),
        train_ids=np.array([f"{i:03d}_HC" for i in range(5)]),
    )
    heads = prepare(tmp_path / "hc18.npz", size=64)
    assert heads.kind == "HC18" and heads.masks.min() == 1 and set(heads.index["split"]) == {"TRAIN", "VAL", "TEST"}
