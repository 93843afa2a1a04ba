"""What there is to extract, as a list of jobs: an EchoNet-Dynamic folder or ZIP, one recording, or a folder of them."""

import hashlib
from functools import partial
from pathlib import Path

from echogan.data.clip import SPLITS
from echogan.data.dicom import is_dicom, read_dicom
from echogan.data.echonet import kind_of, open_study, read_recording
from echogan.data.video import VIDEO_SUFFIXES, read_video_clip
from echogan.errors import BadInput
from echogan.preprocessing.archive import zipped_study
from echogan.preprocessing.jobs import Job, Source

KIND = "ultrasound recordings"
_TRAIN, _VAL = 0.8, 0.9  # where the hash of a patient leaves TRAIN, and VAL


def find_source(path):
    """Recognise what `path` is; nothing is decoded yet."""
    path = Path(path)
    if not path.exists():
        raise BadInput(
            f"{path} is missing; give an EchoNet-Dynamic folder or ZIP, a DICOM, a video, or a folder of them"
        )
    if path.suffix.lower() == ".zip":
        return zipped_study(path)
    if path.is_file():
        return _single(path)
    if is_study(path):
        return _study(path)
    return _folder(path)


def is_study(folder):
    """True for a folder that is, or is meant to be, in the layout of EchoNet-Dynamic."""
    return (folder / "FileList.csv").is_file() or (folder / "Videos").is_dir()


def _study(root):
    study = open_study(root)
    jobs = [Job(name, r.split, partial(read_recording, r)) for name, r in study.recordings.items()]
    skipped = [(name, f"Videos/{name}.avi is missing; restore it, or remove its row") for name in study.missing]
    return Source(root, study.kind, jobs, skipped=skipped, warnings=study.warnings)


def _single(path):
    """One file; inside a study it keeps what the tables say of it."""
    folder = path.absolute().parent
    if folder.name == "Videos" and is_study(folder.parent):
        study = _study(folder.parent)
        jobs = [job for job in study.jobs if job.name == path.stem]
        if jobs:
            return Source(path, study.kind, jobs, single=True)
    reader = _reader(path)
    if reader is None:
        raise BadInput(f"{path} is no recording; give a DICOM or a video ({', '.join(VIDEO_SUFFIXES)})")
    return Source(path, kind_of(path.parent, KIND), [Job(path.stem, "TRAIN", partial(reader, path))], single=True)


def _folder(root):
    """Every recording below `root`; without a list each file is one patient, known by its name."""
    files = [file for file in sorted(root.rglob("*")) if file.is_file() and not file.name.startswith(".")]
    readers = {file: reader for file in files if (reader := _reader(file))}
    if not readers:
        raise BadInput(f"{root} holds no recording; put DICOM files or videos ({', '.join(VIDEO_SUFFIXES)}) there")
    named = _names(list(readers), root)
    split, moved = splits(named)
    jobs = [Job(name, split[name], partial(readers[file], file)) for name, file in named.items()]
    return Source(root, kind_of(root, KIND), jobs, warnings=moved)


def _names(files, root):
    """name -> file: the path below `root` without suffix, with it where two files would share a name."""
    plain = ["_".join(file.relative_to(root).with_suffix("").parts) for file in files]
    full = ["_".join(file.relative_to(root).parts).replace(".", "_") for file in files]
    return {(long if plain.count(short) > 1 else short): file for short, long, file in zip(plain, full, files)}


def _reader(path):
    """The function that reads the file at `path`, or None where it is no recording."""
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return read_video_clip
    return read_dicom if path.name.upper() != "DICOMDIR" and is_dicom(path) else None


def splits(patients):
    """Split of each patient by a hash of its name, 80/10/10, and sentences on the patients moved for want of others.

    A hash, because a patient then keeps its split when files are added. From three patients on no split stays empty:
    the one whose hash lies nearest is moved there, the only case in which adding files can move a patient back.
    """
    position = {name: int(hashlib.sha256(name.encode()).hexdigest()[:12], 16) / 16**12 for name in patients}
    split = {name: SPLITS[(u >= _TRAIN) + (u >= _VAL)] for name, u in position.items()}
    moved = []
    for wanted, centre in zip(SPLITS, (0.4, 0.85, 0.95)):
        if wanted in split.values() or len(split) < len(SPLITS):
            continue
        spare = [name for name in split if list(split.values()).count(split[name]) > 1]
        name = min(spare, key=lambda name: abs(position[name] - centre))
        moved.append(
            f"{name} was moved from {split[name]} to {wanted}, which had no recording; more recordings may undo it"
        )
        split[name] = wanted
    return split, moved
