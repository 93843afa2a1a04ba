"""What only the weights of a run can show: images from noise beside real ones, what becomes of held-out frames, their codes."""

from dataclasses import dataclass

import numpy as np
import torch

from echogan.data.frames import FrameSet
from echogan.engine.checkpoint import load_weights
from echogan.engine.evaluate import spread
from echogan.engine.feed import resized, to_grey, to_signed
from echogan.engine.launch import hardware
from echogan.engine.sampling import Wanted, find_weights, generated
from echogan.engine.translating import batches, inputs_of, translated
from echogan.metrics import jpeg2000


@dataclass(frozen=True)
class Codes:
    """What a model that writes images in codes has beside its pictures."""

    bits: float  # an image
    jpeg: np.ndarray  # the images as JPEG 2000 keeps them in so many bits, uint8 (n, size, size)
    numbers: np.ndarray  # int (n, h, w)
    book: np.ndarray  # what the numbers stand for (codes, dim)


@dataclass(frozen=True)
class Showing:
    """Pictures uint8 (n, size, size) of one run, and what they are of; None is what the run does not make."""

    arch: str
    name: str
    kimg: float
    trained_on: str
    frames: FrameSet  # that were shown to it
    split: str
    total: int  # frames of the split, of which `real` are n
    real: np.ndarray
    hardware: str
    generated: np.ndarray | None = None
    given: str = ""  # names of the inputs, where the config chooses them
    translation: tuple = ()  # inputs, what was made of them, and what it aimed at, each (n, size, size)
    codes: Codes | None = None


def showing(run, frames, split="TEST", n=6, wanted=None, device="cpu"):
    """A `Showing` of `n` frames of one split of a `FrameSet`, far apart in it; an enhancer is shown those of domain A.

    `run`: folder, <arch>/<config> or .safetensors.
    """
    wanted = wanted or Wanted()
    model, header = load_weights(find_weights(run, wanted.kimg), device)
    few, total = _few(model, frames, split, n)
    real = resized(few.images, model.config.resolution).numpy()
    makes = model.makes(header["kimg"]) == "generate"
    return Showing(
        arch=str(header["arch"]),
        name=str(header["name"]),
        kimg=header["kimg"],
        trained_on=str(header["data"]),
        frames=few,
        split=split,
        total=total,
        real=real,
        hardware=hardware(torch.device(device)),
        generated=generated(model, len(real), wanted).cpu().numpy() if makes else None,
        given=getattr(model.config, "given", ""),
        translation=_translation(model, few, device, header) if model.paired or "A" in model.inputs else (),
        codes=_codes(model, real, device) if hasattr(model.config, "bits") else None,
    )


def _few(model, frames, split, n):
    part = frames.split(split)
    part = part.domain("A") if "A" in model.inputs else part
    return part.where(np.isin(np.arange(len(part)), spread(np.arange(len(part)), n))), len(part)


def _translation(model, frames, device, header):
    """Inputs, what was made of them and what it aimed at; of an enhancer the last is what it added, grey where nothing."""
    feed = inputs_of(model, frames, device, header)
    made = translated(model, feed)
    before, after = model.panelled(next(batches(feed)))
    pictures = [*map(to_grey, before), made, *map(to_grey, after)]
    if "A" in model.inputs:
        added = (made.int() - pictures[0].int() + 128).clamp(0, 255).to(torch.uint8)
        pictures = [pictures[0], made, added]
    return tuple(picture.cpu().numpy() for picture in pictures)


def _codes(model, images, device):
    with torch.no_grad():
        numbers = model.vq.book.nearest(model.vq.encoder(to_signed(torch.from_numpy(images)).to(device)))
    jpeg, _ = jpeg2000.at_bits(images, model.config.bits)
    return Codes(model.config.bits, jpeg, numbers.cpu().numpy(), model.vq.book.codes.detach().cpu().numpy())
