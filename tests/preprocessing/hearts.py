"""Drawn hearts: a wall around a ventricle above an atrium, in a sector, at end diastole and end systole."""

import cv2
import numpy as np
import pandas as pd

from echogan.data.frames import COLUMNS, FrameSet

CAMUS = {"outside": 0, "left ventricle": 1, "myocardium": 2, "left atrium": 3, "inside": 4}
VIEWS = ("2CH", "4CH")


def hearts(n, size=64, seed=0):
    """Masks uint8 (n, 2, size, size) of the labels `CAMUS`."""
    rng = np.random.default_rng(seed)
    return np.stack([_heart(size, *rng.uniform(-1, 1, 3)) for _ in range(n)])


def _heart(size, wide, aside, tall):
    def ellipse(mask, centre, axes, label):
        at = [round(16 * v * size / 64) for v in (*centre, *axes)]
        cv2.ellipse(mask, tuple(at[:2]), tuple(at[2:]), 0, 0, 360, label, -1, shift=4)

    masks = []
    for shrink in (1.0, 0.75):
        mask = np.zeros((size, size), np.uint8)
        cv2.ellipse(mask, (size // 2, 2), (size - 8, size - 8), 0, 45, 135, 4, -1)
        x, width, height = 32 + aside, (7 + wide) * shrink, 11 + tall
        ellipse(mask, (x, 27), (width + 4, height + 3), 2)
        ellipse(mask, (x, 44 + tall), (6 + wide, 5), 3)
        ellipse(mask, (x, 27), (width, height), 1)
        masks.append(mask)
    return np.stack(masks)


def labelled(pairs, labels=CAMUS, splits=("TRAIN",), seed=0):
    """A `FrameSet` of masks (n, P, H, W), a recording each, whose images are grey levels of the labels and noise."""
    n, phases = pairs.shape[:2]
    rng = np.random.default_rng(seed)
    masks = pairs.reshape(-1, *pairs.shape[2:]).copy()
    grey = np.array([0, 20, 180, 40, 100], np.uint8)[masks % 5]
    images = np.clip(grey + rng.normal(0, 8, grey.shape) * (grey > 0), 0, 255).astype(np.uint8)
    rows = [
        {
            "file": f"p{i}_{p}.png", "video": f"p{i}", "patient": f"p{i}", "split": splits[i % len(splits)],
            "view": VIEWS[i % 2], "phase": ("diastole", "systole")[p] if phases == 2 else None, "frame": p,
            "EF": 30.0 + 5 * (i % 8),
        }
        for i in range(n)
        for p in range(phases)
    ]  # fmt: skip
    return FrameSet(images, pd.DataFrame(rows, columns=list(COLUMNS)), {"kind": "drawn hearts"}, masks, labels)
