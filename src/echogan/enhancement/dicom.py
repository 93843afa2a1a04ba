"""DICOM in, a derived DICOM out: new identifiers, the derivation described, no patient unless asked, and a visible mark.

The rule for tags: what is not in `TECHNICAL` is not written. With `keep_patient` the tags of `PATIENT` are copied too, the
study stays the same and the source is referred to; the series and the object are new ones always. Pixels outside the sector
are black, or with `keep_surround` those of the source as grey; a mark of research use is burnt in there, and its box told.
What is burnt into the sector stays: the object calls itself free of annotation only where none was found there.
Frames are grey of 8 bits without compression (a window of the file is applied), written one by one.
"""

import numpy as np
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

import echogan
from echogan.data.clip import Clip
from echogan.data.dicom import open_dicom
from echogan.data.dicom.header import kind_of, quiet
from echogan.enhancement import gate, mark
from echogan.enhancement.stream import Done, Tally, enhanced
from echogan.errors import BadInput
from echogan.files import atomic
from echogan.preprocessing.deidentify import extremes, find_marks, inside, sector_of

TECHNICAL = (
    "SpecificCharacterSet", "SOPClassUID", "Modality", "Manufacturer", "ManufacturerModelName", "TransducerType", "HeartRate",
    "StageName", "ViewName", "FrameTime", "FrameTimeVector", "CineRate", "RecommendedDisplayFrameRate",
    "FrameIncrementPointer", "FrameDelay", "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
PATIENT = (
    "PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAge", "PatientSize",
    "PatientWeight", "StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "StudyDescription", "AccessionNumber",
    "ReferringPhysicianName", "SeriesDate", "AcquisitionDateTime", "ContentDate", "ContentTime",
)  # fmt: skip
EMPTY = ("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime", "StudyID",
         "AccessionNumber", "ReferringPhysicianName", "Manufacturer", "PatientOrientation")  # fmt: skip
OWN_SERIES = 9000  # added to the number of the source's series, beside which the new one may be filed
REGION = ("RegionSpatialFormat", "RegionDataType", "RegionFlags", "PhysicalUnitsXDirection", "PhysicalUnitsYDirection",
          "TransducerFrequency")  # fmt: skip
_PIXELS = b"\xe0\x7f\x10\x00OB\x00\x00"  # tag and kind of the pixel data; its length in bytes follows


def enhance_dicom(source, out, enhance, wanted):
    """Enhance one ultrasound DICOM into the new file `out`; returns its `Done`. Errors leave nothing behind."""
    cine, mask, seen, count = opened(source)
    refused = gate.refusal(source, (), cine.frames(), cine.shape[0], mask, wanted)  # the reader itself refuses colour
    stamp, marks = mark.place(mask), find_marks(seen, mask, count > 1)
    tally, pixels = Tally(mask), int(np.prod(cine.shape))
    with atomic(out) as temporary, open(temporary, "wb") as file:
        _write_tags(file, cine, wanted, annotated(marks, wanted))
        file.write(_PIXELS + (pixels + pixels % 2).to_bytes(4, "little"))
        for before, after in enhanced(cine.frames(), mask, enhance, wanted, 255, source):
            tally.add(before, after)
            file.write(mark.burn(after if wanted.keep_surround else after * mask, *stamp).tobytes())
        file.write(bytes(pixels % 2))
    warnings = [*cine.warnings, *_kept_text(source, marks, wanted)]
    said = {"refused": refused, "box": stamp[0], "files": [out], "warnings": warnings}
    return Done(out, source, cine.shape, **tally.found(), **said)


def _kept_text(source, marks, wanted):
    """Sentences on what may name somebody in the pixels that were kept."""
    if wanted.keep_surround and marks.text:
        yield f"{source} shows {len(marks.text)} pieces of text outside its sector, which were kept: look for names"
    if marks.inside:
        yield f"{source} shows what may be text inside its sector ({len(marks.inside)} places), which was kept: look for names"


def annotated(marks, wanted):
    """Burned In Annotation: "YES", "NO" where none was found in all that was kept, None where that cannot be told.

    Steady lines inside the sector may be a valve's, and nothing tells letters in a still: neither is a yes.
    """
    if wanted.keep_surround:
        return "YES"
    return "NO" if marks.inside == () else None


def opened(source):
    """(recording, its sector (H, W), darkest and brightest frame, number of frames) of a DICOM with a region."""
    cine = open_dicom(source)
    if cine.region is None:
        raise BadInput(f"{source} does not say where its ultrasound is (no region); export it with its calibration")
    seen, count = extremes(cine.frames())
    stub = Clip(seen[:0], source.stem, "", "", str(source), cine.fps, cine.spacing_mm, region=cine.region)
    return cine, inside(sector_of(stub, seen), cine.region), seen, count


def _write_tags(file, cine, wanted, annotation):
    try:
        with quiet():
            dcmwrite(file, derived(cine, wanted, annotation), enforce_file_format=True)
    except Exception as error:  # a tag that holds something else than its kind
        raise BadInput(
            f"{cine.header.path} has tags that cannot be written again ({kind_of(error)}); export it again"
        ) from error


def derived(cine, wanted, annotation):
    """The tags of the new object, without its pixels; `annotation` as from `annotated`."""
    old, new = cine.header.tags, Dataset()
    for keyword in EMPTY:
        setattr(new, keyword, "")
    new.StudyInstanceUID, new.SeriesInstanceUID, new.SOPInstanceUID = (generate_uid() for _ in range(3))
    for keyword in TECHNICAL + (PATIENT if wanted.keep_patient else ()):
        if keyword in old:
            new[keyword] = old[keyword]
    if not wanted.keep_patient:
        new.PatientIdentityRemoved = "YES"
        new.DeidentificationMethod = "EchoGAN: only technical tags are kept, all identifiers are new"
    elif "SOPInstanceUID" in old:
        new.SourceImageSequence = [_reference(old)]
    new.SeriesNumber, new.InstanceNumber = OWN_SERIES + int(old.get("SeriesNumber") or 0), 1
    new.BodyPartExamined = "HEART"  # a part without sides, so that no laterality is missing
    new.ImageType = ["DERIVED", "SECONDARY"]
    new.DerivationDescription = (
        f"Enhanced by EchoGAN {echogan.__version__}, {wanted.origin or 'unnamed run'}, strength {wanted.strength:g}"
        f"{', temporal' * wanted.temporal}. Research use only, not for diagnosis."
    )[:1024]
    new.SeriesDescription = "EchoGAN, research only"
    if annotation:
        new.BurnedInAnnotation = annotation
    new.SequenceOfUltrasoundRegions = [_region(cine)]
    return _with_pixels(new, cine)


def _reference(old):
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = old.SOPClassUID, old.SOPInstanceUID
    return item


def _region(cine):
    """The tissue region as it was read: within the picture, and in its own pixels."""
    places = cine.header.tags.SequenceOfUltrasoundRegions
    old = next(r for r in places if (r.get("RegionSpatialFormat"), r.get("RegionDataType")) == (1, 1))
    new = Dataset()
    new.RegionFlags = 0
    for keyword in REGION:
        if keyword in old:
            new[keyword] = old[keyword]
    ends = ("MinX0", "MinY0", "MaxX1", "MaxY1")
    for end, value in zip(ends, cine.region):
        setattr(new, f"RegionLocation{end}", int(value))
    if cine.spacing_mm:
        new.PhysicalDeltaY, new.PhysicalDeltaX = (mm / 10 for mm in cine.spacing_mm)
    return new


def _with_pixels(new, cine):
    frames, new.Rows, new.Columns = cine.shape
    if "NumberOfFrames" in cine.header.tags:
        new.NumberOfFrames = frames
    new.PhotometricInterpretation, new.SamplesPerPixel, new.PixelRepresentation = "MONOCHROME2", 1, 0
    new.BitsAllocated = new.BitsStored = 8
    new.HighBit = 7
    new.file_meta = FileMetaDataset()
    new.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    new.file_meta.MediaStorageSOPClassUID = new.SOPClassUID
    new.file_meta.MediaStorageSOPInstanceUID = new.SOPInstanceUID
    return new
