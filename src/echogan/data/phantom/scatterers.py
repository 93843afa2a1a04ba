"""Point scatterers that carry the echo: where they are, how strong, how they move, and what the fan receives.

Tissue is a cloud of many unresolved scatterers, so each has a complex amplitude with circular Gaussian
statistics; their interference in the point spread function *is* the speckle (Wagner et al., IEEE Trans Sonics
Ultrason 30:156, 1983). Two independent amplitudes per scatterer give two looks, as a scanner that compounds two
frequencies has.
"""

from dataclasses import dataclass

import numpy as np
from scipy.sparse import csc_array

from echogan.data.phantom.fan import (
    ANGLES,
    ANGULAR_STEP,
    BEAMS,
    HALF_ANGLE,
    RADIAL_STEP,
    RADII,
    RADIUS,
    SAMPLES,
    beam_cosine,
    power,
    sample,
    stream,
)
from echogan.data.phantom.heart import Heart
from echogan.data.phantom.tissue import clumps, echogenicity, interfaces, locate

LOOKS = 4  # channels: real and imaginary part of two looks
COHERENCE = 0.6  # mean of the real parts at an interface, whose scatterers echo partly in phase
FAINTEST = -45.0  # dB; fainter scatterers are left out


@dataclass(frozen=True)
class Scatterers:
    """N points at end diastole with their echoes and what moves them, float32; lengths in units."""

    x: np.ndarray  # (N,)
    y: np.ndarray
    echo: np.ndarray  # (N, LOOKS): the looks z1, z2
    other: np.ndarray  # (N, LOOKS): z2, -z1
    contraction: np.ndarray  # (2, N) displacement for s: 0 -> 1
    kick: np.ndarray  # (2, N) displacement for k: 0 -> 1

    def at(self, instant):
        """Coordinates x and y of every scatterer at one instant, without the rigid shift."""
        s, k = np.float32(instant.contraction), np.float32(instant.kick)
        x, y = self.x + s * self.contraction[0], self.y + s * self.contraction[1]
        return (x + k * self.kick[0], y + k * self.kick[1]) if k else (x, y)


def scatter(anatomy, heart, scan, seed):
    """All scatterers of the phantom `seed`: one per cell of the fan, then borders and structures in the chambers."""
    groups = [_lattice(anatomy, scan, seed), *_borders(anatomy, seed), *_structures(anatomy, seed)]
    points, echo = (np.concatenate(part).astype(np.float32) for part in zip(*groups))
    other = np.concatenate([echo[:, 2:], -echo[:, :2]], 1)
    moves = np.ascontiguousarray(_displacement(heart, anatomy.scale, points).T)
    x, y = np.ascontiguousarray(points.T)
    return Scatterers(x, y, echo, other, moves[:2], moves[2:])


def _lattice(anatomy, scan, seed):
    """Points (n, 2) and echoes (n, LOOKS) of the tissue: one scatterer at a random place of every cell of the fan."""
    rng = stream(seed, "lattice")
    jitter = rng.random((2, SAMPLES, BEAMS), np.float32)
    radius, angle = RADII + jitter[0] * np.float32(RADIAL_STEP), ANGLES + (jitter[1] - 0.5) * np.float32(ANGULAR_STEP)
    x, y = radius * np.sin(angle), radius * np.cos(angle)
    level = echogenicity(anatomy, locate(anatomy, x, y), scan, seed).ravel()
    speckle = _circular(rng, level.size)  # drawn for all, then selected: an edit of the tissue moves no draw
    keep = level > FAINTEST
    return np.stack([x.ravel(), y.ravel()], 1)[keep], speckle[keep] * power(level[keep])[:, None]


def _borders(anatomy, seed):
    for number, (curve, amplitude) in enumerate(interfaces(anatomy, seed)):
        echo = _coherent(stream(seed, "interface", number, 1), len(curve), 0.55)
        yield curve * anatomy.scale, echo * amplitude[:, None]


def _structures(anatomy, seed):
    for number, (centres, level) in enumerate(clumps(anatomy, seed)):
        yield centres * anatomy.scale, _circular(stream(seed, "clumps", number, 1), len(centres)) * power(level)


def _circular(rng, count):
    """(count, LOOKS) circular Gaussian amplitudes of unit power per look."""
    return rng.standard_normal((count, LOOKS), np.float32) * np.float32(np.sqrt(0.5))


def _coherent(rng, count, spread):
    echo = rng.standard_normal((count, LOOKS), np.float32) * np.float32(spread)
    echo[:, ::2] += np.float32(COHERENCE)
    return echo


def _displacement(heart, scale, points):
    """Displacement of points (N, 2) for a full contraction and a full kick, (N, 4): Shepard interpolation.

    The contours' own displacements are spread over the fan with weights 1/(d^2 + 2)^2 (Shepard, ACM Nat Conf
    1968) on a coarse grid; still anchors around the fan keep its border at rest. einsum, not BLAS: equal for
    any number of threads.
    """
    rest = _outlines(heart, 0.0, 0.0)
    moves = np.hstack([_outlines(heart, 1.0, 0.0) - rest, _outlines(heart, 0.0, 1.0) - rest]) * scale
    still = _border()
    known = np.concatenate([rest * scale, still]).astype(np.float32)
    moves = np.concatenate([moves, np.zeros((len(still), 4))]).astype(np.float32)
    field, left, step = _spread(known, moves)
    return sample(field, (points[:, 0] - left) / step, points[:, 1] / step)


def _outlines(heart, contraction, kick):
    """Every second point of all outlines in cm, (n, 2)."""
    curves = heart.contours(contraction, kick)
    return np.concatenate([curve[::2] for name, curve in curves.items() if name not in ("mv", "tv")])


def _spread(known, moves, rows=30, columns=43, step=4.0):
    """`moves` (n, 4) at `known` points (n, 2) on a grid over the fan, (rows, columns, 4); its left edge and step."""
    left = -step * (columns // 2)
    x, y = left + step * np.arange(columns, dtype=np.float32), step * np.arange(rows, dtype=np.float32)
    across, down = (x[:, None] - known[:, 0]) ** 2, (y[:, None] - known[:, 1]) ** 2
    weight = 1 / np.square(down[:, None] + across + np.float32(2))
    return np.einsum("rcn,nm->rcm", weight, moves) / weight.sum(2, keepdims=True), left, step


def _border():
    """Points just outside the arc and along both edges of the fan, (39, 2)."""
    angle, radius = np.linspace(-HALF_ANGLE, HALF_ANGLE, 15), np.linspace(3, 112, 12)
    arc = 1.02 * RADIUS * np.stack([np.sin(angle), np.cos(angle)], 1)
    edges = [radius[:, None] * np.array([[side * np.sin(HALF_ANGLE), np.cos(HALF_ANGLE)]]) for side in (-1, 1)]
    return np.concatenate([arc, *edges])


@dataclass(frozen=True)
class Leaflets:
    """The valve leaflets' points: strength, echo and unevenness, drawn once; the heart says where they are."""

    heart: Heart
    scale: float
    amplitude: np.ndarray  # (leaflets, points)
    echo: np.ndarray  # (leaflets * points, LOOKS)
    jitter: np.ndarray  # (leaflets, points, 2) units

    @classmethod
    def of(cls, heart, scale, seed, points=46):
        """Beaded strings of points: mitral -16 dB, tricuspid -24 dB, +- 2.5 dB each and +- 8 dB along them."""
        rng = stream(seed, "leaflets")
        levels = (-16, -16, -24, -24) if heart.patient.view == "4CH" else (-16, -16)
        knots, place = np.linspace(0, points - 1, 10), np.arange(points)
        beads = [rng.normal(level, 2.5) + 8 * np.interp(place, knots, rng.standard_normal(10)) for level in levels]
        jitter = rng.normal(0, 0.025 * scale, (len(levels), points, 2))
        return cls(heart, scale, power(beads), _coherent(rng, points * len(levels), 0.5), jitter)

    def at(self, instant):
        """Place x, y (n,) in units and the echo (n, LOOKS) at one instant; a leaflet is brightest where it faces the beam."""
        curves = self.heart.leaflets(instant.contraction, instant.opening) * self.scale
        strength = (self.amplitude * (0.30 + 0.8 * beam_cosine(curves))).astype(np.float32)
        x, y = np.moveaxis(curves + self.jitter, -1, 0).reshape(2, -1).astype(np.float32)
        return x, y, self.echo * strength.reshape(-1, 1)


def receive(scatterers, leaflets, scale, instant):
    """The raw echo of one instant: every scatterer's amplitude in its nearest cell, (SAMPLES, BEAMS, LOOKS) float32.

    The two looks turn into each other by 0.80 rad over a contraction and 0.45 rad/s: tissue also moves through
    the image plane, which decorrelates speckle (frame correlation 0.98, 0.90, 0.82 at 20, 80, 160 ms in public
    clips).
    """
    x, y = scatterers.at(instant)
    turn = 0.80 * instant.contraction + 0.45 * instant.time
    valve_x, valve_y, valve_echo = leaflets.at(instant)
    echo = np.float32(np.cos(turn)) * scatterers.echo + np.float32(np.sin(turn)) * scatterers.other
    echo = np.concatenate([echo, valve_echo])
    shift = np.asarray(instant.shift, np.float32) * np.float32(scale)
    cells = _cells(np.concatenate([x, valve_x]) + shift[0], np.concatenate([y, valve_y]) + shift[1])
    # A sparse matrix with one 1 per column adds the scatterers of a cell, in their order, in single precision.
    splat = csc_array(
        (np.ones(len(cells), np.float32), cells, np.arange(len(cells) + 1, dtype=np.int32)),
        (SAMPLES * BEAMS + 1, len(cells)),
    )
    return (splat @ echo)[:-1].reshape(SAMPLES, BEAMS, LOOKS)


def _cells(x, y):
    """Flat index of the nearest cell; SAMPLES * BEAMS for points outside the fan."""
    row = np.rint((np.sqrt(x * x + y * y) - RADII[0, 0]) * np.float32(1 / RADIAL_STEP)).astype(np.int32)
    beam = np.rint((np.arctan2(x, y) + np.float32(HALF_ANGLE)) * np.float32(1 / ANGULAR_STEP)).astype(np.int32)
    outside = (row < 0) | (row >= SAMPLES) | (beam < 0) | (beam >= BEAMS)
    return np.where(outside, SAMPLES * BEAMS, row * BEAMS + beam)
