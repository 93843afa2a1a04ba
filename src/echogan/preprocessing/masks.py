"""What is true of every mask of a data set: which structures are whole, how large they are, how they lie.

A structure is any label but those of `data.labels.BACKGROUND`. A cavity is in one piece; a wall may be in several, where the
sector cuts it. No structure has holes, except that a wall may close around a whole cavity. Specks and pinholes of at most 1 %
of the structure's area, as resizing leaves them, are ignored.
"""

from dataclasses import dataclass

import cv2
import numpy as np

from echogan.data.labels import structures
from echogan.errors import BadInput

WALLS = ("myocardium",)
SPECK = 0.01  # of the area of a structure


def flaw(mask, labels):
    """What is wrong with the structures of one mask uint8 (H, W), as in "has 2 pieces of left ventricle"; "" if nothing."""
    unknown = np.setdiff1d(mask, list(labels.values()))
    if len(unknown):
        return f"has the label {unknown[0]}, which labels.json does not name"
    for name, number in structures(labels).items():
        if not (mask == number).any():
            return f"has no {name}"
        if (count := _pieces(mask == number)) > 1 and name not in WALLS:
            return f"has {count} pieces of {name}"
        if _hole(mask, number, labels):
            return f"has a hole in its {name}"
    return ""


def check_masks(frames, folder="the frames"):
    """Refuse a `FrameSet` one of whose masks has a `flaw`, naming its file."""
    if frames.masks is None:
        raise BadInput(f"{folder} hold no masks; prepare a data set that has them, e.g. with `echogan camus`")
    for name, mask in zip(frames.index["file"], frames.masks):
        if said := flaw(mask, frames.labels):
            raise BadInput(f"the mask {name} of {folder} {said}; mend it, or leave the frame out of index.csv")


def check_present(frames):
    """Refuse training frames whose masks and labels.json disagree: an id without a name, or a name that no mask shows."""
    if frames.masks is None:
        return
    counts = np.bincount(frames.masks.ravel(), minlength=256)
    unknown = np.setdiff1d(np.flatnonzero(counts), list(frames.labels.values()))
    if len(unknown):
        first = frames.index["file"].iloc[int((frames.masks == unknown[0]).any(axis=(1, 2)).argmax())]
        raise BadInput(f"the mask {first} has the label {unknown[0]}, which labels.json does not name; add it there")
    for name, number in frames.labels.items():
        if not counts[number]:
            raise BadInput(
                f"no mask of the training frames has the label {number} ({name}); take it out of labels.json, or add frames "
                "that show it"
            )


def _pieces(region):
    """How many connected pieces a region has, specks left out."""
    areas = cv2.connectedComponentsWithStats(region.astype(np.uint8), connectivity=8)[2][1:, cv2.CC_STAT_AREA]
    return int((areas > SPECK * region.sum()).sum())


def _hole(mask, number, labels):
    """Whether a structure encloses anything but another structure as a whole."""
    region = mask == number
    around = cv2.copyMakeBorder((~region).astype(np.uint8), 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    count, parts = cv2.connectedComponents(around, connectivity=4)
    parts, outer = parts[1:-1, 1:-1], parts[0, 0]
    others = [mask == other for other in structures(labels).values() if other != number]
    for part in set(range(1, count)) - {outer}:
        enclosed = parts == part
        if enclosed.sum() > SPECK * region.sum() and not any(o.any() and enclosed[o].all() for o in others):
            return True
    return False


@dataclass(frozen=True)
class Law:
    """What all masks of a set have in common; `breach` says where another mask does not."""

    labels: dict
    areas: dict  # name -> (least, most) share of the pixels
    pieces: dict  # name -> most of them
    above: frozenset  # (a, b): the centre of a lies above that of b in every mask
    beside: frozenset  # (a, b): touch in at least one
    always: frozenset  # and in every mask

    @classmethod
    def of(cls, masks, labels):
        """The law of masks uint8 (N, H, W)."""
        names = structures(labels)
        shares = {name: (masks == number).mean((1, 2)) for name, number in names.items()}
        touching = [_touching(mask, labels) for mask in masks]
        orders = [_order(mask, names) for mask in masks]
        return cls(
            labels,
            {name: (float(share.min()), float(share.max())) for name, share in shares.items()},
            {name: max(_pieces(mask == number) for mask in masks) for name, number in names.items()},
            frozenset.intersection(*orders),
            frozenset.union(*touching),
            frozenset.intersection(*touching),
        )

    def breach(self, mask):
        """The first thing that sets a mask apart from all others, "" if nothing does."""
        if said := flaw(mask, self.labels):
            return said
        for name, (least, most) in self.areas.items():
            region = mask == self.labels[name]
            if (count := _pieces(region)) > self.pieces[name]:
                return f"has {count} pieces of {name}, where others have {self.pieces[name]} at most"
            share = region.mean()
            if not least <= share <= most:
                return f"has a {name} of {share:.1%} of the pixels, beyond {least:.1%} to {most:.1%}"
        touching = _touching(mask, self.labels)
        if wrong := (touching - self.beside) | (self.always - touching):
            return f"has {' and '.join(min(wrong))} as neighbours where others have not, or the other way round"
        if wrong := self.above - _order(mask, structures(self.labels)):
            return f"has its {' below its '.join(min(wrong))}"
        return ""


def _touching(mask, labels):
    """Pairs of names of labels that share a border."""
    names = {number: name for name, number in labels.items()}
    pairs = {(int(a), int(b)) for one, other in ((mask[1:], mask[:-1]), (mask[:, 1:], mask[:, :-1]))
             for a, b in np.unique(np.stack([one[one != other], other[one != other]], 1), axis=0)}  # fmt: skip
    return frozenset((names[a], names[b]) for pair in pairs for a, b in [sorted(pair)])


def _order(mask, names):
    """Pairs (a, b) of structures, the centre of a above that of b."""
    rows = {name: np.nonzero(mask == number)[0].mean() for name, number in names.items() if (mask == number).any()}
    return frozenset((a, b) for a in rows for b in rows if rows[a] < rows[b])
