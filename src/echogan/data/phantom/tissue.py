"""How strongly each place of the end-diastolic anatomy scatters, in dB.

The contours are drawn once into masks; distances to them say what a place is made of. All lengths are cm.
Levels are chosen so that the first-order statistics of the pictures match public apical four-chamber frames
(see `tests/data/phantom_targets.json`): blood is echo-free, myocardium about -13 dB, the tissue around the
heart a little less, fibrous tissue at the valve rings and the pericardium facing the beam up to -3 dB.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from echogan.data.phantom.fan import RADIUS, beam_cosine, power, sample, smooth_noise, stream
from echogan.data.phantom.heart import APEX, outline

BLOOD = -70.0  # dB
SPILL = 0.06  # cm by which tissue stands back from a chamber: after blur and compression its edge is the contour
FINE = 2  # samples per unit of the distance maps
HALF_WIDTH = 81  # units: sin(45 degrees) of the radius


@dataclass(frozen=True)
class Anatomy:
    """The end-diastolic contours in cm, and what the tissue model asks of them."""

    curves: dict
    scale: float  # units per cm

    @property
    def four_chambers(self):
        """Whether the right heart is in view."""
        return "rv" in self.curves

    @property
    def mitral_depth(self):
        """The depth of the mitral plane."""
        return self.curves["mv"][:, 1].mean()

    @property
    def la_height(self):
        """From the mitral plane to the roof of the left atrium."""
        return self.curves["la"][:, 1].max() - self.mitral_depth


@dataclass(frozen=True)
class Place:
    """Where points lie, float32 arrays of one shape, cm (negative distances are inside)."""

    x: np.ndarray
    y: np.ndarray
    depth: np.ndarray
    chambers: np.ndarray  # distance to the nearest chamber
    wall: np.ndarray  # distance to the left-ventricular epicardium
    hull: np.ndarray  # distance to the whole heart
    facing: np.ndarray  # cosine between the heart's outward normal and the beam


def locate(anatomy, x, y):
    """The `Place` of points given in units."""
    maps = sample(_maps(anatomy), (x + HALF_WIDTH) * FINE, y * FINE)
    cm = np.float32(1 / anatomy.scale)
    return Place(x * cm, y * cm, np.hypot(x, y) * cm, *np.moveaxis(maps, -1, 0))


def _maps(anatomy):
    """Distances to chambers, epicardium and hull in cm, and the facing, (H, W, 4) at FINE samples per unit."""
    curves = anatomy.curves
    per_cm = anatomy.scale * FINE
    chambers = np.zeros((int(RADIUS * FINE) + 2, 2 * HALF_WIDTH * FINE + 1), np.uint8)
    epi = chambers.copy()

    def fill(image, curve):
        fill_polygon(image, curve * per_cm + (HALF_WIDTH * FINE, 0), 1)

    for name in ("lv", "la", "rv", "ra") if anatomy.four_chambers else ("lv", "la"):
        fill(chambers, outline(curves, name))
    fill(epi, curves["epi"])
    from_chambers = _signed_distance(chambers, per_cm)
    heart = epi | (from_chambers < 0.36)
    grown = cv2.distanceTransform(1 - heart, cv2.DIST_L2, 3) < 0.55 * per_cm
    heart = cv2.distanceTransform(grown.astype(np.uint8), cv2.DIST_L2, 3) > 0.55 * per_cm  # closes gaps of 1.1 cm
    from_hull = _signed_distance(heart.astype(np.uint8), per_cm)
    maps = [from_chambers, _signed_distance(epi, per_cm), from_hull, _facing(from_hull)]
    return cv2.merge(maps)


def fill_polygon(image, points, value):
    """Fill the polygon through `points` (n, 2) in pixels, placed to a sixteenth of a pixel, in place."""
    cv2.fillPoly(image, [np.rint(points * 16).astype(np.int32)], int(value), lineType=cv2.LINE_8, shift=4)


def _signed_distance(mask, per_cm):
    outside = cv2.distanceTransform(1 - mask, cv2.DIST_L2, 3)
    return (outside - cv2.distanceTransform(mask, cv2.DIST_L2, 3)) * np.float32(1 / per_cm)


def _facing(distance):
    smooth = cv2.GaussianBlur(distance, (0, 0), 3)
    gx, gy = cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)
    height, width = distance.shape
    x, y = np.arange(width, dtype=np.float32) - HALF_WIDTH * FINE, np.arange(height, dtype=np.float32)[:, None]
    return (gx * x + gy * y) / (np.sqrt((gx * gx + gy * gy) * (x * x + y * y)) + np.float32(1e-3))


# ------------------------------------------------------------------------------------------------ echogenicity


def echogenicity(anatomy, place, scan, seed):
    """The scattering level at `place` in dB, an array of its shape (SAMPLES, BEAMS)."""
    rng = stream(seed, "tissue")
    around = _surroundings(anatomy, place, scan, rng)
    thin = _thin_walls(anatomy, place, rng)
    muscle, lateral = _myocardium(anatomy, place, scan, rng)
    inside = np.clip(0.5 - place.wall / (0.02 + 0.5 * lateral), 0, 1)  # the lateral wall melts into what is around it
    level = np.where(place.hull > 0, around, thin)
    level += inside * (muscle - level)
    for spot in _fibrous_spots(anatomy, rng):
        level += spot(place)
    level = np.minimum(level, -3 + smooth_noise(rng, (1.5, 30, 20)))
    return np.where(place.chambers < SPILL, np.float32(BLOOD), level)


def _surroundings(anatomy, place, scan, rng):
    """Lung, liver and chest wall: lumpy, brightest near 5 cm, with the pericardium shining where it faces the beam."""
    below = place.y - anatomy.mitral_depth
    posterior, low = np.clip((below + 2.2) / 3.5, 0, 1), np.clip((below + 1.2) / 2.5, 0, 1)
    near = np.exp(-np.maximum(place.depth - 1, 0) / 3.2)
    away = np.maximum(place.hull, 0)
    thickness = rng.uniform(0.45, 0.80)  # cm of the bright pericardial band
    band = np.exp(-((np.maximum(away - 0.15, 0) / thickness) ** 1.2))
    shine = 12 * np.maximum(place.facing, 0) ** 1.5 + posterior + 5 * low * (place.x < 0)
    level = scan.background + 8.5 * np.exp(-0.5 * ((place.depth - 5) / 3) ** 2) + near
    level += smooth_noise(rng, (4, 7, 5), (3, 24, 8), (2, 46, 26)) + shine * band
    return level + 1.5 * posterior * np.exp(-away / 1.6) - 1.5 * np.maximum(away - 1.8, 0) * (1 - near)


def _thin_walls(anatomy, place, rng):
    """Atrial and right-ventricular walls: seen where they face the beam, lost at the oval fossa."""
    level = -15 + smooth_noise(rng, (2, 40, 26), (2, 16, 10)) - 12 * (1 - np.abs(place.facing))
    if anatomy.four_chambers:
        below = place.y - anatomy.mitral_depth
        fossa = np.clip((below - 1.4) / 0.7, 0, 1) * (1 - np.clip((below - 0.62 * anatomy.la_height) / 0.6, 0, 1))
        aside = place.x - anatomy.curves["mv"][0, 0] + 0.3
        level -= 13 * fossa * np.exp(-0.5 * (aside / 0.6) ** 2)
    return level


def _myocardium(anatomy, place, scan, rng):
    """Left-ventricular muscle in dB, and how lateral a place is (0..1).

    Septum, apex and lateral wall are blended by the signed distance from the long axis, clipped at 1 cm. The
    septum is the brightest and coarsest; the lateral wall runs along the beams and drops out.
    """
    apex, base = anatomy.curves["lv"][APEX], anatomy.curves["mv"].mean(0)
    axis = base - apex
    length = np.hypot(*axis)
    dx, dy = place.x - np.float32(apex[0]), place.y - np.float32(apex[1])
    side = np.clip((dx * axis[1] - dy * axis[0]) / length, -1, 1).astype(np.float32)
    along = ((dx * axis[0] + dy * axis[1]) / length**2).astype(np.float32)
    septal, lateral, apical = np.maximum(-side, 0), np.maximum(side, 0), 0.6 * (1 - np.abs(side))
    grain = smooth_noise(rng, (2.5, 40, 26))
    septum = -12 + smooth_noise(rng, (5, 76, 40), (2, 22, 16)) - 6 * np.exp(-0.5 * ((along - 0.97) / 0.05) ** 2)
    septum += _table(3.2 * rng.standard_normal(13), along)
    wall = -14.5 - scan.lateral_drop + 3.5 * np.clip((along - 0.55) / 0.45, 0, 1) + grain
    level = (septum * septal + wall * lateral + (grain - 16) * apical) / (septal + lateral + apical)
    return level - 3 * np.exp(-np.clip(along, 0, 1) / 0.16), lateral


def _table(values, position):
    """Linear interpolation of `values`, which are evenly spaced over 0..1, at `position`."""
    place = np.clip(position, 0, 1) * (len(values) - 1)
    low = np.minimum(place.astype(np.int32), len(values) - 2)
    values = values.astype(np.float32)
    return values[low] + (place - low) * (values[low + 1] - values[low])


def _fibrous_spots(anatomy, rng):
    """Bright fibrous tissue: the valve rings, the crux and the upper atrial septum, as functions of a `Place`."""
    septal, lateral = anatomy.curves["mv"]
    yield _spot(lateral, (0.55, 0.85), (0.62, 0.70), rng.normal(13, 3))
    yield _spot(lateral, (0.22, -0.1), (0.25, 0.25), 5)
    yield _spot(lateral, (1.0, -0.8), (0.5, 1.1), rng.normal(2, 3))
    if anatomy.four_chambers:
        crux = 0.5 * (septal + anatomy.curves["tv"][0])
        yield _spot(crux, (-0.05, 0.5), (0.46, 0.45), rng.normal(7, 2))
        yield _spot(crux, (-0.05, 1.35), (0.42, 0.6), rng.normal(11, 2.5))
        yield _spot(anatomy.curves["tv"][1], (-0.7, 0.8), (0.85, 0.75), rng.normal(12, 3.5))
    else:
        yield _spot(septal, (-0.75, 0.35), (0.75, 0.65), rng.normal(10, 2.5))


def _spot(anchor, away, width, peak):
    """A Gaussian of `peak` dB and `width` (x, y) cm, `away` from `anchor`."""
    x, y = (anchor + away).astype(np.float32)
    wide, high = map(np.float32, width)
    return lambda at: np.float32(peak) * np.exp(-0.5 * (((at.x - x) / wide) ** 2 + ((at.y - y) / high) ** 2))


# ------------------------------------------------------------------------------------- structures in the chambers


def clumps(anatomy, seed, points=26):
    """Papillary muscles, trabeculae and the moderator band: list of (centres (points, 2) in cm, level in dB)."""
    rng = stream(seed, "clumps")
    lateral_wall = anatomy.curves["lv"][APEX:]
    found = []
    for _ in range(rng.integers(1, 4)):
        anchor = lateral_wall[int(len(lateral_wall) * rng.uniform(0.25, 0.62))] + rng.uniform(0.15, 0.55) * np.array(
            [-1, 0.25]
        )
        found.append((anchor + rng.normal(0, (0.09, 0.21), (points, 2)), rng.normal(-17, 3)))
    for _ in range(rng.integers(1, 5) if anatomy.four_chambers else 0):
        anchor = anatomy.curves["rv"][rng.integers(4, 26)] + rng.uniform(0.2, 0.9) * np.array([1, 0.3])
        found.append((anchor + rng.normal(0, (0.19, 0.10), (points, 2)), rng.normal(-16, 3)))
    return found


# name: (curve, the points of it, level in dB, how far the level wanders along it)
INTERFACES = {
    "septum": ("lv", slice(None, APEX + 1), -23, 4),
    "lateral wall": ("lv", slice(APEX, None), -25, 5),
    "left atrium": ("la", slice(None), -17, 6),
    "right septum": ("epi", slice(None, APEX + 1), -24, 4),
    "right ventricle": ("rv", slice(None, 30), -21, 5),
    "right atrium": ("ra", slice(None), -17, 6),
}


def interfaces(anatomy, seed):
    """Specular borders: list of (points (n, 2) in cm, amplitude (n,)), five points per unit of length.

    A border echoes with the 1.5th power of the cosine between its normal and the beam, and never vanishes
    altogether; its level wanders by 4-6 dB and its points by 0.05 cm, for a perfectly smooth border would draw
    a line.
    """
    found = []
    for number, (name, part, level, wander) in enumerate(INTERFACES.values()):
        if name not in anatomy.curves:
            continue
        rng = stream(seed, "interface", number)
        curve = anatomy.curves[name][part]
        length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(curve, axis=0).T))])
        place = np.linspace(0, length[-1], int(5 * length[-1] * anatomy.scale))
        points = np.stack([np.interp(place, length, curve[:, axis]) for axis in (0, 1)], 1)
        level = level + wander * np.interp(place, np.linspace(0, length[-1], 12), rng.standard_normal(12))
        amplitude = power(level) * (0.12 + beam_cosine(points) ** 1.5)
        found.append((points + rng.normal(0, 0.05, points.shape), amplitude))
    return found
