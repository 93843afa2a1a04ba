"""What a model makes of images: of VAL frames at a reading, of held-out frames when it is judged, of anybody's pictures."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from echogan.config import seed_of
from echogan.contract import BLOCK, Batch
from echogan.data.images import grid, write_png
from echogan.engine.checkpoint import load_weights
from echogan.engine.feed import plain_feed, resized, to_grey
from echogan.engine.sampling import BEST, find_weights, provenance
from echogan.errors import BadInput
from echogan.files import check_images_out, folder_or_zip, write_json
from echogan.metrics import paired

PANELS = 12  # translations of a sheet, each beside what it was made of


def batches(feed, seed=0):
    """All rows of a feed in order, at most 64 at a time, with random numbers of their own."""
    for first in range(0, len(feed), BLOCK):
        entries = torch.arange(first, min(first + BLOCK, len(feed)), device=feed.home)
        rng = torch.Generator().manual_seed(seed_of(seed, "translate", first))
        yield Batch(feed.rows(entries), len(entries), rng=rng)


def translated(model, feed, wanted=BEST):
    """What a model makes of all rows of a feed, in evaluation mode: uint8 (N, H, W) on the device."""
    model.check(wanted.choices)
    return torch.cat([to_grey(model.translated(batch, **wanted.choices)) for batch in batches(feed, wanted.seed)])


def sheet(model, feed, images, rows=range(PANELS)):
    """One picture uint8 (H, W) of `rows` of a feed: what was made of each, of all `images`, between its inputs and its goal."""
    shown = torch.tensor([row for row in rows if row < len(feed)], device=feed.home)
    before, after = model.panelled(
        Batch(feed.rows(shown), len(shown))
    )  # of these alone: a panel may be made by a network
    panels = [*map(to_grey, before), images[shown.to(images.device)], *map(to_grey, after)]
    cells = torch.stack([panel.cpu() for panel in panels], 1).flatten(0, 1).numpy()
    return grid(cells, columns=len(panels) * (6 // len(panels) or 1))


def inputs_of(model, frames, device="cpu", header=None):
    """The feed of a `FrameSet` as a model's `translate` takes it; a `BadInput` where its masks mean something else.

    `header`: that of the model's weights, which names the labels it has learnt.
    """
    labels, known = getattr(model.config, "labels", None), max((frames.labels or {"": 0}).values()) + 1
    if "mask" in model.inputs and frames.masks is not None and labels != known:
        raise BadInput(f"these masks have {known} labels, the model was trained with {labels}; give masks of its kind")
    if "mask" in model.inputs and frames.masks is not None:
        refuse_other_labels(header or {}, frames)
    asked = tuple(name for name in model.inputs if name != "label")  # classes are asked for by `generate` alone
    return plain_feed(frames, model.config, asked, device, 0)


def refuse_other_labels(header, frames):
    """A `BadInput` where the labels of masks have other names or numbers than those that weights were trained on."""
    known = json.loads(str(header.get("labels", "null")))
    if known is not None and known != frames.labels:
        raise BadInput(
            f"{header['arch']}/{header['name']} was trained with the labels {known}, the masks have {frames.labels}; give "
            "masks alike"
        )


def write_translations(source, frames, out, wanted=BEST, device="cpu"):
    """Write what a run makes of a `FrameSet` to `out`: a sheet of the first 12 (.png), or all as PNGs in a .zip or a new folder.

    Returns (the header of the weights, the row of `paired.reconstruction`, empty where the run aims at other images than
    its inputs show or there are fewer than four).
    """
    check_images_out(out)
    path = find_weights(source, wanted.kimg)
    model, header = load_weights(path, device)
    _refuse_oblong(frames)
    feed = inputs_of(model, frames, device, header)
    made = translated(model, feed, wanted)
    images = made.cpu().numpy()
    goal = resized(frames.images, model.config.resolution).numpy()
    row = paired.reconstruction(images, goal) if model.paired and len(images) >= paired.LEAST else {}
    if str(out).endswith(".png"):
        write_png(out, sheet(model, feed, made))
        return header, row
    names = _names(frames.index["file"])
    with folder_or_zip(out) as folder:
        for name, image in zip(names, images):
            write_png(folder / name, image)
        write_json(folder / "manifest.json", {**header, "n": len(images), **row, **provenance(path, wanted)})
    return header, row


def _names(files):
    """A flat name for each picture, after that of its input."""
    names = ["_".join(Path(file).with_suffix(".png").parts) for file in files]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadInput(f"two inputs would both become {twice[0]}; rename one of them")
    return names


def _refuse_oblong(frames):
    height, width = np.shape(frames.images)[1:]
    if height != width:
        raise BadInput(f"the images to translate have {width} x {height} pixels; make them square first")
