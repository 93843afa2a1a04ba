"""What is not enhanced: colour, which is flow and not tissue, and pictures unlike those a run was trained on."""

from dataclasses import dataclass

import cv2
import numpy as np

from echogan.errors import BadInput
from echogan.files import read_json, write_json

MEAN_CHROMA = 6.0  # grey levels between the strongest and the weakest primary, on average over the sector
TAILS = 0.1, 99.9  # per cent of the training pictures
SIDE = 64  # pixels: pictures of any size are looked at alike
BANDS = (0.03, 0.08, 0.16, 0.3, 0.5)  # edges in cycles per pixel of that side
FEATURES = ("brightness", *(f"texture {low:g}-{high:g}" for low, high in zip(BANDS, BANDS[1:])))
FRAMES = 16  # of a clip that are looked at


class Refused(BadInput):
    """Input that an enhancer should not touch; `--force` overrides it and marks the output."""


@dataclass(frozen=True)
class Range:
    """What the training pictures span: the `TAILS` of every one of `FEATURES`."""

    low: tuple
    high: tuple
    images: int = 0

    def outside(self, values):
        """[(feature, value, low, high)] of the values (5,) that lie outside."""
        rows = zip(FEATURES, map(float, values), self.low, self.high)
        return [row for row in rows if not row[2] <= row[1] <= row[3]]


def learn_range(images, mask):
    """The `Range` of training pictures uint8 (N, H, W), inside `mask` (H, W)."""
    values = np.stack([features(image, mask) for image in images])
    low, high = np.percentile(values, TAILS, axis=0)
    return Range(tuple(low.tolist()), tuple(high.tolist()), len(images))


def save_range(path, known):
    """Write a `Range` as JSON."""
    write_json(path, {"features": FEATURES, "low": known.low, "high": known.high, "images": known.images})


def read_range(path):
    """The `Range` that `save_range` wrote."""
    said = read_json(path)
    if tuple(said.get("features", ())) != FEATURES:
        raise BadInput(f"{path} is not a range of training pictures of this version; make it again with --training")
    return Range(tuple(said["low"]), tuple(said["high"]), said["images"])


def features(image, mask):
    """Brightness (grey levels) and the power in four bands (dB) of a picture uint8 (H, W) inside `mask`, (5,)."""
    rows, columns = (slice(at.min(), at.max() + 1) for at in np.nonzero(mask))
    inside, share = image[rows, columns] * mask[rows, columns], mask[rows, columns].astype(np.float32)
    small, share = (
        cv2.resize(p.astype(np.float32), (SIDE, SIDE), interpolation=cv2.INTER_AREA) for p in (inside, share)
    )
    mean = small.sum() / share.sum()
    hann = np.hanning(SIDE)
    power = np.abs(np.fft.fft2((small - mean * share) * np.outer(hann, hann))) ** 2
    radius = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.fftfreq(SIDE)[None])
    bands = [power[(low <= radius) & (radius < high)].mean() for low, high in zip(BANDS, BANDS[1:])]
    return np.array([mean, *(10 * np.log10(np.array(bands) + 1e-3))])


def chroma(colours, mask):
    """The largest mean chroma inside `mask` of frames uint8 (n, H, W, 3)."""
    return max((float((frame.max(-1) - frame.min(-1))[mask].mean()) for frame in colours), default=0.0)


def refusal(name, colours, frames, mask, wanted):
    """The sentence of a refusal that `wanted` forces, else nothing; arguments as in `check`, which raises what is not forced."""
    try:
        check(name, colours, frames, mask, wanted.known)
    except Refused as error:
        if not wanted.force:
            raise Refused(f"{error}, or --force it") from error
        return str(error)
    return ""


def check(name, colours, frames, mask, known=None):
    """Raise `Refused` for colour, or for frames uint8 (T, H, W) outside the `Range` `known`; each with its threshold."""
    found = chroma(colours, mask)
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
