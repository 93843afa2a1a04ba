"""Folders of low and high quality into one set; the truth stays where training cannot see it."""

import cv2
import numpy as np
import pandas as pd
import pytest

from echogan.data import frames as frames_module
from echogan.data.frames import load_frames
from echogan.data.images import write_png
from echogan.data.phantom.quality import write_quality
from echogan.data.truth import load_truth
from echogan.errors import BadInput
from echogan.preprocessing.domains import prepare_domains
from tests.conftest import blobs
from tests.preprocessing.pictures import jpeg


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("quality") / "study"
    write_quality(root, 6, seed=3, stills=2, size=128, workers=1)
    return root


@pytest.fixture
def folders(tmp_path):
    """trainA ... testB as they are found everywhere: nothing but pictures, three of each of five patients."""
    pictures = iter(blobs(120))
    for part, patients in (("train", range(5)), ("test", range(5, 8))):
        for domain in "AB":
            for patient in patients:
                for i in range(3):
                    write_png(tmp_path / f"{part}{domain}" / f"s{patient}_f{i}.png", next(pictures))
    return tmp_path


def test_a_phantom_s_domains_become_one_set(study, tmp_path):
    summary = prepare_domains(study, tmp_path / "frames", size=64)
    frames = load_frames(tmp_path / "frames")
    assert summary.domains == {"A": 6, "B": 6} and summary.patients == 6 and frames.kind == "synthetic phantom"
    assert frames.images.shape == frames.masks.shape == (12, 64, 64)
    assert frames.index["domain"].value_counts().to_dict() == {"A": 6, "B": 6}
    assert set(frames.domain("A").index["patient"]).isdisjoint(frames.domain("B").index["patient"])
    assert {(s, d) for s, d in zip(frames.index["split"], frames.index["domain"])} == {
        (s, d) for s in ("TRAIN", "VAL", "TEST") for d in "AB"
    }
    row = frames.index.iloc[0]
    source = cv2.imread(str(study / row["file"].replace("_", "/", 1)), 0)
    np.testing.assert_array_equal(frames.images[0], cv2.resize(source, (64, 64), interpolation=cv2.INTER_AREA))
    assert set(frames.index["phase"]) == {"diastole", "systole"} and set(frames.index["quality"]) == {"Poor", "Good"}


def test_training_frames_never_open_the_truth_and_judges_do(study, tmp_path, monkeypatch):
    prepare_domains(study, tmp_path / "frames", size=128)
    opened = []
    real = frames_module.read_png
    monkeypatch.setattr(frames_module, "read_png", lambda path: opened.append(path) or real(path))
    part = load_frames(tmp_path / "frames").split("TEST").domain("A")
    assert opened and not any("truth" in str(path) for path in opened)
    truth = load_truth(tmp_path / "frames", part)
    assert truth.shape == part.images.shape
    for name, image in zip(part.index["file"], truth):
        np.testing.assert_array_equal(image, cv2.imread(str(study / "truth" / name.replace("_", "/", 1)), 0))


def test_a_set_of_frames_is_the_same_with_and_without_its_truth(study, tmp_path):
    prepare_domains(study, tmp_path / "a", size=64)
    before = load_frames(tmp_path / "a").fingerprint()
    for file in (tmp_path / "a" / "truth").iterdir():
        file.unlink()
    assert load_frames(tmp_path / "a").fingerprint() == before
    with pytest.raises(BadInput, match="is missing or not an image"):
        load_truth(tmp_path / "a", load_frames(tmp_path / "a"))
    (tmp_path / "a" / "truth").rmdir()
    with pytest.raises(BadInput, match="has no truth; make one with"):
        load_truth(tmp_path / "a", load_frames(tmp_path / "a"))


def test_plain_folders_give_a_tenth_of_the_training_patients_to_val(folders, tmp_path):
    summary = prepare_domains(folders, tmp_path / "out", size=64)
    frames = load_frames(tmp_path / "out")
    assert summary.images == 48 and frames.masks is None and not (tmp_path / "out" / "truth").exists()
    assert set(frames.index["split"]) == {"TRAIN", "VAL", "TEST"}
    assert frames.index.groupby("patient")["split"].nunique().max() == 1
    assert set(frames.index["patient"]) == {f"s{i}" for i in range(8)}, "a patient may be in A and in B"
    assert summary.warnings[0].endswith("8 patients, by file names, up to _f<number>") and len(summary.warnings) == 2


def put(root, *files):
    """Pictures, each unlike the others, in the folders of the domains."""
    for file, image in zip(files, blobs(len(files))):
        write_png(root / file, image)
    return root


FOLDERS = ("trainA", "trainB", "testA", "testB")


def test_a_name_in_train_and_in_test_is_a_patient_torn_apart(tmp_path):
    put(tmp_path / "in", *(f"{folder}/patient{i:04d}.png" for folder in FOLDERS for i in range(3)))
    with pytest.raises(
        BadInput, match=r"3 patients of .* are in two splits by their names \(patient0000, .*index\.csv"
    ):
        prepare_domains(tmp_path / "in", tmp_path / "out", size=64)


@pytest.mark.parametrize("name", ["{:04d}", "{}_{}", "img_{}-low"])
def test_mere_numbers_name_nobody_but_a_pair_of_one_split_stays_together(tmp_path, name):
    put(tmp_path / "in", *(f"{folder}/{name.format(i, folder[-1])}.png" for folder in FOLDERS for i in range(12)))
    summary = prepare_domains(tmp_path / "in", tmp_path / "out", size=64)
    index = load_frames(tmp_path / "out").index
    assert "12 names are in two splits; they are numbers" in summary.warnings[1]
    assert set(index["split"]) == {"TRAIN", "VAL", "TEST"} and index["patient"].nunique() == 24
    assert (index.groupby("patient")["domain"].nunique() == 2).all()


def test_two_pictures_that_would_become_one_file_are_refused(tmp_path):
    put(tmp_path / "in", *(f"{folder}/{folder}0.png" for folder in FOLDERS))
    (tmp_path / "in" / "trainA" / "trainA0.jpg").write_bytes(jpeg(blobs(9)[8]))
    with pytest.raises(BadInput, match=r"two files of .* would be called trainA_trainA0\.png; rename one"):
        prepare_domains(tmp_path / "in", tmp_path / "out", size=64)


@pytest.mark.parametrize(
    "part, said",
    [("trainA", "has no folder trainA"), ("trainB", "trainB holds no pictures"), ("testA", "testA holds no pictures")],
)
def test_a_folder_that_is_missing_or_empty_is_named(folders, tmp_path, part, said):
    for file in (folders / part).iterdir():
        file.unlink()
    (folders / part).rmdir()
    with pytest.raises(BadInput, match=said):
        prepare_domains(folders, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_picture_in_two_splits_is_listed(folders, tmp_path):
    (folders / "testB" / "s5_f0.png").write_bytes((folders / "trainA" / "s0_f0.png").read_bytes())
    with pytest.raises(BadInput, match=r"1 pictures of .* are in two splits; remove one of each: train.*"):
        prepare_domains(folders, tmp_path / "out")


def test_a_patient_in_two_splits_is_listed(folders, tmp_path):
    lines = ["file,patient"] + [
        f"{p.parent.name}/{p.name},{p.name[:2] if p.name[1] != '5' else 's0'}" for p in sorted(folders.glob("*/*.png"))
    ]
    (folders / "index.csv").write_text("\n".join(lines))
    with pytest.raises(BadInput, match=r"1 patients are in two splits; .*s0 \(TEST, TRAIN\)|s0 \(.*\)"):
        prepare_domains(folders, tmp_path / "out")


def test_an_index_that_does_not_fit_is_refused(folders, tmp_path):
    (folders / "index.csv").write_text("file,patient\ntrainA/s0_f0.png,s0\n")
    with pytest.raises(BadInput, match=r"index\.csv does not list trainA/s0_f1\.png"):
        prepare_domains(folders, tmp_path / "out")
    (folders / "index.csv").write_text("name\nx\n")
    with pytest.raises(BadInput, match=r"index\.csv is not a table with a column `file`"):
        prepare_domains(folders, tmp_path / "out")


def test_the_size_of_a_pixel_is_read_in_millimetres(folders, tmp_path):
    files = [
        f"{part}/{file.name}" for part in ("trainA", "trainB", "testA", "testB") for file in (folders / part).iterdir()
    ]
    index = folders / "index.csv"
    index.write_text("file,patient,spacing_mm\n" + "".join(f"{name},{name[-8:-7]},0.4\n" for name in files))
    high = max(cv2.imread(str(folders / files[0])).shape)
    prepare_domains(folders, tmp_path / "out", size=64)
    assert pd.read_csv(tmp_path / "out/index.csv")["spacing_mm"].to_numpy() == pytest.approx(0.4 * high / 64)
    index.write_text(index.read_text().replace("0.4", "0.4 mm", 1))
    with pytest.raises(BadInput, match=r"index\.csv has the spacing_mm '0\.4 mm'; write millimetres per pixel"):
        prepare_domains(folders, tmp_path / "again")
    assert not (tmp_path / "again").exists()


def test_masks_and_truth_must_be_whole_and_of_the_same_size(study, tmp_path):
    import shutil

    copy = tmp_path / "study"
    shutil.copytree(study, copy)
    name = next((copy / "trainA").iterdir()).name
    write_png(copy / "masks" / "trainA" / name, np.zeros((9, 9), np.uint8))
    with pytest.raises(BadInput, match=r"is \(9, 9\) pixels large, its picture \(128, 128\)"):
        prepare_domains(copy, tmp_path / "out")
    (copy / "masks" / "trainA" / name).unlink()
    with pytest.raises(BadInput, match=rf"{name} is missing; restore it"):
        prepare_domains(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()
