"""`FrameSet` and its folder: masks, domains, classes, and a fingerprint that older sets keep."""

import hashlib
import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from echogan.data.frames import COLUMNS, load_frames, save_index
from echogan.data.images import write_png
from echogan.errors import BadInput

LABELS = {"outside": 0, "left ventricle": 1, "inside": 4}


@pytest.fixture
def labelled(frames):
    """The frames of `conftest` with masks, grades, domains and ejection fractions."""
    rng = np.random.default_rng(0)
    masks = rng.choice(np.array([0, 1, 4], np.uint8), frames.images.shape)
    index = frames.index.assign(
        view="4CH", phase=["diastole", "systole"] * 32, EF=np.repeat([35, 40, 49.9, 50], 16),
        quality=["Poor", "Good"] * 32, domain=["A", "B"] * 32, spacing_mm=0.5,
    )  # fmt: skip
    return replace(frames, index=index, masks=masks, labels=LABELS)


def write(folder, frames):
    for kind, pictures in (("images", frames.images), ("masks", frames.masks)):
        if pictures is not None:
            for name, picture in zip(frames.index["file"], pictures):
                write_png(folder / kind / name, picture)
    save_index(folder, frames.index, frames.manifest, frames.labels)
    return folder


def test_a_set_with_masks_comes_back_whole(labelled, tmp_path):
    read = load_frames(write(tmp_path, labelled))
    np.testing.assert_array_equal(read.images, labelled.images)
    np.testing.assert_array_equal(read.masks, labelled.masks)
    assert read.labels == LABELS and read.fingerprint() == labelled.fingerprint()
    assert list(read.index["domain"][:2]) == ["A", "B"] and (read.index["spacing_mm"] == 0.5).all()


def test_a_set_without_masks_comes_back_without(frames, tmp_path):
    read = load_frames(write(tmp_path, frames))
    assert read.masks is None and read.labels is None and tuple(read.index.columns) == COLUMNS
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "index.csv", "manifest.json"]


def test_rows_may_be_tuples_of_the_first_columns(tmp_path):
    row = ("a.png", "a", "a", "TRAIN", "4CH", "first", 0, 55.0, None, None)
    save_index(tmp_path, [row], {})
    assert (tmp_path / "index.csv").read_text().splitlines() == [
        ",".join(COLUMNS),
        "a.png,a,a,TRAIN,4CH,first,0,55.0,,",
    ]
    save_index(tmp_path, [(*row, "A", 0.5)], {})
    assert (tmp_path / "index.csv").read_text().splitlines()[1].endswith(",A,0.5")


def test_the_fingerprint_of_a_set_without_masks_is_of_names_splits_and_pixels(frames):
    digest = hashlib.sha256(str(frames.images.shape).encode())
    for name, split in zip(frames.index["file"], frames.index["split"]):
        digest.update(f"{name}\0{split}\0".encode())
    digest.update(frames.images.tobytes())
    assert frames.fingerprint() == digest.hexdigest()[:16]


def test_masks_and_their_names_are_in_the_fingerprint(labelled):
    other = labelled.masks.copy()
    other[0, 0, 0] ^= 1
    prints = {
        x.fingerprint()
        for x in (labelled, replace(labelled, masks=other), replace(labelled, labels=LABELS | {"wall": 2}),
                  replace(labelled, masks=None, labels=None))
    }  # fmt: skip
    assert len(prints) == 4


def test_masks_go_where_their_images_go(labelled):
    part = labelled.split("VAL")
    np.testing.assert_array_equal(part.masks, labelled.masks[48:56])
    np.testing.assert_array_equal(part.domain("B").masks, labelled.masks[49:56:2])
    assert part.labels == LABELS


def test_a_domain_that_is_not_there_is_said(labelled, frames):
    with pytest.raises(BadInput, match="the frames have no domain C"):
        labelled.domain("C")
    with pytest.raises(BadInput, match="no domain A; make them with `echogan camus --low`"):
        frames.domain("A")


# ------------------------------------------------------------------------------------------------ classes


def test_classes_of_one_condition(labelled):
    names, codes = labelled.classes("phase")
    assert names == ("diastole", "systole") and codes.dtype == np.int64
    assert codes.tolist() == [0, 1] * 32


def test_bins_of_the_ejection_fraction_and_their_borders(labelled):
    names, codes = labelled.classes("ef")
    assert names == ("reduced", "mildly reduced", "normal")
    assert codes[::16].tolist() == [0, 0, 1, 2]  # 35, 40, 49.9, 50 %: "<= 40" and ">= 50" in the guideline's table 3


def test_joined_conditions_are_the_pairs_that_occur(labelled):
    names, codes = labelled.classes("phase+ef")
    assert len(names) == 6 and names[:2] == ("diastole+reduced", "diastole+mildly reduced")
    for name, code in zip(names, range(6)):
        phase, ef = name.split("+")
        rows = labelled.index[codes == code]
        assert (rows["phase"] == phase).all() and len(rows)
        assert rows["EF"].between(*{"reduced": (0, 40), "mildly reduced": (40.1, 49.9), "normal": (50, 99)}[ef]).all()


def test_another_split_is_numbered_like_the_training_frames(labelled):
    names, _ = labelled.split("TRAIN").classes("phase+ef", ("x", *labelled.classes("phase+ef")[0]))
    _, codes = labelled.split("TEST").classes("phase+ef", names)
    assert {names[code] for code in codes} == {"diastole+normal", "systole+normal"}
    with pytest.raises(BadInput, match="the frames have the phase 'diastole'"):
        labelled.classes("phase", ("systole",))


@pytest.mark.parametrize("condition, column", [("ef", "EF"), ("phase+quality", "quality"), ("domain", "domain")])
def test_a_condition_without_labels_names_its_column(labelled, condition, column):
    index = labelled.index.drop(columns="domain").assign(EF=np.nan, quality=None)
    with pytest.raises(BadInput, match=f"the column {column} of the frames' index.csv has no label in 64 of 64 rows"):
        replace(labelled, index=index).classes(condition)


def test_an_unknown_condition_is_answered_with_the_nearest(labelled):
    with pytest.raises(BadInput, match="no condition is called 'phas'; did you mean 'phase'"):
        labelled.classes("phas+ef")


# ------------------------------------------------------------------------------------------------ what is refused


def test_wrong_masks_are_named(labelled, tmp_path):
    write(tmp_path, labelled)
    name = labelled.index["file"][3]
    write_png(tmp_path / "masks" / name, np.full((32, 32), 9, np.uint8))
    with pytest.raises(BadInput, match=f"{name} has the label 9, which labels.json does not name"):
        load_frames(tmp_path)
    write_png(tmp_path / "masks" / name, np.zeros((16, 16), np.uint8))
    with pytest.raises(BadInput, match="masks must be of one size"):
        load_frames(tmp_path)
    (tmp_path / "masks" / name).unlink()
    with pytest.raises(BadInput, match=f"{name} is missing"):
        load_frames(tmp_path)


def test_masks_of_another_size_than_the_images(labelled, tmp_path):
    halved = np.stack([cv2.resize(m, (16, 16), interpolation=cv2.INTER_NEAREST) for m in labelled.masks])
    with pytest.raises(BadInput, match="not of the size of the images"):
        load_frames(write(tmp_path, replace(labelled, masks=halved)))


def test_pictures_are_found_by_names_that_opencv_cannot_open(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(cv2, "imread", lambda *words: None)  # as on a Windows whose code page lacks a letter
    write(tmp_path / "Größe 心", frames)
    np.testing.assert_array_equal(load_frames(tmp_path / "Größe 心").images, frames.images)


def test_loading_takes_no_second_copy_of_the_pictures(frames, tmp_path):
    write(tmp_path, replace(frames, images=np.zeros((64, 256, 256), np.uint8)))
    tracemalloc.start()
    found = load_frames(tmp_path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1.5 * found.images.nbytes


def test_a_row_without_a_file_is_named(frames, tmp_path):
    write(tmp_path, frames)
    text = (tmp_path / "index.csv").read_text().splitlines()
    text[2] = text[2][text[2].index(",") :]
    (tmp_path / "index.csv").write_text("\n".join(text))
    with pytest.raises(BadInput, match=r"index\.csv names no file in line 3; write it there, or remove the line"):
        load_frames(tmp_path)


@pytest.mark.parametrize("who", ["NA", "None", "nan"])
def test_initials_that_tables_read_as_nothing_are_a_patient(frames, tmp_path, who):
    write(tmp_path, frames)
    table = pd.read_csv(tmp_path / "index.csv")
    table["patient"] = table["patient"].replace("p0", who)
    table.to_csv(tmp_path / "index.csv", index=False)
    found = load_frames(tmp_path).index
    assert (found["patient"] == who).sum() == (frames.index["patient"] == "p0").sum() > 0
    assert found["EF"].dtype == frames.index["EF"].dtype and found["EF"].isna().sum() == frames.index["EF"].isna().sum()


def test_a_row_without_a_patient_is_named(frames, tmp_path):
    write(tmp_path, frames)
    table = pd.read_csv(tmp_path / "index.csv")
    table.loc[1, "patient"] = ""
    table.to_csv(tmp_path / "index.csv", index=False)
    with pytest.raises(BadInput, match=r"index\.csv names no patient in line 3; write it there, or remove the line"):
        load_frames(tmp_path)


def test_a_patient_in_two_splits_is_listed(frames, tmp_path):
    write(tmp_path, frames)
    table = pd.read_csv(tmp_path / "index.csv")
    table.loc[48:49, "patient"] = "p0"
    table.to_csv(tmp_path / "index.csv", index=False)
    with pytest.raises(BadInput, match=r"index\.csv has patients in more than one split: p0; give each to one split"):
        load_frames(tmp_path)


@pytest.mark.parametrize("patients, who", [(1, "one patient"), (2, "2 patients")])
def test_frames_of_too_few_patients_for_three_splits_ask_for_recordings_of_others(frames, patients, who):
    few = frames.where(np.arange(len(frames)) < 2 * patients)  # two of each
    with pytest.raises(BadInput, match=f"no VAL split: they are of {who}, .* give recordings of many patients"):
        few.split("VAL")
    with pytest.raises(BadInput, match=r"no VAL split; extract again, or give their index\.csv a VAL row"):
        frames.where(frames.index["split"] != "VAL").split("VAL")
