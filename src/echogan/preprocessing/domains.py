"""Two folders of pictures in each split, {train,val,test}{A,B}/, into one `FrameSet` with an index column `domain`.

That is the layout of unpaired image translation (Zhu et al., "Unpaired image-to-image translation using
cycle-consistent adversarial networks", ICCV 2017), with A of low and B of high quality here. What a phantom knows
beside the pictures comes along: index.csv, masks/, and truth/, which `load_frames` never reads.
"""

import csv
import hashlib
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import cv2

from echogan.data.echonet import kind_of
from echogan.data.images import IMAGE_SUFFIXES, decode, png_bytes, squared
from echogan.data.stills import KIND, millimetres
from echogan.data.truth import FOLDER as TRUTH
from echogan.errors import BadInput
from echogan.files import atomic_folder, read_json
from echogan.preprocessing.card import Summary, complete
from echogan.preprocessing.extract import VERSIONS
from echogan.preprocessing.normalise import check_size
from echogan.preprocessing.splits import (
    check_names,
    check_patients,
    listed,
    mark_repeats,
    patients_of,
    seeded,
    told,
)  # fmt: skip

SPLITS = {"train": "TRAIN", "val": "VAL", "test": "TEST"}
DOMAINS = ("A", "B")
STATED = ("phase", "view", "quality", "EF")  # columns that index.csv may have
_DOMAIN = re.compile(r"[-_ ](A|B|low|high|lq|hq|good|poor|real|fake)$", re.IGNORECASE)  # what a name ends in beside who
_NUMBER = re.compile(r"(im|img|image|pic|picture|frame|slice|scan)?[-_ ]?\d+", re.IGNORECASE)  # of a picture, of nobody


@dataclass(frozen=True)
class Picture:
    """One file of `root`/<split><domain>/, whose it is, and what index.csv says of it."""

    root: Path
    file: str
    patient: str
    split: str
    domain: str
    known: dict = field(default_factory=dict)


def prepare_domains(source, out, size=256, seed=0, callback=None):
    """Prepare the folder `source` of low and high quality pictures as the FrameSet folder `out`; returns a `Summary`.

    size: pixels, one of `normalise.SIZES`. seed: of the tenth of the training patients that become VAL where there are no
    val folders. callback(done, total) hears of pictures.
    """
    root, size = Path(source), check_size(size)
    pictures, said = _pictures(root, seed)
    check_patients(root, [(picture.patient, picture.split) for picture in pictures])
    labels = read_json(root / "labels.json") if (root / "labels.json").is_file() else None
    extras = [name for name, there in (("masks", labels), (TRUTH, (root / TRUTH).is_dir())) if there]
    with atomic_folder(out) as folder:
        for name in ("images", *extras):
            (folder / name).mkdir()
        rows = []
        with ThreadPoolExecutor() as pool:
            for row in pool.map(partial(_prepare, folder, size, extras), pictures):
                rows.append(row)
                if callback:
                    callback(len(rows), len(pictures))
        warnings = said + mark_repeats(rows, source)
        complete(folder, rows, _manifest(root, size, rows, warnings), labels)
    counts = {name: sum(row["domain"] == name for row in rows) for name in DOMAINS}
    kind = kind_of(root, KIND)
    return Summary(Path(out), kind, len({picture.patient for picture in pictures}), len(rows), counts, warnings)


def _pictures(root, seed):
    """All pictures with their split, and sentences on what is not known of them."""
    if not (root / "trainA").is_dir():
        raise BadInput(f"{root} has no folder trainA; give a folder with trainA, trainB, testA and testB")
    stated, said = _stated(root / "index.csv"), []
    pictures = []
    for name, split in SPLITS.items():
        for domain in DOMAINS:
            pictures += _of_folder(root, name + domain, split, domain, stated)
    check_names(root, [_name(picture.file) for picture in pictures])
    if not any(picture.known.get("patient") for picture in pictures):
        pictures, said = _with_patients(root, pictures)
    if not any(picture.split == "VAL" for picture in pictures):
        pictures = _with_val(pictures, seed)
        said.append(f"there are no val folders; a tenth of the training patients are VAL, by seed {seed}")
    return pictures, said


def _of_folder(root, name, split, domain, stated):
    folder = root / name
    if split == "VAL" and not folder.is_dir():
        return []
    files = [f for f in sorted(folder.glob("*")) if f.suffix.lower() in IMAGE_SUFFIXES]
    if not files:
        raise BadInput(f"{folder} holds no pictures; every domain needs some of every split")
    known = {file: stated.get(f"{name}/{file.name}", {}) for file in files}
    missing = [file.name for file in files if stated and not known[file]]
    if missing:
        raise BadInput(f"{root / 'index.csv'} does not list {name}/{missing[0]}; add its row, or remove the picture")
    return [
        Picture(root, f"{name}/{file.name}", row.get("patient") or _DOMAIN.sub("", file.stem), split, domain, row)
        for file, row in known.items()
    ]


def _with_patients(root, pictures):
    """The pictures with the patients that their names tell, and sentences on it.

    A name is of one patient wherever it recurs, in both domains too. In two splits that is a patient torn apart, unless
    it is a mere number, as every folder counts its pictures from one: then each split has patients of its own.
    """
    known, how = patients_of([picture.patient for picture in pictures])
    pictures = [replace(picture, patient=known.get(picture.patient, picture.patient)) for picture in pictures]
    splits_of = {}
    for picture in pictures:
        splits_of.setdefault(picture.patient, set()).add(picture.split)
    again = {patient for patient, splits in splits_of.items() if len(splits) > 1}
    named = sorted(patient for patient in again if not _NUMBER.fullmatch(patient))
    if named:
        raise BadInput(
            f"{len(named)} patients of {root} are in two splits by their names ({listed(named)}); move each to one, or "
            "write an index.csv with the columns file and patient"
        )
    pictures = [replace(p, patient=f"{p.split.lower()}_{p.patient}") if p.patient in again else p for p in pictures]
    said = [f"no index.csv says who the patients are: {told([picture.patient for picture in pictures], how)}"]
    if again:
        said.append(f"{len(again)} names are in two splits; they are numbers, and were not taken for the same patients")
    return pictures, said


def _stated(path):
    """file -> row of index.csv; empty without it."""
    if not path.is_file():
        return {}
    try:
        with open(path, newline="", encoding="utf-8") as file:
            rows = {row["file"]: row for row in csv.DictReader(file)}
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} is not a table with a column `file`; correct it, or remove it") from error
    sizes = {name: millimetres(path, row["spacing_mm"]) for name, row in rows.items() if row.get("spacing_mm")}
    return {name: {**row, "spacing_mm": sizes.get(name)} for name, row in rows.items()}


def _with_val(pictures, seed):
    patients = sorted({picture.patient for picture in pictures if picture.split == "TRAIN"})
    val = {patient for patient, split in seeded(patients, seed)[0].items() if split == "VAL"}
    return [replace(p, split="VAL") if p.patient in val and p.split == "TRAIN" else p for p in pictures]


def _prepare(folder, size, extras, picture):
    """Write one picture with its mask and truth; its row of index.csv."""
    image = decode((picture.root / picture.file).read_bytes(), picture.root / picture.file)
    name = _name(picture.file)
    small = squared(image, size)
    (folder / "images" / name).write_bytes(png_bytes(small))
    for extra in extras:
        other = _other(picture.root / extra / picture.file, image.shape)
        method = cv2.INTER_NEAREST_EXACT if extra == "masks" else cv2.INTER_AREA
        (folder / extra / name).write_bytes(png_bytes(squared(other, size, method)))
    spacing = picture.known.get("spacing_mm") or None
    return {
        "file": name, "video": picture.patient, "patient": picture.patient, "split": picture.split,
        **{column: picture.known.get(column) or None for column in STATED},
        "frame": None, "duplicate_of": None, "domain": picture.domain,
        "spacing_mm": spacing and spacing * max(image.shape) / size,
        "hash": hashlib.blake2b(small.tobytes(), digest_size=16).hexdigest(),
    }  # fmt: skip


def _name(file):
    return file.replace("/", "_").rsplit(".", 1)[0] + ".png"


def _other(path, shape):
    try:
        other = decode(path.read_bytes(), path)
    except OSError as error:
        raise BadInput(f"{path} is missing; restore it, or remove its folder") from error
    if other.shape != shape:
        raise BadInput(f"{path} is {other.shape} pixels large, its picture {shape}; make it again")
    return other


def _manifest(root, size, rows, warnings):
    digest = hashlib.blake2b(
        "".join(f"{row['file']}{row['split']}{row['hash']}" for row in rows).encode(), digest_size=8
    )
    return {
        "kind": kind_of(root, KIND),
        "source": root.resolve().name,
        "source_fingerprint": digest.hexdigest(),
        "layout": "quality domains",
        "recordings": len({row["patient"] for row in rows}),
        "images": len(rows),
        "duplicates": sum(row["duplicate_of"] is not None for row in rows),
        "size": size,
        "warnings": warnings,
        "versions": VERSIONS,
    }
