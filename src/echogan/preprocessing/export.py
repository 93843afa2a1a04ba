"""Recordings out, de-identified: as EchoNet-Dynamic's layout or as PNG frames, with nothing kept that names a person.

OUT/manifest.json           kind of data, layout, what was found burnt in, versions
OUT/recordings.csv        one row per recording, columns `COLUMNS`
echonet: OUT/Videos/P0001_01.avi, FileList.csv, VolumeTracings.csv where there are tracings; 112 x 112, on its sector
png:     OUT/P0001/01_0000.png ...; the sector as it was recorded, cropped, black around it

Names are numbers that are drawn, and files and rows are written in their order, so nothing tells whose they were; frame
rate, spacing and split are all that is kept of the file. A recording in memory is at most one frame of a DICOM, and the
frames of one video.
"""

import csv
import io
import platform
from collections import Counter
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from random import SystemRandom

import cv2
import numpy as np

import echogan
from echogan.data.cores import check_workers
from echogan.data.dicom import is_dicom, open_dicom
from echogan.data.echonet import FILE_LIST, TRACINGS
from echogan.data.images import png_bytes, read_png
from echogan.data.video import read_video, write_avi
from echogan.errors import BadInput, nearest
from echogan.files import atomic_folder, write_json, write_text
from echogan.preprocessing.align import resample
from echogan.preprocessing.deidentify import extremes, find_marks, inside, leftover, sector_of
from echogan.preprocessing.sources import find_source
from echogan.preprocessing.workers import mapped, processes
from echogan.sector import ECHONET

LAYOUTS = ("echonet", "png")
COLUMNS = (
    "name",  # of the recording: patient_number
    "patient",
    "split",
    "frames",
    "height",  # of what was written, in pixels
    "width",
    "fps",
    "row_mm",  # of a written pixel, where the recording says it and its geometry is kept
    "column_mm",
    "text_outside",  # pieces of text found outside the sector, and blanked
    "marks_outside",  # other marks found there, and blanked
    "text_inside",  # pieces of text found inside the sector, and left; empty for a still, where it cannot be told
)
_JPEG_BLOCK = 8


@dataclass(frozen=True)
class Settings:
    """How recordings are written; `fps` is what those play at that do not say."""

    layout: str
    fps: float | None = None


@dataclass
class Outcome:
    """What one recording gave, or why it was `skipped`; `file` and `traces` are rows of the two tables of EchoNet."""

    source: str
    row: dict = field(default_factory=dict)
    file: tuple = ()
    traces: list = field(default_factory=list)
    warnings: list = field(default_factory=list)
    skipped: str | None = None


@dataclass(frozen=True)
class Exported:
    """What a call of `export` did; the sentences name source files, so they are for who ran it and are not in the folder."""

    folder: Path
    kind: str
    recordings: int
    patients: int
    frames: int
    burnt_in: int  # recordings with text outside their sector
    suspect: int  # recordings with text inside it
    skipped: list  # (recording, reason)
    warnings: list

    @property
    def problems(self):
        """What a user should read at the end: every skipped recording with its reason, then the warnings."""
        return [f"skipped {name}: {reason}" for name, reason in self.skipped] + self.warnings


def export(source, out, layout="echonet", fps=None, key=None, workers=None, callback=None):
    """Write the recordings of `source` (as in `extract`) to the new folder `out` without what names a person.

    layout: "echonet" (112 x 112 AVI on EchoNet-Dynamic's sector) or "png" (frames of the sector as recorded).
    fps: for videos from recordings that do not say theirs, else these are skipped. key: a CSV outside `out` that links
    the new names to the old; without it the link is gone. workers and callback as in `extract`. Returns `Exported`.
    A recording whose sector cannot be found is skipped: nothing would tell what to blank.
    """
    if layout not in LAYOUTS:
        raise BadInput(f"layout {layout!r} is unknown{nearest(layout, LAYOUTS)}")
    if key is not None and Path(key).resolve().is_relative_to(Path(out).resolve()):
        raise BadInput(f"{key} lies in {out}, where it would name everybody; choose a place outside for it")
    if key is not None and Path(key).exists():
        raise BadInput(f"{key} exists, and may be all that links another export to its patients; name another file")
    check_workers(workers)
    found = find_source(source)
    if found.unit != "recording":
        raise BadInput(f"{source} holds pictures, not recordings; give DICOM files or videos")
    names = pseudonyms(found.jobs)
    found = replace(found, jobs=sorted(found.jobs, key=lambda job: names[job.name]))  # rows in the old order would tell
    with atomic_folder(out) as folder:
        outcomes = _run(found, names, Settings(layout, fps), folder, workers, callback)
        done = _summary(out, found, outcomes)
        _write_tables(folder, layout, found, outcomes, done)
    if key is not None:
        rows = [(names[job.name], job.file or job.name, job.patient) for job in found.jobs]
        write_text(key, _table(("name", "recording", "patient"), rows))
    return done


def pseudonyms(jobs):
    """{job name: "P0001_01"}: patients in an order drawn anew, which no list of their names leads back to."""
    whose = {job.name: job.patient or job.name for job in jobs}
    order = sorted(set(whose.values()))
    SystemRandom().shuffle(order)
    number, seen = {who: i for i, who in enumerate(order, 1)}, Counter()
    names = {}
    for job in jobs:
        who = whose[job.name]
        seen[who] += 1
        names[job.name] = f"P{number[who]:04d}_{seen[who]:02d}"
    return names


# ------------------------------------------------------------------------------------------------ one recording


def export_one(job, name, settings, folder):
    """Write the recording `job` as `name` below `folder`; returns its `Outcome`."""
    try:
        with _opened(job) as (clip, walk):
            if settings.layout == "echonet" and not (clip.fps or settings.fps):
                raise BadInput(f"{clip.source} does not say its frame rate; give one with --fps")
            seen, count = extremes(walk())
            sector = sector_of(clip, seen)
            mask = inside(sector, clip.region)
            marks = find_marks(seen, mask, cine=count > 1)
            written = _avi if settings.layout == "echonet" else _pngs
            facts = written(clip, walk(), sector, mask, folder, name, settings)
    except BadInput as error:
        return Outcome(job.file or job.name, skipped=str(error))
    within = "" if marks.inside is None else len(marks.inside)
    row = {
        "name": name, "patient": name.split("_")[0], "split": job.split, "frames": count, "fps": clip.fps, **facts,
        "text_outside": len(marks.text), "marks_outside": marks.others, "text_inside": within,
    }  # fmt: skip
    file = (name, clip.ef, clip.esv, clip.edv, row["height"], row["width"], clip.fps or settings.fps, count, job.split)
    kept = clip.sector == ECHONET and settings.layout == "echonet"
    traces = [(f"{name}.avi", *line, frame) for frame, lines in clip.traces.items() for line in lines.tolist()]
    return Outcome(job.name, row, file, traces if kept else [], clip.warnings)


@contextmanager
def _opened(job):
    """(what is known of a recording, a function that walks through its frames), a DICOM frame by frame."""
    with job.local() if job.local else nullcontext() as path:
        if path is None or not is_dicom(path):
            clip = job.read()
            yield clip, partial(iter, clip.frames)
            return
        cine = open_dicom(path)
        yield cine.clip(frames=np.empty((0, *cine.shape[1:]), np.uint8)), cine.frames


def _avi(clip, frames, sector, mask, folder, name, settings):
    """Blank, lay the fan onto EchoNet-Dynamic's, write, and look at what was written."""
    path = folder / "Videos" / f"{name}.avi"
    path.parent.mkdir(exist_ok=True)
    blank = (frame * mask for frame in frames)
    small = np.stack(list(blank)) if sector == ECHONET else resample(blank, sector, ECHONET)
    write_avi(path, small, clip.fps or settings.fps)
    _check(leftover(iter(read_video(path)[0]), ECHONET.mask(), _JPEG_BLOCK), name, [path])
    return {"height": small.shape[1], "width": small.shape[2], "row_mm": None, "column_mm": None}


def _pngs(clip, frames, sector, mask, folder, name, settings):
    """Blank, crop to the fan, write, and look at what was written."""
    patient, number = name.split("_")
    box = tuple(slice(lit.min(), lit.max() + 1) for lit in np.nonzero(mask))
    paths = []
    for i, frame in enumerate(frames):
        paths.append(folder / patient / f"{number}_{i:04d}.png")
        _write_png(paths[-1], (frame * mask)[box])
    again = (read_png(path) for path in paths)
    _check(leftover(again, mask[box]), name, paths)
    row_mm, column_mm = clip.spacing_mm or (None, None)
    return {"height": mask[box].shape[0], "width": mask[box].shape[1], "row_mm": row_mm, "column_mm": column_mm}


def _write_png(path, picture):
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(png_bytes(picture))


def _check(left, name, paths):
    if left:
        for path in paths:
            path.unlink()
        raise BadInput(f"{name} was written but still shows {left} lit pixels outside its sector; it was not kept")


# ------------------------------------------------------------------------------------------------ all of them


def _run(found, names, settings, folder, workers, callback):
    total, outcomes = len(found.jobs), []
    with mapped(workers or processes(total)) as mapping:
        called = [names[job.name] for job in found.jobs]
        for outcome in mapping(export_one, found.jobs, called, [settings] * total, [folder] * total):
            outcomes.append(outcome)
            if callback:
                callback(len(outcomes), total)
    skipped = [o.skipped for o in outcomes if o.skipped]
    if len(skipped) == total:
        raise BadInput(
            skipped[0] if total == 1 else f"none of the {total} recordings can be exported; first: {skipped[0]}"
        )
    return outcomes


def _summary(out, found, outcomes):
    rows = [o.row for o in outcomes if o.row]
    return Exported(
        folder=Path(out),
        kind=found.kind,
        recordings=len(rows),
        patients=len({row["patient"] for row in rows}),
        frames=sum(row["frames"] for row in rows),
        burnt_in=sum(row["text_outside"] > 0 for row in rows),
        suspect=sum(bool(row["text_inside"]) for row in rows),
        skipped=[*found.skipped, *((o.source, o.skipped) for o in outcomes if o.skipped)],
        warnings=[*found.warnings, *(sentence for o in outcomes for sentence in o.warnings)],
    )


def _write_tables(folder, layout, found, outcomes, done):
    """The tables and manifest.json: numbers and new names only."""
    used = [o for o in outcomes if o.row]
    write_text(folder / "recordings.csv", _table(COLUMNS, ([o.row[c] for c in COLUMNS] for o in used)))
    if layout == "echonet":
        write_text(folder / "FileList.csv", _table(FILE_LIST, (o.file for o in used)))
        traces = [row for o in used for row in o.traces]
        if traces:
            write_text(folder / "VolumeTracings.csv", _table(TRACINGS, traces))
    report = {
        "kind": found.kind, "layout": layout, "recordings": done.recordings, "patients": done.patients,
        "frames": done.frames, "skipped": len(done.skipped), "recordings_with_text_outside_the_sector": done.burnt_in,
        "recordings_with_text_inside_the_sector": done.suspect,
        "outside_the_sector": "blanked, and read back to check",
        "versions": {"echogan": echogan.__version__, "python": platform.python_version(), "opencv": cv2.__version__},
    }  # fmt: skip
    write_json(folder / "manifest.json", report)


def _table(columns, rows):
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
