"""Figures of what only the weights of a run can show: an `engine.showing.Showing` as rows of pictures with their words."""

import matplotlib as mpl

from echogan.report import codes, style
from echogan.report.progress import panels_of
from echogan.report.run import ARCHITECTURES

STRONG = 40  # grey levels of a change that takes the full colour


def figures(shown, truth=None):
    """{name of a file: Figure} of all that a run shows; `truth` uint8 (n, size, size): what an enhancer should have made."""
    found = {}
    if shown.generated is not None:
        rows = {"real": shown.real, "generated": shown.generated}
        found["generated_beside_real"] = _panel(shown, rows, "generated beside real", "Columns are not pairs")
    if shown.translation:
        rows = _translation(shown, truth)
        found["held_out"] = _panel(shown, rows, "held-out images", _scale(rows) or _bits(shown))
    if shown.codes:
        words = _words(shown, "images and their codes", "One square for each code; similar codes have similar colours")
        found["codes"] = codes.maps(shown.real, shown.codes.numbers, shown.codes.book, *words)
    return found


def _panel(shown, rows, what, note):
    return codes.panel(rows, *_words(shown, what, note))


def _translation(shown, truth):
    names = [name or "added" for name in panels_of(shown.arch, shown.given)]
    rows = dict(zip(names, shown.translation))
    if shown.codes:
        rows["JPEG 2000"] = shown.codes.jpeg
    if "added" in rows:
        rows["added"] = coloured(rows["added"])
    return rows if truth is None else {**rows, "truth": truth}


def coloured(added):
    """A change, uint8 (n, H, W) around 128 as `engine.showing` gives it, as colours uint8 (n, H, W, 4); none is white."""
    share = (added.astype(float) - 128) / (2 * STRONG) + 0.5
    return mpl.colormaps["RdBu_r"](share.clip(0, 1), bytes=True)


def _scale(rows):
    words = f"Added: red is brighter, blue darker, the full colours {STRONG} grey levels or more, white no change"
    return words if "added" in rows else ""


def _bits(shown):
    return f"JPEG 2000 at as many bits as the codes take, {shown.codes.bits:,.0f} for each image" if shown.codes else ""


def _words(shown, what, note):
    """(title, caption) of a figure."""
    family = ARCHITECTURES.get(shown.arch, shown.arch)
    kind = shown.frames.kind
    parts = [
        f"Data: {kind}{style.simulated(kind)}",
        f"Split: {shown.split}, {len(shown.real)} of {shown.total:,} images, {shown.real.shape[-1]} px",
        f"Weights: at {shown.kimg:.4g} kimg, trained on: {shown.trained_on}",
        f"Encoder: none needed. Hardware: {shown.hardware}",
    ]
    return f"{family} {shown.name}: {what}", ". ".join([*parts, note] if note else parts) + "."
