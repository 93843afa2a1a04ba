"""Recordings or pictures in, a `FrameSet` folder out: the pipeline of the original study without its faults.

Each recording is decoded once, in one of several processes, and its images go straight to disk, so memory does not
grow with the number of recordings. A recording that cannot be used is skipped and named. Work that was interrupted, by
whatever means, goes on where it stopped when the same call is made again (`journal`), with the same result.
"""

import hashlib
import json
import platform
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import cv2
import numpy as np

import echogan
from echogan.data.cores import check_workers
from echogan.data.images import png_bytes, squared
from echogan.errors import BadInput, nearest
from echogan.preprocessing import phase, selection, summary
from echogan.preprocessing.align import onto_echonet
from echogan.preprocessing.journal import Journal, Shard
from echogan.preprocessing.normalise import check_size, normalise
from echogan.preprocessing.sources import find_source
from echogan.preprocessing.workers import mapped, processes

METHODS = ("traced", "counted")
VERSIONS = {
    "echogan": echogan.__version__,
    "python": platform.python_version(),
    "numpy": np.__version__,
    "opencv": cv2.__version__,
}


@dataclass(frozen=True)
class Settings:
    """What happens to each recording: image size, how phases are found, smoothing, which frames, and the split's seed."""

    size: int = 128
    phases: str = "traced"
    bilateral: bool = False
    frames_per_clip: str = "4"
    seed: int = 0


@dataclass
class Outcome:
    """What one recording gave: rows of index.csv, how its phases were found, or why it was skipped."""

    name: str
    rows: list = field(default_factory=list)  # dicts: columns of index.csv, and the "hash" of the image
    digest: str = ""  # of the bytes it was read from
    method: str | None = None
    apart: tuple = ()  # frames between the counted and the traced (systole, diastole)
    warnings: list = field(default_factory=list)
    skipped: str | None = None


@dataclass(frozen=True)
class Part:
    """A shard that is done while others are not: `waiting` recordings are theirs, 0 while one of them finishes."""

    shard: Shard
    waiting: int


def extract(
    source, out, size=128, phases="traced", bilateral=False, frames_per_clip=None, seed=0, shard=None, workers=None,
    callback=None,
):  # fmt: skip
    """Extract `source` into the FrameSet folder `out` and return a `Summary`.

    source: an EchoNet-Dynamic folder or ZIP, a DICOM, a video, HC18, or a folder or ZIP of recordings or of pictures.
    Pictures keep their content, in the middle of a black square; recordings get the sector mask.
    size: pixels, one of `normalise.SIZES`. phases: "traced" takes the traced frames and counts where there are none,
    "counted" counts white pixels everywhere. frames_per_clip: "1" (diastole), "4" (first, systole, diastole, last) or
    "all"; by default 4, and all of a single file, which is then TRAIN. seed: of the splits of a source without any.
    shard: the `Shard` to do; the call that finds every other shard done merges all and returns the `Summary`, the
    others a `Part`. workers: processes (a script that asks for more than one needs the usual
    `if __name__ == "__main__"`); None chooses. callback(done, total) follows the run.
    """
    for value, known, what in (
        (phases, METHODS, "phases"),
        (frames_per_clip or "4", tuple(selection.KEPT), "frames_per_clip"),
    ):
        if value not in known:
            raise BadInput(f"{what} {value!r} is unknown{nearest(value, known)}")
    check_size(size)
    check_workers(workers)
    found, journal, shard = find_source(source, seed), Journal(Path(out)), shard or Shard()
    settings = Settings(size, phases, bilateral, frames_per_clip or ("all" if found.single else "4"), seed)
    _refuse_ignored(found, settings)
    try:
        journal.begin(_plan(found, settings), masks=bool(found.labels))
        _work(found, settings, journal, shard, workers, callback)
        return _finish(found, settings, journal, shard)
    except OSError as error:
        raise BadInput(
            f"cannot write {out}: {error.strerror or error}; free some space, then the same command goes on from here"
        ) from error


def _refuse_ignored(found, settings):
    """A `BadInput` for ways to cut recordings where there are pictures, which nothing cuts nor smooths."""
    asked = ["--phases counted"] * (settings.phases != Settings.phases) + ["--bilateral"] * settings.bilateral
    if asked and found.unit == "picture":
        raise BadInput(
            f"{found.root} holds pictures, which keep their content, so {' and '.join(asked)} would do nothing; leave it out, "
            "or give the recordings"
        )


def extract_one(job, settings, folder):
    """Decode one recording and write its images, and masks where it has any, below `folder`."""
    try:
        digest, clip = job.digest(), job.read()
        frames = clip.frames if job.still else onto_echonet(clip, settings.size)
    except BadInput as error:
        return Outcome(job.name, skipped=str(error))
    if job.still:
        row = _write(folder, f"{job.name}.png", squared(frames[0], settings.size))
        if clip.masks:
            mask = squared(clip.masks[0], settings.size, cv2.INTER_NEAREST_EXACT)
            _write(folder, f"{job.name}.png", mask, "masks")
        known = _known(job, clip)
        if "spacing_mm" in known:
            known["spacing_mm"] *= max(frames[0].shape) / settings.size
        return Outcome(job.name, [{**known, **row}], digest, warnings=clip.warnings)
    return _recording(job, clip, frames, digest, settings, folder)


def _recording(job, clip, frames, digest, settings, folder):
    used, counted, traced = phase.choose(clip, frames, settings.phases)
    picks = selection.KEPT[settings.frames_per_clip](len(frames), used)
    rows = [
        {
            **_known(job, clip),
            "phase": pick.phase,
            "frame": pick.frame,
            **_write(folder, file, normalise(frames[pick.frame], settings.size, settings.bilateral)),
        }
        for pick, file in zip(picks, selection.names(job.name, picks))
    ]
    apart = phase.distances(counted, traced) if traced else ()
    return Outcome(job.name, rows, digest, used.method, apart, clip.warnings)


def _known(job, clip):
    """The columns of index.csv that are the same for all frames of a recording."""
    known = {
        "video": job.name,
        "patient": job.patient or job.name,
        "split": job.split,
        "view": clip.view,
        "EF": clip.ef,
    }
    return {key: value for key, value in {**known, **job.known}.items() if value is not None}


def _write(folder, file, image, kind="images"):
    (folder / kind / file).write_bytes(png_bytes(image))
    return {"file": file, "hash": hashlib.blake2b(image, digest_size=8).hexdigest()}


# ------------------------------------------------------------------------------------------------ many recordings


def _plan(found, settings):
    """What must be equal for interrupted work to go on, and for parts to be of one whole."""
    listed = "\n".join([found.tables, *(f"{job.name}\t{job.split}" for job in found.jobs)])
    return {
        "source": found.name,
        "kind": found.kind,
        "tables and names": hashlib.sha256(listed.encode()).hexdigest()[:16],
        **asdict(settings),
        **VERSIONS,
    }


def _work(found, settings, journal, shard, workers, callback):
    part, done = shard.part(found.jobs), journal.done()
    jobs = [job for job in part if job.name not in done]
    tell = callback or (lambda done, total: None)
    if len(jobs) < len(part):
        tell(len(part) - len(jobs), len(part))
    with mapped(workers or processes(len(jobs), found.unit)) as run, journal.writer(shard) as lines:
        work = partial(extract_one, settings=settings, folder=journal.frames)
        for number, outcome in enumerate(run(work, jobs), len(part) - len(jobs) + 1):
            lines.write(json.dumps(vars(outcome)) + "\n")
            tell(number, len(part))


def _finish(found, settings, journal, shard):
    """Merge what all parts have done, once every recording is."""
    done = journal.done()
    waiting = sum(job.name not in done for job in found.jobs)
    if waiting:
        return Part(shard, waiting)
    outcomes = [Outcome(**done[job.name]) for job in found.jobs]
    try:
        whole = summary.summarise(journal.out, found, settings, outcomes)
    except BadInput:  # nothing to go on with: the source has to change
        journal.discard()
        raise
    write = partial(summary.save, found=found, settings=settings, outcomes=outcomes, whole=whole, versions=VERSIONS)
    return whole if journal.finish(write) else Part(shard, 0)
