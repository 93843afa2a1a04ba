"""A recording in, a recording of the same kind out: only the sector changes, and by no more than the strength says.

One block of frames is in memory at a time. Outside the sector, and everywhere at strength 0, every value stays as it was.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from echogan.data.clip import Clip
from echogan.enhancement import gate, mark
from echogan.enhancement.media import SUFFIXES, into, open_medium, writer
from echogan.enhancement.steady import Flicker, Steady
from echogan.errors import BadInput
from echogan.metrics.familiar import Range
from echogan.preprocessing.deidentify import extremes, inside, sector_of
from echogan.sector import ECHONET

DICOM = ".dcm"
BLOCK = 2**21  # pixels that a network sees at once
RESIDUAL_GAIN = 4  # of the residual map: grey levels for each grey level of change, 128 (of 255) where nothing changed


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


@dataclass
class Folder:
    """What a folder of recordings became: the `Done` and the sentences on those that failed."""

    done: list
    failed: list


def enhance_path(source, out, enhance: Callable, wanted=FULL, callback=None):
    """Enhance a recording, or each in a folder, into the new file or folder `out`; returns a `Folder`.

    enhance: float (T, 1, H, W) in [-1, 1], strength -> the same. In a folder a broken recording is named and the others
    are made. Progress goes to `callback(done, total)` in recordings.
    """
    source, out = Path(source), Path(out)
    if not source.is_dir():
        return Folder([enhance_file(source, out, enhance, wanted)], [])
    names = sorted(p.relative_to(source) for p in source.rglob("*") if p.suffix.lower() in (*SUFFIXES, DICOM))
    if not names:
        raise BadInput(f"{source} holds no recording; give a folder with {', '.join((*SUFFIXES, DICOM))}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise BadInput(f"{out} exists and is not empty; choose another folder")
    result = Folder([], [])
    for number, name in enumerate(names, 1):
        try:
            result.done.append(enhance_file(source / name, out / name, enhance, wanted))
        except BadInput as error:
            result.failed.append(str(error))
        if callback:
            callback(number, len(names))
    return result


def enhance_file(source, out, enhance, wanted=FULL):
    """Enhance one recording into the new file `out` of the same suffix; returns its `Done`. Errors leave nothing behind."""
    source, out = Path(source), Path(out)
    extras = {name: out.with_name(f"{out.stem}_{name}{out.suffix}") for name in _EXTRAS if getattr(wanted, name)}
    files = [out, *extras.values()]
    _check(source, files, wanted)
    if source.suffix.lower() == DICOM:
        from echogan.enhancement.dicom import enhance_dicom  # brings pydicom, which other recordings never need

        return enhance_dicom(source, out, enhance, wanted)
    medium = open_medium(source)
    mask = sector_mask(medium, wanted.sector)
    refused = gate.refusal(medium.path, medium.colours, medium.eight_bits(), medium.shape[0], mask, wanted)
    stamp = mark.place(mask) if refused else None
    tally = Tally(mask, medium.levels)
    with ExitStack() as stack:
        write = stack.enter_context(writer(medium, out))
        more = {n: stack.enter_context(writer(medium, path, _WIDE.get(n, 1))) for n, path in extras.items()}
        for before, after in enhanced(medium.frames(), mask, enhance, wanted, medium.levels, medium.path):
            tally.add(before, after)
            shown = mark.burn(after, *stamp) if stamp else after
            write(into(medium, shown))
            for name, put in more.items():
                put(_EXTRAS[name](before, shown, medium.levels))
    box = stamp[0] if stamp else ()
    return Done(out, source, medium.shape, **tally.found(), refused=refused, box=box, files=files)


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
    steady = Steady(mask[_box(mask)], levels) if wanted.temporal else None
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


def pictures_of(source, n, sector="auto"):
    """(frames uint8 (at most n, H, W) spread evenly over a recording, its sector (H, W), which frames they are)."""
    if Path(source).suffix.lower() == DICOM:
        from echogan.enhancement.dicom import opened

        recording, mask, _, _ = opened(Path(source))
        frames = recording.frames()
    else:
        recording = open_medium(source)
        mask, frames = sector_mask(recording, sector), recording.eight_bits()
    chosen = np.unique(np.linspace(0, recording.shape[0] - 1, min(n, recording.shape[0])).round().astype(int))
    wanted = set(chosen.tolist())
    return np.stack([frame for i, frame in enumerate(frames) if i in wanted]), mask, chosen


def sector_mask(medium, which="auto"):
    """True inside the sector of a recording, bool (H, W)."""
    _, height, width = medium.shape
    if which == "echonet":
        if height != width:
            raise BadInput(
                f"{medium.path} has {width} x {height} pixels, and EchoNet's sector is in a square; use auto"
            )
        return ECHONET.resized(width).mask()
    seen, _ = extremes(medium.eight_bits())
    stub = Clip(seen[:0], medium.path.stem, "", "", str(medium.path), medium.fps, sector=medium.sector)
    return inside(sector_of(stub, seen))


# ------------------------------------------------------------------------------------------------ one recording


def _check(source, files, wanted):
    out = files[0]
    if not 0 <= wanted.strength <= 1:
        raise BadInput(f"the strength is 0 (the input) to 1 (all of it), got {wanted.strength:g}")
    if source.suffix.lower() != out.suffix.lower():
        raise BadInput(f"{out} would be of another kind than {source}; let it end in {source.suffix}")
    if source.suffix.lower() == DICOM and (len(files) > 1 or wanted.sector != "auto"):
        raise BadInput(
            f"{source} is a DICOM, of which only the enhanced object is written, on the sector that it shows"
        )
    there = [path for path in files if path.exists()]
    if there:
        raise BadInput(f"{there[0]} is there already; choose another name, nothing is replaced")


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


def _beside(before, after, levels):
    return np.concatenate([before, after], axis=1)


def _residual(before, after, levels):
    moved = (after.astype(np.float32) - before) * RESIDUAL_GAIN
    return np.clip(moved + (levels + 1) // 2, 0, levels).astype(before.dtype)


_EXTRAS = {"beside": _beside, "residual": _residual}
_WIDE = {"beside": 2}  # times as wide as the recording
