"""Frames in, enhanced frames out: only the sector changes, and by no more than the strength says.

One block of frames is in memory at a time. Outside the sector, and everywhere at strength 0, every value stays as it was.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from echogan.enhancement.steady import Flicker, Steady
from echogan.errors import BadInput
from echogan.metrics.familiar import Range

BLOCK = 2**21  # pixels that a network sees at once


@dataclass(frozen=True)
class Wanted:
    """How to enhance; `known` is the `Range` of the training pictures, without which only colour is refused."""

    strength: float = 1.0  # 0 = the input, 1 = all that the run would change
    temporal: bool = False  # steady.py, for clips
    sector: str = "auto"  # auto = found in the recording; echonet = a square frame on EchoNet-Dynamic's sector
    beside: bool = False  # also write input | output
    residual: bool = False  # also write the signed residual
    force: bool = False  # enhance what would be refused, and mark it
    known: Range | None = None
    keep_surround: bool = False  # DICOM: what lies around the sector is kept, not blanked
    keep_patient: bool = False  # DICOM: tags that name the patient are kept
    origin: str = ""  # which run, and its weights: what a derived DICOM says of itself


FULL = Wanted()


@dataclass
class Done:
    """What one recording became."""

    path: Path
    source: Path
    shape: tuple  # (T, H, W)
    changed: float  # mean |out - in| inside the sector, in grey levels of 255
    jitter: float  # flicker over that of the input, see `steady.Flicker`; NaN for a still
    shake: float
    refused: str = ""  # why it would have been refused, where forced
    box: tuple = ()  # (x, y, width, height) of the mark, where there is one
    files: list = field(default_factory=list)
    warnings: list = field(default_factory=list)


class Tally:
    """Adds up, frame by frame, how much changed inside the sector, and how the flicker did."""

    def __init__(self, mask, levels=255):
        self.mask, self.scale = mask, 255 / levels
        self.moved, self.meters = [], (Flicker(mask), Flicker(mask))

    def add(self, before, after):
        """The next frame, as it was and as it became."""
        self.moved.append(float(np.abs(after[self.mask] - before[self.mask].astype(np.float32)).mean()) * self.scale)
        for meter, frame in zip(self.meters, (before, after)):
            meter.add(frame)

    def found(self):
        """{"changed", "jitter", "shake"} of a `Done`."""
        jitter, shake = self.meters[1].over(self.meters[0])
        return {"changed": float(np.mean(self.moved)), "jitter": jitter, "shake": shake}


def enhanced(frames, mask, enhance, wanted=FULL, levels=255, name="the recording"):
    """Yield (frame, enhanced frame) of grey uint8 or uint16 frames (H, W), whose largest level is `levels`."""
    steady = Steady(mask[_box(mask)], levels, wanted.strength) if wanted.temporal else None
    for block in _blocks(frames, mask.size, name):
        if wanted.strength == 0:
            yield from zip(block, block)
            continue
        better = _better(block, mask, enhance, wanted.strength, levels, steady, name)
        yield from zip(block, np.where(mask, better, block))


def enhance_array(frames, mask, enhance, wanted=FULL):
    """Frames uint8 or uint16 (T, H, W) enhanced inside `mask` (H, W), as a new array."""
    frames = np.asarray(frames)
    if frames.dtype not in (np.uint8, np.uint16) or frames.ndim != 3:
        raise BadInput(
            f"frames to enhance are uint8 or uint16 (T, H, W), not {frames.dtype} {frames.shape}; convert them"
        )
    levels = 255 if frames.dtype == np.uint8 else 65535
    return np.stack([after for _, after in enhanced(frames, mask, enhance, wanted, levels)])


def _blocks(frames, pixels, name):
    """Frames in stacks of at most `BLOCK` pixels."""
    held, most = [], max(1, BLOCK // pixels)
    for frame in frames:
        if frame.dtype not in (np.uint8, np.uint16):
            raise BadInput(f"{name} has frames of {frame.dtype}; give 8 or 16 unsigned bits")
        held.append(frame)
        if len(held) == most:
            yield np.stack(held)
            held = []
    if held:
        yield np.stack(held)


def _box(mask):
    rows, columns = np.nonzero(mask)
    return slice(rows.min(), rows.max() + 1), slice(columns.min(), columns.max() + 1)


def _better(block, mask, enhance, strength, levels, steady, name):
    """The block (T, H, W) with its sector enhanced; a network sees that alone, black around it."""
    box = _box(mask)
    seen = block[(slice(None), *box)].astype(np.float32)
    x = torch.from_numpy(np.where(mask[box], seen, 0) * np.float32(2 / levels) - 1)[:, None]
    y = enhance(x, strength)
    if y.shape != x.shape or not bool(y.isfinite().all()):
        raise BadInput(f"the enhancer gives what is not a picture for {name}; train it on, or take another run")
    residual = ((y - x)[:, 0] * (levels / 2)).cpu().numpy()
    better = steady(seen, residual) if steady else seen + residual
    whole = block.copy()
    whole[(slice(None), *box)] = np.clip(np.rint(better), 0, levels).astype(block.dtype)
    return whole
