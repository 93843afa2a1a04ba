"""`Clip`: one recording, whatever file it came from."""

from dataclasses import dataclass, field

import numpy as np

from echogan.sector import Sector

SPLITS = ("TRAIN", "VAL", "TEST")
PHANTOM = "synthetic phantom"


@dataclass
class Clip:
    """One recording; `frames` is uint8 (T, H, W), everything else is what its source knew."""

    frames: np.ndarray
    name: str  # file name without suffix
    patient: str
    kind: str  # what every figure must say: "synthetic phantom", "EchoNet-Dynamic", ...
    source: str = ""  # the file it came from
    fps: float | None = None
    spacing_mm: tuple | None = None  # (row, column) mm per pixel
    view: str | None = None  # "4CH", "2CH"
    split: str | None = None  # one of SPLITS
    ef: float | None = None  # %
    esv: float | None = None  # mL
    edv: float | None = None  # mL
    ed: int | None = None  # frame index of traced end diastole (the larger traced area)
    es: int | None = None  # frame index of traced end systole
    traces: dict = field(default_factory=dict)  # frame index -> (21, 4) float: x1, y1, x2, y2; row 0 the long axis
    masks: dict = field(default_factory=dict)  # frame index -> uint8 (H, W) of labels
    sector: Sector | None = None  # the fan in `frames`, where the format fixes it
    region: tuple | None = None  # (x0, y0, x1, y1), inclusive: where the recording says its ultrasound is
    warnings: list = field(default_factory=list)  # sentences on what was dropped or disagrees in this recording
