"""What is not enhanced: colour, which is flow and not tissue, and pictures unlike those a run was trained on."""

import numpy as np

from echogan.data.colour import MEAN_CHROMA, chroma
from echogan.errors import BadInput
from echogan.metrics.familiar import TAILS, features

FRAMES = 16  # of a clip that are looked at


class Refused(BadInput):
    """Input that an enhancer should not touch; `--force` overrides it and marks the output."""


def mean_chroma(colours, mask):
    """The largest mean chroma inside `mask` of frames uint8 (n, H, W, 3)."""
    return max((float(chroma(frame)[mask].mean()) for frame in colours), default=0.0)


def refusal(name, colours, frames, count, mask, wanted):
    """The sentence of a refusal that `wanted` forces, else nothing; about `FRAMES` of the `count` frames are looked at.

    Arguments as in `check`, which raises what is not forced.
    """
    step = max(1, count // FRAMES)
    looked = (frame for i, frame in enumerate(frames) if i % step == 0)
    try:
        check(name, colours, looked, mask, wanted.known)
    except Refused as error:
        if not wanted.force:
            raise Refused(f"{error}, or --force it") from error
        return str(error)
    return ""


def check(name, colours, frames, mask, known=None):
    """Raise `Refused` for colour, or for frames uint8 (T, H, W) outside the `Range` `known`; each with its threshold."""
    found = mean_chroma(colours, mask)
    if found > MEAN_CHROMA:
        raise Refused(
            f"{name} has a mean chroma of {found:.1f} grey levels in its sector, above {MEAN_CHROMA:g} (Doppler, or a tint); "
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
