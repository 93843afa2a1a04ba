"""Drawn hearts: half an ellipse of cavity in a wall, an atrium below, seen in speckle; enough for a U-Net to learn from."""

import numpy as np
import pandas as pd

from echogan.data.frames import COLUMNS, FrameSet, save_index
from echogan.data.images import write_png

LABELS = {"outside": 0, "left ventricle": 1, "myocardium": 2, "left atrium": 3, "inside": 4}
GREY = np.array([0, 40, 200, 60, 120])


def heart(rng, ef, size=32):
    """Masks (2, size, size) of end diastole and end systole, narrower by what `ef` (%) asks for."""
    y, x = (np.mgrid[:size, :size] + 0.5) / size
    base, middle = rng.uniform(0.56, 0.64), rng.uniform(0.45, 0.55)
    length, across = rng.uniform(0.36, 0.44), rng.uniform(0.16, 0.22)
    masks = np.full((2, size, size), 4, np.uint8)
    masks[:, abs(x - 0.5) > 0.15 + 0.5 * y] = 0
    for mask, narrow in zip(masks, (1, np.sqrt(1 - ef / 100))):
        mask[((x - middle) / across) ** 2 + ((y - base - 0.14) / 0.14) ** 2 < 1] = 3
        for code, wall in ((2, 0.07), (1, 0)):
            mask[
                (y < base) & (((x - middle) / (across * narrow + wall)) ** 2 + ((y - base) / (length + wall)) ** 2 < 1)
            ] = code
    return masks


def rendered(masks, rng):
    """Images uint8 of masks: a grey level for each label, multiplied by speckle."""
    return np.clip(GREY[masks] * rng.gamma(8, 1 / 8, masks.shape), 0, 255).astype(np.uint8)


def hearts(train=24, val=4, test=8, seed=0, size=32, name="p"):
    """A FrameSet of so many patients, one view each, with end diastole and end systole."""
    rng = np.random.default_rng(seed)
    splits = ["TRAIN"] * train + ["VAL"] * val + ["TEST"] * test
    masks, rows = [], []
    for i, split in enumerate(splits):
        ef = rng.uniform(25, 70)
        masks.append(heart(rng, ef, size))
        for frame, phase in enumerate(("diastole", "systole")):
            rows.append(
                (f"{name}{i}_{phase}.png", f"{name}{i}", f"{name}{i}", split, "4CH", phase, frame, ef, "Good", None)
            )
    masks = np.concatenate(masks)
    index = pd.DataFrame(rows, columns=list(COLUMNS))
    return FrameSet(rendered(masks, rng), index, {"kind": "drawn hearts"}, masks, dict(LABELS))


def written(frames, folder):
    """The folder of a FrameSet."""
    for kind in ("images", "masks"):
        for name, picture in zip(frames.index["file"], getattr(frames, kind)):
            write_png(folder / kind / name, picture)
    save_index(folder, frames.index, frames.manifest, frames.labels)
    return folder
