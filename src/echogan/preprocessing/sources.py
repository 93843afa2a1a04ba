"""What there is to extract, as a list of jobs: a study, one recording, a folder or ZIP of recordings or of pictures."""

import hashlib
from functools import partial
from pathlib import Path, PurePosixPath

from echogan.data import hc18, stills
from echogan.data.echonet import kind_of, open_study, read_recording
from echogan.data.tree import Folder, open_tree
from echogan.data.video import VIDEO_SUFFIXES, read_video_clip
from echogan.errors import BadInput
from echogan.preprocessing import archive
from echogan.preprocessing.jobs import Job, Source
from echogan.preprocessing.splits import SHARES, check_names, check_patients, patients_of, seeded, told

KIND = "ultrasound recordings"
WANTED = "an EchoNet-Dynamic folder or ZIP, a DICOM, a video, pictures (PNG, JPEG), HC18, or a folder or ZIP of them"
CAMUS_SUFFIXES = (".nii.gz", ".nii", ".mhd", ".hdf5", ".h5")
_DICOM_HEAD = 132  # bytes up to its mark


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
    readers = {name: reader for name in names if (reader := _reader(tree, name))}
    if readers:
        return _recordings(tree, readers, seed)
    if stills.pictures(names):
        return _stills(tree, seed)
    _refuse_camus(path, names)
    raise BadInput(f"{path} holds no recording and no picture; give {WANTED}")


def _refuse_camus(path, names):
    if any(name.lower().endswith(CAMUS_SUFFIXES) for name in names):
        raise BadInput(
            f"{path} holds files as CAMUS has them; prepare it with `echogan camus`, or use the notebook SPADE"
        )


def is_study(folder):
    """True for a folder that is, or is meant to be, in the layout of EchoNet-Dynamic."""
    return (folder / "FileList.csv").is_file() or (folder / "Videos").is_dir()


# ------------------------------------------------------------------------------------------------ recordings


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
    tree = Folder(path.parent)
    reader = _reader(tree, path.name)
    if reader is None:
        raise BadInput(f"{path} is no recording; give a DICOM or a video ({', '.join(VIDEO_SUFFIXES)})")
    digest, local = partial(tree.digest, path.name), partial(tree.local, path.name)
    job = Job(path.stem, "TRAIN", partial(reader, path), digest, local=local)
    return Source(path, kind_of(path.parent, KIND), [job], "a single recording is TRAIN", single=True)


def _recordings(tree, readers, seed):
    """Every recording of a folder or ZIP; whose it is, its sub-folder or its name tells."""
    named = _named(readers)
    patient, how, warnings = _patients(tree, readers, named)
    split, moved = seeded(sorted(set(patient)), seed)
    jobs = [
        Job(
            name,
            split[who],
            partial(_read, tree, file, readers[file]),
            partial(tree.digest, file),
            patient=who,
            local=partial(tree.local, file),
        )
        for (name, file), who in zip(named.items(), patient)
    ]
    kind = kind_of(tree.root, KIND) if tree.root.is_dir() else KIND
    return Source(tree.root, kind, jobs, _told(SHARES, "patients", seed, how), warnings=[*warnings, *moved])


def _named(files):
    """name -> file: the path below the root without suffix, with it where two files would share a name."""
    plain = ["_".join(PurePosixPath(file).with_suffix("").parts) for file in files]
    full = ["_".join(PurePosixPath(file).parts).replace(".", "_") for file in files]
    return {(long if plain.count(short) > 1 else short): file for short, long, file in zip(plain, full, files)}


def _read(tree, file, reader):
    with tree.local(file) as path:
        try:
            return reader(path)
        except BadInput as error:
            raise BadInput(str(error).replace(str(path), str(tree.path(file)))) from error


def _reader(tree, name):
    """The function that reads a file, or None where it is no recording."""
    path = PurePosixPath(name)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return read_video_clip
    if path.name.upper() == "DICOMDIR" or path.suffix.lower() in stills.IMAGE_SUFFIXES:
        return None
    return _read_dicom if tree.read(name, first=_DICOM_HEAD)[128:] == b"DICM" else None


def _read_dicom(path):
    from echogan.data.dicom import read_dicom  # brings pydicom, which the processes that decode videos never need

    return read_dicom(path)


def _patients(tree, readers, named):
    """The patient of each recording, how that is known, and sentences; DICOM files say it, without telling who it is."""
    known, how = patients_of([PurePosixPath(file).with_suffix("").as_posix() for file in readers])
    patient = {file: known.get(PurePosixPath(file).with_suffix("").as_posix(), name) for name, file in named.items()}
    files = [file for file, reader in readers.items() if reader is _read_dicom]
    guessed = [who for file, who in patient.items() if file not in set(files)]
    warnings = [told(guessed, how)] if guessed else []
    if files:
        from echogan.data.dicom import pseudonyms

        called, said = pseudonyms(files, tree.opened)
        patient |= called
        warnings += said
        how = "PatientID (hashed)" + ("" if len(files) == len(readers) else f", those of videos by {how}")
    return [patient[file] for file in named.values()], how, warnings


def _told(shares, of, seed, how):
    return f"{'/'.join(f'{share:.0%}' for share in shares)} of the {of} by hash (seed {seed}); {of} by {how}"


# ------------------------------------------------------------------------------------------------ pictures


def _stills(tree, seed):
    found = stills.list_stills(tree)
    if not found.stills:
        raise BadInput(f"{tree.root} holds no picture; put PNG or JPEG files there")
    given = found.stills[0].split is not None
    patient, how = _owners(found.stills)
    guessed = [told(patient, how)] if how != stills.INDEX else []
    split, moved = ({}, []) if given else seeded(sorted(set(patient)), seed)
    jobs = [_still(tree, s, found.kind, who, s.split or split[who]) for s, who in zip(found.stills, patient)]
    check_names(tree.root, [job.name for job in jobs])
    check_patients(tree.root, [(job.patient, job.split) for job in jobs])
    others = [f"{len(found.others)} files were left out, first {found.others[0]}"] if found.others else []
    splits = "as the source has them" if given else _told(SHARES, "patients", seed, how)
    return Source(
        tree.root, found.kind, jobs, splits, strict=given, labels=found.labels,
        warnings=[*found.warnings, *guessed, *moved, *others],
    )  # fmt: skip


def _owners(found):
    """The patient of each picture, and how it is known."""
    if any(still.patient for still in found):
        return [still.patient or still.name for still in found], stills.INDEX
    known, how = patients_of([still.group for still in found])
    return [known.get(still.group, still.name).replace("/", "_") for still in found], how


def _still(tree, still, kind, patient, split):
    read, digest = partial(stills.read_still, tree, still, kind), partial(_digests, tree, still.file, still.mask)
    known = dict(still.known)
    if "duplicate_of" in known:
        known["duplicate_of"] = f"{_flat(PurePosixPath(known['duplicate_of']).with_suffix('').as_posix())}.png"
    return Job(_flat(still.name), split, read, digest, patient, still=True, known=known)


def _flat(name):
    return name.replace("/", "_")


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
    splits = _told(hc18.SHARES, "exams", seed, "file names, up to _")
    return Source(
        place if packed else place.root, hc18.KIND, jobs, splits, labels=hc18.LABELS,
        warnings=[*moved, "the published test frames have no outline and are left out"],
    )  # fmt: skip


def _hc18_digest(place, name, at):
    if not isinstance(place, Path):
        return _digests(place, *hc18.files_of(at))
    clip = hc18.read_packed(place, at)
    return hashlib.sha256(name.encode() + clip.frames.tobytes() + clip.masks[0].tobytes()).hexdigest()[:32]
