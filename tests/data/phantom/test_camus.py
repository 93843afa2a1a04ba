"""The phantom in CAMUS's layouts: read back as it was made, exact masks, every trap of the real data present."""

import csv
import json
import shutil
from types import SimpleNamespace

import h5py
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.ndimage import binary_fill_holes, label

from echogan.data.camus.folders import read_info
from echogan.data.camus.study import open_camus
from echogan.data.phantom import camus
from echogan.data.phantom.camus import (
    HALF_ANGLE,
    PIXEL_MM,
    QUALITIES,
    camus_sector,
    patient_name,
    record,
    squeezed,
    write_camus_hdf5,
    write_camus_nifti,
)
from echogan.data.phantom.heart import outline
from echogan.data.phantom.patient import sample_patient
from echogan.data.phantom.phantom import Phantom
from echogan.data.phantom.scan import sample_scan
from echogan.data.phantom.study import splits
from echogan.errors import BadInput

PATIENTS, SEED = 3, 4


@pytest.fixture(scope="module")
def nifti(tmp_path_factory):
    root = tmp_path_factory.mktemp("camus") / "nifti"
    heard = []
    write_camus_nifti(root, PATIENTS, SEED, workers=1, callback=lambda *args: heard.append(args))
    assert heard == [(i + 1, PATIENTS) for i in range(PATIENTS)]
    return root


@pytest.fixture(scope="module")
def hdf5(tmp_path_factory):
    root = tmp_path_factory.mktemp("camus") / "hdf5"
    write_camus_hdf5(root, PATIENTS, SEED, workers=1)
    return root


@pytest.fixture(scope="module")
def recorded():
    """The first patient, rendered again."""
    return {view: record(SEED, 0, view) for view in ("2CH", "4CH")}


def test_the_reader_gives_back_what_was_recorded(nifti, recorded):
    study = open_camus(nifti)
    assert study.kind == "synthetic phantom" and study.warnings == [] and len(study.views) == 2 * PATIENTS
    for view in study.views[:2]:
        made = recorded[view.view]
        for every, frames, masks in (
            (True, made.frames, made.masks),
            (False, made.frames[[0, -1]], made.masks[[0, -1]]),
        ):
            clip = view.read(every=every)
            np.testing.assert_array_equal(clip.frames, frames)
            np.testing.assert_array_equal(list(clip.masks.values()), masks)
        assert clip.spacing_mm == pytest.approx((PIXEL_MM, PIXEL_MM)) and clip.fps == 50
        assert (view.patient, view.quality, clip.ef) == ("patient0001", made.quality, round(made.ef))


def test_simpleitk_reads_rows_and_columns_too(nifti, recorded):
    image = sitk.ReadImage(str(nifti / "database_nifti/patient0001/patient0001_4CH_half_sequence.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), recorded["4CH"].frames)
    assert image.GetDirection() == tuple(np.eye(3).ravel()) and image.GetSpacing()[0] == pytest.approx(PIXEL_MM)


def test_both_layouts_hold_the_same_patients_in_the_same_splits(nifti, hdf5):
    one, other = open_camus(nifti), open_camus(hdf5)
    assert {v.name: (v.split, v.quality) for v in one.views} == {v.name: (v.split, v.quality) for v in other.views}
    assert {v.patient: v.split for v in one.views} == dict(
        zip(map(patient_name, range(PATIENTS)), splits(PATIENTS, SEED))
    )
    with h5py.File(hdf5 / "camus05_256.hdf5") as file:
        groups = {"TRAIN": "train", "VAL": "valid", "TEST": "test"}
        for view in one.views:
            place, clip = file[f"{groups[view.split]}/{view.patient}/{view.view}"], view.read()
            np.testing.assert_array_equal(place["im_ref"], clip.frames)
            np.testing.assert_array_equal(place["gt_ref"], [clip.masks[0], clip.masks[1]])
            assert (
                place["im"].shape == (2, 256, 256, 1) and place["im"].dtype == np.float32 and place["im"][()].max() <= 1
            )
            assert place["gt"].shape == (2, 256, 256) and set(np.unique(place["gt"])) == {0, 1, 2, 3}


def test_a_disk_that_fills_up_is_said_before_hdf5_finds_it(tmp_path, monkeypatch):
    """HDF5 ends the whole program there. 64 MB are left to it: in 70 there is room for a patient, in 64.1 for none."""
    same = record(SEED, 0, "4CH", every=False)
    monkeypatch.setattr(camus, "record", lambda *args, **how: same)
    free = iter([70 * 2**20, 64.1 * 2**20])
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=next(free)))
    done = []
    with pytest.raises(BadInput, match=r"cannot write .*study: the disk is nearly full; free some space or choose"):
        write_camus_hdf5(tmp_path / "study", PATIENTS, SEED, workers=1, callback=lambda *args: done.append(args))
    assert done == [(1, PATIENTS)] and list(tmp_path.iterdir()) == []


def test_masks_lie_on_the_pictures_they_were_drawn_for(hdf5):
    """Inside the outline of end diastole lies blood: darker than the wall around it."""
    for view in open_camus(hdf5).views:
        clip = view.read()
        for i in (0, 1):
            assert clip.frames[i][clip.masks[i] == 1].mean() < 0.6 * clip.frames[i][clip.masks[i] == 2].mean()


def test_masks_are_exact():
    """Pixels of a mask, counted, are the area of its contour."""
    patient = sample_patient(7)
    phantom = Phantom(patient, sample_scan(7, 0.9), HALF_ANGLE)
    sector = camus_sector(phantom.heart.depth)
    for time in (0.0, phantom.end_systole):
        x, y = outline(phantom.curves(phantom.at(time), sector), "lv").T
        area = abs(np.dot(x, np.roll(y, 1)) - np.dot(y, np.roll(x, 1))) / 2
        for frame, scale in ((sector, 1.0), (squeezed(sector, 256), 256**2 / sector.width / sector.height)):
            counted = np.count_nonzero(phantom.labels(phantom.at(time), frame) == 1)
            assert counted == pytest.approx(area * scale, rel=0.004)


def test_the_wall_is_a_horseshoe():
    """One piece that leaves the mitral valve open: no myocardium between the ventricle and the atrium."""
    for seed in range(6):
        phantom = Phantom(sample_patient(seed), sample_scan(seed, 0.9), HALF_ANGLE)
        sector = squeezed(camus_sector(phantom.heart.depth), 128)
        for time in (0.0, phantom.end_systole):
            mask = phantom.labels(phantom.at(time), sector)
            for part in (mask == number for number in (1, 2, 3)):
                assert label(part, np.ones((3, 3)))[1] == 1 and (binary_fill_holes(part) == part).all()


def test_two_planes_of_one_ventricle(recorded):
    two, four = recorded["2CH"], recorded["4CH"]
    for column in ("LV_volume_ED_mL", "LV_volume_ES_mL"):
        assert two.chambers[column] == pytest.approx(four.chambers[column], rel=1e-6)
    assert "RV_area_ED_cm2" in four.chambers and "RV_area_ED_cm2" not in two.chambers
    assert two.frames.shape != four.frames.shape or (two.masks[0] != four.masks[0]).mean() > 0.01


def test_the_fan_is_camus_s_and_fills_its_picture():
    sector = camus_sector(15.0)
    assert (sector.height, sector.width) == (489, 595)
    mask = sector.mask()
    assert mask[-2].any() and mask[:, 1].any() and (mask == mask[:, ::-1]).all()
    assert mask.mean() == pytest.approx(HALF_ANGLE * sector.radius**2 / mask.size, rel=0.01)


def test_flat_pixels_show_the_same_heart(tmp_path, recorded):
    camus._write_patient(tmp_path, SEED, 2.0, 0)
    clip = open_camus(tmp_path).views[1].read()
    assert clip.spacing_mm == pytest.approx((PIXEL_MM / 2, PIXEL_MM))
    square = np.count_nonzero(recorded["4CH"].masks[0] == 1)
    assert np.count_nonzero(clip.masks[0] == 1) == pytest.approx(2 * square, rel=0.005)


def test_grades_are_qualities():
    assert list(QUALITIES) == ["Good", "Medium", "Poor"]
    blood = {"Good": [], "Poor": []}
    for i in range(10):
        view = record(SEED, i, "4CH", every=False)
        if view.quality in blood:
            lv, wall = (view.frames[0][view.masks[0] == code].mean() for code in (1, 2))
            blood[view.quality].append(lv / wall)
    assert np.mean(blood["Poor"]) > 1.3 * np.mean(blood["Good"]), "blood is grey in poor pictures"


def test_sequences_that_are_stored_backwards_say_so(tmp_path, monkeypatch, recorded):
    monkeypatch.setattr(camus, "REVERSED", 1.0)
    camus._write_patient(tmp_path, SEED, 1.0, 0)
    made = recorded["4CH"]
    info = read_info(tmp_path / "patient0001" / "Info_4CH.cfg")
    assert (info.ed, info.es) == (len(made.frames) - 1, 0)
    stored = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "patient0001/patient0001_4CH_half_sequence.nii.gz")))
    np.testing.assert_array_equal(stored, made.frames[::-1])
    np.testing.assert_array_equal(open_camus(tmp_path).views[1].read(every=True).frames, made.frames)


def test_chambers_and_provenance(nifti, hdf5, recorded):
    tables = []
    for root in (nifti, hdf5):
        with open(root / "chambers.csv", newline="") as file:
            tables.append(list(csv.DictReader(file)))
        assert json.loads((root / "phantom.json").read_text())["kind"] == "synthetic phantom"
    assert tables[0] == tables[1] and len(tables[0]) == 2 * PATIENTS
    for row, made in zip(tables[0], (recorded["2CH"], recorded["4CH"])):
        assert float(row["LV_volume_ED_mL"]) == pytest.approx(made.chambers["LV_volume_ED_mL"], rel=1e-6)
        assert (row["RV_area_ED_cm2"] == "") == (row["View"] == "2CH") and row["ImageQuality"] == made.quality


@pytest.mark.slow
def test_neither_patients_nor_workers_change_a_recording(hdf5, tmp_path):
    write_camus_hdf5(tmp_path / "more", PATIENTS + 1, SEED, workers=2)
    one, other = (
        {v.name: v.read() for v in open_camus(r).views if v.patient != "patient0004"} for r in (hdf5, tmp_path / "more")
    )
    assert one.keys() == other.keys()
    for name, clip in one.items():
        np.testing.assert_array_equal(clip.frames, other[name].frames)
        np.testing.assert_array_equal(clip.masks[1], other[name].masks[1])


@pytest.mark.parametrize("write", [write_camus_nifti, write_camus_hdf5])
@pytest.mark.parametrize(
    "wish, named", [({"patients": 2}, "at least 3"), ({"seed": -1}, "negative"), ({"workers": 0}, "workers")]
)
def test_impossible_studies_are_refused_and_leave_nothing(tmp_path, write, wish, named):
    with pytest.raises(BadInput, match=named):
        write(tmp_path / "study", **({"patients": 3, "workers": 1} | wish))
    assert not list(tmp_path.iterdir())
