"""Pictures in: a folder or ZIP of PNG and JPEG files, a StyleGAN2-ADA data set, or frames that are already extracted."""

import csv
import io
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from echogan.data.clip import SPLITS, Clip
from echogan.data.images import IMAGE_SUFFIXES, decode
from echogan.data.places import places
from echogan.errors import BadInput

KIND = "ultrasound pictures"
INDEX, MANIFEST, LABELS, DATASET = "index.csv", "manifest.json", "labels.json", "dataset.json"
# What index.csv may say of a picture; `spacing_mm` is of its own pixels.
STATED = ("video", "view", "phase", "frame", "EF", "quality", "duplicate_of", "domain", "spacing_mm")


@dataclass(frozen=True)
class Still:
    """One picture: its file, and what its index.csv or its folder says of it."""

    file: str  # in the tree
    name: str  # relative, without suffix
    group: str  # the name without the folder of its split
    patient: str | None = None
    split: str | None = None
    mask: str | None = None
    known: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Stills:
    """The pictures of a tree; `labels` as in `FrameSet`, `others` are files that are no pictures."""

    kind: str
    stills: list[Still]
    others: list[str] = field(default_factory=list)
    labels: dict | None = None
    warnings: list[str] = field(default_factory=list)


def pictures(names):
    """Those of the names that end as a picture."""
    return [name for name in names if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES]


def list_stills(tree):
    """What pictures `tree` holds: those of its index.csv where it has one, else all; none is decoded yet."""
    names = tree.names()
    kind = _line(_json(tree, MANIFEST).get("kind", KIND)) if MANIFEST in names else KIND
    if INDEX in names:
        return _of_index(tree, names, kind)
    found = pictures(names)
    others = [name for name in names if name not in set(found) | {MANIFEST, DATASET}]
    placed, beside = places(found)
    stills, warnings = [Still(place.file, place.name, place.group, split=place.split) for place in placed], []
    if DATASET in names:  # its folders number the pictures
        stills = [replace(still, group=PurePosixPath(still.name).name) for still in stills]
    if DATASET in names and _json(tree, DATASET).get("labels"):
        warnings.append(f"the labels of {DATASET} are left out: without an {INDEX} nothing says what they mean")
    return Stills(kind, stills, others + beside, warnings=warnings)


def read_still(tree, still, kind):
    """A picture, and its mask where it has one, as a `Clip` of one frame."""
    image = decode(tree.read(still.file), tree.path(still.file))
    masks = {0: decode(tree.read(still.mask), tree.path(still.mask))} if still.mask else {}
    if masks and masks[0].shape != image.shape:
        raise BadInput(f"{tree.path(still.mask)} is not of the size of its picture; make it again")
    name = PurePosixPath(still.file).stem
    return Clip(image[None], name, still.patient or name, kind, source=str(tree.path(still.file)), masks=masks)


# ------------------------------------------------------------------------------------------------ index.csv


def _of_index(tree, names, kind):
    rows, where = _rows(tree), _locate(tree, names)
    labels = _labels(tree) if LABELS in names else None
    stills = []
    for number, row in enumerate(rows):
        file = where(row["file"], number)
        mask = f"masks/{row['file']}" if labels else None
        if file is None or (mask and mask not in names):
            raise BadInput(
                f"{tree.path(INDEX)} names {_line(row['file'])!r}, which is not there whole; pack the frames again"
            )
        known = {key: row[key] for key in STATED if row.get(key)}
        if "spacing_mm" in known:
            known["spacing_mm"] = millimetres(tree.path(INDEX), known["spacing_mm"])
        name = PurePosixPath(row["file"]).with_suffix("").as_posix()
        stills.append(Still(file, name, name, _line(row.get("patient")) or None, row.get("split") or None, mask, known))
    listed = {still.file for still in stills}
    return Stills(
        kind, stills, [name for name in pictures(names) if name not in listed and "masks/" not in name], labels
    )


def millimetres(index, text):
    """The size of a pixel that the file `index` states, in mm."""
    try:
        if 0 < float(text) < math.inf:
            return float(text)
    except ValueError:
        pass
    raise BadInput(f"{index} has the spacing_mm {_line(text)!r}; write millimetres per pixel, or nothing")


def _line(text):
    """A text from outside on one line, short enough for a sentence."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(text or "").split()))[:80]


def _rows(tree):
    """The rows of index.csv as dicts; only `file` is needed, and a split where any row has one."""
    path = tree.path(INDEX)
    try:
        rows = list(csv.DictReader(io.StringIO(tree.read(INDEX).decode("utf-8-sig")), strict=True))
    except (UnicodeDecodeError, csv.Error) as error:
        raise BadInput(f"{path} is not a table ({_line(error)}); write it as UTF-8 with commas") from error
    if not rows or any(not row.get("file") or None in row for row in rows):
        raise BadInput(f"{path} needs a column `file` and in every row one; write it again")
    files = [row["file"] for row in rows]
    if len(set(files)) < len(files):
        twice = next(file for file in files if files.count(file) > 1)
        raise BadInput(f"{path} lists {_line(twice)!r} twice; keep one row per picture")
    given = {row.get("split") or None for row in rows}
    if given != {None} and not given <= set(SPLITS):
        wrong = sorted(given - set(SPLITS), key=str)[0]
        raise BadInput(
            f"{path} has the split {_line(wrong) or None!r}; write {', '.join(SPLITS)} in every row, or in none"
        )
    return rows


def _locate(tree, names):
    """A function (file of a row, number of the row) -> its name in the tree, or None.

    An archive for StyleGAN2-ADA numbers its pictures in the order of the rows.
    """
    known, numbered = set(names), f"{0:05d}/img{0:08d}.png" in names

    def where(file, number):
        places = [f"{number // 1000:05d}/img{number:08d}.png"] if numbered else [f"images/{file}", file]
        return next((place for place in places if place in known), None)

    return where


def _labels(tree):
    labels = _json(tree, LABELS)
    if not labels or not all(type(code) is int and 0 <= code < 256 for code in labels.values()):
        raise BadInput(f"{tree.path(LABELS)} must map names to numbers of 0 to 255; make it again")
    return labels


def _json(tree, name):
    try:
        value = json.loads(tree.read(name).decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{tree.path(name)} is not valid JSON ({_line(error)}); make it again") from error
    if not isinstance(value, dict):
        raise BadInput(f"{tree.path(name)} is not a JSON object; make it again")
    return value
