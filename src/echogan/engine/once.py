"""TEST reports once: every reading of it leaves a line in the run it is of, whether its row is kept or not."""

import hashlib
from datetime import datetime, timezone
from pathlib import Path

from echogan.config import RunFolder
from echogan.engine.recorder import Table, read_rows

COLUMNS = ("time", "kimg", "stage", "weights")  # UTC; moment of training and stage that were judged; sha256, 16 digits


def count(weights, known):
    """Add a line to the test_reads.csv of the run that a .safetensors file lies in, if it lies in one.

    `known`: what is known of its images, as `fakes_of` says it.
    """
    run = RunFolder(Path(weights).resolve().parent.parent)
    if not run.config.is_file():
        return
    line = {"kimg": known["kimg"], "stage": known.get("stage"), "weights": _digest(weights)}
    Table(run.test_reads, COLUMNS).add({"time": datetime.now(timezone.utc).isoformat(timespec="seconds"), **line})


def readings(run):
    """The readings of TEST that a `RunFolder` has had, oldest first: [{column: text}]."""
    return read_rows(run.test_reads)[1] if run.test_reads.is_file() else []


def _digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:16]
