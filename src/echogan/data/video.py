"""Video files in: grey frames and the frame rate."""

import os
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np

from echogan.data.clip import Clip
from echogan.errors import BadInput
from echogan.sector import ECHONET, STUDY_SIZE

VIDEO_SUFFIXES = (".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".wmv", ".mpg", ".mpeg", ".gif")
KIND = "ultrasound video"

_SILENT = 0
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

    A file that is missing, does not decode, or breaks off before the frames its header promises is a `BadInput`.
    """
    path = Path(path)
    if not path.is_file():
        raise BadInput(f"{path} is missing; check the name, or restore the file")
    with _quiet():
        frames, fps, promised = _motion_jpeg(path) or _any_codec(path)
    if not frames:
        raise BadInput(f"{path} does not decode as a video; export it again as AVI (Motion JPEG) or MP4, or remove it")
    # Only AVI counts its frames; other containers estimate them from the duration.
    if path.suffix.lower() == ".avi" and len(frames) < promised:
        raise BadInput(f"{path} breaks off after {len(frames)} of {promised} frames; copy it again, or remove it")
    return np.stack(frames), fps


def read_video_clip(path):
    """A loose video as a `Clip`: its file name is its patient; 112 x 112 pixels are EchoNet-Dynamic's own format."""
    path = Path(path)
    frames, fps = read_video(path)
    sector = ECHONET if frames.shape[1:] == (STUDY_SIZE, STUDY_SIZE) else None
    return Clip(frames, path.stem, path.stem, KIND, source=str(path), fps=fps, sector=sector)


def _set_log_level(level):
    """Returns the level before; OpenCV 5 moved the function."""
    return (cv2.setLogLevel if hasattr(cv2, "setLogLevel") else cv2.utils.logging.setLogLevel)(level)


@contextmanager
def _quiet():
    """OpenCV and FFmpeg keep to themselves what `read_video` says in one sentence."""
    os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
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
    shape = tuple(int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
    frames = []
    for packet in _until_end(capture):
        frame = cv2.imdecode(packet, _LUMA)
        if frame is None or frame.shape != shape:  # damaged, or interlaced
            return None
        frames.append(frame)
    return frames, *_header(capture)


def _any_codec(path):
    """(frames, fps, frame count) from the first OpenCV backend that decodes anything."""
    for backend, options in _BACKENDS:
        capture = cv2.VideoCapture(str(path), backend, options)
        frames = [_grey(frame) for frame in _until_end(capture)]
        if frames:
            return frames, *_header(capture)
    return [], None, 0


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
