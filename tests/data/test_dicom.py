import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from echogan.data.dicom import is_dicom, read_dicom
from echogan.errors import BadInput

CINE = get_testdata_file("examples_ybr_color.dcm", download=False)


def sample(name):
    return get_testdata_file(name, download=False)


def write(path, frames, region=None, modality="US", photometric="MONOCHROME2", **tags):
    """A small multi-frame ultrasound file of uint8 (T, H, W) or (T, H, W, 3)."""
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    data.file_meta.MediaStorageSOPClassUID = data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.3.1"
    data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID = generate_uid()
    data.Modality, data.PhotometricInterpretation = modality, photometric
    data.NumberOfFrames, data.Rows, data.Columns = frames.shape[:3]
    data.SamplesPerPixel, data.PixelRepresentation = (3 if frames.ndim == 4 else 1), 0
    data.BitsAllocated = data.BitsStored = frames.dtype.itemsize * 8
    data.HighBit = data.BitsAllocated - 1
    if frames.ndim == 4:
        data.PlanarConfiguration = 0
    if region:
        data.SequenceOfUltrasoundRegions = [Dataset()]
        for key, value in region.items():
            setattr(data.SequenceOfUltrasoundRegions[0], key, value)
    for key, value in tags.items():
        setattr(data, key, value)
    data.PixelData = frames.tobytes()
    data.save_as(path, enforce_file_format=True)
    return path


def region(x0=0, y0=0, x1=63, y1=47, kind=1, units=3, delta=0.02):
    return {
        "RegionSpatialFormat": 1, "RegionDataType": kind, "RegionLocationMinX0": x0, "RegionLocationMinY0": y0,
        "RegionLocationMaxX1": x1, "RegionLocationMaxY1": y1, "PhysicalUnitsXDirection": units,
        "PhysicalUnitsYDirection": units, "PhysicalDeltaX": delta, "PhysicalDeltaY": delta / 2,
    }  # fmt: skip


@pytest.fixture
def frames():
    return np.random.default_rng(0).integers(0, 256, (4, 48, 64), dtype=np.uint8)


def test_the_real_cine_reads_with_its_calibration_rescaled():
    clip = read_dicom(CINE)
    assert clip.frames.shape == (30, 240, 320) and clip.frames.dtype == np.uint8
    assert clip.fps == pytest.approx(1000 / 33.333)
    # The file says (84, 31)-(595, 414) at 0.05105 cm for a picture of 640 x 480, but stores 320 x 240.
    assert clip.region == (42, 15, 297, 207)
    assert clip.spacing_mm == pytest.approx((1.021, 1.021), abs=1e-3)


def test_the_luma_of_the_real_cine_is_that_of_pydicom():
    rgb = pydicom.dcmread(CINE).pixel_array.astype(float)
    luma = rgb @ [0.299, 0.587, 0.114]
    assert np.abs(read_dicom(CINE).frames - luma).max() <= 1


def test_no_patient_tag_leaves_the_file(tmp_path, frames):
    clip = read_dicom(write(tmp_path / "a.dcm", frames, PatientName="DOE^JANE", PatientID="4711"))
    assert clip.patient == "a" and "DOE" not in repr(clip) and "4711" not in repr(clip)


def test_grey_pixels_come_back_exactly(tmp_path, frames):
    clip = read_dicom(write(tmp_path / "a.dcm", frames, region(), FrameTime=20.0))
    np.testing.assert_array_equal(clip.frames, frames)
    assert clip.fps == 50 and clip.spacing_mm == pytest.approx((0.1, 0.2)) and clip.region == (0, 0, 63, 47)
    assert is_dicom(tmp_path / "a.dcm")


def test_a_still_is_a_clip_of_one_frame(tmp_path, frames):
    assert read_dicom(write(tmp_path / "a.dcm", frames[:1])).frames.shape == (1, 48, 64)


def test_a_frame_time_vector_gives_the_rate(tmp_path, frames):
    path = write(tmp_path / "a.dcm", frames, FrameTimeVector=[0, 25, 25, 25])
    assert read_dicom(path).fps == pytest.approx(40)


@pytest.mark.parametrize(
    "box, expected, k",
    [((8, 4, 60, 40), (8, 4, 60, 40), 1), ((0, 0, 64, 48), (0, 0, 63, 47), 1), ((16, 8, 127, 95), (8, 4, 63, 47), 2)],
)
def test_regions_within_at_and_beyond_the_stored_size(tmp_path, frames, box, expected, k):
    clip = read_dicom(write(tmp_path / "a.dcm", frames, region(*box)))
    assert clip.region == expected
    assert clip.spacing_mm == pytest.approx((0.1 * k, 0.2 * k))


def test_units_other_than_centimetres_give_no_spacing(tmp_path, frames):
    assert read_dicom(write(tmp_path / "a.dcm", frames, region(units=4))).spacing_mm is None


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"region": region(5, 5, 5, 9)}, "places its ultrasound at"),
        ({"region": region(0, 0, 999, 999)}, "places its ultrasound at"),
        ({"region": region(kind=2)}, "no two-dimensional tissue region"),
        ({"modality": "CT"}, "holds no ultrasound picture"),
        ({"photometric": "MONOCHROME1"}, "coded as MONOCHROME1"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(tmp_path, frames, change, sentence):
    with pytest.raises(BadInput, match=rf"a\.dcm .*{sentence}|a\.dcm {sentence}"):
        read_dicom(write(tmp_path / "a.dcm", frames, **change))


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("examples_rgb_color.dcm", "has colour in 6% of its pixels"),
        ("examples_palette.dcm", "coded as PALETTE COLOR"),
        ("examples_jpeg2k.dcm", "coded as YBR_RCT"),
        ("CT_small.dcm", "no ultrasound picture"),
    ],
)
def test_real_files_of_other_kinds_are_refused(name, sentence):
    with pytest.raises(BadInput, match=sentence):
        read_dicom(sample(name))


def test_scanner_marks_may_have_colour(tmp_path, frames):
    rgb = np.repeat(frames[..., None], 3, axis=-1)
    rgb[:, :5, :5] = (0, 255, 120)
    clip = read_dicom(write(tmp_path / "a.dcm", rgb, photometric="RGB"))
    np.testing.assert_array_equal(clip.frames[:, 5:], frames[:, 5:])


def test_files_that_are_no_dicom_are_named(tmp_path, frames):
    with pytest.raises(BadInput, match=r"gone\.dcm is missing"):
        read_dicom(tmp_path / "gone.dcm")
    (tmp_path / "text.dcm").write_text("hello")
    with pytest.raises(BadInput, match=r"text\.dcm is not a readable DICOM"):
        read_dicom(tmp_path / "text.dcm")
    whole = write(tmp_path / "cut.dcm", frames)
    whole.write_bytes(whole.read_bytes()[:-6000])
    with pytest.raises(BadInput, match=r"cut\.dcm .*"):
        read_dicom(whole)
