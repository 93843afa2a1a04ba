"""A study of phantoms on disk, in the layout of EchoNet-Dynamic (Ouyang et al., Nature 580, 2020).

ROOT/Videos/0X....avi     Motion JPEG, 112 x 112
ROOT/FileList.csv         FileName (no suffix), EF, ESV, EDV, size, FPS, frames, Split
ROOT/VolumeTracings.csv   FileName (with .avi), X1, Y1, X2, Y2, Frame: 21 rows for each of two frames of a video
ROOT/chambers.csv         sizes of the four chambers, wall thickness, hypertrophy
ROOT/phantom.json         that these are synthetic phantoms, and how they were made
"""

import csv
import io
import math
import os
import platform
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np

from echogan import __version__
from echogan.data.clip import PHANTOM, SPLITS
from echogan.data.echonet import FILE_LIST, TRACINGS
from echogan.data.phantom.cycle import LONGEST_SYSTOLE
from echogan.data.phantom.fan import stream
from echogan.data.phantom.phantom import make_phantom
from echogan.errors import BadInput, nearest
from echogan.files import atomic_folder, write_json, write_text

ORDERS = ("small_first", "time")
HELD_OUT = 0.10  # share of the patients in VAL, and in TEST
WORTH_A_PROCESS = 8  # patients: fewer take less time than starting another process


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
        for record in _run(jobs, workers):
            records.append(record)
            if callback:
                callback(len(records), patients)
        _write_tables(folder, records, splits(patients, seed))
        write_json(folder / "phantom.json", _provenance(recipe, patients))


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
    if patients < 3:
        raise BadInput(f"{patients} patients cannot fill TRAIN, VAL and TEST; ask for at least 3")
    if seed < 0:
        raise BadInput(f"a seed of {seed} is negative; choose 0 or more")
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
    seed = recipe.seed * 1_000_003 + job.index  # far apart for any two studies of fewer than a million patients
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


def write_avi(path, frames, fps):
    """Write grey frames (T, H, W) uint8 as a Motion JPEG AVI of three equal channels, as the published videos are."""
    height, width = frames.shape[1:]
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), float(fps), (width, height))
    if not writer.isOpened():
        raise BadInput(f"{path} cannot be written as Motion JPEG; check the folder, or reinstall opencv-python")
    for frame in frames:
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()


# ------------------------------------------------------------------------------------------------------ workers


def _run(jobs, workers):
    """`Record`s in the order of `jobs`."""
    if workers is None:
        workers = min(os.cpu_count() or 1, max(1, len(jobs) // WORTH_A_PROCESS))
    if workers < 1:
        raise BadInput(f"{workers} workers can do nothing; ask for at least 1")
    if workers == 1:
        yield from map(write_patient, jobs)
        return
    # spawn: a forked child of a process that runs OpenCV or torch threads may hang.
    pool = ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn"), cv2.setNumThreads, (1,))
    try:
        yield from pool.map(write_patient, jobs)
    except BrokenProcessPool as error:
        raise BadInput(
            'a worker process ended early; call write_echonet under `if __name__ == "__main__":`, or with workers=1'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


# ------------------------------------------------------------------------------------------------------- tables


def _write_tables(folder, records, split):
    """The three CSV files; numbers are rounded to a millionth."""
    files = [(record.name, *record.values, part) for record, part in zip(records, split)]
    traces = [(f"{record.name}.avi", *row) for record in records for row in record.traces]
    chambers = [(record.name, *record.chambers.values(), part) for record, part in zip(records, split)]
    _write_csv(folder / "FileList.csv", FILE_LIST, files)
    _write_csv(folder / "VolumeTracings.csv", TRACINGS, traces)
    _write_csv(folder / "chambers.csv", ("FileName", *records[0].chambers, "Split"), chambers)


def _write_csv(path, header, rows):
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows([[round(x, 6) if isinstance(x, float) else x for x in row] for row in rows])
    write_text(path, text.getvalue())


def _provenance(recipe, patients):
    return {
        "kind": PHANTOM,
        "layout": "EchoNet-Dynamic",
        "seed": recipe.seed,
        "patients": patients,
        "frames": recipe.frames,
        "fps": recipe.fps,
        "quality": recipe.quality,
        "order": recipe.order,
        "versions": {
            "echogan": __version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    }
