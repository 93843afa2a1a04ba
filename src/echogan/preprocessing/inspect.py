"""What is in a set of frames, or in a source that frames can be made of, without making them."""

import hashlib
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd

from echogan.data.clip import SPLITS
from echogan.data.frames import COLUMNS, FrameSet, load_frames
from echogan.data.images import read_png
from echogan.data.stills import INDEX, MANIFEST
from echogan.errors import BadInput
from echogan.preprocessing.card import card, counts, terms
from echogan.preprocessing.extract import Settings, extract_one
from echogan.preprocessing.sources import find_source
from echogan.preprocessing.splits import across, listed, shared

_SHOWN = 36  # pictures of each split that `a_few` decodes


def is_frames(path):
    """Whether `path` is a FrameSet folder."""
    return all((Path(path) / table).is_file() for table in (MANIFEST, INDEX))


def describe(path):
    """The page on `path`: the data card of a FrameSet folder, or what extraction would find in any other source."""
    if is_frames(path):
        data = load_frames(path)
        return f"{card(data.index, data.manifest)}\nfingerprint of the frames: {data.fingerprint()}"
    found = find_source(path)
    split = Counter(job.split for job in found.jobs)
    patients = {job.patient or job.name for job in found.jobs}
    held = ", ".join(f"{split[name]:,} {name}" for name in SPLITS)
    lines = [
        f"{found.kind}. {terms(found.kind)}",
        f"* {len(found.jobs):,} {found.unit}s of {len(patients):,} patients: {held}",
        f"* splits: {found.splits}",
        *(f"* skipped {name}: {reason}" for name, reason in found.skipped),
        *(f"* {sentence}" for sentence in found.warnings),
    ]
    return "\n".join(lines)


def check(data):
    """Refuse a `FrameSet` in which a picture that is not marked as a repeat is in two splits; all are listed."""
    used = data.where(data.index["duplicate_of"].isna())
    rows = [
        {"file": file, "split": split, "hash": hashlib.blake2b(image, digest_size=16).digest()}
        for file, split, image in zip(used.index["file"], used.index["split"], used.images)
    ]
    both = across(shared(rows))
    if both:
        raise BadInput(f"{len(both)} frames are in two splits; remove one of each and extract again: {listed(both)}")


def a_few(path, size=128):
    """Some frames of `path`: all of a FrameSet folder, else one of each of some recordings, decoded for this."""
    if is_frames(path):
        return load_frames(path)
    found, settings = find_source(path), Settings(size, frames_per_clip="1")
    jobs = [job for name in SPLITS for job in _spread([job for job in found.jobs if job.split == name])]
    with TemporaryDirectory() as folder:
        for kind in ("images", "masks"):
            (Path(folder) / kind).mkdir()
        outcomes = [extract_one(job, settings, Path(folder)) for job in jobs]
        rows = [row for outcome in outcomes for row in outcome.rows]
        if not rows:
            raise BadInput(outcomes[0].skipped)
        images, masks = (
            np.stack([read_png(Path(folder) / kind / row["file"]) for row in rows])
            for kind in ("images", "masks" if found.labels else "images")
        )
    held = counts(pd.DataFrame([(j.split, j.patient or j.name) for j in found.jobs], columns=["split", "patient"]))
    manifest = {"kind": found.kind, "source": found.name, "counts": held}
    index = pd.DataFrame(rows).reindex(columns=list(COLUMNS))
    return FrameSet(images, index, manifest, masks if found.labels else None, found.labels)


def _spread(jobs):
    return [jobs[i * len(jobs) // min(_SHOWN, len(jobs))] for i in range(min(_SHOWN, len(jobs)))]
