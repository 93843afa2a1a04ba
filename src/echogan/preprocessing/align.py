"""A recording from any scanner onto the EchoNet-Dynamic sector: find its fan, then resample fan to fan."""

from dataclasses import replace

import cv2
import numpy as np

from echogan.errors import BadInput
from echogan.sector import ECHONET, STUDY_SIZE, Sector

# Half angles of cardiac fans, in radians, with margin; the step is finer than the pixels of a border can tell.
_ANGLES = np.deg2rad(np.arange(20, 60.01, 0.25))
_DARK = 1 / 16  # of the brightest hundredth: less may be the ringing of JPEG beside a border
_ROWS = 1 / 10  # of the height: what each border needs to touch
_TOUCH = 1.5  # pixels from a border line that still count as on it


def onto_echonet(clip, size):
    """Frames of `clip`, square, on the EchoNet sector.

    Where the format of `clip` fixes that sector they are its own frames, else uint8 (T, n, n) with n = `size` (at
    least 112), black outside the fan.
    """
    if clip.sector is not None and clip.sector == ECHONET.resized(clip.frames.shape[-1]):
        return clip.frames
    target = ECHONET.resized(max(size, STUDY_SIZE))
    return resample(clip.frames, clip.sector or find_sector(clip), target)


def resample(frames, source, target):
    """Frames (T, H, W) with the fan `source` onto the fan `target`, (T, h, w): equal fractions of radius and angle.

    Bicubic without anti-aliasing, as EchoNet-Dynamic itself was made from 600 to 768 pixels: that grain is its look.
    """
    radius, angle = target.polar()
    radius = radius * np.float32(source.radius / target.radius)
    angle = angle * np.float32(source.half_angle / target.half_angle)
    x = source.apex_x + radius * np.sin(angle)
    y = source.apex_y + radius * np.cos(angle) * source.stretch
    x, y = cv2.convertMaps(x.astype(np.float32), y.astype(np.float32), cv2.CV_16SC2)
    inside = target.mask().astype(np.uint8)
    return np.stack([cv2.remap(frame, x, y, cv2.INTER_CUBIC) * inside for frame in frames])


def find_sector(clip):
    """The fan of `clip`, from the pixels that are ever lit.

    Each straight border is the line that most rows' outermost lit pixels touch while nearly none lies beyond it; the
    lines meet in the apex. A recording without two such borders is a `BadInput`.
    """
    name, (height, width) = clip.source or clip.name, clip.frames.shape[1:]
    stretch = clip.spacing_mm[1] / clip.spacing_mm[0] if clip.spacing_mm else 1.0
    lit = _lit(clip.frames, clip.region)
    rows = np.flatnonzero(lit.any(axis=1))
    if len(rows) < _ROWS * height:
        raise BadInput(f"{name} shows no ultrasound sector; crop it to its B-mode picture")
    left, right = lit[rows].argmax(axis=1), width - 1 - lit[rows, ::-1].argmax(axis=1)
    (alpha, c, touched), (beta, d, touched_too) = _border(left, rows / stretch), _border(-right, rows / stretch)
    if abs(alpha - beta) > np.deg2rad(10) or min(touched, touched_too) < _ROWS * height:
        raise BadInput(f"{name} shows no symmetric sector; crop it to an upright B-mode picture")
    # left border: x cos(alpha) + y sin(alpha) = c; right border, mirrored: -x cos(beta) + y sin(beta) = d
    normals = [[np.cos(alpha), np.sin(alpha)], [-np.cos(beta), np.sin(beta)]]
    x, y = np.linalg.solve(normals, [c, d])
    fan = Sector(float(x), float(y * stretch), 0.0, float(alpha + beta) / 2, width, height, stretch)
    return replace(fan, radius=_reach(lit, fan))


def _border(x, y):
    """Angle from the vertical, distance from the origin and rows touched of the left border of the pixels (x, y)."""
    beyond = np.outer(np.cos(_ANGLES), x) + np.outer(np.sin(_ANGLES), y)  # (angles, rows), grows inwards
    touches = beyond < np.quantile(beyond, 0.02, axis=1, keepdims=True) + _TOUCH
    on = touches[touches.sum(axis=1).argmax()]
    slope, start = np.polyfit(y[on], x[on], 1)
    angle = np.arctan(-slope)
    return angle, start * np.cos(angle), on.sum()


def _reach(lit, fan):
    """Radius that all but a twentieth of the beams stay within: noise can outshine an arc, shadows can hide it."""
    radius, angle = fan.polar()
    beam = np.digitize(angle, np.linspace(-fan.half_angle, fan.half_angle, 60))
    reach = [radius[lit & (beam == b)].max(initial=0) for b in range(1, 60)]
    return float(np.quantile(reach, 0.95))


def _lit(frames, region):
    """Largest connected area that ever changes (in a still: that is lit), bool (H, W); scanner marks stand still."""
    light = np.ptp(frames, axis=0) if len(frames) > 1 else frames[0]
    x0, y0, x1, y1 = region or (0, 0, frames.shape[2], frames.shape[1])
    inside = np.s_[y0 : y1 + 1, x0 : x1 + 1]
    lit = np.zeros(light.shape, np.uint8)
    lit[inside] = light[inside] > max(2, _DARK * np.quantile(light[inside], 0.99))
    lit = cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    count, labels, stats, _ = cv2.connectedComponentsWithStats(lit)
    return labels == 1 + stats[1:, cv2.CC_STAT_AREA].argmax() if count > 1 else lit > 0
