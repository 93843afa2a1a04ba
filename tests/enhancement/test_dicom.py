"""DICOM in, a derived DICOM out: what is new, what is kept, what is blanked, and what is refused."""

import shutil
import subprocess

import cv2
import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.uid import JPEGLSLossless

from echogan.data.dicom import open_dicom
from echogan.enhancement.clips import enhance_file, enhance_path, pictures_of, stem_of
from echogan.enhancement.stream import Wanted, enhance_array
from echogan.errors import BadInput
from echogan.preprocessing.deidentify import extremes, inside, sector_of
from tests.data import dicoms
from tests.data.dicoms import annotated, region, scan
from tests.enhancement.stand_ins import gain

BOX = region(0, 18, 319, 239)
TAGS = {
    "PatientName": "DOE^JANE", "PatientID": "MRN-4711", "StudyDate": "20210203", "InstitutionName": "St Elsewhere",
    "OperatorsName": "SMITH", "FrameTime": 20.0, "FrameIncrementPointer": 0x00181063, "StudyInstanceUID": "1.2.3.4",
    "SeriesInstanceUID": "1.2.3.4.5",
}  # fmt: skip


@pytest.fixture
def source(tmp_path):
    return dicoms.write(tmp_path / "in.dcm", annotated(scan(5)), BOX, **TAGS)


def mask_of(path):
    cine = open_dicom(path)
    seen, _ = extremes(cine.frames())
    return inside(sector_of(cine.clip(frames=seen[:0]), seen), cine.region)


def boxed(box, shape=(240, 320)):
    inside_box = np.zeros(shape, bool)
    x, y, width, height = box
    inside_box[y : y + height, x : x + width] = True
    return inside_box


def test_the_derived_object_is_new_described_and_nameless(source, tmp_path):
    done = enhance_file(source, tmp_path / "out.dcm", gain, Wanted(origin="cyclegan/test, weights abc"))
    old, new = pydicom.dcmread(source), pydicom.dcmread(done.path)
    for uid in ("SOPInstanceUID", "SeriesInstanceUID", "StudyInstanceUID"):
        assert new[uid].value != old[uid].value
    assert list(new.ImageType) == ["DERIVED", "SECONDARY"] and new.PatientIdentityRemoved == "YES"
    assert "cyclegan/test, weights abc, strength 1" in new.DerivationDescription
    assert (new.FrameTime, new.NumberOfFrames, new.Rows, new.Columns) == (20, 5, 240, 320)
    text = done.path.read_bytes()
    assert not any(word in text for word in (b"DOE", b"MRN-4711", b"Elsewhere", b"SMITH", b"20210203", b"1.2.3.4"))


def test_inside_is_enhanced_and_outside_is_black_but_for_the_mark(source, tmp_path):
    done = enhance_file(source, tmp_path / "out.dcm", gain)
    before, after, mask = pydicom.dcmread(source).pixel_array, pydicom.dcmread(done.path).pixel_array, mask_of(source)
    assert np.array_equal(after[:, mask], enhance_array(before, mask, gain)[:, mask])
    stamp = boxed(done.box)
    assert not (stamp & mask).any() and after[:, stamp].max() > 200 and after[:, ~mask & ~stamp].max() == 0
    cine = open_dicom(done.path)  # our own reader, too, finds the same region, rate and spacing
    assert (cine.fps, cine.region, cine.spacing_mm) == (50, open_dicom(source).region, open_dicom(source).spacing_mm)


def test_keep_surround_changes_nothing_outside_but_the_mark_and_warns_of_text(source, tmp_path):
    done = enhance_file(source, tmp_path / "out.dcm", gain, Wanted(keep_surround=True))
    before, after, mask = pydicom.dcmread(source).pixel_array, pydicom.dcmread(done.path).pixel_array, mask_of(source)
    rest = ~mask & ~boxed(done.box)
    assert np.array_equal(before[:, rest], after[:, rest]) and before[:, rest].max() > 100
    assert any("text outside its sector" in said for said in done.warnings)
    assert pydicom.dcmread(done.path).BurnedInAnnotation == "YES"


def test_text_inside_the_sector_is_told_and_only_what_is_known_to_be_clean_is_called_so(tmp_path):
    clean = scan(8)
    named = clean.copy()
    for picture in named:
        cv2.putText(picture, "ID 4711", (130, 120), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)
    said, called = {}, {}
    for name, frames in (("clean", clean), ("named", named), ("still", named[:1])):
        source = dicoms.write(tmp_path / f"{name}.dcm", frames, BOX, **TAGS)
        done = enhance_file(source, tmp_path / f"{name}_out.dcm", gain)
        said[name] = [sentence for sentence in done.warnings if "inside its sector" in sentence]
        called[name] = pydicom.dcmread(done.path).get("BurnedInAnnotation")
    assert called == {"clean": "NO", "named": None, "still": None}
    assert not said["clean"] and not said["still"]
    assert len(said["named"]) == 1 and said["named"][0].startswith(str(tmp_path / "named.dcm"))
    assert said["named"][0].endswith("which was kept: look for names")


def test_the_patient_is_kept_when_asked_and_the_source_is_named(source, tmp_path):
    enhance_file(source, tmp_path / "out.dcm", gain, Wanted(keep_patient=True))
    old, new = pydicom.dcmread(source), pydicom.dcmread(tmp_path / "out.dcm")
    assert (new.PatientName, new.PatientID, new.StudyInstanceUID) == ("DOE^JANE", "MRN-4711", "1.2.3.4")
    assert new.SourceImageSequence[0].ReferencedSOPInstanceUID == old.SOPInstanceUID != new.SOPInstanceUID
    assert "OperatorsName" not in new and "PatientIdentityRemoved" not in new


@pytest.mark.parametrize("syntax", ["RLE", "JPEG", "implicit"])
def test_compressed_and_implicit_sources(tmp_path, syntax):
    frames = annotated(scan(3))
    if syntax == "JPEG":
        frames = np.stack([frames, np.full_like(frames, 128), np.full_like(frames, 128)], -1)
    source = dicoms.write(
        tmp_path / "in.dcm", frames, BOX, syntax=syntax, photometric="YBR_FULL_422" if syntax == "JPEG" else "MONOCHROME2", **TAGS
    )  # fmt: skip
    done = enhance_file(source, tmp_path / "out.dcm", gain, Wanted(strength=0, keep_surround=True))
    before, after = np.stack(list(open_dicom(source).frames())), pydicom.dcmread(done.path).pixel_array
    rest = ~boxed(done.box)
    assert np.array_equal(before[:, rest], after[:, rest])


def test_odd_numbers_of_pixels_are_padded(tmp_path):
    source = dicoms.write(tmp_path / "in.dcm", scan(3)[:, :239, :319], region(0, 18, 318, 238), **TAGS)
    enhance_file(source, tmp_path / "out.dcm", gain)
    assert len(pydicom.dcmread(tmp_path / "out.dcm").PixelData) == 3 * 239 * 319 + 1
    assert pydicom.dcmread(tmp_path / "out.dcm").pixel_array.shape == (3, 239, 319)


def broken(tmp_path):
    """(file, what its sentence says) of everything that cannot be enhanced."""
    frames = scan(3)
    cut = dicoms.write(tmp_path / "cut.dcm", frames, BOX, **TAGS)
    cut.write_bytes(cut.read_bytes()[:-50_000])
    packed = dicoms.write(tmp_path / "packed.dcm", frames, BOX, syntax="RLE", **TAGS)
    packed.write_bytes(packed.read_bytes()[:-50_000])
    private = dicoms.write(tmp_path / "private.dcm", frames, BOX, **TAGS)
    known, unknown = b"1.2.840.10008.1.2.1\0", b"1.2.840.113619.5.2\0\0"
    private.write_bytes(private.read_bytes().replace(known, unknown))
    unreadable = {"syntax": JPEGLSLossless, "codes": [b"\xff\xd8"] * 3, **TAGS}
    noisy = np.random.default_rng(0).integers(0, 255, (2, 240, 320, 3)).astype(np.uint8)
    return [
        (dicoms.write(tmp_path / "none.dcm", frames, **TAGS), "no region"),
        (dicoms.write(tmp_path / "wrong.dcm", frames, region(50, 50, 40, 40), **TAGS), "no area"),
        (dicoms.write(tmp_path / "beyond.dcm", frames, region(0, 18, 319, 400), **TAGS), "outside its 320 x 240"),
        (dicoms.write(tmp_path / "jpegls.dcm", frames, BOX, **unreadable), "JPEG-LS .* no installed decoder"),
        (private, "private transfer syntax"),
        (cut, "holds 2"),
        (packed, "breaks off after|does not decode|holds"),
        (dicoms.write(tmp_path / "colour.dcm", noisy, BOX, photometric="RGB", **TAGS), "colour"),
    ]


def test_what_cannot_be_enhanced_is_one_sentence_and_no_file(tmp_path):
    for path, sentence in broken(tmp_path):
        with pytest.raises(BadInput, match=sentence) as refused:
            enhance_file(path, tmp_path / "out.dcm", gain)
        said = str(refused.value)
        assert path.name in said and "\n" not in said and "Traceback" not in said
    assert not [p for p in tmp_path.iterdir() if "out" in p.name]


def test_what_a_dicom_has_not_is_refused(source, tmp_path):
    for wanted in (Wanted(beside=True), Wanted(sector="echonet")):
        with pytest.raises(BadInput, match="only the enhanced object"):
            enhance_file(source, tmp_path / "out.dcm", gain, wanted)


def test_a_folder_may_hold_dicom_too(source, tmp_path):
    (tmp_path / "in").mkdir()
    source.rename(tmp_path / "in" / "a.dcm")
    (tmp_path / "in" / "b.dcm").write_bytes(b"nothing")
    result = enhance_path(tmp_path / "in", tmp_path / "out", gain)
    assert [d.path.name for d in result.done] == ["a.dcm"] and "not a DICOM" in result.failed[0]


def test_a_dicom_is_known_by_its_content_and_keeps_the_name_it_had(source, tmp_path):
    folder = tmp_path / "in"
    for name in ("disc/IM_0001", "1.2.840.5", "1.2.840.6"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(source, folder / name)
    (folder / "DICOMDIR").write_bytes(bytes(128) + b"DICM")
    (folder / "README").write_text("an export")
    (folder / "film.mov").write_bytes(b"a film")
    result = enhance_path(folder, tmp_path / "out", gain)
    made = {path.relative_to(tmp_path / "out").as_posix() for path in (d.path for d in result.done)}
    assert made == {"disc/IM_0001", "1.2.840.5", "1.2.840.6"} and not result.failed
    assert pydicom.dcmread(tmp_path / "out" / "disc" / "IM_0001").ImageType[0] == "DERIVED"
    assert result.warnings == [
        "2 files are of kinds that cannot be enhanced and were left out: 1 .mov, 1 without suffix"
    ]
    assert {stem_of(d.path) for d in result.done} == {"IM_0001", "1.2.840.5", "1.2.840.6"}
    assert len(pictures_of(folder / "disc" / "IM_0001", 3)[0]) == 3


def test_one_dicom_without_suffix_becomes_a_dicom_and_nothing_else(source, tmp_path):
    plain = source.rename(tmp_path / "IM_0001")
    for out in ("enhanced", "enhanced.dcm"):
        assert pydicom.dcmread(enhance_file(plain, tmp_path / out, gain).path).NumberOfFrames == 5
    with pytest.raises(BadInput, match=r"of another kind than .*IM_0001; let it end in \.dcm"):
        enhance_file(plain, tmp_path / "enhanced.png", gain)
    (tmp_path / "README").write_text("an export")
    with pytest.raises(BadInput, match=r"README is not a recording to enhance; give .* a DICOM"):
        enhance_file(tmp_path / "README", tmp_path / "README_enhanced", gain)


def test_what_a_report_shows_of_a_dicom_is_blank_around_the_sector(source):
    images, mask, chosen = pictures_of(source, 3)
    before = pydicom.dcmread(source).pixel_array[chosen]
    assert before[:, ~mask].max() == 255 and images.dtype == np.uint8  # the name that is burnt in
    assert np.array_equal(images[:, mask], before[:, mask]) and images[:, ~mask].max() == 0


@pytest.mark.parametrize(
    "code, name",
    [
        ("ISO_IR 100", "Müller^Jörg"),
        ("ISO_IR 144", "Иванов^Иван"),
        ("ISO_IR 192", "山田^太郎"),
        (["", "ISO 2022 IR 87"], "Yamada^Tarou=山田^太郎"),
    ],
)
def test_letters_beyond_ascii_stay_what_they_are(tmp_path, code, name):
    tags = {**TAGS, "PatientName": name, "SpecificCharacterSet": code}
    source = dicoms.write(tmp_path / "in.dcm", scan(2), BOX, Manufacturer=name.rpartition("^")[2], **tags)
    for out, keep in (("kept.dcm", True), ("nameless.dcm", False)):
        enhance_file(source, tmp_path / out, gain, Wanted(keep_patient=keep))
        new = pydicom.dcmread(tmp_path / out)
        assert new.SpecificCharacterSet == code and str(new.PatientName) == (name if keep else "")
        assert new.Manufacturer == name.rpartition("^")[2]


def findings(path):
    """What David Clunie's validator (dciodvfy of dicom3tools) says of an object, less the name of its kind."""
    said = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False).stderr
    return {line for line in said.splitlines() if line.startswith(("Error", "Warning"))}


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="needs dicom3tools, which brings the standard with it")
@pytest.mark.parametrize("keep_patient", [False, True])
@pytest.mark.parametrize("origin", ["a scanner's", "ours"])
def test_a_validator_finds_nothing_that_it_does_not_find_in_the_source(source, tmp_path, keep_patient, origin):
    """By dciodvfy, since dicom-validator (0.9) fetches the text of the standard before it can say anything.

    Without the patient nothing can be filed under one: of that alone it may warn.
    """
    read = get_testdata_file("examples_ybr_color.dcm", download=False) if origin == "a scanner's" else source
    enhance_file(read, tmp_path / "out.dcm", gain, Wanted(keep_patient=keep_patient))
    new = findings(tmp_path / "out.dcm") - findings(read)
    nameless = {f"Warning - Missing attribute or value that would be needed to build DICOMDIR - {what}"
                for what in ("Patient ID", "Study Date", "Study Time", "Study ID")}  # fmt: skip
    assert new <= (set() if keep_patient else nameless)


def test_the_derived_object_has_what_its_kind_must_have(source, tmp_path):
    """Type 1 (with a value) and type 2 (at least empty) of PS3.3 A.7.4, less what only contrast or palettes need."""
    enhance_file(source, tmp_path / "out.dcm", gain)
    new = pydicom.dcmread(tmp_path / "out.dcm")
    filled = "SOPClassUID SOPInstanceUID StudyInstanceUID SeriesInstanceUID Modality ImageType FrameIncrementPointer"
    there = "PatientName PatientID PatientBirthDate PatientSex StudyDate StudyTime ReferringPhysicianName StudyID "
    there += "AccessionNumber SeriesNumber Manufacturer InstanceNumber PatientOrientation"
    assert all(new.get(keyword) not in (None, "", []) for keyword in filled.split())
    assert all(keyword in new for keyword in there.split())
    assert "RegionFlags" in new.SequenceOfUltrasoundRegions[0] and new.SeriesNumber >= 9000
