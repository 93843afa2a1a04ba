"""CAMUS into frames: proportions, exact labels, splits by patient, domains, and the subset under its own names."""

import cv2
import h5py
import numpy as np
import pandas as pd
import pytest

from echogan.data.camus.study import open_camus
from echogan.data.camus.subset import write_subset
from echogan.data.frames import load_frames
from echogan.data.phantom.camus import camus_sector, squeezed, write_camus_hdf5
from echogan.errors import BadInput
from echogan.preprocessing.camus import LABELS, prepare_camus, sector_of, upright
from tests.data.camus_studies import (
    fan,
    half_cycle,
    mask,
    picture,
    write_hdf5,
    write_info,
    write_mhd_release,
    write_nifti_release,
)
from tests.data.studies import files_of_at_most


@pytest.fixture
def release(tmp_path):
    return write_nifti_release(tmp_path / "study")


def test_a_release_becomes_frames_with_masks(release, tmp_path):
    heard = []
    summary = prepare_camus(release, tmp_path / "frames", size=64, callback=lambda *args: heard.append(args))
    frames = load_frames(tmp_path / "frames")
    assert (summary.patients, summary.images, summary.kind) == (3, 12, "CAMUS") and heard == [
        (i, 6) for i in range(1, 7)
    ]
    assert frames.images.shape == frames.masks.shape == (12, 64, 64) and frames.labels == LABELS
    assert list(frames.index["file"][:2]) == ["patient0001_2CH_ED.png", "patient0001_2CH_ES.png"]
    assert list(frames.index["phase"][:2]) == ["diastole", "systole"] and set(frames.index["view"]) == {"2CH", "4CH"}
    assert frames.index.groupby("patient")["split"].unique().map(list).to_dict() == {
        "patient0001": ["TRAIN"], "patient0002": ["VAL"], "patient0003": ["TEST"]}  # fmt: skip
    assert (frames.index["EF"] == 55).all() and frames.index["quality"].value_counts().to_dict() == {
        "Good": 10,
        "Poor": 2,
    }
    assert frames.index["spacing_mm"].to_numpy() == pytest.approx(60 * 0.7 / 64)


def test_labels_are_those_of_the_data_set_and_the_background_of_the_fan(release, tmp_path):
    prepare_camus(release, tmp_path / "frames", size=64)
    frames = load_frames(tmp_path / "frames")
    truth = np.zeros((60, 60), np.uint8)
    truth[:, 5:55] = np.where((mask(0) == 0) & fan(), 4, mask(0))  # 60 x 50 in the middle of a square
    place = np.floor((np.arange(64) + 0.5) * 60 / 64).astype(int)
    assert (frames.masks[0] == truth[np.ix_(place, place)]).mean() > 0.98
    anatomy = np.isin(truth[np.ix_(place, place)], (1, 2, 3))
    np.testing.assert_array_equal(frames.masks[0][anatomy], truth[np.ix_(place, place)][anatomy])
    near = cv2.dilate(
        (frames.masks.max(0) > 0).astype(np.uint8), np.ones((5, 5), np.uint8)
    )  # resizing spreads a little
    assert not frames.images[:, near == 0].any()


def test_flat_pixels_become_square(release, tmp_path):
    flat = write_nifti_release(tmp_path / "flat", spacing=(0.35, 0.7))  # half as high: the picture is 21 x 35 mm
    prepare_camus(flat, tmp_path / "frames", size=64)
    frames = load_frames(tmp_path / "frames")
    rows, columns = (np.flatnonzero((frames.masks[0] > 0).any(axis)) for axis in (1, 0))
    wide, high = np.ptp(np.flatnonzero(fan().any(0))) + 1, np.ptp(np.flatnonzero(fan().any(1))) + 1
    assert (np.ptp(columns) + 1) / (np.ptp(rows) + 1) == pytest.approx(2 * wide / high, rel=0.06)
    assert frames.index["spacing_mm"][0] == pytest.approx(50 * 0.7 / 64)


def test_every_frame_of_the_half_cycle(release, tmp_path):
    prepare_camus(release, tmp_path / "frames", size=64, every=True)
    index = load_frames(tmp_path / "frames").index
    assert len(index) == 30
    assert list(index["phase"][:5]) == ["diastole", "other", "other", "other", "systole"]
    assert list(index["file"][:3]) == ["patient0001_2CH_ED.png", "patient0001_2CH_001.png", "patient0001_2CH_002.png"]


def test_grades_become_domains(release, tmp_path):
    write_info(release / "database_nifti/patient0002/Info_2CH.cfg", quality="Medium")
    for low, counts in (("Poor", {"A": 2, "B": 8}), ("Poor+Medium", {"A": 4, "B": 8})):
        summary = prepare_camus(release, tmp_path / low, size=64, low=low)
        frames = load_frames(tmp_path / low)
        assert summary.domains == counts == frames.index["domain"].value_counts().to_dict() and len(frames) == 12
        assert set(frames.domain("A").index["quality"]) == set(low.split("+"))
        assert set(frames.domain("B").index["quality"]) == {"Good"}
        assert frames.manifest["domains"]["A"] == {
            "patients": counts["A"] // 2,
            "views": {"2CH": counts["A"]},
            "EF_mean": 55,
        }


def test_low_grades_that_are_none_or_not_there(release, tmp_path):
    for low, said in (
        ("Por", "low cannot be 'Por'; did you mean 'Poor'"),
        ("Good", "low cannot be 'Good'"),
        ("Medium", "no view graded Medium"),
    ):
        with pytest.raises(BadInput, match=said):
            prepare_camus(release, tmp_path / "frames", low=low)
        assert not (tmp_path / "frames").exists()


def test_without_lists_patients_are_split_by_a_seed(tmp_path):
    prepare_camus(write_mhd_release(tmp_path / "study"), tmp_path / "frames", size=64)
    frames = load_frames(tmp_path / "frames")
    assert set(frames.index["split"]) == {"TRAIN", "VAL", "TEST"}
    assert frames.index.groupby("patient")["split"].nunique().max() == 1
    assert frames.manifest["splits"] == "80/10/10 by seed 0" and "seed 0" in frames.manifest["warnings"][0]


def test_a_picture_in_two_splits_is_an_error_that_lists_it(release, tmp_path):
    for kind in ("", "_gt"):
        name = "patient{}_4CH_ED{}.nii.gz"
        source = release / "database_nifti/patient0001" / name.format("0001", kind)
        (release / "database_nifti/patient0003" / name.format("0003", kind)).write_bytes(source.read_bytes())
    with pytest.raises(BadInput, match=r"patient0001_4CH_ED\.png \(TRAIN\) = patient0003_4CH_ED\.png \(TEST\)"):
        prepare_camus(release, tmp_path / "frames", size=64)
    assert not (tmp_path / "frames").exists()


def test_bad_input_leaves_nothing_behind(release, tmp_path):
    (release / "database_nifti/patient0002/patient0002_4CH_ES_gt.nii.gz").write_bytes(b"broken")
    with pytest.raises(BadInput, match=r"patient0002_4CH_ES_gt\.nii\.gz is no readable NIfTI"):
        prepare_camus(release, tmp_path / "frames")
    with pytest.raises(BadInput, match="leave out one"):
        prepare_camus(release, tmp_path / "frames", subset=True, every=True)
    with pytest.raises(BadInput, match="size must be one of"):
        prepare_camus(release, tmp_path / "frames", size=100)
    assert [p.name for p in tmp_path.iterdir()] == ["study"]


# ------------------------------------------------------------------------------------------------ the subset


@pytest.mark.parametrize("size", [128, 256])
def test_the_subset_has_its_own_files_and_keys(release, tmp_path, size):
    prepare_camus(release, tmp_path / "frames", size=size, subset=True)
    frames, place = load_frames(tmp_path / "frames"), tmp_path / "frames" / "hdf5"
    assert list(frames.index["file"]) == [f"patient000{i}_4CH_ED.png" for i in (1, 2, 3)]
    assert sorted(p.name for p in place.iterdir()) == sorted(
        f"{prefix}{group}_4CH_FD.hdf5" for prefix in ("", "anno_") for group in ("train", "test", "valid")
    )
    with h5py.File(place / "train_4CH_FD.hdf5") as file:
        assert list(file) == ["patient0001_4CH_im_channel0"]
        image = file["patient0001_4CH_im_channel0"][()]
    with h5py.File(place / "anno_train_4CH_FD.hdf5") as file:
        annotation = file["patient0001_4CH_gt_channel0"][()]
    assert image.shape == (size, size, 1) and image.dtype == np.float32
    np.testing.assert_array_equal(np.rint(image[..., 0] * 255), frames.images[0])
    np.testing.assert_array_equal(annotation, np.where(frames.masks[0] == 4, 0, frames.masks[0]))


def test_the_subset_read_again_gives_the_same_frames(release, tmp_path):
    prepare_camus(release, tmp_path / "once", size=128, subset=True)
    prepare_camus(tmp_path / "once" / "hdf5", tmp_path / "twice", size=128)
    once, twice = load_frames(tmp_path / "once"), load_frames(tmp_path / "twice")
    np.testing.assert_array_equal(once.images, twice.images)
    np.testing.assert_array_equal(once.masks % 4, twice.masks % 4)  # anatomy; 4 is found anew
    assert (once.masks == twice.masks).mean() > 0.95
    assert list(once.index["split"]) == list(twice.index["split"])


def test_a_full_disk_under_the_subset_is_one_sentence(release, tmp_path):
    """And not the end of the program, to which HDF5 comes where its own file cannot be closed."""
    prepare_camus(release, tmp_path / "frames", size=128, subset=True)
    again, whole = tmp_path / "again", next((tmp_path / "frames" / "hdf5").glob("train*")).stat().st_size
    with files_of_at_most(whole // 2), pytest.raises(BadInput, match=r"cannot write .*train_4CH_FD.hdf5: .*free some"):
        write_subset(again, load_frames(tmp_path / "frames"))
    assert list(again.iterdir()) == []


def test_a_data_set_of_another_view_has_no_subset(tmp_path):
    path = write_hdf5(tmp_path / "x.hdf5")
    with h5py.File(path, "a") as file:
        for group, number in (("train", 1), ("valid", 2), ("test", 3)):
            del file[f"{group}/patient000{number}/4CH"]
    with pytest.raises(BadInput, match="has no four-chamber views"):
        prepare_camus(path, tmp_path / "frames", subset=True)


# ------------------------------------------------------------------------------------------------ geometry


def test_the_sector_of_lit_pixels():
    pixels, _ = half_cycle(1)
    found = sector_of(pixels)
    assert (found & fan()).sum() / (found | fan()).sum() > 0.95
    assert not sector_of(np.zeros_like(pixels)).any()


def test_a_dark_side_of_the_sector_is_found_by_the_other():
    dark = picture(mask(0))
    dark[:, 34:] = 0
    found = sector_of(dark[None])
    assert (found & fan()).sum() / (found | fan()).sum() > 0.9


def test_masks_follow_their_pictures():
    """A bright square of label 1 stays under its label whatever the spacing and the size."""
    image = np.zeros((90, 70), np.uint8)
    image[30:60, 20:50] = 255
    for spacing in (None, (0.3, 0.3), (0.154, 0.308)):
        for size in (64, 128, 256):
            small = upright(image, spacing, size)
            label = upright(image // 255, spacing, size, cv2.INTER_NEAREST_EXACT)
            assert ((small > 127) == (label == 1)).mean() > 0.985


def test_masks_of_the_phantom_stay_exact(tmp_path):
    """Labels drawn at 256 px go through unchanged; resized ones differ from labels drawn at that size at borders only."""
    write_camus_hdf5(tmp_path / "study", 3, seed=6, workers=1)
    prepare_camus(tmp_path / "study", tmp_path / "frames", size=256)
    frames = load_frames(tmp_path / "frames")
    drawn = {v.name: v.read() for v in open_camus(tmp_path / "study").views}
    for row, found in zip(frames.index.itertuples(), frames.masks):
        mask = drawn[row.video].masks[row.frame]
        np.testing.assert_array_equal(np.where(found == 4, 0, found), mask)
    assert pd.notna(frames.index["EF"]).all() and frames.kind == "synthetic phantom"
    half = load_frames(prepare_camus(tmp_path / "study", tmp_path / "half", size=128).folder)
    assert np.count_nonzero(half.masks == 1) * 4 == pytest.approx(np.count_nonzero(frames.masks == 1), rel=0.01)
    inside = squeezed(camus_sector(15.0), 256).mask()
    assert ((frames.masks[0] > 0) & inside).sum() / ((frames.masks[0] > 0) | inside).sum() > 0.93
