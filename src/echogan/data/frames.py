"""`FrameSet`: the frames that models train on, and the folder they live in.

FRAMES/images/<name>.png   grey, square, all of one size
FRAMES/index.csv           one row per image, columns `COLUMNS`
FRAMES/manifest.json       how the set was made: kind, source, size, method, what was skipped and why
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from echogan.data.clip import SPLITS
from echogan.data.images import read_png
from echogan.errors import BadInput
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
    "quality",
    "duplicate_of",  # file of an earlier row that is the same frame of the same recording
)


@dataclass
class FrameSet:
    """`images` uint8 (N, H, W), `index` one row per image, `manifest` how they were made."""

    images: np.ndarray
    index: pd.DataFrame
    manifest: dict = field(default_factory=dict)

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
        return FrameSet(self.images[keep], self.index[keep].reset_index(drop=True), self.manifest)

    def split(self, name):
        """The frames of one split ("TRAIN", "VAL" or "TEST"; never empty), without duplicates."""
        part = self.where((self.index["split"] == name) & self.index["duplicate_of"].isna())
        if not len(part):
            raise BadInput(f"the frames have no {name} split; extract again, or give their index.csv a {name} row")
        return part

    def fingerprint(self):
        """sha256 over every file name, split and pixel, first 16 hexadecimal digits."""
        digest = hashlib.sha256(str(self.images.shape).encode())
        for name, split in zip(self.index["file"], self.index["split"]):
            digest.update(f"{name}\0{split}\0".encode())
        digest.update(np.ascontiguousarray(self.images).data)
        return digest.hexdigest()[:16]


def load_frames(folder):
    """Read a FrameSet folder; what is missing, broken or of another size is named in one sentence."""
    folder = Path(folder)
    if not folder.is_dir():
        raise BadInput(f"{folder} is not a folder of frames; make one with `echogan extract STUDY {folder}`")
    manifest = read_json(folder / "manifest.json")
    index = read_index(folder / "index.csv")
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(read_png, (folder / "images" / name for name in index["file"])))
    shapes = {image.shape for image in images}
    if len(shapes) > 1 or any(h != w for h, w in shapes):
        raise BadInput(
            f"the images in {folder / 'images'} must be square and of one size, found {sorted(shapes)}; extract again"
        )
    return FrameSet(np.stack(images), index, manifest)


def read_index(path):
    """index.csv as a table with exactly `COLUMNS`, in their order, or a `BadInput` naming the column at fault."""
    try:
        index = pd.read_csv(path, dtype={"file": str, "video": str, "patient": str, "duplicate_of": str})
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; make the folder again with `echogan extract`") from error
    except (pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is not a table ({error}); make the folder again with `echogan extract`") from error
    missing = [c for c in COLUMNS if c not in index]
    if missing or not len(index):
        raise BadInput(f"{path} lacks {', '.join(missing) or 'rows'}; make the folder again with `echogan extract`")
    wrong = set(index["split"]) - set(SPLITS)
    if wrong:
        raise BadInput(f"{path} has Split {sorted(map(str, wrong))[0]!r}; use {', '.join(SPLITS)} in upper case")
    return index[list(COLUMNS)]


def save_index(folder, rows, manifest):
    """Write index.csv (rows: dicts or a table with `COLUMNS`) and manifest.json into `folder`."""
    table = pd.DataFrame(rows, columns=list(COLUMNS))
    write_text(Path(folder) / "index.csv", table.to_csv(index=False, lineterminator="\n"))
    write_json(Path(folder) / "manifest.json", manifest)
