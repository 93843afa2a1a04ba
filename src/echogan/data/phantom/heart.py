"""The beating heart as closed curves in cm, with a left ventricle whose volumes are exact.

Every curve is a function of the contraction s and the atrial kick k (see `cycle`). The left ventricle is a
solid measured by the single-plane method of discs, V = pi/4 * sum d_i^2 * L/20, the method that traced
EchoNet-Dynamic; its inward motion is *solved for*, so that 1 - V(s=1)/V(s=0) is the patient's ejection
fraction.
"""

import numpy as np

from echogan.data.phantom.fan import HALF_ANGLE, stream

DISCS = 20
SHORTENING = 0.27  # of the long axis at end systole, per unit of ejection fraction
THICKENING = 0.62  # of the wall, likewise

# Five points of each atrium between its hinges, in widths and heights from the middle of its valve; no two
# atria are the same oval, so each point of the free walls strays by 5 %.
LEFT_ROOF = np.array([(-0.49, 0.38), (-0.40, 0.76), (0, 1), (0.41, 0.74), (0.50, 0.36)])
RIGHT_ROOF = np.array([(0, 0.42), (0, 0.74), (-0.52, 1), (-0.93, 0.72), (-1.03, 0.34)])
RIGHT_SEPTUM = np.array([(-0.15, 0), (-0.35, 0), (0, 0), (0, 0), (0, 0)])  # cm
RIPPLED = np.array([(0.4, 0.4), (0.4, 0.4), (1, 1), (1, 1), (1, 1)])  # the atrial septum strays less

# Levels from the apex (0) to the mitral plane (1), dense near the apex where the wall turns.
LEVELS = np.linspace(0, 1, 26) ** 1.7
WIDEST = 0.60  # level at which the ventricle is widest
LEAFLET_LENGTHS = np.array([(0.60, 0.64), (0.44, 0.42), (0.48, 0.44), (0.56, 0.55)])  # in annuli: shut, wide open
WALL_LEVELS = np.concatenate([LEVELS[::-1], LEVELS[1:]])  # septal base -> apex -> lateral base
APEX = len(LEVELS) - 1  # index of the apex in a wall


class Heart:
    """One patient's heart in cm, in the transducer's frame: x to the right, y down.

    `contours(s, k)` gives polylines: `lv` and `epi` (endo- and epicardium, septal base -> apex -> lateral
    base), `la`, and in the four-chamber view `rv` and `ra`; `mv` and `tv` are the two hinges of each valve,
    septal first.
    """

    def __init__(self, patient, half_angle=HALF_ANGLE):
        self.patient = p = patient
        self.ef = p.ef / 100
        self.profile = _profile(p.bluntness, p.annulus)
        self.uneven = [_uneven(p, side) for side in (0.0, 0.5)]
        self.length, self.narrowing = 1.0, 0.0
        self.length = float(np.cbrt(p.edv / self.volume(0.0)))
        self.narrowing = self._solve_narrowing()
        self.size = float((self.length / 7.6) ** 0.7)  # the other chambers grow with the ventricle, more slowly
        self.ripple = stream(p.seed, "roofs").normal(0, 0.05, (2, 5, 2)) * RIPPLED
        self.thickness = p.wall * _thickness(p.regional_place)
        angle = np.deg2rad(p.tilt)
        self.turn = np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])
        self.offset = np.array([p.apex_x, p.apex_y])
        self._stay_within(half_angle - np.deg2rad(2))
        reach = self.offset[1] + self.length + self.size * p.la_height + p.margin
        self.depth = float(np.clip(reach, 11.0, 24.0))  # cm from the transducer to the end of the fan

    # -------------------------------------------------------------------------------------------- left ventricle

    def volume(self, contraction):
        """Left-ventricular volume in mL by the method of discs on the unturned cavity."""
        septal, lateral = self._cavity(contraction)
        y = septal[:, 1]
        height = (y[-1] - y[0]) / DISCS
        middle = y[0] + (np.arange(DISCS) + 0.5) * height
        diameter = np.interp(middle, y, lateral[:, 0] - septal[:, 0])
        return float(np.pi / 4 * np.sum(diameter**2) * height)

    def wall_thickness(self):
        """Mean end-diastolic thickness (cm) of the left-ventricular wall between 35 % and 85 % of its length."""
        full = (WALL_LEVELS > 0.35) & (WALL_LEVELS < 0.85)
        return float(self.thickness[full].mean())

    def _cavity(self, contraction):
        """Septal and lateral endocardium, (26, 2) each, before the heart is turned and placed: apex at (0, 0)."""
        p = self.patient
        length = self.length * (1 - SHORTENING * self.ef * contraction)
        y = LEVELS * length + 0.10 * contraction * p.wall * (1 - LEVELS)
        middle = p.bend * length * 4 * LEVELS * (1 - LEVELS)
        half = 0.5 * p.sphericity * self.length * self.profile
        septal, lateral = (half * (1 - self.narrowing * contraction * uneven) for uneven in self.uneven)
        septal, lateral = middle - septal * (1 - p.asymmetry), middle + lateral * (1 + p.asymmetry)
        return np.stack([septal, y], 1), np.stack([lateral, y], 1)

    def _solve_narrowing(self):
        """The share of its half width the cavity loses at s = 1 for an exact ejection fraction: secant method."""
        end_diastolic = self.volume(0.0)

        def surplus(narrowing):
            self.narrowing = narrowing
            return 1 - self.volume(1.0) / end_diastolic - self.ef

        a, b = 0.0, 0.45
        at_a, at_b = surplus(a), surplus(b)
        while abs(at_b) > 1e-9:
            a, b = b, b - at_b * (b - a) / (at_b - at_a)
            at_a, at_b = at_b, surplus(b)
        return b

    def _walls(self, contraction):
        """Endocardium and epicardium, (51, 2) each, before the heart is turned and placed."""
        septal, lateral = self._cavity(contraction)
        endo = np.concatenate([septal[::-1], lateral[1:]])
        thickness = self.thickness * (1 + THICKENING * self.ef * contraction)
        return endo, endo + thickness[:, None] * _outward(endo)

    def _stay_within(self, half_angle):
        """Move the heart inward and deeper until its left ventricle lies within the fan."""
        for _ in range(14):
            cavity = self._place(self._walls(0.0)[0])
            angle = np.arctan2(*cavity.T)
            worst = np.argmax(np.abs(angle))
            if np.abs(angle[worst]) <= half_angle:
                return
            self.offset += (-0.10 * np.sign(angle[worst]), 0.14)

    def _place(self, curve):
        return curve @ self.turn + self.offset

    # ------------------------------------------------------------------------------------- atria, right ventricle

    def contours(self, contraction, kick):
        """Name -> polyline (n, 2) in cm at one instant."""
        endo, epi = self._walls(contraction)
        curves = {"lv": endo, "epi": epi, "mv": endo[[0, -1]]}
        curves["la"] = self._left_atrium(curves["mv"], contraction, kick)
        if self.patient.view == "4CH":
            curves["tv"] = self._tricuspid(endo, epi, contraction)
            curves["rv"] = self._right_ventricle(epi, curves["tv"], contraction)
            curves["ra"] = self._right_atrium(endo[0], curves["tv"], contraction, kick)
        return {name: self._place(curve) for name, curve in curves.items()}

    def _left_atrium(self, mitral, contraction, kick):
        """From hinge to hinge over a still roof, (40, 2); 16 % wider at end systole, 7 % narrower at the kick."""
        septal, lateral = mitral
        middle = mitral.mean(0)
        width = np.hypot(*(lateral - septal)) * self.patient.la_width * (1 + 0.16 * contraction - 0.07 * kick)
        height = self.length + self.size * self.patient.la_height + 0.10 * kick - middle[1]
        body = LEFT_ROOF + self.ripple[0]
        body = middle + np.array([0.10 * width, 0]) + body * (width, height)
        return _catmull_rom([_moved(septal, 0.12, 0.12), *body, _moved(lateral, -0.05, 0.12)], 40)

    def _tricuspid(self, endo, epi, contraction):
        """The two tricuspid hinges, septal first, (2, 2): the free one moves more than the mitral plane (TAPSE)."""
        offset = self.size * self.patient.tricuspid_offset
        septal = np.array([epi[np.argmin(np.abs(LEVELS[::-1] - 0.93))][0], endo[0, 1] - offset])
        tapse = 1.15 * (0.95 + 0.25 * self.ef / 0.60) * SHORTENING * self.ef * contraction * self.length
        width = self.size * self.patient.rv_width * (1 - 0.10 * contraction)
        return np.stack([septal, (septal[0] - width, self.length - offset - 0.55 - tapse)])

    def _right_ventricle(self, epi, tricuspid, contraction):
        """Free wall from the septum to the lateral hinge (30 points), then the septal hinge and back up the septum."""
        septum = epi[: APEX + 1][::-1]
        leaves, ends = (np.argmin(np.abs(LEVELS - level)) for level in (self.patient.rv_apex, 0.93))
        tip, hinge = septum[leaves], tricuspid[1]
        near_hinge = 0.62 * hinge + 0.38 * tip + (-1.0 + 0.40 * contraction, -0.40)
        near_tip = 0.25 * hinge + 0.75 * tip + (-0.8 + 0.28 * contraction, -0.25)
        free_wall = _catmull_rom([_moved(tip, -0.02, 0.05), near_tip, near_hinge, hinge], 30)
        return np.concatenate([free_wall, tricuspid[:1], septum[leaves : ends + 1][::-1]])

    def _right_atrium(self, mitral_hinge, tricuspid, contraction, kick):
        """As the left atrium, (40, 2), hung from the tricuspid hinges beside the atrial septum."""
        septal, lateral = tricuspid
        top = tricuspid[:, 1].mean()
        width = self.size * self.patient.rv_width * self.patient.ra_width * (1 + 0.08 * contraction - 0.05 * kick)
        height = self.length - 0.2 + self.size * self.patient.ra_height + 0.08 * kick - top
        body = (mitral_hinge[0] - 0.42, top) + RIGHT_SEPTUM + (RIGHT_ROOF + self.ripple[1]) * (width, height)
        return _catmull_rom([_moved(septal, -0.12, 0.15), *body, _moved(lateral, 0.05, 0.12)], 40)

    # ---------------------------------------------------------------------------------------------------- valves

    def leaflets(self, contraction, opening, points=46):
        """Mitral (septal, lateral) and tricuspid leaflets, (4 or 2, points, 2): quadratic Bezier curves.

        Shut leaflets lie 9 degrees above the annulus, open ones 73 degrees, pointing to the apex.
        """
        endo, epi = self._walls(contraction)
        valves = [endo[[0, -1]]]
        if self.patient.view == "4CH":
            valves.append(self._tricuspid(endo, epi, contraction))
        hinges, opposite = np.concatenate(valves), np.concatenate([valve[::-1] for valve in valves])
        return self._place(_bezier(*_leaflet_knots(hinges, opposite, opening), points))


def outline(curves, name):
    """The closed polygon of a chamber: an atrium ends at its valve, and so does the wall, which leaves the valve open."""
    valve = {"la": "mv", "ra": "tv", "epi": "mv"}.get(name)
    return curves[name] if valve is None else np.concatenate([curves[name], curves[valve][::-1]])


def _moved(point, x, y):
    return point + np.array([x, y])


def _profile(bluntness, annulus):
    """Half width over the levels, 1 = widest: a super-elliptic cap, then a parabola down to the annulus."""
    cap = np.sqrt(np.clip(1 - np.abs(1 - np.clip(LEVELS / WIDEST, 0, 1)) ** bluntness, 0, 1))
    base = 1 - (1 - annulus) * np.clip((LEVELS - WIDEST) / (1 - WIDEST), 0, 1) ** 2
    return np.where(LEVELS < WIDEST, cap, base)


def _uneven(p, side):
    """Relative inward motion over the levels of one side; the annulus moves half as much as the middle."""
    regional = 1 + p.regional_amount * np.cos(2 * np.pi * (LEVELS / 2 + side - p.regional_place))
    return regional * (1 - 0.5 * np.clip((LEVELS - 0.68) / 0.32, 0, 1) ** 1.5)


def _thickness(place):
    """Relative wall thickness around the ventricle, (51,): 62 % at the apex, 75 % at the base, two waves in between."""
    waves = 1 + 0.14 * np.sin(2 * np.pi * (1.3 * WALL_LEVELS + 3 * place))
    waves += 0.08 * np.sin(2 * np.pi * (2.9 * WALL_LEVELS + 7 * place))
    apex = 0.62 + 0.38 * np.clip(WALL_LEVELS / 0.35, 0, 1)
    base = 1 - 0.25 * np.clip((WALL_LEVELS - 0.85) / 0.15, 0, 1)
    return waves * apex * base


def _outward(curve):
    """Unit normals of an open curve around its centroid, (n, 2)."""
    along = np.concatenate([curve[1:2] - curve[:1], curve[2:] - curve[:-2], curve[-1:] - curve[-2:-1]])
    normal = np.stack([along[:, 1], -along[:, 0]], 1) / np.hypot(*along.T)[:, None]
    return normal * np.sign(np.sum((curve - curve.mean(0)) * normal, 1, keepdims=True))


def _catmull_rom(points, count):
    """`count` points on the Catmull-Rom spline through `points` (Catmull and Rom 1974, uniform)."""
    p = np.asarray(points, float)
    p = np.concatenate([2 * p[:1] - p[1:2], p, 2 * p[-1:] - p[-2:-1]])
    u = np.linspace(0, len(p) - 3, count)
    i = np.minimum(u.astype(int), len(p) - 4)
    u = (u - i)[:, None]
    a, b, c, d = p[i], p[i + 1], p[i + 2], p[i + 3]
    return 0.5 * (2 * b + (c - a) * u + (2 * a - 5 * b + 4 * c - d) * u**2 + (3 * b - a - 3 * c + d) * u**3)


def _leaflet_knots(hinge, opposite, opening):
    """Hinge, knee and tip of every leaflet, (L, 2) each, hung between `hinge` and `opposite` (L, 2)."""
    annulus = np.hypot(*(opposite - hinge).T)[:, None]
    across = (opposite - hinge) / annulus
    up = np.stack([across[:, 1], -across[:, 0]], 1)
    up *= -np.sign(up[:, 1:])
    shut, wide = LEAFLET_LENGTHS[: len(hinge)].T[..., None]
    length = annulus * (shut * (1 - opening) + wide * opening)
    angle = np.deg2rad(9 + 64 * opening)

    def ray(turn):
        return np.cos(turn) * across + np.sin(turn) * up

    bulge = annulus * (0.05 * (1 - 2 * opening) * up + 0.10 * opening * across)
    return hinge, hinge + 0.5 * length * ray(0.8 * angle) + bulge, hinge + length * ray(angle)


def _bezier(start, knee, end, points):
    """Quadratic Bezier curves, (L, points, 2)."""
    u = np.linspace(0, 1, points)[:, None]
    return (1 - u) ** 2 * start[:, None] + 2 * u * (1 - u) * knee[:, None] + u**2 * end[:, None]


def method_of_discs(outline, discs=DISCS):
    """Trace a chamber as EchoNet-Dynamic does: rows (discs + 1, 4) of x1, y1, x2, y2, and the volume in cubed units.

    `outline` (n odd or even, 2) runs base -> apex -> base. Row 0 is the long axis from the apex to the middle
    of the base; the others are chords from the apex down, x1 left of x2. V = pi/4 * sum d_i^2 * L/discs
    (ASE/EACVI 2015).
    """
    middle = len(outline) // 2
    apex, base = outline[middle], 0.5 * (outline[0] + outline[-1])
    length = np.hypot(*(base - apex))
    down = (base - apex) / length
    right = np.array([down[1], -down[0]])
    right = right if right[0] > 0 else -right
    along, aside = (outline - apex) @ down, (outline - apex) @ right
    depth = (np.arange(discs) + 0.5) / discs * length
    first = np.interp(depth, np.maximum.accumulate(along[middle::-1]), aside[middle::-1])
    second = np.interp(depth, np.maximum.accumulate(along[middle:]), aside[middle:])
    on_axis = apex + depth[:, None] * down
    left, to = np.minimum(first, second), np.maximum(first, second)
    chords = np.hstack([on_axis + left[:, None] * right, on_axis + to[:, None] * right])
    rows = np.vstack([np.concatenate([apex, base])[None], chords])
    return rows, float(np.pi / 4 * np.sum((second - first) ** 2) * length / discs)
