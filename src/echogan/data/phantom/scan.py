"""How the scanner is set and how well it sees: acquisition parameters drawn from one number, the image quality.

Quality q is 1 for the best and 0 for the worst ordinary study (down to -0.25 is allowed); b = 1 - q is what a
poor window costs: more noise, clutter and haze, a wider point spread function, less compounding, more shadows
and drop-out.
"""

from dataclasses import dataclass

import numpy as np

from echogan.data.phantom.fan import stream
from echogan.errors import BadInput

QUALITY_RANGE = (-0.25, 1.0)


@dataclass(frozen=True)
class Scan:
    """One acquisition; levels in dB, widths relative to the best scanner."""

    quality: float
    gain: float
    dynamic_range: float  # dB that become black to white
    gamma: float
    noise: float
    clutter: float  # near-field reverberation
    haze: float  # farther, fainter and lumpier
    lateral: float  # width of the point spread function
    axial: float
    skirt: float  # weight of its side lobes
    looks: float  # weight of the second look: 1 = full compounding
    depth_gain: float  # error of the time-gain compensation per 8 cm
    shadows: int  # of ribs and lung
    edge_left: float  # loss of contact at the edges of the fan
    edge_right: float
    drop: float  # strength of broad drop-out
    persistence: float  # weight of the previous frame
    background: float  # level of the tissue around the heart
    lateral_drop: float  # loss of the lateral wall
    sharpen: float
    blank: float  # units of the fan below the transducer that stay black
    marks: bool  # burned-in probe mark and ruler


def sample_scan(seed, quality=None, marks=False):
    """Draw the acquisition of phantom `seed`; quality is Beta(2.8, 1.6) (mean 0.64) unless given."""
    if quality is not None and not QUALITY_RANGE[0] <= quality <= QUALITY_RANGE[1]:
        raise BadInput(f"a quality of {quality} is outside {QUALITY_RANGE[0]}..{QUALITY_RANGE[1]:g}; choose one inside")
    rng = stream(seed, "scan")
    drawn = rng.beta(2.8, 1.6)
    q = float(drawn if quality is None else quality)
    b = 1 - q

    def normal(mean, deviation, low=-np.inf, high=np.inf):
        return float(np.clip(rng.normal(mean, deviation), low, high))

    return Scan(
        quality=q,
        gain=normal(-4.0, 1.3) - b,
        dynamic_range=normal(44 - 3 * b, 3, 36, 54),
        gamma=normal(1.30, 0.10, 1.0, 1.6),
        noise=normal(-54, 2.5) + 13 * b,
        clutter=normal(-27.5, 2.5) + 8 * b,
        haze=normal(-35.5, 2.5) + 8 * b,
        lateral=0.92 + 0.45 * b + abs(normal(0, 0.08)),
        axial=1 + 0.35 * b,
        skirt=0.035 + 0.03 * b,
        looks=normal(0.6 - 0.4 * b, 0.1, 0.05, 1.0),
        depth_gain=normal(0, 2) - 2 * b,
        shadows=int(rng.poisson(0.25 + 1.6 * b)),
        edge_left=abs(normal(3, 5)) + 4 * b,
        edge_right=abs(normal(11, 8)) + 6 * b,
        drop=3 + 2.5 * b,
        persistence=0.2 + 0.2 * b,
        background=normal(-29, 4) + 4 * b,
        lateral_drop=abs(normal(4, 3.5)) + 4 * b,
        sharpen=max(0.0, 0.2 * q),
        blank=float(rng.uniform(1.8, 4.5)),
        marks=marks,
    )
