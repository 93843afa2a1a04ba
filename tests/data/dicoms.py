"""Ultrasound DICOM files to test with, in every coding that scanners and archives write."""

from io import BytesIO

import cv2
import numpy as np
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    RLELossless,
    generate_uid,
)

from echogan.preprocessing.align import resample
from echogan.sector import ECHONET, Sector
from tests.data.studies import beating

SYNTAXES = {
    "explicit": ExplicitVRLittleEndian,
    "implicit": ImplicitVRLittleEndian,
    "big endian": ExplicitVRBigEndian,
    "RLE": RLELossless,
    "JPEG": JPEGBaseline8Bit,
    "JPEG 2000": JPEG2000Lossless,
}
FAN = Sector(160.0, 24.0, 200.0, 0.72, 320, 240)  # of `scan`


def write(
    path, frames, region=None, modality="US", photometric="MONOCHROME2", syntax="explicit", codes=None, vr=None, **tags
):
    """A multi-frame ultrasound file of (T, H, W) or (T, H, W, 3), or of `codes`, the bytes of each frame."""
    uid = SYNTAXES.get(syntax, syntax)
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = uid
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
        data.SequenceOfUltrasoundRegions = [dataset(r) for r in (region if isinstance(region, list) else [region])]
    for key, value in tags.items():
        setattr(data, key, value)
    if codes is None:
        codes = [encoded(frame, syntax) for frame in frames]
    if uid.is_encapsulated:
        data.PixelData = encapsulate(codes)
    else:
        whole = b"".join(codes)
        data.PixelData = whole + bytes(len(whole) % 2)
    data["PixelData"].VR = vr or ("OW" if data.BitsAllocated == 16 else "OB")
    data.save_as(path, enforce_file_format=True)
    return path


def dataset(values):
    item = Dataset()
    for key, value in values.items():
        setattr(item, key, value)
    return item


def region(x0=0, y0=0, x1=63, y1=47, kind=1, units=3, delta=0.02, shape=1):
    return {
        "RegionSpatialFormat": shape, "RegionDataType": kind, "RegionLocationMinX0": x0, "RegionLocationMinY0": y0,
        "RegionLocationMaxX1": x1, "RegionLocationMaxY1": y1, "PhysicalUnitsXDirection": units,
        "PhysicalUnitsYDirection": units, "PhysicalDeltaX": delta, "PhysicalDeltaY": delta / 2,
    }  # fmt: skip


def encoded(picture, syntax):
    """One frame as the transfer syntax stores it; JPEG takes its three channels as they are, untransformed."""
    if syntax == "RLE":
        return run_length(picture)
    if syntax == "JPEG":
        return jpeg(picture)
    if syntax == "JPEG 2000":
        file = BytesIO()
        Image.fromarray(picture).save(file, "JPEG2000", no_jp2=True)
        return file.getvalue()
    return picture.astype(picture.dtype.newbyteorder(">" if syntax == "big endian" else "<")).tobytes()


def jpeg(picture, quality=95):
    file = BytesIO()
    mode = "L" if picture.ndim == 2 else "YCbCr"
    Image.fromarray(picture, mode=mode).save(file, "JPEG", quality=quality, subsampling="4:2:2")
    return file.getvalue()


def run_length(picture):
    """PackBits of each byte plane, most significant byte first (PS3.5 annex G): literal runs only."""
    planes = picture.reshape(*picture.shape[:2], -1).transpose(2, 0, 1).astype(picture.dtype.newbyteorder(">"))
    segments = []
    for plane in planes:
        bytes_of_pixels = np.frombuffer(plane.tobytes(), np.uint8).reshape(plane.size, -1)
        for raw in bytes_of_pixels.T:
            raw = raw.tobytes()
            runs = (raw[i : i + 128] for i in range(0, len(raw), 128))
            segment = b"".join(bytes([len(run) - 1]) + run for run in runs)
            segments.append(segment + bytes(len(segment) % 2))
    starts = 64 + np.cumsum([0, *map(len, segments[:-1])])
    header = np.zeros(16, "<u4")
    header[0], header[1 : 1 + len(segments)] = len(segments), starts
    return header.tobytes() + b"".join(segments)


def scan(frames=6, seed=0):
    """A scanner's picture uint8 (T, 240, 320): a beating ventricle in a fan, black around it."""
    return resample(beating(frames, seed), ECHONET, FAN)


def annotated(frames):
    """What scanners write around the fan: name, date, depth scale with ticks, a grey bar."""
    out = frames.copy()
    for picture in out:
        cv2.putText(picture, "DOE JANE 4711", (8, 16), cv2.FONT_HERSHEY_SIMPLEX, 0.45, 255, 1, cv2.LINE_AA)
        cv2.putText(picture, "03/02/2021", (230, 232), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 200, 1, cv2.LINE_AA)
        picture[30:230:20, 312:318] = 180
        picture[60:160, 4:10] = np.linspace(255, 20, 100, dtype=np.uint8)[:, None]
    return out
