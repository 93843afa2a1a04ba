"""CAMUS as it was published, read back by other libraries' hands, and everything that can be wrong with it."""

import h5py
import nibabel
import numpy as np
import pytest
import SimpleITK

from echogan.data.camus import mhd, nifti
from echogan.data.camus.folders import read_info
from echogan.data.camus.study import open_camus
from echogan.errors import BadInput
from tests.data.camus_studies import (
    GROUPS,
    SHAPE,
    half_cycle,
    write_hdf5,
    write_image,
    write_info,
    write_mhd_release,
    write_nifti_release,
)


@pytest.fixture
def release(tmp_path):
    return write_nifti_release(tmp_path / "study")


def view_of(study, name):
    return next(view for view in study.views if view.name == name)


def folder_of(release, number=1):
    return release / "database_nifti" / f"patient{number:04d}"


# ------------------------------------------------------------------------------------------------ the HDF5 file


@pytest.mark.parametrize("trailing", [True, False, "both"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_the_hdf5_file_in_every_way_it_is_written(tmp_path, dtype, trailing):
    study = open_camus(write_hdf5(tmp_path / "camus05_256.hdf5", dtype, trailing))
    assert [(v.name, v.split) for v in study.views[::2]] == [
        ("patient0001_2CH", "TRAIN"), ("patient0002_2CH", "VAL"), ("patient0003_2CH", "TEST")]  # fmt: skip
    clip = view_of(study, "patient0002_4CH").read()
    pixels, masks = (values[[0, -1]] for values in half_cycle(2))
    np.testing.assert_array_equal(clip.frames, pixels)
    np.testing.assert_array_equal([clip.masks[0], clip.masks[1]], masks)
    assert clip.frames.dtype == clip.masks[0].dtype == np.uint8
    assert (clip.ed, clip.es, clip.view, clip.patient, clip.kind) == (0, 1, "4CH", "patient0002", "CAMUS")
    assert clip.spacing_mm is None, "the file does not say"


def test_a_folder_that_holds_the_hdf5_file_is_as_good(tmp_path):
    write_hdf5(tmp_path / "camus05_256.hdf5")
    assert len(open_camus(tmp_path).views) == 6


def edit_hdf5(path, place, **values):
    with h5py.File(path, "a") as file:
        for key, value in values.items():
            if key in file[place]:
                del file[place][key]
            if value is not None:
                file[place][key] = value


EMPTY = np.zeros((2, *SHAPE), np.float32)


@pytest.mark.parametrize(
    "values, said",
    [
        ({"im": EMPTY[0]}, r"has train/patient0001/4CH/im of shape \(60, 50\); it must be \(2, H, W\)"),
        ({"im": np.stack([EMPTY] * 3, -1)}, r"of shape \(2, 60, 50, 3\)"),
        ({"im": EMPTY[:1], "gt": EMPTY[:1]}, r"both must be \(2, H, W\)"),
        ({"gt": EMPTY[:, :-1]}, r"pictures \(2, 60, 50\) and masks \(2, 59, 50\)"),
        ({"gt": EMPTY + 7}, "4CH/gt has the unknown label 7; the labels are 0 background, 1 left ventricle"),
        ({"gt": EMPTY + 0.5}, "no whole numbers"),
        ({"im": EMPTY - 1}, r"grey levels -1\.\.-1"),
        ({"im": EMPTY + 300}, r"grey levels 300\.\.300"),
        ({"im": EMPTY + np.nan}, "pixels that are no numbers"),
        ({"im": np.full((2, *SHAPE), b"abc")}, "must hold numbers"),
        ({"im": np.zeros((2, 5000, 2), np.uint8)}, "2 x 5000 x 2 pixels large"),
    ],
)
def test_wrong_datasets_are_refused_by_name(tmp_path, values, said):
    path = write_hdf5(tmp_path / "x.hdf5")
    edit_hdf5(path, "train/patient0001/4CH", **values)
    with pytest.raises(BadInput, match=said) as caught:
        view_of(open_camus(path), "patient0001_4CH").read()
    assert "x.hdf5" in str(caught.value)


def test_wrong_files_are_refused_by_name(tmp_path):
    path = write_hdf5(tmp_path / "x.hdf5")
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(BadInput, match=r"x\.hdf5 is no readable HDF5 file .*; restore"):
        open_camus(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(BadInput, match=r"x\.hdf5 is no readable HDF5 file"):
        open_camus(path)
    write_hdf5(path, patients={"train": 1, "test": 3})
    with pytest.raises(BadInput, match="has no group valid"):
        open_camus(path)
    write_hdf5(path, patients=GROUPS | {"test": 1})
    with pytest.raises(BadInput, match="has patient0001 in two groups"):
        open_camus(path)
    with h5py.File(write_hdf5(path), "a") as file:
        del file["valid/patient0002"]
    with pytest.raises(BadInput, match="has no patient with im and gt in valid"):
        open_camus(path)
    with h5py.File(write_hdf5(path), "a") as file:
        file["train/patient0001/2CH"].attrs["ImageQuality"] = "god"
    with pytest.raises(BadInput, match=r"ImageQuality 'god' in .*2CH; did you mean 'Good'"):
        open_camus(path)
    with pytest.raises(BadInput, match="end diastole and end systole only"):
        open_camus(write_hdf5(path)).views[0].read(every=True)


# ------------------------------------------------------------------------------------------------ the NIfTI release


def test_the_release_as_simpleitk_wrote_it(release):
    study = open_camus(release)
    assert [(v.name, v.split, v.quality) for v in study.views[:3]] == [
        ("patient0001_2CH", "TRAIN", "Poor"),
        ("patient0001_4CH", "TRAIN", "Good"),
        ("patient0002_2CH", "VAL", "Good"),
    ]
    clip = view_of(study, "patient0003_4CH").read()
    pixels, masks = half_cycle(3)
    np.testing.assert_array_equal(clip.frames, pixels[[0, -1]])
    np.testing.assert_array_equal(clip.masks[1], masks[-1])
    assert clip.spacing_mm == pytest.approx((0.7, 0.7)) and (clip.ef, clip.split) == (55, "TEST")


def test_the_folder_of_the_patients_will_do(release):
    assert [v.split for v in open_camus(release / "database_nifti").views[::2]] == ["TRAIN", "VAL", "TEST"]


def test_half_cycles_begin_at_end_diastole_however_they_are_stored(tmp_path):
    forth, back = (
        open_camus(write_nifti_release(tmp_path / str(reverse), reverse=reverse)).views[1].read(every=True)
        for reverse in (False, True)
    )
    np.testing.assert_array_equal(forth.frames, half_cycle(1)[0])
    np.testing.assert_array_equal(back.frames, forth.frames)
    ventricle = [np.count_nonzero(back.masks[i] == 1) for i in range(5)]
    assert (back.ed, back.es) == (0, 4) and ventricle == sorted(ventricle, reverse=True) and ventricle[0] > ventricle[4]


def test_frames_outside_the_half_cycle_are_left_out(release):
    write_info(folder_of(release) / "Info_4CH.cfg", ed=2, es=4)
    clip = view_of(open_camus(release), "patient0001_4CH").read(every=True)
    np.testing.assert_array_equal(clip.frames, half_cycle(1)[0][1:4])


def test_pixels_may_be_flat_and_axes_exchanged(tmp_path):
    pixels = half_cycle(1)[0][0]
    write_image(tmp_path / "flat.nii.gz", pixels, spacing=(0.154, 0.308))
    read, spacing = nifti.load(tmp_path / "flat.nii.gz")
    assert read.shape == SHAPE and spacing == pytest.approx((0.154, 0.308))
    exchanged = nibabel.Nifti1Image(pixels, np.array([[0, 0.3, 0, 0], [0.2, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]))
    nibabel.save(exchanged, tmp_path / "exchanged.nii.gz")
    read, spacing = nifti.load(tmp_path / "exchanged.nii.gz")
    np.testing.assert_array_equal(read, pixels)
    assert spacing == pytest.approx((0.2, 0.3))


def test_stills_may_have_a_third_axis_of_one_and_floats(tmp_path):
    pixels = half_cycle(1)[0][0]
    nibabel.save(nibabel.Nifti1Image(pixels.T[..., None].astype(np.float32), np.eye(4)), tmp_path / "x.nii.gz")
    np.testing.assert_array_equal(nifti.load(tmp_path / "x.nii.gz")[0], pixels)


def save(path, pixels, zooms=(0.7, 0.7), affine=None, unit="mm"):
    pixels = np.asarray(pixels)
    image = nibabel.Nifti1Image(pixels.T, np.diag([*zooms, 1, 1]) if affine is None else affine)
    image.header.set_xyzt_units(unit)
    nibabel.save(image, path)


TURNED = np.array([[0.5, 0.5, 0, 0], [-0.5, 0.5, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
STILL = np.zeros(SHAPE, np.uint8)


@pytest.mark.parametrize(
    "file, content, said",
    [
        ("ED", {"pixels": STILL, "zooms": (70, 70)}, "has pixels of 70 x 70 mm; correct its spacing"),
        ("ED", {"pixels": STILL, "unit": "micron"}, "has pixels of 0.0007 x 0.0007 mm"),
        ("ED", {"pixels": STILL, "affine": TURNED}, "is stored at an angle"),
        ("ED", {"pixels": np.stack([STILL] * 3)}, "has 3 dimensions, not 2"),
        ("ED", {"pixels": STILL[:-2]}, r"is \(60, 50\) pixels large, its picture \(58, 50\)"),
        ("ED", {"pixels": np.full(SHAPE, -3, np.int16)}, r"grey levels -3\.\.-3"),
        ("ED_gt", {"pixels": STILL + 4}, r"patient0001_4CH_ED_gt\.nii\.gz has the unknown label 4"),
        ("ED_gt", {"pixels": np.full(SHAPE, 0.5, np.float32)}, "labels that are no whole numbers"),
    ],
)
def test_wrong_pictures_are_refused_by_file(release, file, content, said):
    save(folder_of(release) / f"patient0001_4CH_{file}.nii.gz", **content)
    with pytest.raises(BadInput, match=said) as caught:
        view_of(open_camus(release), "patient0001_4CH").read()
    assert "patient0001_4CH_" in str(caught.value)


def test_pictures_of_two_sizes_and_sequences_of_another_length(release):
    folder = folder_of(release)
    for kind in ("", "_gt"):
        save(folder / f"patient0001_4CH_ES{kind}.nii.gz", STILL[:-2])
    with pytest.raises(BadInput, match=r"patient0001_4CH has pictures of \(60, 50\) and \(58, 50\) pixels"):
        view_of(open_camus(release), "patient0001_4CH").read()
    write_info(folder / "Info_4CH.cfg", frames=9)
    with pytest.raises(BadInput, match="half_sequence has 5 frames, its cfg says 9"):
        view_of(open_camus(release), "patient0001_4CH").read(every=True)


def test_broken_and_missing_files_are_named(release):
    path = folder_of(release) / "patient0001_4CH_ES.nii.gz"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(BadInput, match=r"patient0001_4CH_ES\.nii\.gz is no readable NIfTI file"):
        view_of(open_camus(release), "patient0001_4CH").read()
    path.unlink()
    with pytest.raises(BadInput, match=r"patient0001_4CH_ES\.nii\.gz is missing"):
        view_of(open_camus(release), "patient0001_4CH").read()


@pytest.mark.parametrize(
    "change, said",
    [
        ({"ed": 0}, "has ED 0 and ES 5 of 5 frames; they count from 1 and differ"),
        ({"es": 6}, "ED 1 and ES 6 of 5 frames"),
        ({"ed": 5}, "ED 5 and ES 5"),
        ({"ed": "first"}, "has ED 'first'; write a whole number there"),
        ({"quality": "Goood"}, "has the ImageQuality 'Goood'; did you mean 'Good'"),
        ({"EF": "high"}, "has EF 'high'; write a number there"),
    ],
)
def test_wrong_info_is_refused_by_file_and_key(tmp_path, change, said):
    write_info(tmp_path / "Info_4CH.cfg", **change)
    with pytest.raises(BadInput, match=said) as caught:
        read_info(tmp_path / "Info_4CH.cfg")
    assert "Info_4CH.cfg" in str(caught.value)


def test_info_without_a_key_or_a_file(tmp_path):
    (tmp_path / "a.cfg").write_text("ED: 1\nES: 5\nNbFrame: 5\n")
    with pytest.raises(BadInput, match=r"a\.cfg has no ImageQuality"):
        read_info(tmp_path / "a.cfg")
    with pytest.raises(BadInput, match=r"b\.cfg cannot be read"):
        read_info(tmp_path / "b.cfg")


def test_lists_that_disagree_are_refused(release):
    lists = release / "database_split"
    (lists / "subgroup_testing.txt").write_text("patient0001\npatient0003\n")
    with pytest.raises(BadInput, match="lists patient0001 twice"):
        open_camus(release)
    (lists / "subgroup_testing.txt").write_text("")
    with pytest.raises(BadInput, match=r"subgroup_testing\.txt is empty"):
        open_camus(release)
    (lists / "subgroup_testing.txt").write_text("patient0004\n")
    with pytest.raises(BadInput, match="lists patient0003 nowhere"):
        open_camus(release)
    (lists / "subgroup_testing.txt").write_text("patient0003\npatient0004\n")
    assert open_camus(release).warnings == ["1 listed patients have no folder, first patient0004"]
    (lists / "subgroup_testing.txt").unlink()
    with pytest.raises(BadInput, match=r"subgroup_testing\.txt cannot be read"):
        open_camus(release)


def test_what_is_no_camus_is_refused(tmp_path):
    with pytest.raises(BadInput, match="nowhere is missing; give a CAMUS HDF5 file"):
        open_camus(tmp_path / "nowhere")
    with pytest.raises(BadInput, match="holds no CAMUS patients"):
        open_camus(tmp_path)
    (tmp_path / "patient0001").mkdir()
    with pytest.raises(BadInput, match=r"holds no pictures \(\.nii\.gz or \.mhd\)"):
        open_camus(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    with pytest.raises(BadInput, match=r"notes\.txt is no CAMUS data set"):
        open_camus(tmp_path / "notes.txt")
    write_hdf5(tmp_path / "a.hdf5")
    write_hdf5(tmp_path / "b.hdf5")
    with pytest.raises(BadInput, match="holds 2 HDF5 files; name the one to read"):
        open_camus(tmp_path)


# ------------------------------------------------------------------------------------------------ the MHD release


def test_the_older_release(tmp_path):
    root = write_mhd_release(tmp_path, spacing=(0.154, 0.308))
    study = open_camus(root)
    assert study.layout == "CAMUS MHD" and len(study.views) == 6 and {v.split for v in study.views} == {None}
    clip = view_of(study, "patient0002_4CH").read(every=True)
    np.testing.assert_array_equal(clip.frames, half_cycle(2)[0])
    assert clip.spacing_mm == pytest.approx((0.154, 0.308))


def test_an_mhd_release_without_masks_of_sequences_says_so(tmp_path):
    folder = tmp_path / "training" / "patient0001"
    folder.mkdir(parents=True)
    for part in ("ED", "ED_gt", "ES", "ES_gt", "sequence"):
        (folder / f"patient0001_4CH_{part}.mhd").write_bytes(b"")
    (folder / "Info_4CH.cfg").write_text("ED: 1\nES: 9\nNbFrame: 9\nImageQuality: Good\n")
    with pytest.raises(BadInput, match=r"4CH_sequence_gt\.mhd is missing: this release has no masks of sequences"):
        open_camus(tmp_path).views[0].read(every=True)


def test_its_cfg_has_other_keys(tmp_path):
    text = "ED: 3\nES: 1\nNbFrame: 3\nSex: F\nAge: 60\nImageQuality: Medium\nLVedv: 94.1\nLVesv: 49.2\nLVef: 48\n"
    (tmp_path / "Info.cfg").write_text(text)
    info = read_info(tmp_path / "Info.cfg")
    assert (info.ed, info.es, info.ef, info.edv, info.esv, info.fps) == (2, 0, 48, 94.1, 49.2, None)


def test_withheld_masks_are_said_and_left_out(tmp_path):
    root = write_mhd_release(tmp_path)
    for file in (root / "training" / "patient0003").glob("*_gt.*"):
        file.unlink()
    study = open_camus(root)
    assert len(study.views) == 4 and study.warnings[0] == "patient0003_2CH has no masks (withheld?) and was left out"


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "u4", "i4", "f4", "f8"])
def test_images_are_read_as_simpleitk_reads_them(tmp_path, kind, packed):
    pixels = np.random.default_rng(0).integers(0, 100, (3, 5, 7)).astype(kind)
    image = SimpleITK.GetImageFromArray(pixels)
    image.SetSpacing((0.3, 0.2, 1.0))
    SimpleITK.WriteImage(image, str(tmp_path / "a.mhd"), packed)
    read, spacing = mhd.load(tmp_path / "a.mhd")
    theirs = SimpleITK.ReadImage(str(tmp_path / "a.mhd"))
    np.testing.assert_array_equal(read, SimpleITK.GetArrayFromImage(theirs))
    assert read.dtype == pixels.dtype and spacing == theirs.GetSpacing()[1::-1] == (0.2, 0.3)


def test_the_other_byte_order_is_read_too(tmp_path):
    pixels = np.arange(12, dtype=">u2").reshape(3, 4)
    (tmp_path / "a.raw").write_bytes(pixels.tobytes())
    lines = (
        "NDims = 2",
        "DimSize = 4 3",
        "ElementSpacing = 1 1",
        "ElementType = MET_USHORT",
        "ElementByteOrderMSB = True",
    )
    (tmp_path / "a.mhd").write_text("\n".join([*lines, "ElementDataFile = a.raw"]))
    read, _ = mhd.load(tmp_path / "a.mhd")
    np.testing.assert_array_equal(read, pixels)
    assert read.dtype == np.uint16 and read.dtype.isnative


@pytest.mark.parametrize(
    "change, said",
    [
        (("ElementDataFile = patient0001_2CH_ED.raw", "ElementDataFile = ../../secret.raw"), "no data file beside it"),
        (("ElementDataFile = patient0001_2CH_ED.raw", "ElementDataFile = gone.raw"), "lost its data file gone.raw"),
        (("DimSize = 50 60", "DimSize = 50000 60"), "50000 x 60 pixels large"),
        (("DimSize = 50 60", "DimSize = 50 70"), "is no readable MetaImage"),
        (("ElementSpacing = 0.5 ", "ElementSpacing = 50 "), "has pixels of 0.5 x 50 mm"),
        (("ElementSpacing = 0.5 ", "ElementSpacing = "), "has no readable line ElementSpacing"),
        (("DimSize = 50 60", "DimSize = 3000"), "has NDims = 2 and DimSize = 3000"),
        (("DimSize = 50 60", "DimSize = 50 -60"), "50 x -60 pixels large"),
        (("DimSize = 50 60", "DimSize = many"), "has no readable line DimSize"),
        (("MET_UCHAR", "MET_STRING"), "has pixels of type 'MET_STRING'"),
        (("CompressedData = False", "CompressedData = True"), "is no deflated image"),
        (("BinaryData = True", "BinaryData = False"), "has BinaryData = False, which is not read"),
    ],
)
def test_wrong_headers_are_refused(tmp_path, change, said):
    root = write_mhd_release(tmp_path, spacing=(0.5, 0.5))
    path = root / "training" / "patient0001" / "patient0001_2CH_ED.mhd"
    text = path.read_text()
    assert change[0] in text
    path.write_text(text.replace(*change))
    with pytest.raises(BadInput, match=said):
        open_camus(root).views[0].read()


# ------------------------------------------------------------------------------------------------ the subset


def write_subset(root, keys=("{}_4CH_im_channel0", "{}_4CH_gt_channel0")):
    for group, number in GROUPS.items():
        pixels, masks = half_cycle(number)
        patient = f"patient{number:04d}"
        with h5py.File(root / f"{group}_4CH_FD.hdf5", "w") as file:
            file[keys[0].format(patient)] = (pixels[0] / 255)[..., None]
        with h5py.File(root / f"anno_{group}_4CH_FD.hdf5", "w") as file:
            file[keys[1].format(patient)] = masks[0]
    return root


@pytest.mark.parametrize("keys", [("{}_4CH_im_channel0", "{}_4CH_gt_channel0"), ("{}", "{}")])
def test_the_subset_with_either_kind_of_keys(tmp_path, keys):
    study = open_camus(write_subset(tmp_path, keys))
    assert [(v.patient, v.split) for v in study.views] == [
        ("patient0001", "TRAIN"), ("patient0002", "VAL"), ("patient0003", "TEST")]  # fmt: skip
    clip = study.views[1].read()
    pixels, masks = half_cycle(2)
    np.testing.assert_array_equal(clip.frames, pixels[:1])
    np.testing.assert_array_equal(clip.masks[0], masks[0])


def test_a_subset_that_does_not_fit_together_is_refused(tmp_path):
    write_subset(tmp_path)
    with h5py.File(tmp_path / "anno_train_4CH_FD.hdf5", "a") as file:
        file["patient0009_4CH_gt_channel0"] = STILL
    with pytest.raises(BadInput, match="do not hold the same patients: patient0009"):
        open_camus(tmp_path)
    with h5py.File(tmp_path / "anno_train_4CH_FD.hdf5", "w"):
        pass
    with pytest.raises(BadInput, match=r"anno_train_4CH_FD\.hdf5 holds no patients"):
        open_camus(tmp_path)
    (tmp_path / "anno_train_4CH_FD.hdf5").unlink()
    with pytest.raises(BadInput, match=r"anno_train_4CH_FD\.hdf5 is missing"):
        open_camus(tmp_path)
