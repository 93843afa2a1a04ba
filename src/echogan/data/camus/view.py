"""One apical view of one CAMUS patient, and what every layout must hold true of its pictures and masks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from echogan.data.clip import Clip
from echogan.errors import BadInput

KIND = "CAMUS"
VIEWS = ("2CH", "4CH")
GRADES = ("Good", "Medium", "Poor")
LABELS = {"background": 0, "left ventricle": 1, "myocardium": 2, "left atrium": 3}

LONGEST_SIDE, MOST_PIXELS = 4096, 1 << 27  # of anything that is decoded: a broken header may claim any size
SPACING = (0.01, 5.0)  # mm per pixel that an echocardiogram can have


@dataclass(frozen=True)
class View:
    """One recording: whose, which view, how good; `read()` gives end diastole and end systole as a `Clip` with masks.

    `read(every=True)` gives the whole half cycle from end diastole to end systole, where the layout has it.
    """

    patient: str
    view: str  # one of VIEWS
    split: str | None  # one of SPLITS
    read: Callable[..., Clip]
    quality: str | None = None  # one of GRADES

    @property
    def name(self):
        """What its pictures are called."""
        return f"{self.patient}_{self.view}"


@dataclass(frozen=True)
class Camus:
    """A CAMUS data set: its `views`, where they lie, what they must be called, and `warnings` on what was left out."""

    root: Path
    kind: str
    layout: str
    views: list[View]
    warnings: list[str] = field(default_factory=list)


def check_shape(shape, path):
    """Refuse what no recording has, before it is decoded."""
    if not shape or max(shape) > LONGEST_SIDE or min(shape) < 1 or np.prod(shape, dtype=float) > MOST_PIXELS:
        raise BadInput(f"{path} says that it is {' x '.join(map(str, shape))} pixels large; restore the original file")


def check_spacing(spacing, path):
    """(row, column) mm per pixel, or a `BadInput` where no scanner can have made it."""
    spacing = tuple(float(mm) for mm in spacing)
    if not all(SPACING[0] <= mm <= SPACING[1] for mm in spacing):
        sizes = " x ".join(f"{mm:g}" for mm in spacing)
        raise BadInput(f"{path} has pixels of {sizes} mm; correct its spacing ({SPACING[0]:g}-{SPACING[1]:g} mm)")
    return spacing


def grey(values, path):
    """Grey levels 0..255, or a float picture in 0..1, as uint8 of the same shape."""
    if values.dtype == np.uint8:
        return values
    low, high = _range(values, path)
    if low < 0 or high > 255:
        raise BadInput(f"{path} has grey levels {low:g}..{high:g}; scale them to 0..255, or to 0..1")
    scale = 255 if values.dtype.kind == "f" and high <= 1 else 1
    return np.rint(values * np.float32(scale)).astype(np.uint8)


def label_ids(values, path, known=LABELS):
    """Label ids as uint8 of the same shape, each one of `known`."""
    _range(values, path)
    if values.dtype.kind == "f" and (values % 1).any():
        raise BadInput(f"{path} has labels that are no whole numbers (resized by interpolation?); resize by nearest")
    unknown = np.setdiff1d(np.unique(values), list(known.values()))
    if len(unknown):
        names = ", ".join(f"{number} {name}" for name, number in known.items())
        raise BadInput(f"{path} has the unknown label {unknown[0]:g}; the labels are {names}")
    return values.astype(np.uint8)


def _range(values, path):
    if values.dtype.kind not in "fiub" or not values.size:
        raise BadInput(f"{path} holds no numbers; restore the original file")
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low + high):
        raise BadInput(f"{path} has pixels that are no numbers; restore the original file")
    return low, high
