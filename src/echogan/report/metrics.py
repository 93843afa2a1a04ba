"""What every column of metrics.csv means: name, unit, direction, radar range, the original study's quality bands."""

from dataclasses import dataclass
from math import log

import numpy as np

from echogan.errors import BadInput

BANDS = ("excellent", "very good", "acceptable", "low", "very low")
ARROWS = {"lower": "↓", "higher": "↑", "floor": "≈"}


@dataclass(frozen=True)
class Metric:
    """One metric: how it is written, which way is better, and the fixed range every radar uses."""

    name: str  # its column in metrics.csv
    full: str
    unit: str
    better: str  # lower | higher | floor, the value of real images
    of: str  # encoder | pixels | pairs: what it is computed on
    worst: float  # centre of a radar spoke
    best: float  # rim of a radar spoke
    scale: str  # of that spoke: log | linear
    bands: tuple = ()  # four limits between the five classes of `BANDS`, excellent first

    def goal(self, paired=""):
        """`lower`, `higher` or `floor`: without a true pair, "better" means "as far apart as real images are"."""
        return self.better if self.of != "pairs" or paired == "reconstruction" else "floor"

    def bands_for(self, paired=""):
        """The study's limits, or none where they would judge what they do not measure (unpaired SSIM, PSNR, LPIPS)."""
        return self.bands if self.goal(paired) == self.better else ()

    def outward(self, value):
        """`value` on its radar spoke: 0 at `worst`, 1 at `best`, clipped."""
        ends = np.array([self.worst, self.best], float)
        if self.scale == "log":
            ends, value = np.log(ends), np.log(np.maximum(value, 1e-12))
        return np.clip((value - ends[0]) / (ends[1] - ends[0]), 0, 1)

    @property
    def axis(self):
        """The label of an axis that shows this metric."""
        name = self.name.removesuffix("_dB")
        return f"{name} ({self.unit})" if self.unit else name


def _squared(*distances):
    """The study's JSD limits, square roots in nats, as divergences in bits (its data are never touched)."""
    return tuple(d * d / log(2) for d in distances)


# fmt: off
_ROWS = (
    #  column        full name                                  unit           better    of         worst best   scale
    ("FID",         "Fréchet inception distance",               "",            "lower",  "encoder", 400,  5,     "log"),
    ("FID_inf",     "FID extrapolated to infinite samples",     "",            "lower",  "encoder", 400,  5,     "log"),
    ("KID",         "kernel inception distance",                "",            "lower",  "encoder", 0.5,  0.001, "log"),
    ("KID_lite0",   "kernel distance, EfficientNet-Lite0",      "",            "lower",  "encoder", 5,    0.005, "log"),
    ("SWD",         "sliced Wasserstein distance of pixels",    "grey levels", "lower",  "pixels",  120,  2,     "log"),
    ("spectrum_dB", "radial power spectrum difference",         "dB",          "lower",  "pixels",  40,   0.05,  "log"),
    ("JSD",         "Jensen–Shannon divergence of grey levels", "bit",         "lower",  "pixels",  1,    0.001, "log"),
    ("JSD_sector",  "the same inside the sector",               "bit",         "lower",  "pixels",  1,    0.001, "log"),
    ("JSD_root",    "Jensen–Shannon distance, as published",    "√nat",        "lower",  "pixels",  0.7,  0.01,  "log"),
    ("precision",   "precision",                                "",            "higher", "encoder", 0,    1,     "linear"),
    ("recall",      "recall",                                   "",            "higher", "encoder", 0,    1,     "linear"),
    ("density",     "density",                                  "",            "higher", "encoder", 0,    1,     "linear"),
    ("coverage",    "coverage",                                 "",            "higher", "encoder", 0,    1,     "linear"),
    ("vendi",       "effective number of different images",     "",            "floor",  "encoder", 1,    100,   "log"),
    ("speckle_axial",   "width of speckle along the beam",      "pixels",      "floor",  "pixels",  1,    10,    "log"),
    ("speckle_lateral", "width of speckle across the beam",     "pixels",      "floor",  "pixels",  1,    10,    "log"),
    ("speckle_SNR", "mean by spread of speckle",                "",            "floor",  "pixels",  0.1,  10,    "log"),
    ("SSIM",        "structural similarity",                    "",            "higher", "pairs",   0.2,  1,     "linear"),
    ("MS_SSIM",     "multi-scale structural similarity",        "",            "higher", "pairs",   0.2,  1,     "linear"),
    ("PSNR",        "peak signal-to-noise ratio",               "dB",          "higher", "pairs",   10,   40,    "linear"),
    ("LPIPS",       "perceptual distance (AlexNet)",            "",            "lower",  "pairs",   0.7,  0.01,  "log"),
)
_LIMITS = {  # the study's, between excellent | very good | acceptable | low | very low
    "FID":      (25, 50, 150, 200),
    "FID_inf":  (25, 50, 150, 200),
    "KID":      (0.03, 0.07, 0.15, 0.3),
    "JSD":      _squared(0.05, 0.1, 0.2, 0.5),
    "JSD_root": (0.05, 0.1, 0.2, 0.5),
    "SSIM":     (0.9, 0.75, 0.6, 0.4),
    "PSNR":     (30, 20, 15, 10),
    "LPIPS":    (0.1, 0.25, 0.4, 0.6),
}
# fmt: on
METRICS = {row[0]: Metric(*row, _LIMITS.get(row[0], ())) for row in _ROWS}
SHARES = ("precision", "recall", "density", "coverage")  # of images or patients that a sphere around others holds
LEADING = ("FID", "KID", "KID_lite0", "SWD", "spectrum_dB", "JSD", "JSD_root")  # who ranks


def leading(measured, share=0.5):
    """The metric that ranks runs: the first of `LEADING` that `share` of them measured, else the one most of them did.

    `measured` is one collection of metric names per run (or per group of runs).
    """
    counts = {name: sum(name in names for names in measured) for name in LEADING}
    if not any(counts.values()):
        raise BadInput("no run has a reading of any metric yet; `echogan evaluate` makes one")
    enough = [name for name in LEADING if counts[name] >= share * len(measured)]
    return enough[0] if enough else max(LEADING, key=counts.__getitem__)


def ranked_by(lead, split):
    """What a caption says where something else than FID had to rank; `split` names whose readings rank, e.g. "VAL"."""
    return "" if lead == LEADING[0] else f"{LEADING[0]} was not measured on {split}, so {lead} of {split} ranks"


def ranges(names):
    """What a caption says of the fixed ranges of these metrics, from worst to best."""
    used = [METRICS[name] for name in names]
    linear = ", ".join(metric.name for metric in used if metric.scale == "linear")
    ends = (f"{m.name.removesuffix('_dB')} {m.worst:g} to {m.best:g} {m.unit}".strip() for m in used)
    return f"{', '.join(ends)}; logarithmic{f' but for {linear}' if linear else ''}"


def best(values, goal, floor=np.nan):
    """Position of the best of `values` (NaN ignored): lowest, highest, or nearest the floor; None without one."""
    scores = scored(values, goal, floor)
    return int(np.nanargmin(scores)) if np.isfinite(scores).any() else None


def scored(values, goal, floor=np.nan):
    """`values` turned so that the lowest is the best; NaN where nothing can be called best."""
    if goal == "floor":
        return np.abs(np.asarray(values, float) - floor)
    return {"lower": 1, "higher": -1}.get(goal, np.nan) * np.asarray(values, float)


def written(value):
    """`value` as a table shows it: three significant digits, an en dash where there is none."""
    if not np.isfinite(value):
        return "–"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def half_interval(row, name):
    """Half of the 95 % interval of a metric of a TEST row; NaN without one.

    A share of 0 or 1 has none: where all agree there is no spread to see, and what a formula puts there follows its version.
    """
    seen = name not in SHARES or row.get(name) not in (0, 1)
    return 1.96 * row.get(f"{name}_error", np.nan) if seen else np.nan


def short(value):
    """`value` for a crowded cell: three digits, below one two of them and no leading zero."""
    if not np.isfinite(value) or abs(value) >= 1:
        return written(value)
    return np.format_float_positional(float(f"{value:.2g}"), trim="-").replace("0.", ".", 1)
