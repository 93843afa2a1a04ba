"""The kinds of recordings that an enhancer reads and writes: one way to walk through each, one way to write it."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from echogan.data.images import imread
from echogan.data.limits import check_size
from echogan.data.video import open_video, video_writer
from echogan.errors import BadInput
from echogan.files import atomic
from echogan.sector import ECHONET, STUDY_SIZE

SUFFIXES = (".avi", ".mp4", ".png")


@dataclass(frozen=True)
class Medium:
    """A recording to walk through: `frames()` yields grey uint8 or uint16 (H, W), again at every call."""

    path: Path
    shape: tuple  # (T, H, W)
    fps: float | None
    levels: int  # the largest grey level: 255, or 65535
    frames: Callable
    colours: np.ndarray  # frames all over it as stored, (n, H, W, 3): what tells Doppler
    picture: np.ndarray | None = None  # of a still: all of its channels

    @property
    def sector(self):
        """The fan where the format fixes it."""
        return ECHONET if self.picture is None and self.shape[1:] == (STUDY_SIZE, STUDY_SIZE) else None

    def eight_bits(self):
        """`frames()` as uint8."""
        return self.frames() if self.levels == 255 else ((frame // 256).astype(np.uint8) for frame in self.frames())


def open_medium(path):
    """The `Medium` at `path`: .png of 8 or 16 bits, .avi or .mp4; a `BadInput` for what is missing, broken or another."""
    path = Path(path)
    if path.suffix.lower() not in SUFFIXES:
        raise BadInput(
            f"{path} is not a recording to enhance; give {', '.join(SUFFIXES)}, a DICOM, or a folder of them"
        )
    if path.suffix.lower() == ".png":
        return _still(path)
    film = open_video(path)
    return Medium(path, film.shape, film.fps, 255, film.frames, film.colours())


def _still(path):
    picture = imread(path, cv2.IMREAD_UNCHANGED)
    if picture is None or picture.dtype not in (np.uint8, np.uint16):
        raise BadInput(f"{path} is missing or no readable PNG of 8 or 16 bits; make it again, or remove it")
    check_size(path, 1, *picture.shape[:2])
    colour = picture[..., :3] if picture.ndim == 3 else cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR)
    grey = picture if picture.ndim == 2 else cv2.cvtColor(np.ascontiguousarray(colour), cv2.COLOR_BGR2GRAY)
    levels = 255 if picture.dtype == np.uint8 else 65535
    colours = colour[None] if levels == 255 else (colour[None] // 256).astype(np.uint8)
    return Medium(path, (1, *grey.shape), None, levels, partial(iter, [grey]), colours, picture)


@contextmanager
def writer(medium, path, wide=1):
    """Yield a function that takes frames like those of `medium`, one by one; the file appears when all are written.

    wide: how many times as wide as the medium the frames are.
    """
    _, height, width = medium.shape
    with atomic(path) as temporary:
        if medium.picture is not None:
            yield partial(_write_png, temporary)
            return
        if not medium.fps:
            raise BadInput(f"{medium.path} does not say its frame rate; convert it to a video that does")
        with video_writer(temporary, (height, width * wide), medium.fps) as write:
            yield write


def into(medium, frame):
    """What to write of an enhanced frame: of a still its own channels, with the grey of `frame` where that changed."""
    if medium.picture is None or medium.picture.ndim == 2:
        return frame
    picture = medium.picture.copy()
    changed = frame != next(medium.frames())
    picture[changed, :3] = frame[changed, None]
    return picture


def _write_png(path, picture):
    path.write_bytes(cv2.imencode(".png", picture)[1].tobytes())
