"""The two public releases, one folder per patient: NIfTI ("CAMUS_public") and the older MHD.

database_nifti/patientXXXX/patientXXXX_{2CH,4CH}_{ED,ES,half_sequence}[_gt].nii.gz, Info_{2CH,4CH}.cfg
database_split/subgroup_{training,validation,testing}.txt
training|testing/patientXXXX/patientXXXX_{2CH,4CH}_{ED,ES,sequence}[_gt].mhd, Info_{2CH,4CH}.cfg     (masks of testing withheld)
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from echogan.data.camus import mhd, nifti
from echogan.data.camus.view import GRADES, KIND, VIEWS, Camus, View, check_spacing, grey, label_ids
from echogan.data.clip import SPLITS, Clip
from echogan.data.echonet import kind_of
from echogan.errors import BadInput, nearest

LISTS = dict(zip(("training", "validation", "testing"), SPLITS))


@dataclass(frozen=True)
class Release:
    """What tells the releases apart: `load(path)` gives pixels ([T,] H, W) and (row, column) mm."""

    layout: str
    suffix: str
    sequence: str
    load: Callable


RELEASES = (
    Release("CAMUS NIfTI", ".nii.gz", "half_sequence", nifti.load),
    Release("CAMUS MHD", ".mhd", "sequence", mhd.load),
)


@dataclass(frozen=True)
class Info:
    """`Info_{view}.cfg`: where in the sequence the phases are (from 0), the grade, function, frames per second."""

    ed: int
    es: int
    frames: int
    quality: str
    ef: float | None
    edv: float | None
    esv: float | None
    fps: float | None


def open_release(root):
    """The views in the patient folders below `root`; pictures are opened when a view is read."""
    root = Path(root)
    patients = _patients(root)
    release = _release(root, patients)
    split, warnings = _splits(root, [folder.name for folder in patients])
    kind, views = kind_of(root, KIND), []
    for folder in patients:
        for view in VIEWS:
            stem = folder / f"{folder.name}_{view}"
            if not stem.with_name(f"{stem.name}_ED{release.suffix}").is_file():
                warnings.append(f"{folder.name} has no {view} view and was left out of it")
            elif not stem.with_name(f"{stem.name}_ED_gt{release.suffix}").is_file():
                warnings.append(f"{stem.name} has no masks (withheld?) and was left out")
            else:
                info, part = read_info(folder / f"Info_{view}.cfg"), split.get(folder.name)
                read = partial(_read, stem, release, info, kind, part)
                views.append(View(folder.name, view, part, read, info.quality))
    if not views:
        raise BadInput(f"{root} holds no view with masks; give the CAMUS folder with its *_gt{release.suffix} files")
    return Camus(root, kind, release.layout, views, warnings)


def _patients(root):
    """Patient folders in the order of their numbers."""
    places = [root / "database_nifti", root / "training", root]
    place = next((p for p in places if any(p.glob("patient*"))), None)
    if place is None:
        raise BadInput(f"{root} holds no CAMUS patients; give the folder of database_nifti/ or training/")
    return sorted(folder for folder in place.glob("patient*") if folder.is_dir())


def _release(root, patients):
    for release in RELEASES:
        if any(any(folder.glob(f"*{release.suffix}")) for folder in patients):
            return release
    suffixes = " or ".join(release.suffix for release in RELEASES)
    raise BadInput(f"{root} holds no pictures ({suffixes}); unpack the data set again")


def _splits(root, patients):
    """Patient -> split by the official lists (empty without them), and sentences on what they disagree about."""
    lists = next((p for p in (root / "database_split", root.parent / "database_split") if p.is_dir()), None)
    if lists is None:
        return {}, []
    split = {}
    for name, part in LISTS.items():
        for patient in _list(lists / f"subgroup_{name}.txt"):
            if patient in split:
                raise BadInput(f"{lists} lists {patient} twice; a patient belongs to one list")
            split[patient] = part
    unlisted, absent = sorted(set(patients) - set(split)), sorted(set(split) - set(patients))
    if unlisted:
        raise BadInput(f"{lists} lists {unlisted[0]} nowhere; add it to one of the three lists")
    return split, [f"{len(absent)} listed patients have no folder, first {absent[0]}"] if absent else []


def _list(path):
    try:
        patients = path.read_text(encoding="utf-8").split()
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}); restore the three lists, or remove their folder") from error
    if not patients:
        raise BadInput(f"{path} is empty; restore the list, or remove its folder for a split of our own")
    return patients


# ------------------------------------------------------------------------------------------------ Info_{view}.cfg


def read_info(path):
    """The `Info` in one cfg file of either release (`EF` or `LVef`; ED and ES count from 1 there)."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} cannot be read ({error}); restore the original file") from error
    values = dict(re.findall(r"^\s*(\w+)\s*:[ \t]*(\S.*?)\s*$", text, re.MULTILINE))
    missing = [key for key in ("ED", "ES", "NbFrame", "ImageQuality") if key not in values]
    if missing:
        raise BadInput(f"{path} has no {missing[0]}; restore the original file")
    ed, es, frames = (_count(path, values, key) for key in ("ED", "ES", "NbFrame"))
    if not (1 <= ed <= frames and 1 <= es <= frames) or ed == es:
        raise BadInput(f"{path} has ED {ed} and ES {es} of {frames} frames; they count from 1 and differ")
    if values["ImageQuality"] not in GRADES:
        grade = values["ImageQuality"]
        raise BadInput(f"{path} has the ImageQuality {grade!r}{nearest(grade, GRADES)}")
    ef = _number(path, values, "EF" if "EF" in values else "LVef")
    edv, esv, fps = (_number(path, values, key) for key in ("LVedv", "LVesv", "FrameRate"))
    return Info(ed - 1, es - 1, frames, values["ImageQuality"], ef, edv, esv, fps)


def _count(path, values, key):
    if not values[key].isdecimal():
        raise BadInput(f"{path} has {key} {values[key]!r}; write a whole number there")
    return int(values[key])


def _number(path, values, key):
    if key not in values:
        return None
    try:
        number = float(values[key])
    except ValueError:
        number = np.nan
    if not np.isfinite(number):
        raise BadInput(f"{path} has {key} {values[key]!r}; write a number there")
    return number


# ------------------------------------------------------------------------------------------------ pictures


def _read(stem, release, info, kind, split, every=False):
    """End diastole and end systole of one view, or the half cycle between them, in that order."""
    frames, masks, spacing = (_sequence if every else _stills)(stem, release, info)
    patient, view = stem.parent.name, stem.name.rsplit("_", 1)[1]
    return Clip(
        frames, stem.name, patient, kind, str(stem.parent), info.fps, spacing, view, split, info.ef, info.esv, info.edv,
        ed=0, es=len(frames) - 1, masks=dict(enumerate(masks)),
    )  # fmt: skip


def _stills(stem, release, info):
    pairs = [_pair(stem, phase, release, rank=2) for phase in ("ED", "ES")]
    (ed, _, spacing), (es, _, other) = pairs
    if ed.shape != es.shape or spacing != other:
        raise BadInput(f"{stem} has pictures of {ed.shape} and {es.shape} pixels; restore the original files")
    return np.stack([ed, es]), np.stack([mask for _, mask, _ in pairs]), spacing


def _sequence(stem, release, info):
    """From end diastole to end systole: some recordings were stored the other way round, and some go on beyond."""
    masks = stem.with_name(f"{stem.name}_{release.sequence}_gt{release.suffix}")
    if release.suffix == ".mhd" and not masks.is_file():
        raise BadInput(f"{masks} is missing: this release has no masks of sequences; take the NIfTI one for --every")
    frames, masks, spacing = _pair(stem, release.sequence, release, rank=3)
    if len(frames) != info.frames:
        raise BadInput(f"{stem}_{release.sequence} has {len(frames)} frames, its cfg says {info.frames}; restore it")
    step = 1 if info.ed < info.es else -1
    order = np.arange(info.ed, info.es + step, step)
    return frames[order], masks[order], spacing


def _pair(stem, part, release, rank):
    """Grey levels, label ids and spacing of one picture or sequence and its mask."""
    image, mask = (stem.with_name(f"{stem.name}_{part}{end}{release.suffix}") for end in ("", "_gt"))
    pixels, spacing = release.load(image)
    labels, _ = release.load(mask)
    for path, values in ((image, pixels), (mask, labels)):
        if values.ndim != rank:
            raise BadInput(f"{path} has {values.ndim} dimensions, not {rank}; restore the original file")
    if pixels.shape != labels.shape:
        raise BadInput(f"{mask} is {labels.shape} pixels large, its picture {pixels.shape}; restore the original file")
    return grey(pixels, image), label_ids(labels, mask), check_spacing(spacing, image)
