"""HC18 in its published layout and packed: head masks from outlines, exams kept together."""

import re

import cv2
import numpy as np
import pytest

from echogan.data import hc18
from echogan.data.frames import load_frames
from echogan.errors import BadInput
from echogan.preprocessing.extract import extract
from tests.preprocessing.pictures import picture, png, write, zipped

ELLIPSE = (150, 90), (80, 50), 20  # centre, half axes, degrees


def inside(shape=(180, 270), centre=ELLIPSE[0], axes=ELLIPSE[1], degrees=ELLIPSE[2]):
    """True inside the ellipse, by its equation."""
    y, x = np.mgrid[: shape[0], : shape[1]]
    angle = np.deg2rad(degrees)
    u = (x - centre[0]) * np.cos(angle) + (y - centre[1]) * np.sin(angle)
    v = (y - centre[1]) * np.cos(angle) - (x - centre[0]) * np.sin(angle)
    return (u / axes[0]) ** 2 + (v / axes[1]) ** 2 <= 1


def outline(shape=(180, 270), centre=ELLIPSE[0], axes=ELLIPSE[1], degrees=ELLIPSE[2]):
    return cv2.ellipse(np.zeros(shape, np.uint8), centre, axes, degrees, 0, 360, 255, 1)


def overlap(a, b):
    return (a & b).sum() / (a | b).sum()


@pytest.mark.parametrize("centre", [(150, 90), (190, 90), (20, 90)])
def test_the_mask_is_the_ellipse_inside_the_frame(centre):
    """Also where the head, and so its outline, leaves the frame."""
    mask = hc18.filled(outline(centre=centre), "a")
    assert set(np.unique(mask)) == {0, 1} and overlap(mask > 0, inside(centre=centre)) > 0.95


def published(folder, exams=10):
    """Frames and outlines of some exams, the first of which has two frames; and one frame of the test set."""
    files = {"test_set/000_HC.png": png(picture(99, (180, 270)))}
    for name in ["000_2HC", *(f"{i:03d}_HC" for i in range(exams))]:
        files[f"training_set/{name}.png"] = png(picture(len(files), (180, 270)))
        files[f"training_set/{name}_Annotation.png"] = png(outline())
    return files


@pytest.mark.parametrize("place", ["folder", "zip"])
def test_the_published_layout_becomes_labelled_frames(tmp_path, place):
    files = published(tmp_path)
    source = write(tmp_path / "HC18", files) if place == "folder" else zipped(tmp_path / "HC18.zip", files)
    summary = extract(source, tmp_path / "out", size=64, workers=1)
    found = load_frames(tmp_path / "out")
    assert found.kind == "HC18" and found.labels == {"background": 0, "head": 1} and len(found) == 11
    assert summary.warnings[-1] == "the published test frames have no outline and are left out"
    assert "Real ultrasound of fetal heads, no echocardiograms" in (tmp_path / "out" / "data_card.md").read_text()
    assert found.index.groupby("patient")["split"].nunique().max() == 1
    assert set(found.index.loc[found.index["patient"] == "000", "file"]) == {"000_HC.png", "000_2HC.png"}
    square = np.zeros((270, 270), bool)
    square[45:225] = inside()
    expected = cv2.resize(square.astype(np.uint8), (64, 64), interpolation=cv2.INTER_NEAREST) > 0
    assert all(overlap(mask > 0, expected) > 0.93 for mask in found.masks)


def packed(path, **changed):
    images = np.stack([picture(i) for i in range(8)])
    arrays = {
        "train_images": images,
        "train_masks": (images > 128).astype(np.uint8),
        "train_ids": np.array(["000_HC", "000_2HC", *(f"{i:03d}_HC" for i in range(1, 7))]),
        "test_images": images[:2],
        "test_ids": np.array(["000_HC", "001_HC"]),
    }
    np.savez_compressed(path, **{name: a for name, a in {**arrays, **changed}.items() if a is not None})
    return arrays


def test_the_packed_file_becomes_the_same_kind_of_frames(tmp_path):
    arrays = packed(tmp_path / "hc18.npz")
    extract(tmp_path / "hc18.npz", tmp_path / "out", size=64, workers=1)
    found = load_frames(tmp_path / "out")
    assert list(found.index["video"]) == list(arrays["train_ids"]) and found.kind == "HC18"
    assert set(found.index["split"]) == {"TRAIN", "VAL", "TEST"}
    assert found.index.groupby("patient")["split"].nunique().max() == 1
    for mask, expected in zip(found.masks, arrays["train_masks"]):
        np.testing.assert_array_equal(mask, np.kron(expected, np.ones((2, 2), np.uint8)))


def test_at_its_own_size_the_packed_file_is_not_resampled(tmp_path):
    arrays = packed(tmp_path / "hc18.npz", **{
        "train_images": np.stack([picture(i, (64, 64)) for i in range(8)]),
        "train_masks": np.ones((8, 64, 64), np.uint8),
    })  # fmt: skip
    extract(tmp_path / "hc18.npz", tmp_path / "out", size=64, workers=1)
    np.testing.assert_array_equal(
        load_frames(tmp_path / "out").images, np.stack([picture(i, (64, 64)) for i in range(8)])
    )
    assert len(arrays["train_ids"]) == 8


@pytest.mark.parametrize(
    "changed, sentence",
    [
        ({"train_masks": None}, "is no HC18 archive"),
        ({"train_ids": np.array(["000_HC"] * 8)}, "ids twice"),
        ({"train_ids": np.array([f"../{i}" for i in range(8)])}, "ids such as ['../0']"),
        ({"train_ids": np.array([object()] * 8)}, "is no HC18 archive"),
        ({"train_masks": np.full((8, 32, 32), 2, np.uint8)}, "masks beyond 0 and 1"),
        ({"train_images": np.zeros((8, 32, 31), np.uint8)}, "arrays that do not fit each other"),
        ({"train_images": np.zeros((8, 32, 32), float)}, "arrays that do not fit each other"),
    ],
)
def test_a_packed_file_that_cannot_be_used_is_one_sentence(tmp_path, changed, sentence):
    packed(tmp_path / "hc18.npz", **changed)
    with pytest.raises(BadInput, match=re.escape(sentence)):
        extract(tmp_path / "hc18.npz", tmp_path / "out", size=64, workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["hc18.npz"]


def test_outlines_that_cannot_be_used_are_named(tmp_path):
    files = published(tmp_path, exams=3)
    files["training_set/001_HC_Annotation.png"] = png(np.zeros((180, 270), np.uint8))
    files["training_set/002_HC_Annotation.png"] = png(outline()[:90])
    summary = extract(write(tmp_path / "HC18", files), tmp_path / "out", size=64, workers=1)
    assert [name for name, _ in summary.skipped] == ["001_HC", "002_HC"]
    assert "shows no outline" in summary.skipped[0][1] and "not of the size of its frame" in summary.skipped[1][1]
