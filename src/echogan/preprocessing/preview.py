"""What extraction sees of a recording, by the very functions and mask that it uses."""

from dataclasses import dataclass

import cv2
import numpy as np

from echogan.preprocessing import phase, selection
from echogan.preprocessing.align import onto_echonet
from echogan.preprocessing.normalise import normalise
from echogan.sector import STUDY_SIZE, study_mask

AMBER = (255, 176, 0)
_SCALE = 3  # screen pixels per pixel of an EchoNet frame


@dataclass(frozen=True)
class Seen:
    """The four kept frames uint8 (4, 112, 112) with their `picks`, and the white pixels of every frame, (T,)."""

    picks: list
    kept: np.ndarray
    white: np.ndarray
    used: phase.Phases
    counted: phase.Phases
    traced: phase.Phases | None

    @property
    def binary(self):
        """What counting sees of the kept frames: True where brighter than `phase.THRESHOLD`."""
        return self.kept > phase.THRESHOLD


def see(clip, method="traced"):
    """What extraction would keep of `clip`, and why."""
    frames = onto_echonet(clip, STUDY_SIZE)
    used, counted, traced = phase.choose(clip, frames, method)
    picks = selection.four(len(frames), used)
    kept = np.stack([normalise(frames[pick.frame], STUDY_SIZE) for pick in picks])
    return Seen(picks, kept, phase.white_pixels(frames), used, counted, traced)


def mask_overlay(clip, frame=None):
    """One frame of `clip` (default: diastole) on the EchoNet sector, RGB uint8 (336, 336, 3) for 112 px.

    The mask's outline is amber, what it removes is tinted blue.
    """
    frames = onto_echonet(clip, STUDY_SIZE)
    picture = frames[phase.choose(clip, frames, "traced")[0].diastole if frame is None else frame]
    inside = _enlarged(study_mask(len(picture)), cv2.INTER_NEAREST)
    rgb = cv2.cvtColor(_enlarged(picture, cv2.INTER_CUBIC), cv2.COLOR_GRAY2RGB)
    rgb[inside == 0] = rgb[inside == 0] // 2 + np.array([0, 24, 64], np.uint8)
    outline, _ = cv2.findContours(inside, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(rgb, outline, -1, AMBER, 1)


def _enlarged(picture, interpolation):
    return cv2.resize(picture, None, fx=_SCALE, fy=_SCALE, interpolation=interpolation)
