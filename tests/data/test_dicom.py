"""What an ultrasound DICOM says of itself, and every way in which it may be unusable, with the sentence it gives."""

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import MPEG4HP41, DeflatedExplicitVRLittleEndian, JPEGLSLossless

from echogan.data.dicom import is_dicom, open_dicom, pseudonyms, read_dicom
from echogan.errors import BadInput
from tests.data.dicoms import encoded, jpeg, region, write

CINE = get_testdata_file("examples_ybr_color.dcm", download=False)


def sample(name):
    return get_testdata_file(name, download=False)


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
    assert clip.warnings == [
        "examples_ybr_color.dcm has a region for a picture 2 times as large as its own; it was divided by 2"
    ]


def test_the_real_cine_opens_without_decoding():
    cine = open_dicom(CINE)
    assert cine.shape == (30, 240, 320)
    once, again = list(cine.frames()), list(cine.frames())
    np.testing.assert_array_equal(once, again)
    np.testing.assert_array_equal(once, read_dicom(CINE).frames)


def test_a_still_is_a_clip_of_one_frame(tmp_path, frames):
    assert read_dicom(write(tmp_path / "a.dcm", frames[:1])).frames.shape == (1, 48, 64)


# ------------------------------------------------------------------------------------------------ calibration


@pytest.mark.parametrize(
    "tags, fps",
    [
        ({"FrameTime": 20.0}, 50),
        ({"FrameTimeVector": [0, 25, 25, 25]}, 40),
        ({"CineRate": 30}, 30),
        ({"RecommendedDisplayFrameRate": 25}, 25),
        ({"FrameTime": 20.0, "CineRate": 30}, 50),
        ({"FrameTime": 0.0, "CineRate": 30}, 30),
        ({}, None),
    ],
)
def test_the_frame_rate_comes_from_the_most_exact_tag(tmp_path, frames, tags, fps):
    clip = read_dicom(write(tmp_path / "a.dcm", frames, **tags))
    assert clip.fps == (fps and pytest.approx(fps)) and clip.warnings == []


def test_a_frame_time_in_seconds_is_not_believed(tmp_path, frames):
    clip = read_dicom(write(tmp_path / "a.dcm", frames, FrameTime=0.02, CineRate=50))
    assert clip.fps == 50
    assert clip.warnings == ["a.dcm says 5e+04 frames per second, which was not believed"]


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


def test_without_regions_the_pixel_spacing_counts(tmp_path, frames):
    assert read_dicom(write(tmp_path / "a.dcm", frames, PixelSpacing=[0.3, 0.4])).spacing_mm == (0.3, 0.4)


def test_the_largest_tissue_region_is_the_ultrasound_and_an_ecg_is_not(tmp_path, frames):
    regions = [region(0, 40, 63, 47, kind=10, shape=4), region(0, 0, 9, 9), region(10, 0, 60, 39)]
    clip = read_dicom(write(tmp_path / "a.dcm", frames, regions))
    assert clip.region == (10, 0, 60, 39)
    assert clip.warnings == ["a.dcm has 2 tissue regions; the largest is taken for its ultrasound"]


def test_colour_flow_beside_the_tissue_does_no_harm(tmp_path, frames):
    clip = read_dicom(write(tmp_path / "a.dcm", frames, [region(0, 0, 30, 47), region(31, 0, 63, 47, kind=2)]))
    assert clip.region == (0, 0, 30, 47)


# ------------------------------------------------------------------------------------------------ patients


def test_no_patient_tag_leaves_the_file(tmp_path, frames):
    path = write(tmp_path / "a.dcm", frames, PatientName="DOE^JANE", PatientID="4711")
    for clip in (read_dicom(path), read_dicom(path, patient="P1"), open_dicom(path)):
        assert "DOE" not in repr(clip) and "4711" not in repr(clip)
    assert read_dicom(path).patient == "a" and read_dicom(path, patient="P1").patient == "P1"


@pytest.fixture
def visits(tmp_path, frames):
    """Two files of one patient in two studies, one of another, two without a patient but of one study, a text."""
    told = {"a": ("4711", "1.1"), "b": ("4711", "1.2"), "c": ("4712", "1.2"), "d": ("", "1.3"), "e": ("", "1.3")}
    paths = [
        write(tmp_path / f"{name}.dcm", frames, PatientID=patient, StudyInstanceUID=study)
        for name, (patient, study) in told.items()
    ]
    (tmp_path / "f.dcm").write_text("hello")
    return [*paths, tmp_path / "f.dcm"]


def test_files_of_one_patient_have_one_pseudonym(visits):
    names, said = pseudonyms(visits)
    a, b, c, d, e, f = names.values()
    assert a == b and d == e and len({a, c, d, f}) == 4
    assert all(name[0] == "P" and len(name) == 13 for name in (a, c, d, f))
    assert said == ["1 DICOM files say neither their patient nor their study, or are damaged; each counts as a patient"]


def test_pseudonyms_are_equal_on_any_machine_and_differ_between_studies(visits):
    assert pseudonyms(visits[::-1]) == pseudonyms(visits)
    (with_first, _), (without, _) = pseudonyms(visits), pseudonyms(visits[1:])
    assert with_first[visits[1]] != without[visits[1]]  # so the hash is of more than the PatientID


def test_a_file_without_patient_is_of_the_patient_of_its_study(tmp_path, frames):
    told = {"a": ("4711", "1.1"), "b": ("", "1.1"), "c": ("", "1.2")}
    paths = [
        write(tmp_path / f"{name}.dcm", frames, PatientID=patient, StudyInstanceUID=study)
        for name, (patient, study) in told.items()
    ]
    a, b, c = pseudonyms(paths)[0].values()
    assert a == b != c


def test_without_a_study_the_key_is_still_more_than_the_patient(tmp_path, frames):
    one, other = (write(tmp_path / f"{name}.dcm", frames, PatientID="4711") for name in "ab")
    assert pseudonyms([one])[0][one] != pseudonyms([other])[0][other]
    bare = write(tmp_path / "c.dcm", frames, PatientID="4711", SOPInstanceUID="")
    with pytest.raises(BadInput, match="no DICOM file has a StudyInstanceUID or SOPInstanceUID"):
        pseudonyms([bare])


# ------------------------------------------------------------------------------------------------ refusals


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"region": region(5, 5, 5, 9)}, "places its ultrasound at .* which is no area"),
        ({"region": region(60, 5, 9, 40)}, "places its ultrasound at .* which is no area"),
        ({"region": region(0, 0, 63, 96)}, "places its ultrasound at .* outside its 64 x 48 pixels"),
        ({"region": {"RegionSpatialFormat": 1, "RegionDataType": 1}}, "places its ultrasound at .* which is no area"),
        ({"region": region(0, 0, 999, 999)}, "places its ultrasound at .* outside its 64 x 48 pixels"),
        ({"region": region(kind=2)}, "no two-dimensional tissue region but 2D colour flow"),
        ({"region": region(shape=2)}, "no two-dimensional tissue region but M-mode tissue"),
        ({"region": region(shape=3, kind=3)}, "no two-dimensional tissue region but spectral PW Doppler"),
        ({"region": [region(), region(9, 9, 40, 40, kind=2)]}, "marks colour flow over its tissue"),
        ({"region": region(delta=0.0)}, "says its pixels measure 0 x 0 mm"),
        ({"region": region(delta=float("nan"))}, "says its pixels measure nan x nan mm"),
        ({"region": region(delta=90.0)}, "says its pixels measure 450 x 900 mm"),
        ({"PixelSpacing": [0, 0.3]}, "says its pixels measure 0 x 0.3 mm"),
        ({"modality": "CT"}, "holds no ultrasound picture .modality CT"),
        ({"photometric": "CMYK"}, "coded as CMYK with 1 samples"),
        ({"photometric": "RGB"}, "coded as RGB with 1 samples"),
        ({"BitsStored": 12}, "stores 12 of 8 bits"),
        ({"BitsAllocated": 32}, "stores 8 of 32 bits"),
        ({"PixelRepresentation": 1}, "export it with 8 unsigned bits"),
        ({"NumberOfFrames": 7}, "says it has 7 frames but holds 4"),
        ({"NumberOfFrames": 2}, "says it has 2 frames but holds 4"),
        ({"NumberOfFrames": -1}, "has -1 frames of 64 x 48"),
        ({"Rows": 0}, "has 4 frames of 64 x 0"),
        ({"Rows": 65535, "Columns": 65535}, "claims 4 frames of 65535 x 65535 pixels, more than the 16 million"),
        ({"NumberOfFrames": 2_000_000_000}, "claims 2000000000 frames"),
        ({"syntax": DeflatedExplicitVRLittleEndian}, "deflated as a whole"),
        ({"syntax": MPEG4HP41, "codes": [b"\0\0\1\xb3"] * 4}, "holds a film .MPEG-4"),
        ({"syntax": JPEGLSLossless, "codes": [b"\xff\xd8"] * 4}, "compressed as JPEG-LS .* no installed decoder"),
    ],
)
def test_what_would_be_read_wrongly_is_refused(tmp_path, frames, change, sentence):
    with pytest.raises(BadInput, match=rf"a\.dcm .*{sentence}|a\.dcm {sentence}"):
        read_dicom(write(tmp_path / "a.dcm", frames, **change))


def test_a_private_transfer_syntax_is_refused(tmp_path, frames):
    path = write(tmp_path / "a.dcm", frames)
    path.write_bytes(path.read_bytes().replace(b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0"))
    with pytest.raises(BadInput, match=r"a\.dcm has the private transfer syntax 1\.2\.840\.113619\.5\.2"):
        read_dicom(path)


@pytest.mark.parametrize(
    "name, sentence",
    [
        ("examples_rgb_color.dcm", r"frame 0 of .* has colour in 6% of its ultrasound .chroma 12 grey levels"),
        ("examples_palette.dcm", r"places its ultrasound at .120, 60, 800, 518., outside its 800 x 350 pixels"),
        ("examples_jpeg2k.dcm", "has colour in 5% of its ultrasound"),
        ("CT_small.dcm", "no ultrasound picture"),
        ("image_dfl.dcm", "deflated as a whole"),
        ("MR_truncated.dcm", "no ultrasound picture"),
        ("rtplan.dcm", "no ultrasound picture"),
        ("DICOMDIR", "DICOMDIR"),
        ("README.txt", "is not a DICOM file"),
    ],
)
def test_real_files_of_other_kinds_are_refused(name, sentence):
    with pytest.raises(BadInput, match=sentence):
        read_dicom(sample(name))


def test_files_that_are_no_dicom_are_named(tmp_path):
    with pytest.raises(BadInput, match=r"gone\.dcm is missing"):
        read_dicom(tmp_path / "gone.dcm")
    for content in (b"", b"hello", b"\0" * 500, bytes(128) + b"DICM", bytes(128) + b"DICM" + b"\xff" * 300):
        (tmp_path / "text.dcm").write_bytes(content)
        with pytest.raises(BadInput, match=r"text\.dcm (is not a|does not say)"):
            read_dicom(tmp_path / "text.dcm")
        assert is_dicom(tmp_path / "text.dcm") == (content[128:132] == b"DICM")


def test_a_file_without_pixels_is_named(tmp_path, frames):
    path = write(tmp_path / "a.dcm", frames)
    data = pydicom.dcmread(path)
    del data.PixelData
    data.save_as(path)
    with pytest.raises(BadInput, match=r"a\.dcm holds no ultrasound picture"):
        read_dicom(path)


@pytest.mark.parametrize("syntax", ["explicit", "RLE", "JPEG", "JPEG 2000"])
@pytest.mark.parametrize("share", [0.9, 0.5, 0.3])
def test_truncated_files_are_refused(tmp_path, frames, syntax, share):
    path = write(tmp_path / "a.dcm", frames, syntax=syntax)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(BadInput, match=r"a\.dcm .*(breaks off after|but holds|does not decode|damaged|no picture of)"):
        read_dicom(path)


@pytest.mark.parametrize("syntax", ["RLE", "JPEG", "JPEG 2000"])
@pytest.mark.parametrize("said", [3, 5])
def test_a_wrong_number_of_compressed_frames_is_refused(tmp_path, frames, syntax, said):
    path = write(tmp_path / "a.dcm", frames, syntax=syntax, NumberOfFrames=said)
    with pytest.raises(BadInput, match=rf"a\.dcm .*{said} frames"):
        read_dicom(path)


def test_a_codestream_of_another_size_is_refused_before_it_is_decoded(tmp_path, frames):
    bomb = bytearray(jpeg(frames[0]))
    sof = bomb.index(b"\xff\xc0")
    bomb[sof + 5 : sof + 9] = b"\xff\xdc\xff\xdc"  # 65,500 x 65,500
    path = write(tmp_path / "a.dcm", frames, syntax="JPEG", codes=[bytes(bomb)] * 4)
    with pytest.raises(BadInput, match=r"frame 0 of .*a\.dcm is no picture of 64 x 48 pixels"):
        read_dicom(path)
    large = np.zeros((96, 128), np.uint8)
    path = write(tmp_path / "b.dcm", frames, syntax="JPEG 2000", codes=[encoded(large, "JPEG 2000")] * 4)
    with pytest.raises(BadInput, match=r"frame 0 of .*b\.dcm is no picture of 64 x 48 pixels"):
        read_dicom(path)
