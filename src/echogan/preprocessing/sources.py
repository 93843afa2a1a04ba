"""What there is to extract, as a list of jobs: a study, one recording, a folder or ZIP of recordings or of pictures."""

import hashlib
from functools import partial
from pathlib import Path, PurePosixPath

from echogan.data import hc18, stills
from echogan.data.echonet import open_study, read_recording
from echogan.data.tree import Folder, open_tree
from echogan.errors import BadInput
from echogan.preprocessing import archive, recordings
from echogan.preprocessing.jobs import Job, Source
from echogan.preprocessing.splits import SHARES, check_names, check_patients, drawn, flat, owners, seeded

WANTED = "an EchoNet-Dynamic folder or ZIP, a DICOM, a video, pictures (PNG, JPEG), HC18, or a folder or ZIP of them"
CAMUS_SUFFIXES = (".nii.gz", ".nii", ".mhd", ".hdf5", ".h5")


def find_source(path, seed=0):
    """Recognise what `path` is; nothing is decoded yet. `seed` draws the splits of a source that has none."""
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} is missing; give {WANTED}")
    if path.suffix.lower() == ".npz":
        return _hc18(path, {name: i for i, name in enumerate(hc18.packed_names(path))}, seed)
    if path.is_file() and path.suffix.lower() != ".zip":
        _refuse_camus(path, [path.name])
        return _single(path)
    if path.is_dir() and is_study(path):
        return _study(path)
    tree = open_tree(path)
    names = tree.names()
    if path.is_file() and archive.is_study(names):
        return archive.zipped_study(path)
    if frames := hc18.annotated(names):
        return _hc18(tree, frames, seed)
    if stills.INDEX in names:
        return _stills(tree, seed)
    if read_by := recordings.readers(tree, names):
        return recordings.recordings(tree, read_by, [name for name in names if name not in read_by], seed)
    if stills.pictures(names):
        return _stills(tree, seed)
    _refuse_camus(path, names)
    raise BadInput(f"{path} holds no recording and no picture; give {WANTED}")


def _refuse_camus(path, names):
    if any(name.lower().endswith(CAMUS_SUFFIXES) for name in names):
        ways = "`echogan camus`, or use the notebook SPADE"
        if path.suffix.lower() == ".zip":  # which neither of them reads
            raise BadInput(f"{path} holds files as CAMUS has them; unpack it and give the folder to {ways}")
        raise BadInput(f"{path} holds files as CAMUS has them; prepare it with {ways}")


def is_study(folder):
    """True for a folder that is, or is meant to be, in the layout of EchoNet-Dynamic."""
    return (folder / "FileList.csv").is_file() or (folder / "Videos").is_dir()


def holds_study(path):
    """True for a folder or ZIP of recordings in the layout of EchoNet-Dynamic."""
    path = Path(path)
    if path.is_dir():
        return is_study(path)
    return path.suffix.lower() == ".zip" and archive.is_study(open_tree(path).names())


# ------------------------------------------------------------------------------------------------ one study, one file


def _study(root):
    study, videos = open_study(root), Folder(root / "Videos")
    jobs = [
        Job(name, r.split, partial(read_recording, r), partial(videos.digest, r.path.name))
        for name, r in study.recordings.items()
    ]
    skipped = [(name, f"Videos/{name}.avi is missing; restore it, or remove its row") for name in study.missing]
    tables = "".join(Folder(root).digest(table) for table in archive.TABLES if (root / table).is_file())
    return Source(
        root, study.kind, jobs, "FileList.csv", tables=tables, skipped=skipped, warnings=study.warnings
    )  # fmt: skip


def _single(path):
    """One file; inside a study it keeps what the tables say of it."""
    folder = path.absolute().parent
    if folder.name == "Videos" and is_study(folder.parent):
        study = _study(folder.parent)
        jobs = [job for job in study.jobs if job.name == path.stem]
        if jobs:
            return Source(path, study.kind, jobs, study.splits, single=True)
    return recordings.single(path)


# ------------------------------------------------------------------------------------------------ pictures


def _stills(tree, seed):
    found = stills.list_stills(tree)
    if not found.stills:
        raise BadInput(f"{tree.root} holds no picture; put PNG or JPEG files there")
    given = found.stills[0].split is not None
    patient, how, said = _owners(found.stills)
    split, moved = ({}, []) if given else seeded(sorted(set(patient)), seed)
    jobs = [_still(tree, s, found.kind, who, s.split or split[who]) for s, who in zip(found.stills, patient)]
    check_names(tree.root, [job.name for job in jobs])
    check_patients(tree.root, [(job.patient, job.split) for job in jobs])
    others = [f"{len(found.others)} files were left out, first {found.others[0]}"] if found.others else []
    splits = "as the source has them" if given else drawn(SHARES, "patients", seed, how)
    return Source(
        tree.root, found.kind, jobs, splits, strict=given, labels=found.labels,
        warnings=[*found.warnings, *said, *moved, *others],
    )  # fmt: skip


def _owners(found):
    """The patient of each picture, how it is known, and sentences."""
    if any(still.patient for still in found):
        return [still.patient or still.name for still in found], stills.INDEX, []
    return owners(found)


def _still(tree, still, kind, patient, split):
    read, digest = partial(stills.read_still, tree, still, kind), partial(_digests, tree, still.file, still.mask)
    known = dict(still.known)
    if "duplicate_of" in known:
        known["duplicate_of"] = f"{flat(PurePosixPath(known['duplicate_of']).with_suffix('').as_posix())}.png"
    return Job(flat(still.name), split, read, digest, patient, still=True, known=known)


def _digests(tree, *files):
    return "".join(tree.digest(file) for file in files if file)


def _hc18(place, frames, seed):
    """HC18 from its published files (`place` is a tree), or from a .npz (`place` is its path)."""
    packed = isinstance(place, Path)
    read = partial(hc18.read_packed if packed else hc18.read_published, place)
    split, moved = seeded(sorted({hc18.exam(name) for name in frames}), seed, hc18.SHARES)
    jobs = [
        Job(name, split[hc18.exam(name)], partial(read, at), partial(_hc18_digest, place, name, at),
            hc18.exam(name), still=True)
        for name, at in frames.items()
    ]  # fmt: skip
    splits = drawn(hc18.SHARES, "exams", seed, "file names, up to _")
    return Source(
        place if packed else place.root, hc18.KIND, jobs, splits, labels=hc18.LABELS,
        warnings=[*moved, "the published test frames have no outline and are left out"],
    )  # fmt: skip


def _hc18_digest(place, name, at):
    if not isinstance(place, Path):
        return _digests(place, *hc18.files_of(at))
    clip = hc18.read_packed(place, at)
    return hashlib.sha256(name.encode() + clip.frames.tobytes() + clip.masks[0].tobytes()).hexdigest()[:32]
