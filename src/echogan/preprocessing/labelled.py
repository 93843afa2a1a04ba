"""Frames with masks out again: as a FrameSet folder, or as a study in the layout of CAMUS."""

import numpy as np

from echogan.data.camus.view import LABELS, VIEWS
from echogan.data.images import png_bytes
from echogan.data.phantom.camus import write_nifti
from echogan.errors import BadInput
from echogan.files import atomic_folder, write_json, write_text
from echogan.preprocessing.card import complete

PHASES = {"diastole": "ED", "systole": "ES"}
UNGRADED = "Medium"  # every view of CAMUS has a grade; nobody gave one to these


def write_frames(frames, out):
    """Write a `FrameSet` with masks as a folder that `load_frames` reads."""
    with atomic_folder(out) as folder:
        for name, pictures in (("images", frames.images), ("masks", frames.masks)):
            (folder / name).mkdir()
            for file, picture in zip(frames.index["file"], pictures):
                (folder / name / file).write_bytes(png_bytes(picture))
        complete(folder, frames.index, frames.manifest, frames.labels)


def write_camus(frames, out):
    """Write a `FrameSet` with end diastole and end systole of every recording as a CAMUS release (NIfTI) of so many patients.

    Labels that CAMUS does not have become its background; pixels of unknown size are said to be 1 mm wide; the grade of every
    view is `UNGRADED`. manifest.json keeps the frames' kind.
    """
    unknown = sorted(set(LABELS) - {"background"} - set(frames.labels))
    if unknown:
        raise BadInput(f"the masks have no {unknown[0]}, so CAMUS cannot hold them; write them as frames")
    groups = [_pair(frames, rows) for rows in frames.index.groupby("video", sort=False).indices.values()]
    with atomic_folder(out) as folder:
        for number, (rows, view) in enumerate(groups, start=1):
            _write_patient(folder / "database_nifti" / f"patient{number:04d}", frames, rows, view)
        write_json(folder / "manifest.json", {**frames.manifest, "layout": "CAMUS NIfTI"})


def _pair(frames, rows):
    """(row of end diastole, row of end systole) of one recording, and its view."""
    index = frames.index.iloc[rows]
    at = dict(zip(index["phase"], rows))
    views = set(index["view"])
    if set(at) != set(PHASES) or len(views) > 1 or not views <= set(VIEWS):
        raise BadInput(
            f"{index['video'].iloc[0]} is no pair of diastole and systole of a view that CAMUS has ({', '.join(VIEWS)}); give "
            "masks of whole recordings, of one view each, or write them as frames"
        )
    return [at[phase] for phase in PHASES], views.pop()


def _write_patient(folder, frames, rows, view):
    folder.mkdir(parents=True)
    row = frames.index.iloc[rows[0]]
    size = row.get("spacing_mm", np.nan)
    spacing = (1.0, 1.0) if size != size else (float(size),) * 2
    ours = np.zeros(256, np.uint8)
    ours[[frames.labels[name] for name in LABELS if name in frames.labels]] = [
        number for name, number in LABELS.items() if name in frames.labels
    ]
    for short, at in zip(PHASES.values(), rows):
        for end, pixels in (("", frames.images[at]), ("_gt", ours[frames.masks[at]])):
            write_nifti(folder / f"{folder.name}_{view}_{short}{end}.nii.gz", pixels, spacing)
    info = {"ED": 1, "ES": 2, "NbFrame": 2, "ImageQuality": UNGRADED}
    info |= {} if row["EF"] != row["EF"] else {"EF": f"{row['EF']:.1f}"}
    write_text(folder / f"Info_{view}.cfg", "".join(f"{key}: {value}\n" for key, value in info.items()))
