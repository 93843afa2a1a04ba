"""A folder or ZIP of recordings as jobs: what each is read by, whose it is, its split and its name."""

from collections import Counter
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import PurePosixPath

from echogan.data.colour import Glance, chroma, is_grey, told
from echogan.data.echonet import KIND_FILES, kind_of
from echogan.data.images import IMAGE_SUFFIXES
from echogan.data.places import Place, places
from echogan.data.tree import Folder
from echogan.data.video import VIDEO_SUFFIXES, colours, read_video_clip
from echogan.errors import BadInput
from echogan.preprocessing.align import find_sector
from echogan.preprocessing.jobs import Job, Source
from echogan.preprocessing.splits import SHARES, check_names, check_patients, drawn, owners, seeded

KIND = "ultrasound recordings"
DICOM_HEAD = 132  # bytes up to the end of its mark


def readers(tree, names):
    """name -> the function that reads it, of those files that are recordings."""
    return {name: reader for name in names if (reader := _reader(tree, name))}


def _reader(tree, name):
    path = PurePosixPath(name)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return read_video
    if path.suffix.lower() in IMAGE_SUFFIXES:
        return None
    return _read_dicom if is_dicom(path.name, tree.read(name, first=DICOM_HEAD)) else None


def is_dicom(name, head):
    """Whether a file is a DICOM by its first `DICOM_HEAD` bytes: exports often have no suffix. A DICOMDIR only lists others."""
    return name.upper() != "DICOMDIR" and head[128:] == b"DICM"


def read_video(path):
    """A video as a `Clip` with its sector; a `BadInput` for colour in that, which is flow and not tissue, in frames all over it.

    Videos in EchoNet-Dynamic's own format are B-mode all, with a coloured mark of the probe.
    """
    glance = Glance()
    clip = read_video_clip(path, glance)
    if clip.sector is not None:
        return clip
    clip.sector = find_sector(clip)
    mask = clip.sector.mask()
    for number, frame in (glance.kept or colours(path, len(clip.frames))).items():
        if not is_grey(levels := chroma(frame)[mask]):
            raise BadInput(f"frame {number} of {path} {told(levels)}; give a grey recording")
    return clip


def _read_dicom(path):
    from echogan.data.dicom import read_dicom  # brings pydicom, which the processes that decode videos never need

    return read_dicom(path)


def single(path):
    """The `Source` of one file, all of which is TRAIN."""
    tree = Folder(path.parent)
    reader = _reader(tree, path.name)
    if reader is None:
        raise BadInput(f"{path} is no recording; give a DICOM or a video ({', '.join(VIDEO_SUFFIXES)})")
    found = Place(path.name, path.stem, path.stem)
    dicoms = {path.name} if reader is _read_dicom else set()
    (patient,), _, _ = _patients(tree, [found], dicoms)
    (name,) = _named([found], [patient], dicoms)
    job = _job(tree, path.name, name, patient, "TRAIN", reader)
    return Source(path, kind_of(path.parent, KIND), [job], "a single recording is TRAIN", single=True)


def recordings(tree, read_by, others, seed):
    """The `Source` of the recordings in `read_by` (as from `readers`), beside which the tree has `others`."""
    found, beside = places(list(read_by))
    beside = [f"{len(beside)} recordings lie beside the folders of the splits and were left out"] if beside else []
    dicoms = {place.file for place in found if read_by[place.file] is _read_dicom}
    patient, how, said = _patients(tree, found, dicoms)
    given = found[0].split is not None
    split, moved = ({}, []) if given else seeded(sorted(set(patient)), seed)
    jobs = [
        _job(tree, place.file, name, who, place.split or split[who], read_by[place.file])
        for place, name, who in zip(found, _named(found, patient, dicoms), patient)
    ]
    check_names(tree.root, [job.name for job in jobs])
    shown = {job.patient: f"whoever {job.file} is of" for job in reversed(jobs) if job.file}
    check_patients(tree.root, [(shown.get(job.patient, job.patient), job.split) for job in jobs])
    kind = kind_of(tree.root, KIND) if tree.root.is_dir() else KIND
    splits = "as the source has them" if given else drawn(SHARES, "patients", seed, how)
    return Source(tree.root, kind, jobs, splits, warnings=[*said, *moved, *left_out(others), *beside])


def _job(tree, file, name, patient, split, reader):
    hidden = file if reader is _read_dicom else ""
    called = name if hidden else ""
    read, digest = partial(_read, tree, file, reader, called), partial(_digest, tree, file, called)
    return Job(name, split, read, digest, patient, local=partial(tree.local, file), file=hidden)


@contextmanager
def _called(shown, path):
    """What is said of the file at `path` names `shown` instead."""
    try:
        yield
    except BadInput as error:
        raise BadInput(str(error).replace(str(path), shown)) from error


def _digest(tree, file, called):
    place = str(tree.path(file))
    with _called(called or place, place):
        return tree.digest(file)


def _read(tree, file, reader, called):
    """The recording `file`; what is said of it names `called` instead of the file, where that may name a person."""
    place = str(tree.path(file))
    shown = called or place
    with _called(shown, place), tree.local(file) as path, _called(shown, path):
        clip = reader(path)
    warnings = [sentence.replace(path.name, called, 1) for sentence in clip.warnings] if called else clip.warnings
    return replace(clip, name=called or clip.name, source=shown, warnings=warnings)


def _named(found, patient, dicoms):
    """A name for each: <patient>_<n> of a DICOM, else the path without suffix, with it where two would share a name."""
    plain, number = Counter(place.name.replace("/", "_") for place in found if place.file not in dicoms), Counter()
    for place, who in zip(found, patient):
        short, full = (name.replace("/", "_") for name in (place.name, place.file.replace(".", "_")))
        number[who] += place.file in dicoms
        yield f"{who}_{number[who]}" if place.file in dicoms else full if plain[short] > 1 else short


def left_out(others, why="are no recordings"):
    """A sentence on files that are no recordings, by their kinds: names of files may be names of people."""
    others = [PurePosixPath(name) for name in others if name not in KIND_FILES]
    kinds = Counter(path.suffix.lower() or "without suffix" for path in others if path.name.upper() != "DICOMDIR")
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return [f"{kinds.total()} files {why} and were left out: {told}"] if kinds else []


def _patients(tree, found, dicoms):
    """The patient of each recording, how that is known, and sentences; DICOM files say it, without telling who it is."""
    others = [place for place in found if place.file not in dicoms]
    guessed, how, said = owners(others)
    patient = dict(zip([place.file for place in others], guessed))
    if dicoms:
        from echogan.data.dicom import pseudonyms

        called, silent = pseudonyms(sorted(dicoms), tree.opened)
        patient |= called
        said = [*said, *silent]
        how = "PatientID (hashed)" + (f", those of videos by {how}" if guessed else "")
    return [patient[place.file] for place in found], how, said
