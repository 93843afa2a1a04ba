"""A folder or ZIP of recordings as jobs: what each is read by, whose it is, its split and its name."""

from collections import Counter
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from echogan.data.echonet import KIND_FILES, kind_of
from echogan.data.images import IMAGE_SUFFIXES
from echogan.data.places import places
from echogan.data.video import VIDEO_SUFFIXES, colours, read_video_clip
from echogan.errors import BadInput
from echogan.preprocessing.align import find_sector
from echogan.preprocessing.jobs import Job, Source
from echogan.preprocessing.splits import SHARES, check_names, check_patients, drawn, owners, seeded

KIND = "ultrasound recordings"
_DICOM_HEAD = 132  # bytes up to its mark
# What is colour in a sector, as in a DICOM: on average, or in a small flow box.
MEAN_CHROMA, COLOURED, COLOURED_SHARE = 6, 40, 0.01


def readers(tree, names):
    """name -> the function that reads it, of those files that are recordings."""
    return {name: reader for name in names if (reader := _reader(tree, name))}


def _reader(tree, name):
    path = PurePosixPath(name)
    if path.suffix.lower() in VIDEO_SUFFIXES:
        return read_video
    if path.name.upper() == "DICOMDIR" or path.suffix.lower() in IMAGE_SUFFIXES:
        return None
    return _read_dicom if tree.read(name, first=_DICOM_HEAD)[128:] == b"DICM" else None


def read_video(path):
    """A video as a `Clip` with its sector; a `BadInput` for colour in that, which is flow and not tissue.

    Videos in EchoNet-Dynamic's own format are B-mode all, with a coloured mark of the probe.
    """
    clip = read_video_clip(path)
    if clip.sector is not None:
        return clip
    clip.sector = find_sector(clip)
    mask = clip.sector.mask()
    for number, frame in enumerate(colours(path)):
        spread = np.ptp(frame, axis=-1)[mask]
        if spread.size and (spread.mean() > MEAN_CHROMA or (spread > COLOURED).mean() > COLOURED_SHARE):
            raise BadInput(
                f"frame {number} of {path} has colour in {(spread > COLOURED).mean():.0%} of its sector (chroma "
                f"{spread.mean():.0f} grey levels: Doppler, or a tint); give a grey recording"
            )
    return clip


def _read_dicom(path):
    from echogan.data.dicom import read_dicom  # brings pydicom, which the processes that decode videos never need

    return read_dicom(path)


def recordings(tree, read_by, others, seed):
    """The `Source` of the recordings in `read_by` (as from `readers`), beside which the tree has `others`."""
    found, beside = places(list(read_by))
    beside = [f"{len(beside)} recordings lie beside the folders of the splits and were left out"] if beside else []
    patient, how, said = _patients(tree, read_by, found)
    given = found[0].split is not None
    split, moved = ({}, []) if given else seeded(sorted(set(patient)), seed)
    jobs = [
        _job(tree, place.file, name, who, place.split or split[who], read_by[place.file])
        for place, name, who in zip(found, _named(found), patient)
    ]
    check_names(tree.root, [job.name for job in jobs])
    check_patients(tree.root, [(job.patient, job.split) for job in jobs])
    kind = kind_of(tree.root, KIND) if tree.root.is_dir() else KIND
    splits = "as the source has them" if given else drawn(SHARES, "patients", seed, how)
    return Source(tree.root, kind, jobs, splits, warnings=[*said, *moved, *_left_out(others), *beside])


def _job(tree, file, name, patient, split, reader):
    read, digest = partial(_read, tree, file, reader), partial(tree.digest, file)
    return Job(name, split, read, digest, patient, local=partial(tree.local, file))


def _read(tree, file, reader):
    with tree.local(file) as path:
        try:
            return reader(path)
        except BadInput as error:
            raise BadInput(str(error).replace(str(path), str(tree.path(file)))) from error


def _named(found):
    """A name for each: the path below the root without suffix, with it where two files would share a name."""
    plain = [place.name.replace("/", "_") for place in found]
    full, count = [place.file.replace("/", "_").replace(".", "_") for place in found], Counter(plain)
    return [long if count[short] > 1 else short for short, long in zip(plain, full)]


def _left_out(others):
    """A sentence on files that are no recordings, by their kinds: names of files may be names of people."""
    others = [PurePosixPath(name) for name in others if name not in KIND_FILES]
    kinds = Counter(path.suffix.lower() or "without suffix" for path in others if path.name.upper() != "DICOMDIR")
    told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return [f"{kinds.total()} files are no recordings and were left out: {told}"] if kinds else []


def _patients(tree, read_by, found):
    """The patient of each recording, how that is known, and sentences; DICOM files say it, without telling who it is."""
    files = [place.file for place in found if read_by[place.file] is _read_dicom]
    guessed, how, said = owners([place for place in found if place.file not in set(files)])
    patient = dict(zip([place.file for place in found if place.file not in set(files)], guessed))
    if files:
        from echogan.data.dicom import pseudonyms

        called, silent = pseudonyms(files, tree.opened)
        patient |= called
        said = [*said, *silent]
        how = "PatientID (hashed)" + (f", those of videos by {how}" if guessed else "")
    return [patient[place.file] for place in found], how, said
