"""Which frames are systole and diastole: traced by a reader, or counted as the original study did."""

from dataclasses import dataclass

import cv2
import numpy as np

from echogan.sector import study_mask

THRESHOLD = 30  # grey level above which the original study called a pixel white


@dataclass(frozen=True)
class Phases:
    """Frame indices of one systole and one diastole, and the `method` that found them: "traced" or "counted"."""

    systole: int
    diastole: int
    method: str


def white_pixels(frames):
    """Pixels brighter than `THRESHOLD` inside the study's mask, (T,), of square frames uint8 (T, n, n)."""
    rows = frames.reshape(len(frames), -1)
    white = cv2.threshold(rows, THRESHOLD, 1, cv2.THRESH_BINARY)[1]
    white &= np.minimum(study_mask(frames.shape[-1]).ravel(), 1)
    return cv2.reduce(white, 1, cv2.REDUCE_SUM, dtype=cv2.CV_32S)[:, 0]


def counted(frames):
    """Systole = most white, diastole = least: a small ventricle is a small dark cavity.

    The count covers the whole sector, so gain drift, shadows and probe motion move it too; `traced` is better.
    """
    white = white_pixels(frames)
    return Phases(int(white.argmax()), int(white.argmin()), "counted")


def traced(clip):
    """The traced end systole and end diastole of `clip`, or None where it has none."""
    return None if None in (clip.es, clip.ed) else Phases(clip.es, clip.ed, "traced")


def choose(clip, frames, method):
    """(the phases that `method` ("traced" or "counted") takes, the counted ones, the traced ones or None)."""
    found, known = counted(frames), traced(clip)
    return (known if known and method == "traced" else found), found, known


def distances(one, other):
    """Frames between two findings of the same recording: (systole, diastole)."""
    return abs(one.systole - other.systole), abs(one.diastole - other.diastole)


def agreement(frames_apart):
    """How well counting found the traced phases, from the `distances` of many recordings; None without any."""
    apart = np.asarray(frames_apart, float).ravel()
    if not len(apart):
        return None
    return {
        "phases": len(apart),
        "median_frames_apart": float(np.median(apart)),
        "within_2_frames": float(np.mean(apart <= 2)),
    }
