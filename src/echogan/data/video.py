"""Video files in and out: grey frames and the frame rate."""

import os
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from echogan.data import jpeg
from echogan.data.clip import Clip
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


def read_video(path):
    """Frames uint8 (T, H, W), grey, and frames per second (None where the file does not say).

    A file that is missing, does not decode, breaks off before the frames its header promises, or claims a size that no
    scanner has is a `BadInput`.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path} is missing; check the name, or restore the file")
    with _quiet():
        frames, fps, promised = _motion_jpeg(path) or _any_codec(path)
    if not len(frames):
        raise BadInput(f"{path} does not decode as a video; export it again as AVI (Motion JPEG) or MP4, or remove it")
    # Only AVI counts its frames; other containers estimate them from the duration.
    if path.suffix.lower() == ".avi" and len(frames) < promised:
        raise BadInput(f"{path} breaks off after {len(frames)} of {promised} frames; copy it again, or remove it")
    return np.asarray(frames), fps


def read_video_clip(path):
    """A loose video as a `Clip`: its file name is its patient; 112 x 112 pixels are EchoNet-Dynamic's own format."""
    path = Path(path)
    frames, fps = read_video(path)
    sector = ECHONET if frames.shape[1:] == (STUDY_SIZE, STUDY_SIZE) else None
    return Clip(frames, path.stem, path.stem, KIND, source=str(path), fps=fps, sector=sector)


def write_avi(path, frames, fps):
    """Write grey frames (T, H, W) uint8 as a Motion JPEG AVI of three equal channels, as EchoNet-Dynamic's videos are."""
    height, width = frames.shape[1:]
    with _quiet():
        writer = cv2.VideoWriter(str(path), _MOTION_JPEG, float(fps), (width, height))
        if not writer.isOpened():
            raise BadInput(f"{path} cannot be written as Motion JPEG; check the folder, or reinstall opencv-python")
        for frame in frames:
            writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
        writer.release()


def _set_log_level(level):
    """Returns the level before; OpenCV 5 moved the function."""
    return (cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel)(level)


@contextmanager
def _quiet():
    """OpenCV and FFmpeg keep to themselves what `read_video` says in one sentence."""
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


def _any_codec(path):
    """(frames, fps, frame count) from the first OpenCV backend that decodes anything."""
    for backend, options in _BACKENDS:
        capture, frames = cv2.VideoCapture(str(path), backend, options), []
        shape = _size(capture, path) if capture.isOpened() else ()
        for frame in _until_end(capture):
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
