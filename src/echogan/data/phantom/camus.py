"""A study of phantoms in the layouts of CAMUS: the NIfTI release, or one HDF5 file (see `echogan.data.camus`).

Both hold the same pictures: two apical planes through each ventricle, from end diastole to end systole, graded Good,
Medium or Poor. The fan is narrower than that of EchoNet-Dynamic, and pixels have CAMUS's 0.308 mm, so that a deeper
recording is a larger picture.
"""

import shutil
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from echogan.data.camus.folders import LISTS
from echogan.data.camus.hdf5 import GROUPS
from echogan.data.camus.view import GRADES, VIEWS
from echogan.data.phantom.fan import stream
from echogan.data.phantom.patient import sample_patient
from echogan.data.phantom.phantom import Phantom
from echogan.data.phantom.scan import sample_scan
from echogan.data.phantom.study import splits
from echogan.data.phantom.workers import check_patients, in_processes, patient_seed, write_csv, write_provenance
from echogan.errors import BadInput
from echogan.files import atomic_folder
from echogan.sector import Sector

HALF_ANGLE = float(np.deg2rad(37.5))
PIXEL_MM = 0.308
FPS = 50.0
SIZE = 256  # of the pictures in the HDF5 file
FILE = "camus05_256.hdf5"
SPARE = 64 << 20  # bytes: HDF5 writes more when it closes its file, and ends the whole program where the disk is full

SHARES = (0.35, 0.46, 0.19)  # of the grades
QUALITIES = dict(zip(GRADES, ((0.78, 1.0), (0.42, 0.70), (-0.05, 0.30))))
REVERSED = 0.1  # share of the sequences that are stored from end systole to end diastole, as some of CAMUS are
FIRST, FIRST_2CH = 300_000, 400_000  # phantoms: other patients than those of the EchoNet layout


@dataclass(frozen=True)
class Recorded:
    """One view: the half cycle `frames` and `masks` uint8 (T, H, W), (row, column) mm, grade, and what is true of it."""

    frames: np.ndarray
    masks: np.ndarray
    square: np.ndarray  # masks of end diastole and end systole in a picture squeezed to SIZE x SIZE
    spacing: tuple
    quality: str
    ef: float
    chambers: dict


def camus_sector(depth, stretch=1.0):
    """The fan of a recording `depth` cm deep, apex in the middle of the upper edge; `stretch` makes pixels flat."""
    radius = 10 * depth / PIXEL_MM
    width, height = 2 * int(np.ceil(radius * np.sin(HALF_ANGLE))) + 1, int(np.ceil(radius * stretch)) + 1
    return Sector((width - 1) / 2, 0.0, radius, HALF_ANGLE, width, height, stretch)


def record(seed, index, view, stretch=1.0, every=True):
    """The recording of one view of patient `index` as `Recorded`; without `every` its first and last frame only.

    The two-chamber view is another plane through the same ventricle: volumes, wall and rhythm are the patient's, the
    shape and its place in the fan are the plane's own.
    """
    rng = stream(patient_seed(seed, FIRST + index), "camus", VIEWS.index(view))
    quality = GRADES[rng.choice(len(GRADES), p=SHARES)]
    patient = _patient(seed, index, view)
    phantom = Phantom(patient, sample_scan(patient.seed, rng.uniform(*QUALITIES[quality])), HALF_ANGLE)
    sector = camus_sector(phantom.heart.depth, stretch)
    count = int(np.ceil(round(phantom.end_systole * FPS, 6))) + 1
    frames, beat = phantom.video(count, FPS, sector, start=0.0, only=None if every else (0, count - 1))
    masks = np.stack([phantom.labels(instant, sector) for instant in beat])
    square = np.stack([phantom.labels(instant, squeezed(sector, SIZE)) for instant in (beat[0], beat[-1])])
    return Recorded(frames, masks, square, phantom.spacing_mm(sector), quality, patient.ef, phantom.chambers())


def _patient(seed, index, view):
    four = sample_patient(patient_seed(seed, FIRST + index))
    if view == "4CH":
        return four
    two = sample_patient(patient_seed(seed, FIRST_2CH + index), view, four.ef)
    return replace(two, edv=four.edv, wall=four.wall, heart_rate=four.heart_rate)


def squeezed(sector, size):
    """The same fan in a picture that was resized to `size` x `size` pixels, whatever its shape was."""
    across, down = size / sector.width, size / sector.height
    return replace(
        sector,
        apex_x=(sector.apex_x + 0.5) * across - 0.5,
        apex_y=(sector.apex_y + 0.5) * down - 0.5,
        radius=sector.radius * across,
        width=size,
        height=size,
        stretch=sector.stretch * down / across,
    )


# ------------------------------------------------------------------------------------------------ layouts


def write_camus_nifti(root, patients, seed=0, stretch=1.0, workers=None, callback=None):
    """Write `patients` phantoms, two views each, to the new folder `root` in the layout of CAMUS's NIfTI release.

    `stretch` 2 gives pixels half as high as wide, as in the older release. Splits are 80/10/10 by patient in the three
    lists. Equal seeds give equal files; `workers` and `callback(done, total)` as in `study.write_echonet`.
    """
    check_patients(patients, seed)
    if not 0.5 <= stretch <= 4:
        raise BadInput(f"pixels cannot be stretched by {stretch:g}; choose 0.5 to 4")
    with atomic_folder(root) as folder:
        parts, chambers = splits(patients, seed), []
        work = partial(_write_patient, folder / "database_nifti", seed, stretch)
        for rows in in_processes(work, range(patients), workers):
            chambers.append(rows)
            if callback:
                callback(len(chambers), patients)
        _write_lists(folder / "database_split", parts)
        _write_chambers(folder, chambers, parts)
        write_provenance(folder, "CAMUS NIfTI", seed=seed, patients=patients, fps=FPS, stretch=stretch)


def write_camus_hdf5(root, patients, seed=0, workers=None, callback=None):
    """Write `patients` phantoms, two views each, to `root`/camus05_256.hdf5 (`root` is a new folder).

    `im` is float32 (2, 256, 256, 1) in 0..1, `gt` uint8 (2, 256, 256), drawn at that size; `im_ref` and `gt_ref` are
    the pair before it was resized. A disk with less than `SPARE` to spare is a `BadInput`. Everything else as in
    `write_camus_nifti`.
    """
    import h5py

    check_patients(patients, seed)
    with atomic_folder(root) as folder:
        parts, chambers = splits(patients, seed), []
        groups = {split: group for group, split in GROUPS.items()}
        with h5py.File(folder / FILE, "w") as file:
            for index, views in enumerate(in_processes(partial(_squeezed_patient, seed), range(patients), workers)):
                _check_space(root, folder, views)
                for view, (data, row) in views.items():
                    group = file.create_group(f"{groups[parts[index]]}/{patient_name(index)}/{view}")
                    group.attrs.update({"ImageQuality": row["ImageQuality"], "EF": row["EF"]})
                    for name, values in data.items():
                        group.create_dataset(name, data=values, compression="gzip", compression_opts=1, shuffle=True)
                chambers.append({view: row for view, (_, row) in views.items()})
                if callback:
                    callback(index + 1, patients)
        _write_chambers(folder, chambers, parts)
        write_provenance(folder, "CAMUS HDF5", seed=seed, patients=patients, fps=FPS)


def _check_space(root, folder, views):
    """A `BadInput` where the disk of `folder`, which is to become `root`, has no room for one more patient."""
    needed = sum(values.nbytes for data, _ in views.values() for values in data.values())
    if shutil.disk_usage(folder).free < needed + SPARE:
        raise BadInput(f"cannot write {root}: the disk is nearly full; free some space or choose another folder")


def patient_name(index):
    """patient0001 for the first one."""
    return f"patient{index + 1:04d}"


def _squeezed_patient(seed, index):
    """view -> (datasets, row of chambers.csv)."""
    return {view: _squeezed_view(record(seed, index, view, every=False)) for view in VIEWS}


def _squeezed_view(recorded):
    images = np.stack([cv2.resize(frame, (SIZE, SIZE), interpolation=cv2.INTER_AREA) for frame in recorded.frames])
    data = {
        "im": (images / np.float32(255)).astype(np.float32)[..., None],
        "gt": recorded.square,
        "im_ref": recorded.frames,
        "gt_ref": recorded.masks,
    }
    return data, _row(recorded)


def _write_patient(root, seed, stretch, index):
    """Write one patient's folder; view -> row of chambers.csv."""
    folder = Path(root) / patient_name(index)
    folder.mkdir(parents=True)
    rng = stream(patient_seed(seed, FIRST + index), "camus", len(VIEWS))
    sex, age = "FM"[rng.integers(2)], int(np.clip(rng.normal(65, 14), 20, 95))
    rows = {}
    for view in VIEWS:
        recorded = record(seed, index, view, stretch)
        ed, es = (len(recorded.frames), 1) if rng.random() < REVERSED else (1, len(recorded.frames))
        info = {
            "ED": ed, "ES": es, "NbFrame": len(recorded.frames), "Sex": sex, "Age": age,
            "ImageQuality": recorded.quality, "EF": round(recorded.ef), "FrameRate": FPS,
        }  # fmt: skip
        text = "".join(f"{key}: {value}\n" for key, value in info.items())
        (folder / f"Info_{view}.cfg").write_text(text, encoding="utf-8")
        _write_volumes(folder / f"{folder.name}_{view}", recorded, slice(None, None, 1 if ed < es else -1))
        rows[view] = _row(recorded)
    return rows


def _write_volumes(stem, recorded, order):
    for kind, values in (("", recorded.frames), ("_gt", recorded.masks)):
        for part, pixels in (("ED", values[0]), ("ES", values[-1]), ("half_sequence", values[order])):
            write_nifti(stem.with_name(f"{stem.name}_{part}{kind}.nii.gz"), pixels, recorded.spacing)


def write_nifti(path, pixels, spacing):
    """Write ([T,] H, W) as CAMUS has it: x first, and the signs of an affine that ITK made (LPS to RAS)."""
    import nibabel

    row, column = spacing
    image = nibabel.Nifti1Image(np.ascontiguousarray(pixels.T), np.diag([-column, -row, 1, 1]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, path)


def _write_lists(folder, parts):
    folder.mkdir()
    for name, split in LISTS.items():
        listed = [patient_name(index) for index, part in enumerate(parts) if part == split]
        (folder / f"subgroup_{name}.txt").write_text("".join(f"{patient}\n" for patient in listed), encoding="utf-8")


def _row(recorded):
    return {"ImageQuality": recorded.quality, "EF": recorded.ef, **recorded.chambers}


def _write_chambers(folder, patients, parts):
    """chambers.csv: one row for each view; what only the four-chamber view shows stays empty in the other."""
    columns = list(patients[0]["4CH"])
    rows = [
        (patient_name(index), view, *(row.get(column) for column in columns), parts[index])
        for index, views in enumerate(patients)
        for view, row in views.items()
    ]
    write_csv(folder / "chambers.csv", ("Patient", "View", *columns, "Split"), rows)
