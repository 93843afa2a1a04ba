"""Video files in and out: grey frames and the frame rate."""

import hashlib
import os
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from echogan.data import jpeg
from echogan.data.clip import Clip
from echogan.data.colour import LOOKED_AT
from echogan.data.limits import check_size
from echogan.errors import BadInput
from echogan.sector import ECHONET, STUDY_SIZE

VIDEO_SUFFIXES = (".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".gif")
KIND = "ultrasound video"
_SILENT = 0
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")  # FFmpeg asks once, when its first file is opened or written
_MOTION_JPEG = cv2.VideoWriter.fourcc(*"MJPG")
_LUMA = cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION  # no search for EXIF in every frame
# The MJPEG reader inside OpenCV serves builds without FFmpeg. One thread: more cost small frames half their speed.
_BACKENDS = (
    (cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]),
    (cv2.CAP_ANY, []),
    (cv2.CAP_OPENCV_MJPEG, []),
)


class _Unfit(Exception):
    """A way of decoding that does not fit the file."""


def read_video(path, glance=None):
    """Frames uint8 (T, H, W), grey, and frames per second (None where the file does not say).

    `glance` (a `Glance`) is shown what is decoded in colour on the way, which of Motion JPEG is nothing.

    A file that is missing, does not decode, breaks off before the frames its header promises, or claims a size that no
    scanner has is a `BadInput`.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path} is missing; check the name, or restore the file")
    with _quiet():
        frames, fps, promised = _motion_jpeg(path) or _any_codec(path, glance)
    if not len(frames):
        raise BadInput(_no_video(path))
    # Only AVI counts its frames; other containers estimate them from the duration.
    if path.suffix.lower() == ".avi" and len(frames) < promised:
        raise BadInput(_broken_off(path, len(frames), promised))
    return np.asarray(frames), fps


def _no_video(path):
    return f"{path} does not decode as a video; export it again as AVI (Motion JPEG) or MP4, or remove it"


def _broken_off(path, count, promised):
    return f"{path} breaks off after {count} of {promised} frames; copy it again, or remove it"


@dataclass(frozen=True)
class Film:
    """A video to walk through: `shape` (T, H, W); `frames()` yields the frames of `read_video`, one in memory at a time."""

    path: Path
    shape: tuple
    fps: float | None
    walk: Callable  # path -> iterator of grey frames

    def frames(self):
        """Yield grey uint8 (H, W), again at every call."""
        return self.walk(self.path)

    def colours(self, n=LOOKED_AT):
        """At most `n` frames spread over the film, in colour: uint8 (n, H, W, 3) in BGR."""
        return np.array([*colours(self.path, self.shape[0], n).values()])


def colours(path, count, n=LOOKED_AT):
    """{number: frame uint8 (H, W, 3) in BGR} of `n` of the `count` frames of the video at `path`, from the first to the last."""
    chosen = set(np.linspace(0, count - 1, min(n, count)).round().astype(int).tolist())
    ways = [_packets, *(partial(_retrieved, backend=b, options=o) for b, o in _BACKENDS)]
    with _quiet():
        for way in ways:
            with suppress(_Unfit):
                if found := dict(way(path, chosen)):
                    return found
    return {}


def _packets(path, chosen):
    """Yield (number, frame in colour) of those JPEG packets, and decode no other; errors as in `_walk_lumas`."""
    capture = _motion_jpeg_packets(path)
    shape = _size(capture, path)
    for number, packet in enumerate(_until_end(capture)):
        if number in chosen:
            frame = cv2.imdecode(packet, cv2.IMREAD_COLOR) if _whole(packet, shape) else None
            if frame is None or frame.shape[:2] != shape:
                raise _Unfit
            yield number, frame


def _retrieved(path, chosen, backend, options):
    """Yield (number, frame in colour) of those frames as one backend of OpenCV decodes them, and convert no other."""
    capture = cv2.VideoCapture(str(path), backend, options)
    for number in range(max(chosen) + 1):
        if not capture.grab():
            return
        frame = capture.retrieve()[1] if number in chosen else None
        if frame is not None:
            yield number, frame if frame.ndim == 3 else cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)


def open_video(path):
    """The `Film` at `path`, decoded once to see that it is whole; errors as in `read_video`."""
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path} is missing; check the name, or restore the file")
    ways = [_walk_lumas, *(partial(_walk_colours, backend=b, options=o) for b, o in _BACKENDS)]
    for way in ways:
        count, shape = _measured(way, path)
        if count:
            break
    else:
        raise BadInput(_no_video(path))
    with _quiet():
        fps, promised = _header(cv2.VideoCapture(str(path)))
    if path.suffix.lower() == ".avi" and count < promised:
        raise BadInput(_broken_off(path, count, promised))
    return Film(path, (count, *shape), fps, way)


def _measured(way, path):
    """(how many frames, their shape) of a file, (0, ()) where this way of decoding does not fit it."""
    count, shape = 0, ()
    try:
        for frame in way(path):
            count, shape = count + 1, frame.shape
    except _Unfit:
        return 0, ()
    return count, shape


@contextmanager
def video_writer(path, shape, fps):
    """Yield a function that takes grey uint8 frames (H, W) one by one: .avi lossless (FFV1), .mp4 lossy (MPEG-4).

    What was written as AVI is read back: a build of OpenCV that loses anything is refused, not trusted. A file that
    could not be written to its end is a `BadInput`.
    """
    path, (height, width) = Path(path), shape
    lossless = path.suffix.lower() == ".avi"
    if height % 2 or width % 2:
        raise BadInput(f"{path} would have {width} x {height} pixels, and video needs even sides; write PNG instead")
    with _quiet():
        codec = cv2.VideoWriter.fourcc(*("FFV1" if lossless else "mp4v"))
        writer = cv2.VideoWriter(str(path), codec, float(fps), (width, height), isColor=False)
        if not writer.isOpened():
            raise BadInput(f"this build of OpenCV cannot write {path.suffix}; give a folder of PNG instead")
        seen = hashlib.sha256()

        def write(frame):
            writer.write(frame)
            seen.update(frame.tobytes())

        try:
            yield write
        finally:
            writer.release()
        _check_whole(path)
    if lossless and _hashed(path) != seen.hexdigest():
        raise BadInput(f"this build of OpenCV does not write {path} without loss; give a folder of PNG instead")


def _hashed(path):
    read = hashlib.sha256()
    for frame in _walk_colours(path, cv2.CAP_FFMPEG, []):
        read.update(frame.tobytes())
    return read.hexdigest()


def _walk_lumas(path):
    """Yield the luma of each JPEG packet; `_Unfit` where one is damaged or the file is anything else."""
    with _quiet():
        yield from _lumas(_motion_jpeg_packets(path), path)


def _motion_jpeg_packets(path):
    """A capture that reads the JPEG packets of the file; `_Unfit` where it is anything else."""
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    if not capture.isOpened() or int(capture.get(cv2.CAP_PROP_FOURCC)) != _MOTION_JPEG:
        raise _Unfit
    return capture


def _walk_colours(path, backend, options):
    """Yield what one backend of OpenCV decodes, made grey."""
    with _quiet():
        capture = cv2.VideoCapture(str(path), backend, options)
        if capture.isOpened():
            shape = _size(capture, path)
            for number, frame in enumerate(_until_end(capture), 1):
                check_size(path, number, *shape)
                yield _grey(frame)


def read_video_clip(path, glance=None):
    """A loose video as a `Clip`: its file name is its patient; 112 x 112 pixels are EchoNet-Dynamic's own format."""
    path = Path(path)
    frames, fps = read_video(path, glance)
    sector = ECHONET if frames.shape[1:] == (STUDY_SIZE, STUDY_SIZE) else None
    return Clip(frames, path.stem, path.stem, KIND, source=str(path), fps=fps, sector=sector)


def write_avi(path, frames, fps):
    """Write grey frames (T, H, W) uint8 as a Motion JPEG AVI of three equal channels, as EchoNet-Dynamic's videos are.

    A file that could not be written to its end is a `BadInput`.
    """
    height, width = frames.shape[1:]
    with _quiet():
        writer = cv2.VideoWriter(str(path), _MOTION_JPEG, float(fps), (width, height))
        if not writer.isOpened():
            raise BadInput(f"{path} cannot be written as Motion JPEG; check the folder, or reinstall opencv-python")
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
        writer.release()
        _check_whole(Path(path))


def _check_whole(path):
    """A `BadInput` for what OpenCV could not write to its end (a full disk, a quota), of which it says nothing.

    An AVI (beyond 1 GB its first part) names its length only once it is whole; an MP4 does not open without its end.
    """
    if path.suffix.lower() == ".avi":
        with open(path, "rb") as file:
            named = int.from_bytes(file.read(8)[4:], "little")
        whole = 0 < named <= path.stat().st_size - 8
    else:
        whole = cv2.VideoCapture(str(path)).isOpened()
    if not whole:
        raise BadInput(f"cannot write {path}: it breaks off; free some space or choose another folder")


def _set_log_level(level):
    """Returns the level before; OpenCV 5 moved the function."""
    return (cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel)(level)


@contextmanager
def _quiet():
    """Silence the messages of OpenCV and FFmpeg: what matters of them is raised as a `BadInput`."""
    before = _set_log_level(_SILENT)
    try:
        yield
    finally:
        _set_log_level(before)


def _motion_jpeg(path):
    """(frames, fps, frame count) from the luma of each JPEG packet, or None where the file is anything else.

    Decoding luma alone takes two thirds of the time of decoding colour and converting it; the grey values differ
    by at most 2.
    """
    capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_FORMAT, -1])
    if not capture.isOpened() or int(capture.get(cv2.CAP_PROP_FOURCC)) != _MOTION_JPEG:
        return None
    shape, packets = _size(capture, path), list(_until_end(capture))
    check_size(path, max(1, len(packets)), *shape)
    if not all(_whole(packet, shape) for packet in packets):
        return None
    frames = np.empty((len(packets), *shape), np.uint8)
    for frame, packet in zip(frames, packets):
        decoded = cv2.imdecode(packet, _LUMA)
        if decoded is None or decoded.shape != shape:
            return None
        frame[:] = decoded
    return frames, *_header(capture)


def _whole(packet, shape):
    """Whether it is a JPEG of that shape with its end: asked before decoding, as a few bytes may claim any size.

    A packet without its end would be decoded to grey; one of half the height is half of an interlaced frame.
    """
    code = packet.tobytes()
    return jpeg.size(code) == shape and code.rstrip(b"\0").endswith(jpeg.END)


def _lumas(capture, path):
    """Yield the luma of each packet; `_Unfit` at the first that is damaged or interlaced."""
    shape = _size(capture, path)
    for packet in _until_end(capture):
        frame = cv2.imdecode(packet, _LUMA) if _whole(packet, shape) else None
        if frame is None or frame.shape != shape:
            raise _Unfit
        yield frame


def _any_codec(path, glance):
    """(frames, fps, frame count) from the first OpenCV backend that decodes anything."""
    for backend, options in _BACKENDS:
        capture, frames = cv2.VideoCapture(str(path), backend, options), []
        shape = _size(capture, path) if capture.isOpened() else ()
        for frame in _until_end(capture):
            if glance and frame.ndim == 3:
                glance.add(len(frames), frame)
            frames.append(_grey(frame))
            check_size(path, len(frames), *shape)  # a codec may make any length of a few bytes
        if frames:
            return frames, *_header(capture)
    return [], None, 0


def _size(capture, path):
    """(height, width) that the file claims, of a size to decode."""
    shape = tuple(int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    check_size(path, 1, *shape)
    return shape


def _until_end(capture):
    """What `capture` reads, up to the end of the file or the first damage."""
    try:
        while capture.isOpened():
            ok, frame = capture.read()
            if not ok:
                return
            yield frame
    except cv2.error:
        return


def _grey(frame):
    return frame if frame.ndim == 2 else cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY)


def _header(capture):
    fps = capture.get(cv2.CAP_PROP_FPS)
    return (fps if 0 < fps < 1000 else None), int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
