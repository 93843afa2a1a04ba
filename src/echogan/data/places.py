"""Where a file of a data set lies: its name, and the split that a folder above it is called by."""

from dataclasses import dataclass
from pathlib import PurePosixPath

_SPLITS = {
    "train": "TRAIN", "training": "TRAIN", "val": "VAL", "valid": "VAL", "validation": "VAL", "test": "TEST",
    "testing": "TEST",
}  # fmt: skip


@dataclass(frozen=True)
class Place:
    """One file of a tree; `name` and `group` are relative and without suffix."""

    file: str
    name: str
    group: str  # the name without the folder of its split
    split: str | None = None


def places(files):
    """The places of the files, and the files that lie beside the folders of the splits, which have no split.

    Such folders count where they hold everything, or where one is for training: a lone `test` is called so by chance.
    """
    found = [_place(file) for file in files]
    inside = [place for place in found if place.split]
    if len(inside) == len(found) or any(place.split == "TRAIN" for place in inside):
        return inside, [place.file for place in found if not place.split]
    return [Place(place.file, place.name, place.name) for place in found], []


def _place(file):
    parts = PurePosixPath(file).with_suffix("").parts
    for depth, part in enumerate(parts[:-1]):
        if part.lower() in _SPLITS:
            group = "/".join(parts[:depth] + parts[depth + 1 :])
            return Place(file, "/".join(parts), group, _SPLITS[part.lower()])
    return Place(file, "/".join(parts), "/".join(parts))
