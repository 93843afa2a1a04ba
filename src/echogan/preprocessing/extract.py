"""Recordings in, a `FrameSet` folder out: the pipeline of the original study without its faults.

Each recording is decoded once, in one of several processes, and its images go straight to disk, so memory does not
grow with the number of recordings. A recording that cannot be used is skipped and named; a disk that cannot be
written ends the run and leaves nothing behind.
"""

import multiprocessing
import os
import platform
import signal
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

import echogan
from echogan.errors import BadInput, nearest
from echogan.files import atomic_folder
from echogan.preprocessing import phase, selection
from echogan.preprocessing.align import onto_echonet
from echogan.preprocessing.normalise import check_size, normalise
from echogan.preprocessing.sources import find_source

METHODS = ("traced", "counted")
_PER_PROCESS = 16  # recordings that repay starting one more process


@dataclass(frozen=True)
class Settings:
    """What happens to each recording: image size, how phases are found, smoothing, all frames or four."""

    size: int = 128
    phases: str = "traced"
    bilateral: bool = False
    every: bool = False


@dataclass
class Outcome:
    """What one recording gave: rows of index.csv, how its phases were found, or why it was skipped."""

    name: str
    rows: list = field(default_factory=list)
    method: str | None = None
    apart: tuple = ()  # frames between the counted and the traced (systole, diastole)
    warnings: list = field(default_factory=list)
    skipped: str | None = None


@dataclass(frozen=True)
class Summary:
    """What a run did; `skipped` pairs (recording, reason), `agreement` as in `phase.agreement`, or None."""

    folder: Path
    kind: str
    recordings: int
    images: int
    duplicates: int
    skipped: list
    warnings: list
    agreement: dict | None

    @property
    def problems(self):
        """What a user should read at the end: every skipped recording with its reason, then the warnings."""
        return [f"skipped {name}: {reason}" for name, reason in self.skipped] + self.warnings


def extract(source, out, size=128, phases="traced", bilateral=False, workers=None, callback=None):
    """Extract `source` into the FrameSet folder `out` and return a `Summary`.

    source: an EchoNet-Dynamic folder or ZIP, a DICOM, a video, or a folder of DICOMs and videos. Of each recording the
    first, systolic, diastolic and last frame are kept; of a single file all frames, as TRAIN.
    size: pixels, one of `normalise.SIZES`. phases: "traced" takes the traced frames and counts where there are none,
    "counted" counts white pixels everywhere. workers: processes (a script that asks for more than one needs the usual
    `if __name__ == "__main__"`); None chooses. callback(done, total) follows the run.
    """
    if phases not in METHODS:
        raise BadInput(f"phases {phases!r} is unknown{nearest(phases, METHODS)}")
    found = find_source(source)
    settings = Settings(check_size(size), phases, bilateral, every=found.single)
    with atomic_folder(out) as folder:
        (folder / "images").mkdir()
        outcomes = _run(found, settings, folder / "images", workers, callback)
        summary = _summary(out, found, settings, outcomes)
        _save(folder, found, settings, outcomes, summary)
    return summary


def extract_one(job, settings, folder):
    """Decode one recording and write its images into `folder`."""
    try:
        clip = job.read()
        frames = onto_echonet(clip, settings.size)
    except BadInput as error:
        return Outcome(job.name, skipped=str(error))
    count, traced = phase.counted(frames), phase.traced(clip)
    used = traced if traced and settings.phases == "traced" else count
    picks = (selection.every if settings.every else selection.four)(len(frames), used)
    files = selection.names(job.name, picks)
    for pick, file in zip(picks, files):
        _write(folder / file, normalise(frames[pick.frame], settings.size, settings.bilateral))
    return Outcome(
        job.name, _rows(job, clip, picks, files, selection.duplicates(frames, picks)), used.method,
        phase.distances(count, traced) if traced else (), clip.warnings,
    )  # fmt: skip


def _rows(job, clip, picks, files, earlier):
    return [
        (file, job.name, job.name, job.split, clip.view, pick.phase, pick.frame, clip.ef, None,
         None if first is None else files[first])
        for pick, file, first in zip(picks, files, earlier)
    ]  # fmt: skip


def _write(path, image):
    path.write_bytes(cv2.imencode(".png", image)[1])


# ------------------------------------------------------------------------------------------------ many recordings


def _run(found, settings, folder, workers, callback):
    total, outcomes = len(found.jobs), []
    with _mapped(workers or _processes(total)) as mapped:
        for outcome in mapped(extract_one, found.jobs, [settings] * total, [folder] * total):
            outcomes.append(outcome)
            if callback:
                callback(len(outcomes), total)
    skipped = [o for o in outcomes if o.skipped]
    if len(skipped) == total:
        first = skipped[0].skipped
        raise BadInput(
            first if total == 1 else f"none of the {total} recordings of {found.root} can be used; first: {first}"
        )
    return outcomes


def _processes(total):
    return max(1, min(os.cpu_count() or 1, total // _PER_PROCESS))


@contextmanager
def _mapped(workers):
    """`map` over `workers` processes; results come in order, and an error cancels what has not begun."""
    if workers == 1:
        yield map
        return
    # spawn: a forked copy of a process that holds threads (torch, OpenCV) may deadlock.
    context = multiprocessing.get_context("spawn")
    try:
        with ProcessPoolExecutor(workers, context, initializer=_start_process) as pool:
            yield lambda *args: pool.map(*args, chunksize=4)
    except BrokenProcessPool as error:
        reason = "out of memory, or a script without `if __name__ == '__main__':`"
        raise BadInput(f"a worker process died ({reason}); use workers=1, or fewer workers") from error


def _start_process():
    """One OpenCV thread per process, and an interrupt is the parent's to handle."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# ------------------------------------------------------------------------------------------------ what is said of it


def _summary(out, found, settings, outcomes):
    root = found.root.parent if found.single else found.root
    skipped = found.skipped + [(o.name, o.skipped) for o in outcomes if o.skipped]
    used = [o for o in outcomes if not o.skipped]
    rows = [row for o in used for row in o.rows]
    warnings = found.warnings + [sentence for o in used for sentence in o.warnings]
    untraced = sum(o.method == "counted" for o in used)
    if settings.phases == "traced" and untraced:
        warnings.append(f"{untraced} of {len(used)} recordings have no usable tracings; their phases were counted")
    return Summary(
        folder=Path(out),
        kind=found.kind,
        recordings=len(used),
        images=len(rows),
        duplicates=sum(row[-1] is not None for row in rows),
        skipped=[(name, reason.replace(f"{root}{os.sep}", "")) for name, reason in skipped],  # no absolute path
        warnings=warnings,
        agreement=phase.agreement([o.apart for o in used if o.apart]),
    )


def _save(folder, found, settings, outcomes, summary):
    # pandas comes with this module; the processes that decode never need it.
    from echogan.data.frames import save_index

    manifest = {
        "kind": found.kind,
        "source": found.root.resolve().name,
        "recordings": summary.recordings,
        "images": summary.images,
        "duplicates": summary.duplicates,
        "size": settings.size,
        "mask": "triangle united with half an ellipse (echogan.sector.study_mask)",
        "bilateral": settings.bilateral,
        "phases": settings.phases,
        "phases_found": dict(Counter(o.method for o in outcomes if o.method)),
        "counting_against_tracings": summary.agreement,
        "skipped": [{"recording": name, "reason": reason} for name, reason in summary.skipped],
        "warnings": summary.warnings,
        "versions": {
            "echogan": echogan.__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
            "opencv": cv2.__version__,
        },
    }
    save_index(folder, [row for o in outcomes for row in o.rows], manifest)
