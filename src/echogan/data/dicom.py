"""Ultrasound DICOM in: grey frames, frame rate, spacing and region; no patient tag leaves the file."""

from pathlib import Path

import cv2
import numpy as np

from echogan.data.clip import Clip
from echogan.errors import BadInput

KIND = "ultrasound DICOM"

_GREY, _COLOUR = ("MONOCHROME2",), ("RGB", "YBR_FULL", "YBR_FULL_422")
_CENTIMETRES = 3  # PhysicalUnits code, DICOM PS3.3 C.8.5.5.1.15
_PLANE, _TISSUE = 1, 1  # RegionSpatialFormat "2D", RegionDataType "Tissue"


def is_dicom(path):
    """True where the file has the DICOM mark after its preamble."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def read_dicom(path):
    """One ultrasound file, still or cine, as a `Clip` whose patient is its file name.

    What cannot be read as grey tissue (another modality, palette or coloured pictures, more than 8 bits, an unknown
    compression, a calibration that fits no size) is a `BadInput`.
    """
    path = Path(path)
    data = _dataset(path)
    frames = np.stack([_tissue(picture, path) for picture in _pictures(data, path)])
    region, spacing = _calibration(data, path)
    return Clip(
        frames, path.stem, path.stem, KIND, source=str(path), fps=_frame_rate(data), spacing_mm=spacing, region=region
    )  # fmt: skip


def _dataset(path):
    import pydicom

    try:
        data = pydicom.dcmread(path)
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; check the name, or restore the file") from error
    except (pydicom.errors.InvalidDicomError, OSError, EOFError, ValueError) as error:
        raise BadInput(f"{path} is not a readable DICOM file ({error}); export it again, or remove it") from error
    if data.get("Modality") != "US" or "PixelData" not in data:
        raise BadInput(f"{path} holds no ultrasound picture (modality {data.get('Modality')}); remove it")
    coding, bits = data.get("PhotometricInterpretation"), data.get("BitsAllocated")
    if coding not in _GREY + _COLOUR or bits != 8:
        raise BadInput(f"{path} is coded as {coding} with {bits} bits; export it as 8-bit MONOCHROME2 or RGB")
    return data


def _pictures(data, path):
    """The pictures one after another: (H, W) grey or (H, W, 3) RGB."""
    from pydicom.pixels import iter_pixels

    try:
        yield from iter_pixels(data)
    except Exception as error:  # every decoder plug-in has its own exceptions
        syntax = data.file_meta.TransferSyntaxUID.name
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise BadInput(
            f"{path} ({syntax}) does not decode ({reason}); export it as JPEG Baseline or uncompressed"
        ) from error


def _tissue(picture, path):
    """A grey picture; scanner marks may have colour, but a coloured hundredth of it is flow and not tissue."""
    if picture.ndim == 2:
        return picture
    colour = picture.max(axis=-1) - picture.min(axis=-1) > 40
    if colour.mean() > 0.01:
        raise BadInput(
            f"{path} has colour in {colour.mean():.0%} of its pixels (Doppler?); give a grey-scale recording"
        )
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


def _frame_rate(data):
    """Frames per second by the tags that may say so, in the order of their exactness, or None."""
    intervals = list(data.get("FrameTimeVector") or [])[1:]  # the first entry is the offset of the first frame
    milliseconds = data.get("FrameTime") or (np.median(intervals) if intervals else 0)
    rate = (
        1000 / float(milliseconds) if milliseconds else data.get("CineRate") or data.get("RecommendedDisplayFrameRate")
    )
    return float(rate) if rate else None


def _calibration(data, path):
    """Region (x0, y0, x1, y1) in stored pixels and spacing (row, column) in mm of the tissue region, or (None, None)."""
    regions = data.get("SequenceOfUltrasoundRegions") or []
    planes = [r for r in regions if (r.RegionSpatialFormat, r.RegionDataType) == (_PLANE, _TISSUE)]
    if regions and not planes:
        raise BadInput(f"{path} has no two-dimensional tissue region (M-mode or Doppler?); give a B-mode recording")
    if not planes:
        return None, None
    place = planes[0]
    box = [place[f"RegionLocation{end}"].value for end in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    k = _shrinkage(box, data.Columns, data.Rows, path)
    x1, y1 = min(box[2] // k, data.Columns - 1), min(box[3] // k, data.Rows - 1)
    in_cm = (place.get("PhysicalUnitsXDirection"), place.get("PhysicalUnitsYDirection")) == (_CENTIMETRES, _CENTIMETRES)
    spacing = tuple(10.0 * k * abs(place[f"PhysicalDelta{axis}"].value) for axis in "YX") if in_cm else None
    return (box[0] // k, box[1] // k, x1, y1), spacing


def _shrinkage(box, columns, rows, path):
    """How many times the picture was shrunk after its region was written: some exports shrink only the pixels.

    An end that equals the size is an off-by-one of many scanners, not a shrunk picture.
    """
    x0, y0, x1, y1 = box
    k = max(1, int(np.ceil(max(x1 / columns, y1 / rows))))
    if not (0 <= x0 < x1 and 0 <= y0 < y1) or k > 4:
        raise BadInput(
            f"{path} places its ultrasound at {box} in {columns} x {rows} pixels; export it with its calibration"
        )
    return k
