"""From raw echo to picture: attenuation, clutter and noise, point spread function, log compression, scan conversion."""

from functools import lru_cache

import cv2
import numpy as np

from echogan.data.phantom.fan import (
    ANGLES,
    ANGULAR_STEP,
    BEAMS,
    HALF_ANGLE,
    RADIAL_STEP,
    RADII,
    RADIUS,
    SAMPLES,
    power,
    smooth_noise,
    stream,
)
from echogan.data.phantom.scatterers import LOOKS
from echogan.errors import BadInput
from echogan.sector import ECHONET

# The point spread function of the best scanner: Gaussians whose lateral width is an angle, so that it grows
# with depth as measured (FWHM 3.1, 3.3 and 5.0 px at 12-35, 35-65 and 65-105 px of public frames).
AXIAL_SIGMA = 0.33  # units
LATERAL_SIGMA = np.deg2rad(0.64)
NEAR_FIELD, FAR_FIELD = slice(None, SAMPLES // 2), slice(SAMPLES // 2, None)


class Imager:
    """The scanner of one phantom: raw echoes (SAMPLES, BEAMS, LOOKS) to compressed polar pictures in [0, 1.2]."""

    def __init__(self, scan, scale, depth, seed):
        rng = stream(seed, "shading")
        radius_cm = RADII / np.float32(scale)
        self.scan = scan
        self.gain = _per_look(power(_shading(scan, radius_cm, rng, stream(seed, "shadows"))))
        self.clutter = _clutter(scan, radius_cm, rng)
        self.noise = _per_look(power(scan.noise) * (1 + 2 * (radius_cm / np.float32(depth)) ** 2))
        self.blur = _PointSpread(scan)
        self.weights = np.array([[1, 1, scan.looks, scan.looks]], np.float32) / np.float32(1 + scan.looks)

    def __call__(self, raw, rng):
        """One compressed polar picture, (SAMPLES, BEAMS) float32; `rng` picks the electronic noise."""
        echo = raw * self.gain
        echo += self.clutter
        echo += self.noise * _noise_window(rng)
        echo = np.square(self.blur(echo))
        neper = np.log(cv2.transform(echo, self.weights) + np.float32(1e-9))
        decibel = np.float32(10 / np.log(10)) * neper + np.float32(self.scan.gain)
        return np.clip(decibel / np.float32(self.scan.dynamic_range) + np.float32(1), 0, np.float32(1.2))


def _per_look(field):
    """`field` (R, 1 or BEAMS) for every beam and look, (R, BEAMS, LOOKS): faster than broadcasting each frame."""
    return np.ascontiguousarray(np.broadcast_to(field[..., None], (len(field), BEAMS, LOOKS)), np.float32)


def _shading(scan, radius_cm, rng, shadow_rng):
    """What is lost on the way, in dB: broad drop-out, poor contact at both edges, wrong depth gain, shadows."""
    degrees, reach = np.rad2deg(ANGLES), RADII / np.float32(RADIUS)
    shade = smooth_noise(rng, (scan.drop, 5, 9), (1.5, 2, 22))
    left, right = rng.normal(36, 3), rng.normal(30, 4.5)
    edges = scan.edge_left / (1 + np.exp((degrees + left) / 2.6)) + scan.edge_right / (
        1 + np.exp((right - degrees) / 3.5)
    )
    shade -= (0.35 + 1.3 * reach) * edges
    shade += scan.depth_gain * (radius_cm - 8) / 8 - 12 * np.exp(-(((RADII - 1) / 3) ** 2))
    for _ in range(scan.shadows):
        centre, width = shadow_rng.uniform(-40, 40), shadow_rng.uniform(2.5, 6)
        loss, onset = shadow_rng.uniform(7, 20), shadow_rng.uniform(8, 45)
        shade -= loss * np.exp(-0.5 * ((degrees - centre) / width) ** 2) / (1 + np.exp((onset - RADII) / 5))
    return shade


def _clutter(scan, radius_cm, rng):
    """Echoes that stay while the heart moves: near reverberation and haze, lumpy, (SAMPLES, BEAMS, LOOKS)."""
    near = power(scan.clutter + smooth_noise(rng, (5, 10, 5))) * np.exp(-np.maximum(radius_cm - 0.4, 0) / 1.5)
    haze = power(scan.haze + smooth_noise(rng, (6, 4, 4))) * np.exp(-np.maximum(radius_cm - 2.5, 0) / 3.5)
    return _noise_window(rng) * _per_look(near + haze)


@lru_cache(maxsize=1)
def _noise_pool():
    """Noise of unit power for all phantoms; a frame takes a window of it, which costs no random numbers."""
    pool = np.random.default_rng(5).standard_normal((2 * SAMPLES, 3 * BEAMS, LOOKS), np.float32)
    return pool * np.float32(np.sqrt(0.5))


def _noise_window(rng):
    row, beam = rng.integers(0, SAMPLES), rng.integers(0, 2 * BEAMS)
    return _noise_pool()[row : row + SAMPLES, beam : beam + BEAMS]


class _PointSpread:
    """Separable Gaussian blur: sharp in the focus, wide across the beams when near, wide both ways far away."""

    def __init__(self, scan):
        axial, lateral = AXIAL_SIGMA * scan.axial / RADIAL_STEP, LATERAL_SIGMA * scan.lateral / ANGULAR_STEP
        core, skirt = _gaussian(lateral), _gaussian(3.2 * lateral)
        core = np.pad(core, (len(skirt) - len(core)) // 2)
        self.focus = _unit_energy(core + scan.skirt * skirt), _unit_energy(_gaussian(axial))
        self.near = _unit_energy(_gaussian(4 * lateral)), self.focus[1]
        self.far = _unit_energy(_gaussian(1.75 * lateral)), _unit_energy(_gaussian(1.6 * axial))
        self.near_share = _per_look(np.minimum(np.exp((14 - RADII[NEAR_FIELD]) / 14), 1))
        self.far_share = _per_look(np.clip((RADII[FAR_FIELD] - 60) / 50, 0, 1))

    def __call__(self, echo):
        blurred = _filtered(echo, self.focus)
        for part, share, kernels in ((NEAR_FIELD, self.near_share, self.near), (FAR_FIELD, self.far_share, self.far)):
            blurred[part] += share * (_filtered(echo[part], kernels) - blurred[part])
        return blurred


def _filtered(echo, kernels):
    return cv2.sepFilter2D(echo, -1, *kernels, borderType=cv2.BORDER_REFLECT)


def _gaussian(sigma):
    half = max(1, int(np.ceil(3 * sigma)))
    return np.exp(-0.5 * (np.arange(-half, half + 1) / sigma) ** 2)


def _unit_energy(kernel):
    """Speckle keeps its power under a filter of unit energy."""
    return (kernel / np.sqrt(np.sum(kernel**2))).astype(np.float32)


# ---------------------------------------------------------------------------------------------- scan conversion


@lru_cache(maxsize=8)
def _scan_maps(sector):
    """Beam and sample of every pixel of `sector`, whether it lies in the fan, and its radius in units."""
    radius, angle = sector.polar()
    radius *= np.float32(RADIUS / sector.radius)
    beam, row = (angle + np.float32(HALF_ANGLE)) / ANGULAR_STEP, (radius - RADII[0, 0]) / RADIAL_STEP
    return beam.astype(np.float32), row.astype(np.float32), sector.mask(), radius


def in_fan(sector):
    """`sector.mask()`, computed once."""
    return _scan_maps(sector)[2]


def scan_convert(polar, scan, sector):
    """The picture a compressed polar frame shows in `sector`, uint8 (height, width).

    Point samples between beams, no averaging: EchoNet-Dynamic was shrunk without anti-aliasing, and that is its
    grain.
    """
    beam, row, inside, radius = _scan_maps(sector)
    image = cv2.remap(polar, beam, row, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    smooth = cv2.GaussianBlur(image, (0, 0), 1.2 * sector.radius / RADIUS)
    image += np.float32(scan.sharpen) * (image - smooth)
    grey = np.rint(np.clip(image, 0, 1) ** np.float32(scan.gamma) * np.float32(255))
    return np.where(inside & (radius >= scan.blank), grey, 0).astype(np.uint8)


def check_sector(sector):
    """Refuse a sector that is wider than the fan."""
    if sector.half_angle > HALF_ANGLE + 1e-6:
        raise BadInput(
            f"the phantom is seen within +-{np.rad2deg(HALF_ANGLE):.0f} degrees; "
            f"give a sector narrower than +-{np.rad2deg(sector.half_angle):.0f}"
        )


def burn_marks(frame, seed):
    """Draw the probe mark and depth ruler that survive EchoNet-Dynamic's own mask, right of the apex, in place."""
    rng = stream(seed, "marks")
    x = rng.integers(72, 78)
    frame[1:4, x : x + 3] = rng.integers(60, 200, (3, 3))
    step, grey = rng.integers(3, 6), rng.integers(90, 200)
    along = np.arange(30, 70, step)
    x, y = (ECHONET.apex_x + 8 + 0.71 * along).astype(int), (ECHONET.apex_y - 3 + 0.71 * along).astype(int)
    seen = (x < 111) & (x - y < 67)
    frame[y[seen], x[seen]] = grey
