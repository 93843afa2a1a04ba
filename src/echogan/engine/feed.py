"""The training frames as one uint8 tensor on the device, and batches cut from it without a sampler's state."""

from dataclasses import replace

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from echogan.config import seed_of
from echogan.contract import Batch
from echogan.errors import BadInput
from echogan.preprocessing.masks import check_present


def to_signed(images):
    """uint8 (N, H, W) -> float (N, 1, H, W) in [-1, 1]."""
    return images[:, None].float() / 127.5 - 1


def to_grey(images):
    """float (N, 1, H, W) in [-1, 1] -> uint8 (N, H, W)."""
    return ((images[:, 0].float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def resized(images, size, device="cpu", block=1024):
    """uint8 array (N, H, W) -> uint8 tensor (N, size, size) on the device, anti-aliased bilinear where the size differs."""
    parts = []
    for start in range(0, len(images), block):
        part = torch.from_numpy(np.ascontiguousarray(images[start : start + block])).to(device)
        if part.shape[-1] != size:
            part = F.interpolate(part[:, None].float(), (size, size), mode="bilinear", antialias=True)
            part = part[:, 0].round().clamp(0, 255).to(torch.uint8)
        parts.append(part)
    return torch.cat(parts)


def at_size(frames, size):
    """A `FrameSet` whose images and masks are `size` pixels a side."""
    if frames.size == size:
        return frames
    masks = None if frames.masks is None else sampled(frames.masks, size)
    return replace(frames, images=resized(frames.images, size).numpy(), masks=masks)


SMALLER = ', or --set resolution={0}; in a notebook: change = "resolution={0}"'


def refuse_enlarging(frames, resolution, smaller=SMALLER):
    """A `BadInput` for frames smaller than what is to be learnt: enlarged they would teach a network to blur.

    `smaller` says how less is learnt, at a size that it is told.
    """
    if resolution > frames.size:
        fits = 2 ** (frames.size.bit_length() - 1)
        raise BadInput(
            f"these frames have {frames.size} px, fewer than the {resolution} that the config makes; prepare them with --size "
            f"{resolution}{smaller.format(fits)}"
        )


class Feed:
    """Image number i of a run is entry i mod N of the shuffle keyed by (seed, epoch i // N): any moment can be taken up.

    `images`: uint8 (N, H, W); `more`: further columns of the same N rows, {name: array}, such as label (N,) or mask (N, H, W).
    All lies on the device, or in pinned memory where it would take over a quarter of the device's.
    """

    def __init__(self, images, resolution, device="cpu", seed=0, **more):
        self.device, self.seed = torch.empty(0, device=device).device, seed  # cuda -> cuda:0
        stay = _fits(len(images) * resolution**2 + sum(values.nbytes for values in more.values()), self.device)
        self.columns = {"image": resized(images, resolution, device if stay else "cpu")}
        for name, values in more.items():
            self.columns[name] = torch.from_numpy(np.ascontiguousarray(values)).to(device if stay else "cpu")
        if not stay:
            self.columns = {name: column.pin_memory() for name, column in self.columns.items()}
        self.home = self.columns["image"].device
        self._epochs: dict[int, torch.Tensor] = {}

    def __len__(self):
        return len(self.columns["image"])

    def order(self, epoch):
        """The shuffle of one epoch, int64 (N,), beside the images: a step sends nothing to the device."""
        if epoch not in self._epochs:
            shuffled = np.random.default_rng([self.seed, epoch]).permutation(len(self))
            kept = {e: order for e, order in self._epochs.items() if e == epoch - 1}
            self._epochs = {**kept, epoch: torch.from_numpy(shuffled).to(self.home)}
        return self._epochs[epoch]

    def entries(self, first, n):
        """Where images first .. first + n - 1 of the run stand in the set, int64 (n,)."""
        size, parts = len(self), []
        while n:
            epoch, at = divmod(first, size)
            parts.append(self.order(epoch)[at : at + n])
            first, n = first + len(parts[-1]), n - len(parts[-1])
        return torch.cat(parts) if len(parts) > 1 else parts[0]

    def batch(self, first, total, rank=0, world=1):
        """The rows of this process of the global batch that begins at image `first`."""
        return Batch(self.rows(self.entries(first, total)[rank::world]), total, rank, world)

    def rows(self, entries):
        """{column: those rows on the device}, the image in [-1, 1]."""
        data = {name: self._moved(column[entries]) for name, column in self.columns.items()}
        return {**data, "image": to_signed(data["image"])}

    def _moved(self, rows):
        return rows if rows.device == self.device else rows.pin_memory().to(self.device, non_blocking=True)


class Unpaired:
    """Two feeds, each shuffled for itself: a batch holds the images of both under their names, further columns as A_label."""

    def __init__(self, **feeds):
        self.feeds = feeds

    def __len__(self):
        return min(map(len, self.feeds.values()))

    def batch(self, first, total, rank=0, world=1):
        """Rows of both that are shown together by chance."""
        batches = {name: feed.batch(first, total, rank, world) for name, feed in self.feeds.items()}
        columns = {_column(name, key): rows for name, batch in batches.items() for key, rows in batch.items()}
        return Batch(columns, total, rank, world)


def _column(domain, name):
    return domain if name == "image" else f"{domain}_{name}"


def feed_of(frames, config, inputs, device, seed):
    """The feed of a FrameSet for an architecture's `inputs`, at the config's resolution.

    image (B, 1, H, W) in [-1, 1]; label int64 (B,), class of the config's `condition`; mask uint8 (B, H, W), label ids;
    edge uint8 (B, H, W), 255 on Canny edges; or A and B, images of the two domains.
    """
    if "mask" in inputs and hasattr(config, "labels"):
        check_present(frames)
    if "A" not in inputs:
        return plain_feed(frames, config, inputs, device, seed)
    return Unpaired(**{n: plain_feed(frames, config, inputs, device, seed_of(seed, n), n) for n in "AB"})


def plain_feed(frames, config, inputs, device, seed, domain=""):
    """The feed of all frames, or of one domain: their images, and what else `inputs` names."""
    keep = slice(None) if not domain else np.flatnonzero(frames.index["domain"] == domain)
    images = frames.domain(domain).images if domain else frames.images
    # Classes are numbered over both domains: one alone may lack some.
    more = {name: FURTHER[name](frames, config)[keep] for name in inputs if name in FURTHER}
    return Feed(images, config.resolution, device, seed, **more)


def _labels(frames, config):
    return frames.classes(config.condition)[1]


def _masks(frames, config):
    """Label ids (N, size, size)."""
    if frames.masks is None:
        raise BadInput("these frames have no masks; prepare a data set that has them, e.g. with `echogan camus`")
    return sampled(frames.masks, config.resolution)


def sampled(masks, size):
    """Label ids (N, H, W) -> (N, size, size), each the id at the centre of its new pixel."""
    rows, columns = (((np.arange(size) + 0.5) * length / size).astype(int) for length in masks.shape[1:])
    return masks[:, rows[:, None], columns]


def _edges(frames, config):
    """Canny edges of the images at the config's resolution and thresholds, 255 on an edge (Canny 1986)."""
    images = resized(frames.images, config.resolution).numpy()
    return np.stack([cv2.Canny(image, *config.canny) for image in images])


FURTHER = {"label": _labels, "mask": _masks, "edge": _edges}


def _fits(size, device):
    """Whether so many bytes may stay on the device."""
    return device.type != "cuda" or size <= torch.cuda.get_device_properties(device).total_memory / 4
