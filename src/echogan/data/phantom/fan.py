"""The fan the phantom is computed on, and the random fields that live on it.

Origin at the transducer, x to the right, y down (depth). One *unit* is one pixel of the 112 x 112
EchoNet-Dynamic frame, so the fan has a radius of 113.5 units and a half angle of 45 degrees, whatever `Sector`
the picture is shown in later.
"""

import cv2
import numpy as np

from echogan.sector import ECHONET

RADIUS = ECHONET.radius
HALF_ANGLE = ECHONET.half_angle

# Three samples per unit along a beam, one beam every 0.71 degrees.
SAMPLES, BEAMS = 336, 128
RADII = np.linspace(1.5, RADIUS, SAMPLES, dtype=np.float32)[:, None]
ANGLES = np.linspace(-HALF_ANGLE, HALF_ANGLE, BEAMS, dtype=np.float32)[None]
RADIAL_STEP = float(RADII[1, 0] - RADII[0, 0])
ANGULAR_STEP = float(ANGLES[0, 1] - ANGLES[0, 0])

# One random stream per part, so that a change in one leaves the draws of all others alone.
PARTS = (
    "patient", "hypertrophy", "roofs", "scan", "tissue", "clumps", "lattice", "interface",
    "leaflets", "shading", "shadows", "sway", "video", "still", "marks", "study", "camus", "rescan", "domain",
)  # fmt: skip


def stream(seed, part, *more):
    """The random generator of one part of the phantom `seed`."""
    return np.random.default_rng([seed, PARTS.index(part), *more])


def power(decibel):
    """The amplitude of a level in dB, float32."""
    return np.power(np.float32(10), np.asarray(decibel, np.float32) / np.float32(20))


def smooth_noise(rng, *octaves):
    """Sum of smooth Gaussian fields over the fan, (SAMPLES, BEAMS) float32.

    Each octave is (standard deviation, cells along the beam, cells across the beams): white noise of that many
    cells, enlarged by cubic interpolation. Cells of equal angle grow with depth as real echo texture does.
    """
    field = np.zeros((SAMPLES, BEAMS), np.float32)
    for deviation, radial, angular in octaves:
        cells = rng.standard_normal((radial + 3, angular + 3), np.float32)
        octave = cv2.resize(cells, (BEAMS, SAMPLES), interpolation=cv2.INTER_CUBIC)
        field += np.float32(deviation / octave.std()) * octave
    return field


def sample(image, x, y):
    """Bilinear samples of `image` (H, W[, C]) at float32 pixel coordinates of any shape; edges are replicated."""
    count = x.size
    width = 256  # cv2.remap refuses maps longer than 32 766 rows
    place = np.zeros((2, -(-count // width), width), np.float32)
    place[0].flat[:count], place[1].flat[:count] = x.ravel(), y.ravel()
    values = cv2.remap(image, place[0], place[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return values.reshape(place[0].size, -1)[:count].reshape(*x.shape, -1)


def beam_cosine(curve):
    """|cos| between the normal of polylines (..., n, 2) and the beam through each of their points, (..., n)."""
    along_x, along_y = np.moveaxis(np.gradient(curve, axis=-2), -1, 0)
    x, y = np.moveaxis(curve, -1, 0)
    return np.abs(along_x * y - along_y * x) / (np.hypot(along_x, along_y) * np.hypot(x, y) + 1e-6)
