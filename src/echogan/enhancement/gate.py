"""What is not enhanced: colour, which is flow and not tissue, and pictures unlike those a run was trained on."""

import numpy as np

from echogan.data.colour import COLOURED_SHARE, MEAN_CHROMA, chroma, share
from echogan.errors import BadInput
from echogan.metrics.familiar import TAILS, features

FRAMES = 16  # of a clip that are looked at


class Refused(BadInput):
    """Input that an enhancer should not touch; `--force` overrides it and marks the output."""


def colour(colours, mask):
    """(largest mean chroma, largest share of coloured pixels) inside `mask` of frames uint8 (n, H, W, 3)."""
    levels = [chroma(frame)[mask] for frame in colours]
    return max((float(x.mean()) for x in levels), default=0.0), max(map(share, levels), default=0.0)


def refusal(name, colours, frames, count, mask, wanted, marked=False):
    """The sentence of a refusal that `wanted` forces, else nothing; about `FRAMES` of the `count` frames are looked at.

    Arguments as in `check`, which raises what is not forced.
    """
    step = max(1, count // FRAMES)
    looked = (frame for i, frame in enumerate(frames) if i % step == 0)
    try:
        check(name, colours, looked, mask, wanted.known, marked)
    except Refused as error:
        if not wanted.force:
            raise Refused(f"{error}, or --force it") from error
        return str(error)
    return ""


def check(name, colours, frames, mask, known=None, marked=False):
    """Raise `Refused` for colour, or for frames uint8 (T, H, W) outside the `Range` `known`; each with its threshold.

    marked: B-mode with a coloured mark of the probe (EchoNet-Dynamic's own format), so that a little colour is no flow.
    """
    found, coloured = colour(colours, mask)
    if found > MEAN_CHROMA:
        raise Refused(
            f"{name} has a mean chroma of {found:.1f} grey levels in its sector, above {MEAN_CHROMA:g} (Doppler, or a tint); "
            "give a grey recording"
        )
    if coloured > COLOURED_SHARE and not marked:
        raise Refused(
            f"{name} has colour in {coloured:.1%} of its sector, above {COLOURED_SHARE:.0%} (a box of Doppler?); "
            "give a grey recording"
        )
    if known is None:
        return
    values = np.median([features(frame, mask) for frame in frames], axis=0)
    if wrong := known.outside(values):
        what, value, low, high = wrong[0]
        raise Refused(
            f"{name} is unlike the training pictures: {what} {value:.1f} is outside {low:.1f} to {high:.1f}, where "
            f"{TAILS[0]:g} to {TAILS[1]:g} % of them are; use a run trained on such recordings"
        )
