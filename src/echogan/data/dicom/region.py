"""Where the ultrasound lies in the picture, millimetres per pixel, frames per second (DICOM PS3.3 C.8.5.5 and C.7.6.5)."""

from math import ceil, isfinite

import numpy as np

from echogan.errors import BadInput

SPACING_MM = 0.01, 10  # what a pixel of any echocardiogram measures
FPS = 1, 1000

_CENTIMETRES = 3  # PhysicalUnits
_PLANE, _TISSUE, _FLOW = 1, 1, 2  # RegionSpatialFormat 2D; RegionDataType
_FORMATS = {1: "2D", 2: "M-mode", 3: "spectral", 4: "waveform", 5: "graphics"}
_CONTENTS = {1: "tissue", 2: "colour flow", 3: "PW Doppler", 4: "CW Doppler", 10: "ECG", 11: "pulse", 12: "heart sound"}
_SHRUNK = 4  # times at most


def tissue_region(header, warnings):
    """((x0, y0, x1, y1), (row, column) mm per pixel) of the B-mode picture; None for what the file does not say."""
    tags, path = header.tags, header.path
    regions = tags.get("SequenceOfUltrasoundRegions") or []
    if not regions:
        return None, _plausible(tags.get("PixelSpacing"), path)
    planes = [r for r in regions if _is(r, _TISSUE)]
    if not planes:
        raise BadInput(f"{path} has no two-dimensional tissue region but {_named(regions)}; give a B-mode recording")
    place = max(planes, key=lambda r: _area(_corners(r, path)))
    if any(_is(r, _FLOW) and _overlap(_corners(r, path), _corners(place, path)) for r in regions):
        raise BadInput(f"{path} marks colour flow over its tissue (colour Doppler); give a grey-scale recording")
    if len(planes) > 1:
        warnings.append(f"{path.name} has {len(planes)} tissue regions; the largest is taken for its ultrasound")
    box = _corners(place, path)
    k = _shrinkage(box, header)
    if k > 1:
        warnings.append(f"{path.name} has a region for a picture {k} times as large as its own; it was divided by {k}")
    x0, y0, x1, y1 = (int(end // k) for end in box)
    return (x0, y0, min(x1, header.columns - 1), min(y1, header.rows - 1)), _spacing(place, k, path)


def frame_rate(header, warnings):
    """Frames per second by the tags that may say so, in the order of their exactness, or None."""
    tags, rates = header.tags, []
    intervals = list(np.atleast_1d(tags.get("FrameTimeVector") or []))[1:]  # the first entry is an offset
    for milliseconds in (tags.get("FrameTime"), np.median(intervals) if intervals else None):
        rates.append(1000 / float(milliseconds) if milliseconds else 0)
    rates += [float(tags.get(tag) or 0) for tag in ("CineRate", "RecommendedDisplayFrameRate")]
    said = [rate for rate in rates if rate]
    usable = [rate for rate in said if FPS[0] <= rate <= FPS[1]]
    if said and said[:1] != usable[:1]:
        warnings.append(f"{header.path.name} says {said[0]:.3g} frames per second, which was not believed")
    return usable[0] if usable else None


def _is(region, content):
    return (region.get("RegionSpatialFormat"), region.get("RegionDataType")) == (_PLANE, content)


def _named(regions):
    formats = [(_FORMATS.get(r.get("RegionSpatialFormat")), _CONTENTS.get(r.get("RegionDataType"))) for r in regions]
    return ", ".join(" ".join(word for word in pair if word) or "unnamed" for pair in formats)


def _corners(region, path):
    box = [region.get(f"RegionLocation{end}") for end in ("MinX0", "MinY0", "MaxX1", "MaxY1")]
    if any(end is None for end in box) or not (0 <= box[0] < box[2] and 0 <= box[1] < box[3]):
        raise BadInput(f"{path} places its ultrasound at {box}, which is no area; export it with its calibration")
    return box


def _area(box):
    return (box[2] - box[0]) * (box[3] - box[1])


def _overlap(one, other):
    return max(one[0], other[0]) < min(one[2], other[2]) and max(one[1], other[1]) < min(one[3], other[3])


def _shrinkage(box, header):
    """How many times the picture was shrunk after its region was written: some exports shrink only the pixels.

    An end that equals the size is an off-by-one of many scanners, not a shrunk picture; one that exceeds the size along
    one axis only belongs to a picture that was cut.
    """
    k, also = (max(1, ceil(end / size)) for end, size in ((box[2], header.columns), (box[3], header.rows)))
    if k != also or k > _SHRUNK:
        raise BadInput(
            f"{header.path} places its ultrasound at {box}, outside its {header.columns} x {header.rows} pixels; "
            "export it with its calibration"
        )
    return k


def _spacing(region, k, path):
    units = (region.get("PhysicalUnitsXDirection"), region.get("PhysicalUnitsYDirection"))
    if units != (_CENTIMETRES, _CENTIMETRES):
        return None
    return _plausible([10 * k * abs(float(region.get(f"PhysicalDelta{axis}") or 0)) for axis in "YX"], path)


def _plausible(spacing, path):
    """(row, column) in mm, or a `BadInput` for what no scanner has."""
    if not spacing:
        return None
    row, column = map(float, spacing)
    if not all(isfinite(mm) and SPACING_MM[0] <= mm <= SPACING_MM[1] for mm in (row, column)):
        raise BadInput(f"{path} says its pixels measure {row:.3g} x {column:.3g} mm; export it with its calibration")
    return row, column
