"""Damaged DICOM, AVI and MP4 files: read, or refused in one sentence; no hang, no crash, no file written, no memory kept."""

import cv2
import numpy as np
import pytest
from hypothesis import given

from echogan.data.dicom import open_dicom, read_dicom
from echogan.data.video import _quiet, read_video
from echogan.errors import BadInput
from tests.data.dicoms import encoded, region, scan, write
from tests.data.fuzz import PeakMemory, Tally, answers, damages, few, many
from tests.data.studies import beating, write_avi


def dicoms(folder):
    """A valid file of each coding, small, with a calibration to damage; and where its pixels begin."""
    frames = scan(3)[:, 40:104, 100:180]
    rgb = np.repeat(frames[..., None], 3, -1)
    ybr = np.stack([frames, np.full_like(frames, 128), np.full_like(frames, 128)], -1)
    grey = np.arange(256, dtype="<u2") * 257
    palette = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    palette |= {f"{c}PaletteColorLookupTableData": grey.tobytes() for c in ("Red", "Green", "Blue")}
    calls = [
        (frames, "explicit", "MONOCHROME2", {}),
        (frames.astype(np.uint16) << 4, "big endian", "MONOCHROME1", {"BitsStored": 12}),
        (frames, "implicit", "PALETTE COLOR", palette),
        (rgb, "RLE", "RGB", {}),
        (ybr, "JPEG", "YBR_FULL_422", {"FrameTimeVector": [0, 20, 20]}),
        (rgb, "JPEG 2000", "YBR_RCT", {}),
    ]
    for i, (pixels, syntax, photometric, tags) in enumerate(calls):
        tags = {"FrameTime": 20.0, "PatientID": "4711", **tags}
        path = write(folder / f"{i}.dcm", pixels, region(0, 0, 79, 63), syntax=syntax, photometric=photometric, **tags)
        content = path.read_bytes()
        yield content, content.rindex(encoded(pixels[0], syntax)[:16])


def videos(folder):
    """A Motion JPEG AVI and an MPEG-4 file; the body of each begins with its first frame."""
    for name, codec in (("a.avi", None), ("a.mp4", "mp4v")):
        path = folder / name
        if codec is None:
            write_avi(path, beating(6))
        else:
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 50, (112, 112))
            for frame in beating(6):
                writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
            writer.release()
        content = path.read_bytes()
        yield content, content.index(b"movi" if codec is None else b"mdat") + 12


def fuzz(files, knobs, path, read, opens):
    """Give `read` damaged files in the place of `path`; returns the `Tally` and the MB that the peak grew by."""
    tally, memory = Tally(), PeakMemory()
    assert all(body < len(content) for content, body in files)
    start = []

    @knobs
    @given(damages)
    def one(damage):
        path.write_bytes(damage.apply(files))
        tally.given += 1
        tally.read += answers(read, path)
        tally.opened += opens(path)
        if memory.known and tally.given == 20:  # libraries and caches are warm
            memory.forget()
            start.append(memory.read())

    one()
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert tally.opened >= tally.given / 3, tally
    return tally, memory.read() - start[0] if start else 0


def opens_as_dicom(path):
    try:
        open_dicom(path)
    except BadInput:
        return False
    return True


def opens_as_video(path):
    with _quiet():
        return cv2.VideoCapture(str(path), cv2.CAP_FFMPEG).isOpened()


@pytest.fixture
def place(tmp_path):
    (tmp_path / "given").mkdir()
    (tmp_path / "valid").mkdir()
    return tmp_path


def check_dicom(place, knobs):
    files = list(dicoms(place / "valid"))
    return fuzz(files, knobs, place / "given" / "a.dcm", read_dicom, opens_as_dicom)


def check_video(place, knobs, suffix):
    files = [pair for pair in videos(place / "valid") if (pair[0][:4] == b"RIFF") == (suffix == "avi")]
    return fuzz(files, knobs, place / "given" / f"a.{suffix}", read_video, opens_as_video)


def test_a_few_damaged_dicoms(place):
    check_dicom(place, few)


@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_a_few_damaged_videos(place, suffix):
    check_video(place, few, suffix)


@pytest.mark.slow
def test_a_thousand_damaged_dicoms(place):
    tally, grown = check_dicom(place, many)
    assert tally.given >= 1000 and grown < 50, (tally, grown)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["avi", "mp4"])
def test_a_thousand_damaged_videos(place, suffix):
    tally, grown = check_video(place, many, suffix)
    assert tally.given >= 1000 and grown < 50, (tally, grown)
