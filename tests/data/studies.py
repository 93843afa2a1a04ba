"""Small studies in the real layouts, made of a dark ellipse that beats in a bright sector."""

import csv
from contextlib import contextmanager

import cv2
import numpy as np
import pytest

from echogan.data.echonet import FILE_LIST, TRACINGS
from echogan.sector import ECHONET

SPLITS = ("TRAIN", "TRAIN", "TRAIN", "VAL", "TEST")
ED, ES = 5, 15  # of a beat of 20 frames


def ventricle(frame):
    """Half axes (x, y) of the ellipse at (62, 50): largest at `ED`, smallest at `ES`."""
    half = 0.5 + 0.5 * np.cos(2 * np.pi * (frame - ED) / 20)
    return 9 + 6 * half, 20 + 6 * half


def beating(frames=30, seed=0):
    """uint8 (T, 112, 112)."""
    speckle = np.random.default_rng(seed).normal(1, 0.12, (frames, 112, 112))
    y, x = np.mgrid[:112, :112]
    clip = np.empty((frames, 112, 112), np.uint8)
    for t in range(frames):
        a, b = ventricle(t)
        blood = ((x - 62) / a) ** 2 + ((y - 50) / b) ** 2 < 1
        clip[t] = np.clip(np.where(blood, 8, 120) * speckle[t], 0, 255) * ECHONET.mask()
    return clip


def trace(frame):
    """The 21 rows of an ideal tracing: the long axis, then 20 chords from apex to base."""
    a, b = ventricle(frame)
    height = np.linspace(-0.98, 0.98, 20)
    half, y = a * np.sqrt(1 - height**2), 50 + b * height
    return np.array([[62, 50 - b, 62, 50 + b], *np.stack([62 - half, y, 62 + half, y], 1)])


def write_avi(path, frames, fps=50):
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, frames.shape[:0:-1])
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    return path


def write_csv(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])


def file_row(name, split="TRAIN", frames=30):
    return [name, 60.5, 40.0, 101.0, 112, 112, 50, frames, split]


def trace_rows(name, *frames):
    return [[f"{name}.avi", *row, frame] for frame in frames for row in trace(frame)]


def write_study(root, videos=5, frames=30):
    """EchoNet-Dynamic folder of V0, V1, ..., traced in the order systole, diastole."""
    names = [f"V{i}" for i in range(videos)]
    for i, name in enumerate(names):
        write_avi(root / "Videos" / f"{name}.avi", beating(frames, seed=i))
    write_csv(root / "FileList.csv", FILE_LIST, [file_row(n, SPLITS[i % 5], frames) for i, n in enumerate(names)])
    write_csv(root / "VolumeTracings.csv", TRACINGS, [r for n in names for r in trace_rows(n, ES, ED)])
    return root


@contextmanager
def files_of_at_most(count):
    """No file of this process becomes longer than `count` bytes, as on a disk that is full by then."""
    resource = pytest.importorskip("resource")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (count, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
