"""Many patients in several processes, and the small files that every layout has."""

import csv
import io
import platform
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing import get_context

import cv2
import numpy as np

from echogan import __version__
from echogan.data.clip import PHANTOM
from echogan.data.cores import check_workers, cores
from echogan.errors import BadInput
from echogan.files import write_json, write_text

WORTH_A_PROCESS = 8  # patients: fewer take less time than starting another process
AHEAD = 32  # patients for each process that may wait to be written


def in_processes(work, jobs, workers):
    """`work(job)` for every job, in the order of `jobs`."""
    workers = check_workers(workers) or min(cores(), max(1, len(jobs) // WORTH_A_PROCESS))
    if workers == 1:
        yield from map(work, jobs)
        return
    # spawn: a forked child of a process that runs OpenCV or torch threads may hang.
    pool = ProcessPoolExecutor(min(workers, len(jobs)), get_context("spawn"), cv2.setNumThreads, (1,))
    waiting = iter(jobs)
    try:
        while block := list(islice(waiting, AHEAD * workers)):
            yield from pool.map(work, block)
    except BrokenProcessPool as error:
        raise BadInput(
            'a worker process ended early; write phantoms under `if __name__ == "__main__":`, or with workers=1'
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def check_patients(patients, seed, fewest=3):
    """Refuse what cannot fill three splits."""
    if patients < fewest:
        raise BadInput(f"{patients} patients cannot fill TRAIN, VAL and TEST; ask for at least {fewest}")
    if seed < 0:
        raise BadInput(f"a seed of {seed} is negative; choose 0 or more")


def patient_seed(seed, index):
    """The phantom number of patient `index`: far apart for any two studies of fewer than a million patients."""
    return seed * 1_000_003 + index


def write_csv(path, header, rows):
    """Write a table; numbers are rounded to a millionth."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(header)
    table.writerows([[round(x, 6) if isinstance(x, float) else x for x in row] for row in rows])
    write_text(path, text.getvalue())


def write_provenance(folder, layout, **recipe):
    """phantom.json: that these are synthetic phantoms, and how they were made."""
    versions = {
        "echogan": __version__,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "opencv": cv2.__version__,
    }
    write_json(folder / "phantom.json", {"kind": PHANTOM, "layout": layout, **recipe, "versions": versions})
