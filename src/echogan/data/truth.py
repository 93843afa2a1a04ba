"""What a judge may know and a model may not: the same instants of the same hearts by the other scan.

FRAMES/truth/<name>.png lies beside images/ of a phantom's quality domains. `load_frames` never reads it; code that
trains must not call `load_truth`.
"""

from pathlib import Path

import numpy as np

from echogan.data.images import read_png
from echogan.errors import BadInput

FOLDER = "truth"


def load_truth(folder, frames):
    """The truth of every row of `frames` (of `folder`, or a part of it): uint8 (N, H, W), for judgement only."""
    place = Path(folder) / FOLDER
    if not place.is_dir():
        raise BadInput(f"{folder} has no truth; make one with `echogan phantom --layout quality` and `echogan domains`")
    truth = np.stack([read_png(place / name) for name in frames.index["file"]])
    if truth.shape != frames.images.shape:
        raise BadInput(f"the pictures in {place} are not of the size of the frames; make the folder again")
    return truth
