"""Masks to labelled studies: masks drawn from a data set, and images that a run makes of them."""

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd
import torch

from echogan.config import seed_of
from echogan.contract import BLOCK, Head
from echogan.data.frames import FrameSet
from echogan.engine.checkpoint import load_weights
from echogan.engine.feed import resized, sampled, to_grey
from echogan.engine.launch import hardware
from echogan.engine.sampling import find_weights
from echogan.engine.translating import refuse_other_labels
from echogan.errors import BadInput, at_least, nearest
from echogan.preprocessing.masks import check_masks
from echogan.preprocessing.shapes import Copies, Deformed, Shapes

SOURCES = {"masks": Copies, "shapes": Shapes, "augmented": Deformed}
PASSED_ON = ("view", "phase", "frame", "EF", "spacing_mm")  # what is known of a drawn mask from the one it stands for


@dataclass(frozen=True)
class Wish:
    """What to draw. A recording is as many masks as MASKS has of each: of CAMUS end diastole and end systole, of HC18 one."""

    n: int = 100  # recordings
    per_mask: int = 1  # images of each mask
    source: str = "masks"  # masks, as they are | shapes, from principal components | augmented, deformed a little
    condition: str = ""  # columns of the index, e.g. view or phase+ef: classes that `mix` names
    mix: dict | None = None  # class -> share; None: as common as in the data
    split: str = "TRAIN"  # whose masks
    seed: int = 0


@dataclass(frozen=True)
class Drawn:
    """Masks uint8 (N, H, W), a row of the index for each, how many a recording has, and of which rows of the split they are."""

    masks: np.ndarray
    rows: list
    together: int
    origin: np.ndarray | None  # None: of none, they are new


def synthesize(run, frames, wish, kimg=None, device="cpu", callback=None):
    """A `FrameSet` of synthetic images with the masks that they were made of, all in TRAIN; `frames` has the masks.

    `run`: folder, <arch>/<config> or .safetensors of an architecture that fills masks, trained on the same labels. Images and
    masks have its resolution, and pixels as much wider than those of `frames`. `callback(done, total)` counts images.
    """
    model, header = _filler(run, frames, kimg, device)
    drawn = draw(frames, wish)
    images, masks = filled(model, drawn.masks, wish.seed, callback)
    manifest = {
        "kind": f"synthetic, by {header['arch']}/{header['name']} trained on {header['data']}",
        "source": f"{header['arch']}/{header['name']} at {header['kimg']:g} kimg",
        "source_fingerprint": frames.fingerprint(),
        "recordings": len(drawn.rows) // drawn.together,
        "masks_a_recording": drawn.together,
        "images": len(images),
        "size": model.config.resolution,
        "masks": f"{wish.source} of the {wish.split} split of {frames.kind}",
        "drawn": asdict(wish),
        "warnings": ["view, phase and EF are those of the mask that an image was made of; nobody graded its quality"],
    }
    index = pd.DataFrame(drawn.rows)
    if "spacing_mm" in index:
        index["spacing_mm"] *= frames.size / model.config.resolution
    return FrameSet(images, index, manifest, masks, frames.labels)


@dataclass(frozen=True)
class Beside:
    """Masks uint8 (N, size, size), images (K, N, size, size) of each, true ones where there are; and what a caption says."""

    masks: np.ndarray
    made: np.ndarray
    real: np.ndarray | None
    labels: dict
    source: str  # run and moment
    kind: str  # of the frames whose masks these are
    drawn: str  # split of those, and how masks were drawn if not as they are
    trained_on: str
    hardware: str


def beside(run, frames, wish, kimg=None, device="cpu"):
    """`wish.n` masks, single ones, each with `wish.per_mask` images: what a figure shows of a run."""
    model, header = _filler(run, frames, kimg, device)
    drawn = draw(frames, replace(wish, per_mask=1))
    made, masks = several(model, drawn.masks[: wish.n], wish.per_mask, wish.seed)
    real = None
    if drawn.origin is not None:
        real = frames.split(wish.split).images[drawn.origin[: wish.n]]
        real = resized(real, model.config.resolution).numpy()
    source = f"{header['arch']}/{header['name']} at {header['kimg']:g} kimg"
    drawn_how = wish.split if wish.source == "masks" else f"{wish.split}, {wish.source}"
    told = (source, frames.kind, drawn_how, str(header["data"]), hardware(torch.device(device)))
    return Beside(masks, made, real, frames.labels, *told)


def _filler(run, frames, kimg, device):
    """(model, header) of a run; a `BadInput` where it fills no masks, or knows other labels than `frames`."""
    model, header = load_weights(find_weights(run, kimg), device)
    if "mask" not in model.inputs:
        raise BadInput(f"{run} is {header['arch']}, which makes no images of masks; give a run of spade")
    if further := sorted(set(model.inputs) - {"mask", "image"}):
        raise BadInput(
            f"{run} makes images of masks and of the {further[0]}s of a true image, which new masks have not; give a run of "
            "spade, or of pix2pix/masks"
        )
    if frames.masks is None:
        raise BadInput("these frames have no masks; prepare a data set that has them, e.g. with `echogan camus`")
    refuse_other_labels(header, frames)
    return model, header


# ------------------------------------------------------------------------------------------------ masks


def draw(frames, wish):
    """`wish.per_mask` copies of the masks of `wish.n` recordings, and what is known of each."""
    if wish.source not in SOURCES:
        raise BadInput(f"there is no mask source {wish.source!r}{nearest(wish.source, SOURCES)}")
    if wish.n < 1 or wish.per_mask < 1:
        raise BadInput(f"n and per_mask must be at least 1, got {wish.n} and {wish.per_mask}")
    at_least(0, seed=wish.seed)
    if wish.mix and not wish.condition:
        raise BadInput(
            f"a mix ({', '.join(wish.mix)}) is of the classes of a condition; give --condition too, such as view"
        )
    frames = frames.split(wish.split)
    check_masks(frames, f"the {wish.split} split")
    members = recordings(frames.index, apart="phase" in wish.condition)
    masks, rows, origin, rng = [], [], [], np.random.default_rng(wish.seed)
    for part, count in _parts(frames, members, wish):
        source = SOURCES[wish.source](frames.masks[part], frames.labels)
        for number in _order(len(part), count, rng):
            group = source.draw(number, rng)
            about = [_about(frames.index, part, number, p, wish.source) for p in range(len(group))]
            for k in range(wish.per_mask):
                masks.append(group)
                origin.append(part[number])
                rows += _rows(about, f"s{len(rows) // (len(group) * wish.per_mask):05d}", k)
    known = np.concatenate(origin) if wish.source == "masks" else None
    return Drawn(np.concatenate(masks), rows, members.shape[1], known)


def recordings(index, apart=False):
    """Rows of each recording, int (N, P), where all have the same phases in the same order; else, or `apart`, every row alone."""
    groups = list(index.groupby("video", sort=False).indices.values())
    phases = {tuple(index["phase"].iloc[rows].fillna("")) for rows in groups}
    return np.arange(len(index))[:, None] if apart or len(phases) > 1 else np.stack(groups)


def _parts(frames, members, wish):
    """[(rows (n, P) to draw from, how many recordings)], one of each class of the mix."""
    if not wish.condition:
        return [(members, wish.n)]
    names, codes = frames.classes(wish.condition)
    mix = wish.mix or {name: float((codes == code).mean()) for code, name in enumerate(names)}
    if unknown := sorted(set(mix) - set(names)):
        raise BadInput(f"the masks have no {wish.condition} {unknown[0]!r}{nearest(unknown[0], names)}")
    if min(mix.values()) < 0 or not sum(mix.values()):
        raise BadInput(f"the shares of a mix must be positive, got {mix}")
    ends = np.rint(np.cumsum(list(mix.values())) / sum(mix.values()) * wish.n).astype(int)
    counts = np.diff(ends, prepend=0)
    return [(members[codes[members[:, 0]] == names.index(name)], n) for name, n in zip(mix, counts) if n]


def _order(size, count, rng):
    """`count` numbers below `size`, each as often as any other but for one."""
    return np.concatenate([rng.permutation(size) for _ in range(-(-count // size))])[:count]


def _about(index, part, number, place, source):
    """What is known of mask `place` of a recording: all that its original says; of a new shape, what all of its class share."""
    rows = index.iloc[part[:, place] if source == "shapes" else part[[number], place]]
    columns = [name for name in PASSED_ON if name in rows]
    return {name: rows[name].iloc[0] for name in columns if rows[name].nunique(dropna=False) == 1}


def _rows(about, patient, k):
    video = f"{patient}_{k}"
    fixed = {"video": video, "patient": patient, "split": "TRAIN", "quality": None, "duplicate_of": None}
    return [{"file": f"{video}_f{p}.png", **fixed, **known} for p, known in enumerate(about)]


# ------------------------------------------------------------------------------------------------ images


def filled(model, masks, seed=0, callback: Callable | None = None):
    """Images of masks uint8 (N, H, W) and the masks at their size, both uint8 (N, resolution, resolution).

    Image i follows from (seed, i), its mask and the weights.
    """
    size, device, images = model.config.resolution, next(model.parameters()).device, []
    masks = sampled(masks, size)
    for first in range(0, len(masks), BLOCK):
        part = torch.from_numpy(masks[first : first + BLOCK]).to(device)
        rng = torch.Generator().manual_seed(seed_of(seed, "synthesize", first))
        known = {"mask": part, "image": torch.zeros(len(part), 1, size, size, device=device)}
        batch = Head({"index": torch.arange(len(part), device=device), **known}, BLOCK, rng=rng)
        images.append(to_grey(model.translated(batch)).cpu().numpy())
        if callback:
            callback(min(first + BLOCK, len(masks)), len(masks))
    return np.concatenate(images), masks


def several(model, masks, per_mask=3, seed=0):
    """`per_mask` images of each mask, uint8 (per_mask, N, resolution, resolution), and the masks at that size."""
    made = [filled(model, masks, seed_of(seed, k)) for k in range(per_mask)]
    return np.stack([images for images, _ in made]), made[0][1]
