"""Pictures of what extraction does to a recording, drawn with the very functions and mask that it uses."""

import cv2
import numpy as np

from echogan.preprocessing import phase, selection
from echogan.preprocessing.align import onto_echonet
from echogan.preprocessing.normalise import normalise
from echogan.sector import STUDY_SIZE, study_mask

AMBER = (255, 176, 0)
_SCALE = 3  # screen pixels per pixel of an EchoNet frame


def mask_overlay(clip, frame=None):
    """One frame of `clip` (default: diastole) on the EchoNet sector, RGB uint8 (336, 336, 3) for 112 px.

    The mask's outline is amber, what it removes is tinted blue.
    """
    frames = onto_echonet(clip, STUDY_SIZE)
    picture = frames[_phases(clip, frames).diastole if frame is None else frame]
    inside = _enlarged(study_mask(len(picture)), cv2.INTER_NEAREST)
    rgb = cv2.cvtColor(_enlarged(picture, cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    rgb[inside == 0] = rgb[inside == 0] // 2 + np.array([0, 24, 64], np.uint8)
    outline, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(rgb, outline, -1, AMBER, 1)


def phase_strip(clip, method="traced"):
    """The four kept frames above what counting sees of them (white: brighter than 30), RGB uint8 (H, W, 3)."""
    frames = onto_echonet(clip, STUDY_SIZE)
    phases = _phases(clip, frames, method)
    picks = selection.four(len(frames), phases)
    how = {"systole": phases.method, "diastole": phases.method}
    return np.hstack([_column(frames[p.frame], f"{p.phase} {p.frame} {how.get(p.phase, '')}") for p in picks])


def _phases(clip, frames, method="traced"):
    return (phase.traced(clip) if method == "traced" else None) or phase.counted(frames)


def _column(frame, title):
    kept = normalise(frame, len(frame))
    white = np.where(kept > phase.THRESHOLD, np.uint8(255), np.uint8(0))
    pair = np.vstack([_enlarged(kept, cv2.INTER_CUBIC), _enlarged(white, cv2.INTER_NEAREST)])
    head = np.zeros((28, pair.shape[1]), np.uint8)
    cv2.putText(head, title, (8, 19), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 255, 1, cv2.LINE_AA)
    return cv2.cvtColor(np.vstack([head, pair]), cv2.COLOR_GRAY2RGB)


def _enlarged(picture, interpolation):
    return cv2.resize(picture, None, fx=_SCALE, fy=_SCALE, interpolation=interpolation)
