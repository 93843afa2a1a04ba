"""How the scanner is set and how well it sees: acquisition parameters drawn from one number, the image quality.

Quality q is 1 for the best and 0 for the worst ordinary study (down to -0.25 is allowed); b = 1 - q is what a
poor window costs: more noise, clutter and haze, a wider point spread function, less compounding, more shadows
and drop-out.
"""

from dataclasses import dataclass, replace

import numpy as np

from echogan.data.phantom.fan import stream
from echogan.errors import BadInput

QUALITY_RANGE = (-0.25, 1.0)

# What one unit of b costs.
COST = {
    "gain": -1.0, "dynamic_range": -3.0, "noise": 13.0, "clutter": 8.0, "haze": 8.0, "lateral": 0.45, "axial": 0.35,
    "skirt": 0.03, "looks": -0.4, "depth_gain": -2.0, "edge_left": 4.0, "edge_right": 6.0, "drop": 2.5,
    "persistence": 0.2, "background": 4.0, "lateral_drop": 4.0,
}  # fmt: skip
LIMITS = {"dynamic_range": (36, 54), "looks": (0.05, 1.0)}


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

    cost = {name: c * b for name, c in COST.items()}
    return Scan(
        quality=q,
        gain=normal(-4.0, 1.3) + cost["gain"],
        dynamic_range=normal(44 + cost["dynamic_range"], 3, *LIMITS["dynamic_range"]),
        gamma=normal(1.30, 0.10, 1.0, 1.6),
        noise=normal(-54, 2.5) + cost["noise"],
        clutter=normal(-27.5, 2.5) + cost["clutter"],
        haze=normal(-35.5, 2.5) + cost["haze"],
        lateral=0.92 + cost["lateral"] + abs(normal(0, 0.08)),
        axial=1 + cost["axial"],
        skirt=0.035 + cost["skirt"],
        looks=normal(0.6 + cost["looks"], 0.1, *LIMITS["looks"]),
        depth_gain=normal(0, 2) + cost["depth_gain"],
        shadows=int(rng.poisson(_shadows(q))),
        edge_left=abs(normal(3, 5)) + cost["edge_left"],
        edge_right=abs(normal(11, 8)) + cost["edge_right"],
        drop=3 + cost["drop"],
        persistence=0.2 + cost["persistence"],
        background=normal(-29, 4) + cost["background"],
        lateral_drop=abs(normal(4, 3.5)) + cost["lateral_drop"],
        sharpen=_sharpening(q),
        blank=float(rng.uniform(1.8, 4.5)),
        marks=marks,
    )


def rescanned(scan, quality, seed):
    """The acquisition of phantom `seed` at another quality: everything that was drawn by chance stays as it was.

    A poorer window adds what it costs to every parameter and brings further shadows; a better one takes them away.
    """
    if not QUALITY_RANGE[0] <= quality <= QUALITY_RANGE[1]:
        raise BadInput(f"a quality of {quality} is outside {QUALITY_RANGE[0]}..{QUALITY_RANGE[1]:g}; choose one inside")
    moved = {name: getattr(scan, name) + c * (scan.quality - quality) for name, c in COST.items()}
    moved |= {name: float(np.clip(moved[name], *limits)) for name, limits in LIMITS.items()}
    rng, before, after = stream(seed, "rescan"), _shadows(scan.quality), _shadows(quality)
    kept = scan.shadows if after >= before else int(rng.binomial(scan.shadows, after / before))
    shadows = kept + int(rng.poisson(max(0.0, after - before)))
    return replace(scan, quality=quality, shadows=shadows, sharpen=_sharpening(quality), **moved)


def _shadows(quality):
    """How many shadows to expect."""
    return 0.25 + 1.6 * (1 - quality)


def _sharpening(quality):
    return max(0.0, 0.2 * quality)
