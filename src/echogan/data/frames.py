"""`FrameSet`: the frames that models train on, and the folder they live in.

FRAMES/images/<name>.png   grey, square, all of one size
FRAMES/masks/<name>.png    optional: label ids of the same pixels
FRAMES/labels.json         with masks: name -> id, the data set's own schema
FRAMES/index.csv           one row per image, columns `COLUMNS` and those of `OPTIONAL` that the set has
FRAMES/manifest.json       how the set was made: kind, source, size, method, what was skipped and why
"""

import hashlib
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from echogan.data.clip import SPLITS
from echogan.data.images import read_png
from echogan.errors import BadInput, nearest
from echogan.files import read_json, write_json, write_text

COLUMNS = (
    "file",  # name in images/, with suffix
    "video",  # recording it came from
    "patient",
    "split",  # TRAIN, VAL or TEST, by patient
    "view",
    "phase",  # first, systole, diastole, last, ...
    "frame",  # index in the recording
    "EF",  # %
    "quality",  # the data set's own grade: Good, Medium, Poor, ...
    "duplicate_of",  # file of an earlier row that is the same picture of the same patient
)
OPTIONAL = (
    "domain",  # of an enhancer: A low, B good, empty for what lies between
    "spacing_mm",  # of a pixel, both ways
)
CONDITIONS = ("phase", "view", "ef", "quality", "domain")
# Where the next bin begins, in %, after the ESC 2021 guideline's heart failure with reduced (up to 40), mildly reduced and
# preserved function (from 50 on), its table 3.
EF_BINS = {"reduced": np.nextafter(40, 50), "mildly reduced": 50, "normal": np.inf}


@dataclass
class FrameSet:
    """`images` uint8 (N, H, W), `index` one row per image, `manifest` how they were made.

    `masks`, where the set has them, are label ids uint8 (N, H, W) of the same pixels, named by `labels` (name -> id).
    """

    images: np.ndarray
    index: pd.DataFrame
    manifest: dict = field(default_factory=dict)
    masks: np.ndarray | None = None
    labels: dict | None = None

    def __len__(self):
        return len(self.images)

    @property
    def kind(self):
        """What every figure must say of this data: "synthetic phantom", "EchoNet-Dynamic", ..."""
        return self.manifest.get("kind", "unnamed data")

    @property
    def size(self):
        """Height and width in pixels."""
        return self.images.shape[-1]

    def where(self, keep):
        """The rows for which the boolean array `keep` is true."""
        keep = np.asarray(keep, bool)
        masks = None if self.masks is None else self.masks[keep]
        return FrameSet(self.images[keep], self.index[keep].reset_index(drop=True), self.manifest, masks, self.labels)

    def split(self, name):
        """The frames of one split ("TRAIN", "VAL" or "TEST"; never empty), without duplicates."""
        part = self.where((self.index["split"] == name) & self.index["duplicate_of"].isna())
        if not len(part):
            raise BadInput(f"the frames have no {name} split{self._why_not(name)}")
        return part

    def _why_not(self, name):
        """What to do about a split that no frame is in."""
        patients = self.index["patient"].nunique()
        if 0 < patients < len(SPLITS):  # no split of theirs by patient could fill all
            who = "one patient" if patients == 1 else f"{patients} patients"
            return f": they are of {who}, and training needs others for VAL and TEST; give recordings of many patients"
        return f"; extract again, or give their index.csv a {name} row"

    def domain(self, name):
        """The frames of one domain of an enhancer ("A" low or "B" good; never empty)."""
        part = self.where(self._column("domain") == name)
        if not len(part):
            raise BadInput(
                f"the frames have no domain {name}; make them with `echogan camus --low` or `echogan domains`; in a notebook: "
                "give a folder with trainA, trainB, testA and testB"
            )
        return part

    def classes(self, condition, names=None):
        """Names of the classes and the class of every frame: (names, int64 (N,)).

        `condition` joins index columns by "+", as in "phase" or "phase+ef"; "ef" is the bin of the ejection fraction.
        `names` are by default those that occur; give those of the training frames to number another split alike.
        """
        columns = [self._known(column) for column in condition.split("+")]
        found = ["+".join(row) for row in zip(*columns)]
        names = tuple(names or _in_order(set(zip(*columns))))
        unknown = sorted(set(found) - set(names))
        if unknown:
            raise BadInput(f"the frames have the {condition} {unknown[0]!r}{nearest(unknown[0], names)}")
        number = {name: code for code, name in enumerate(names)}
        return names, np.array([number[name] for name in found], np.int64)

    def _known(self, name):
        """The condition `name` of every row, as strings; never empty."""
        if name not in CONDITIONS:
            raise BadInput(f"no condition is called {name!r}{nearest(name, CONDITIONS)}")
        column = "EF" if name == "ef" else name
        values = self._column(column)
        if values.isna().any():
            raise BadInput(
                f"the column {column} of the frames' index.csv has no label in {int(values.isna().sum())} of "
                f"{len(self)} rows; choose another condition, or frames that are labelled"
            )
        if name == "ef":
            return np.array(list(EF_BINS))[np.digitize(values.astype(float), list(EF_BINS.values()))]
        return values.astype(str).to_numpy()

    def _column(self, name):
        return self.index.get(name, pd.Series(np.nan, self.index.index, dtype=object))

    def fingerprint(self):
        """sha256 over every file name, split and pixel (and label, where there are any), first 16 hexadecimal digits."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        for name, split in zip(self.index["file"], self.index["split"]):
            digest.update(f"{name}\0{split}\0".encode())
        digest.update(np.ascontiguousarray(self.images).data)
        if self.masks is not None:
            digest.update(json.dumps(self.labels, sort_keys=True).encode())
            digest.update(np.ascontiguousarray(self.masks).data)
        return digest.hexdigest()[:16]


def _in_order(rows):
    """Joined names of `rows` (tuples of conditions), sorted, but ejection fractions from low to high."""
    rank = {name: f"{place}" for place, name in enumerate(EF_BINS)}
    return ["+".join(row) for row in sorted(rows, key=lambda row: [rank.get(value, value) for value in row])]


# ------------------------------------------------------------------------------------------------ on disk


def load_frames(folder):
    """Read a FrameSet folder; what is missing, broken or of another size is named in one sentence."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder of frames; make one with `echogan extract STUDY {folder}`")
    manifest = read_json(folder / "manifest.json")
    index = read_index(folder / "index.csv")
    images = _pictures(folder / "images", index["file"])
    if images.shape[1] != images.shape[2]:
        raise BadInput(f"the images in {folder / 'images'} must be square, found {images.shape[1:]}; extract again")
    return FrameSet(images, index, manifest, *_masks(folder, index, images.shape))


def _pictures(folder, names):
    """All pictures of one folder, uint8 (N, H, W)."""
    shape = read_png(folder / names.iloc[0]).shape
    pictures = np.empty((len(names), *shape), np.uint8)
    with ThreadPoolExecutor() as pool:
        for _ in pool.map(partial(_fill, pictures, folder), range(len(names)), names):
            pass
    return pictures


def _fill(pictures, folder, place, name):
    picture = read_png(folder / name)
    if picture.shape != pictures.shape[1:]:
        found = sorted({picture.shape, pictures.shape[1:]})
        raise BadInput(f"the pictures in {folder} must be of one size, found {found}; make the folder again")
    pictures[place] = picture


def _masks(folder, index, shape):
    """The label ids of all rows and their names, or (None, None) for a set without."""
    if not (folder / "labels.json").is_file():
        return None, None
    labels, masks = read_json(folder / "labels.json"), _pictures(folder / "masks", index["file"])
    if masks.shape != shape:
        raise BadInput(f"the masks in {folder / 'masks'} are not of the size of the images; make the folder again")
    unknown = np.setdiff1d(np.flatnonzero(np.bincount(masks.ravel(), minlength=256)), list(labels.values()))
    if len(unknown):
        first = index["file"].iloc[int((masks == unknown[0]).any(axis=(1, 2)).argmax())]
        raise BadInput(
            f"{folder / 'masks' / first} has the label {unknown[0]}, which labels.json does not name; add it"
        )
    return masks, labels


def read_index(path):
    """index.csv as a table of `COLUMNS` and `OPTIONAL`, in their order, or a `BadInput` naming the column at fault."""
    words: dict = dict.fromkeys(("file", "video", "patient", "duplicate_of", "view", "phase", "quality", "domain"), str)
    empty = {c: [""] if c in words else ["", "NA", "NaN", "nan"] for c in (*COLUMNS, *OPTIONAL)}  # NA: initials too
    try:
        index = pd.read_csv(path, dtype=words, keep_default_na=False, na_values=empty)
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; make the folder again with `echogan extract`") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a table ({error}); make the folder again with `echogan extract`") from error
    missing = [c for c in COLUMNS if c not in index]
    if missing or not len(index):
        raise BadInput(f"{path} lacks {', '.join(missing) or 'rows'}; make the folder again with `echogan extract`")
    for column in ("file", "patient"):
        if index[column].isna().any():
            line = int(index[column].isna().to_numpy().argmax()) + 2
            raise BadInput(f"{path} names no {column} in line {line}; write it there, or remove the line")
    wrong = set(index["split"]) - set(SPLITS)
    if wrong:
        raise BadInput(f"{path} has Split {sorted(map(str, wrong))[0]!r}; use {', '.join(SPLITS)} in upper case")
    splits = index.groupby("patient")["split"].nunique()
    shared = sorted(map(str, splits.index[splits > 1]))
    if shared:
        raise BadInput(f"{path} has patients in more than one split: {', '.join(shared[:5])}; give each to one split")
    return index[[*COLUMNS, *(c for c in OPTIONAL if c in index)]]


def save_index(folder, rows, manifest, labels=None):
    """Write index.csv, manifest.json and, for a set with masks, labels.json (`labels`: name -> id) into `folder`.

    `rows` is a table, or dicts, or tuples in the order of `COLUMNS` and, where they go on, `OPTIONAL`.
    """
    columns = [*COLUMNS, *OPTIONAL]
    if not isinstance(rows, pd.DataFrame):
        width = max((len(row) for row in rows if isinstance(row, tuple)), default=len(columns))
        rows = pd.DataFrame(rows, columns=columns[:width])
    table = rows.reindex(columns=[c for c in columns if c in COLUMNS or (c in rows and rows[c].notna().any())])
    write_text(Path(folder) / "index.csv", table.to_csv(index=False, lineterminator="\n"))
    write_json(Path(folder) / "manifest.json", manifest)
    if labels is not None:
        write_json(Path(folder) / "labels.json", labels)
