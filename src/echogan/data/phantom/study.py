"""A study of phantoms on disk, in the layout of EchoNet-Dynamic (Ouyang et al., Nature 580, 2020).

ROOT/Videos/0X....avi     Motion JPEG, 112 x 112
ROOT/FileList.csv         FileName (no suffix), EF, ESV, EDV, size, FPS, frames, Split
ROOT/VolumeTracings.csv   FileName (with .avi), X1, Y1, X2, Y2, Frame: 21 rows for each of two frames of a video
ROOT/chambers.csv         sizes of the four chambers, wall thickness, hypertrophy
ROOT/phantom.json         that these are synthetic phantoms, and how they were made
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from echogan.data.clip import SPLITS
from echogan.data.echonet import FILE_LIST, TRACINGS
from echogan.data.phantom.cycle import LONGEST_SYSTOLE
from echogan.data.phantom.fan import stream
from echogan.data.phantom.phantom import make_phantom
from echogan.data.phantom.workers import check_patients, in_processes, patient_seed, write_csv, write_provenance
from echogan.data.video import write_avi
from echogan.errors import BadInput, nearest
from echogan.files import atomic_folder

ORDERS = ("small_first", "time")
HELD_OUT = 0.10  # share of the patients in VAL, and in TEST


def write_echonet(
    root,
    patients,
    seed=0,
    frames=48,
    fps=50,
    quality=None,
    order="small_first",
    workers=None,
    callback=None,
):
    """Write `patients` synthetic phantoms to the new folder `root` in EchoNet-Dynamic's layout.

    Every video has exactly `frames` frames that hold an end diastole and the end systole after it, at a random place.
    Patient i of `seed` is the same whatever the number of patients or workers; splits are 80/10/10 by patient, in a
    seeded permutation. `quality` (-0.25 poorest .. 1 best) is drawn for each patient unless given. `order` of the two
    traced frames: "small_first" (end systole, then end diastole: what the published loader expects) or "time".
    `workers` processes (default: one per core) share the work; a script that calls this needs the usual
    `if __name__ == "__main__":`. `callback(done, total)` hears of every patient.
    """
    _check(patients, seed, frames, fps, order)
    recipe = Recipe(seed, frames, fps, quality, order)
    with atomic_folder(root) as folder:
        (folder / "Videos").mkdir()
        jobs = [Job(str(folder / "Videos"), index, recipe) for index in range(patients)]
        records = []
        for record in in_processes(write_patient, jobs, workers):
            records.append(record)
            if callback:
                callback(len(records), patients)
        _write_tables(folder, records, splits(patients, seed))
        write_provenance(folder, "EchoNet-Dynamic", patients=patients, **asdict(recipe))


@dataclass(frozen=True)
class Recipe:
    """What all patients of a study share."""

    seed: int
    frames: int
    fps: float
    quality: float | None
    order: str


@dataclass(frozen=True)
class Job:
    """One patient to write; everything a worker process needs."""

    folder: str
    index: int
    recipe: Recipe


@dataclass(frozen=True)
class Record:
    """What the tables say of one patient."""

    name: str
    values: tuple  # EF, ESV, EDV, height, width, FPS, frames
    traces: list  # rows of x1, y1, x2, y2, frame
    chambers: dict


def splits(patients, seed):
    """TRAIN, VAL or TEST for every patient: 10 % (at least one) in each of the last two, by a seeded permutation."""
    held_out = max(1, round(HELD_OUT * patients))
    counts = patients - 2 * held_out, held_out, held_out
    return list(np.repeat(SPLITS, counts)[stream(seed, "study").permutation(patients)])


def shortest_clip(fps):
    """The fewest frames that hold an end diastole and the next end systole of every patient."""
    return math.ceil(LONGEST_SYSTOLE * fps) + 1


def _check(patients, seed, frames, fps, order):
    check_patients(patients, seed)
    if not 20 <= fps <= 500:
        raise BadInput(f"{fps} frames per second is outside 20-500; EchoNet-Dynamic has about 50")
    if frames < shortest_clip(fps):
        raise BadInput(
            f"{frames} frames at {fps:g} per second are too short for end diastole and end systole; "
            f"ask for at least {shortest_clip(fps)}"
        )
    if order not in ORDERS:
        raise BadInput(f"no order of traced frames is called {order!r}{nearest(order, ORDERS)}")


# -------------------------------------------------------------------------------------------------- one patient


def write_patient(job):
    """Render and write one patient's video; return its `Record`."""
    recipe = job.recipe
    seed = patient_seed(recipe.seed, job.index)
    phantom = make_phantom(seed, quality=recipe.quality)
    rng = stream(seed, "study")
    name = f"0X{rng.integers(1 << 63, dtype=np.uint64):016X}"
    beat_length = math.ceil(round(phantom.end_systole * recipe.fps, 6))
    ed = int(rng.integers(recipe.frames - beat_length))
    es = ed + beat_length
    start = (-ed / recipe.fps) % phantom.timing.period
    frames, beat = phantom.video(recipe.frames, recipe.fps, start=start)
    write_avi(Path(job.folder) / f"{name}.avi", frames, recipe.fps)
    esv, edv = phantom.volume(beat[es]), phantom.volume(beat[ed])
    values = (100 * (1 - esv / edv), esv, edv, *frames.shape[1:], recipe.fps, recipe.frames)
    order = (es, ed) if recipe.order == "small_first" else (ed, es)
    traces = [(*row, frame) for frame in order for row in phantom.tracing(beat[frame]).tolist()]
    return Record(name, values, traces, phantom.chambers())


# ------------------------------------------------------------------------------------------------------- tables


def _write_tables(folder, records, split):
    """The three CSV files; numbers are rounded to a millionth."""
    files = [(record.name, *record.values, part) for record, part in zip(records, split)]
    traces = [(f"{record.name}.avi", *row) for record in records for row in record.traces]
    chambers = [(record.name, *record.chambers.values(), part) for record, part in zip(records, split)]
    write_csv(folder / "FileList.csv", FILE_LIST, files)
    write_csv(folder / "VolumeTracings.csv", TRACINGS, traces)
    write_csv(folder / "chambers.csv", ("FileName", *records[0].chambers, "Split"), chambers)
