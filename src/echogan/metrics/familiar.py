"""What training pictures span, so that a picture unlike them is told: brightness, and power in four bands of the spectrum.

    f_0 = mean grey level inside the sector,    f_k = 10 log10 mean |FFT(hann (x - f_0))|^2 over the k-th band

The range of a feature is what 99.8 % of the training pictures keep to.
"""

from dataclasses import asdict, dataclass

import cv2
import numpy as np

from echogan.errors import BadInput

TAILS = 0.1, 99.9  # per cent of the training pictures
MOST = 2000  # training pictures that are looked at: about a second, and the tails are still of two pictures each
SIDE = 64  # pixels: pictures of any size are looked at alike
BANDS = (0.03, 0.08, 0.16, 0.3, 0.5)  # edges in cycles per pixel of that side
FEATURES = ("brightness", *(f"texture {low:g}-{high:g}" for low, high in zip(BANDS, BANDS[1:])))


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

    def words(self):
        """Every feature with its ends, for a line a person reads."""
        return ", ".join(f"{name} {low:.1f} to {high:.1f}" for name, low, high in zip(FEATURES, self.low, self.high))

    def told(self):
        """As JSON may keep it; `read_range` makes a `Range` of it again."""
        return {"features": list(FEATURES), **{k: v if k == "images" else list(v) for k, v in asdict(self).items()}}


def learn_range(images, mask):
    """The `Range` of training pictures uint8 (N, H, W), inside `mask` (H, W); of at most `MOST`, evenly among them."""
    chosen = images[np.linspace(0, len(images) - 1, min(len(images), MOST)).round().astype(int)]
    values = np.stack([features(image, mask) for image in chosen])
    low, high = np.percentile(values, TAILS, axis=0)
    return Range(tuple(low.tolist()), tuple(high.tolist()), len(chosen))


def read_range(told, name):
    """The `Range` of what `Range.told` said; `name` is where that was kept."""
    if tuple(told.get("features", ())) != FEATURES:
        raise BadInput(f"{name} tells the range of its training pictures as another version did; give --training")
    return Range(tuple(told["low"]), tuple(told["high"]), told["images"])


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
