"""From masks of pictures to numbers of patients: ejection fractions by Simpson's rule, overlap averaged over the pictures."""

import numpy as np
import pandas as pd
import torch

from echogan.data.labels import structures
from echogan.errors import BadInput
from echogan.metrics.estimate import Estimate, mean
from echogan.metrics.segmentation import column, compared
from echogan.metrics.volume import ATRIUM, CAVITY, ejection_fraction, ventricle, volume

ENDS = ("diastole", "systole")


def scored(masks, frames):
    """Mean Dice and HD95 of each patient's pictures, one row per patient: `masks` uint8 (N, H, W) against those of `frames`."""
    scores = compared(masks, frames.masks, frames.labels, spacing(frames))
    return scores.groupby(frames.index["patient"].to_numpy()).mean().rename_axis("patient").reset_index()


def overlap(scores, frames):
    """One row per structure: `Dice` over all pictures and `Dice_error`, its standard error over patients; and of what.

    scores: one row per picture of `frames`, as of `metrics.segmentation.compared`; pictures without a structure do not count.
    """
    patients, rows = frames.index["patient"].to_numpy(), []
    for name in structures(frames.labels):
        values = scores[column("Dice", name)].to_numpy(float)
        known = np.isfinite(values)
        found = mean(torch.from_numpy(values[known]), patients[known]) if known.any() else Estimate(np.nan, np.nan)
        rows.append((name, known.sum(), len(set(patients[known])), *found, frames.kind))
    return pd.DataFrame(rows, columns=["structure", "images", "patients", "Dice", "Dice_error", "data"])


def ejection_fractions(masks, frames):
    """One row per patient of `frames`: `views` that were used, `EDV` and `ESV` by discs, `EF` in %.

    masks: uint8 (N, H, W) of the same rows. Both views with a pair of end diastole and end systole make a biplane volume, one
    a volume of one plane. Volumes are mL where the frames have a `spacing_mm`, else cubed pixels / 1000. They are NaN where
    a mask lacks the left ventricle or atrium, as those of a poor segmenter may. A patient without any pair is refused.
    """
    rows = [_measured(patient, part, masks, frames) for patient, part in frames.index.groupby("patient")]
    return pd.DataFrame(rows, columns=["patient", "views", "EDV", "ESV", "EF"])


def spacing(frames):
    """mm per pixel of every row, (N,), or None where not all are known."""
    mm = frames.index.get("spacing_mm")
    return None if mm is None or mm.isna().any() else mm.to_numpy(float)


def pairs(part):
    """{view: (row of end diastole, row of end systole)} of one patient's rows of an index."""
    found = {}
    for view, rows in part.groupby(part["view"].fillna("")):
        ends = [rows.index[rows["phase"] == end] for end in ENDS]
        if all(len(end) == 1 for end in ends):
            found[view] = tuple(end[0] for end in ends)
    return found


def _measured(patient, part, masks, frames):
    views = pairs(part)
    if not views:
        raise BadInput(
            f"patient {patient} has no pair of end diastole and end systole in one view, so no ejection fraction; "
            "prepare both with `echogan camus`, or leave ejection fractions out"
        )
    mm = spacing(frames)
    edv, esv = (_volume([rows[end] for rows in views.values()], masks, frames.labels, mm) for end in (0, 1))
    return patient, "+".join(views), edv, esv, ejection_fraction(edv, esv)


def _volume(rows, masks, labels, mm):
    if not all((masks[row] == labels.get(name)).any() for row in rows for name in (CAVITY, ATRIUM) if name in labels):
        return np.nan
    return volume(*(ventricle(masks[row], labels, None if mm is None else mm[row]) for row in rows))
