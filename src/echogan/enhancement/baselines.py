"""What an enhancer has to beat: filters that need no training, as functions of equal signature.

    f(images uint8 (N, H, W), mask bool (H, W)) -> uint8 (N, H, W), equal to the images outside the mask

Settings are those of the sources named, not tuned to any data. `fitted_gain` and `unet.supervised` are made from data.
"""

import cv2
import numpy as np
from scipy.optimize import minimize_scalar
from skimage.restoration import denoise_tv_chambolle

DYNAMIC_RANGE = 60.0  # dB, assumed, that 255 grey levels span: SRAD wants the envelope, which the display compressed


def _each(filtered):
    """A method from a function of one picture."""

    def method(images, mask):
        return np.stack([np.where(mask, filtered(image, mask), image) for image in images])

    return method


def _grey(values):
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


@_each
def identity(image, mask):
    """The input."""
    return image


@_each
def median(image, mask):
    """Median of 5 x 5."""
    return cv2.medianBlur(image, 5)


@_each
def bilateral(image, mask):
    """Bilateral filter (Tomasi 1998), the original study's: diameter 5, deviations 15."""
    return cv2.bilateralFilter(image, 5, 15, 15)


@_each
def nl_means(image, mask):
    """Non-local means (Buades 2005): patches of 7 within 21, as strong as the noise is estimated to be."""
    return cv2.fastNlMeansDenoising(image, None, max(1.0, _noise(image, mask)), 7, 21)


@_each
def total_variation(image, mask):
    """Total variation (Rudin 1992, by Chambolle 2004) with weight 0.1."""
    return _grey(255 * denoise_tv_chambolle(image / 255, weight=0.1))


@_each
def clahe(image, mask):
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994): 8 x 8 tiles, limit 2."""
    return cv2.createCLAHE(2.0, (8, 8)).apply(image)


@_each
def haar(image, mask):
    """Soft thresholds on four levels of the undecimated Haar transform, BayesShrink (Chang 2000)."""
    return _grey(_shrunk(image.astype(np.float32), _noise(image, mask), level=0))


@_each
def srad(image, mask):
    """Speckle-reducing anisotropic diffusion on the envelope, 60 steps of 0.1 (Yu and Acton 2002, equations 33 and 37)."""
    decibels = DYNAMIC_RANGE / 255
    envelope = 10 ** (image.astype(np.float64) * decibels / 20)
    return _grey(20 * np.log10(diffused(envelope, mask)) / decibels)


METHODS = {
    "identity": identity,
    "median": median,
    "bilateral": bilateral,
    "NL-means": nl_means,
    "TV": total_variation,
    "CLAHE": clahe,
    "SRAD": srad,
    "Haar": haar,
}


def fitted_gain(images, truth, mask):
    """A method: the gamma curve 255 (x / 255)^g whose g brings low-quality `images` nearest to their `truth` inside the mask.

    Both uint8 (N, H, W) of training patients. What a brightness knob alone can do.
    """
    x, y = images[:, mask] / 255.0, truth[:, mask] / 255.0
    found = minimize_scalar(lambda g: np.square(x**g - y).mean(), bounds=(0.1, 10), method="bounded")
    curve = _grey(255 * (np.arange(256) / 255) ** found.x)

    @_each
    def gain(image, mask):
        return curve[image]

    return gain


# ------------------------------------------------------------------------------------------------ how


def diffused(envelope, mask, steps=60, step=0.1):
    """SRAD of a positive image: each step adds step / 4 div(c grad I), with

    c = 1 / (1 + (q^2 - q0^2) / (q0^2 (1 + q0^2))),   q^2 = (|grad I|^2 / 2 - (lap I)^2 / 16) / (I + lap I / 4)^2,
    gradient and Laplacian over I, and q0 the speckle's own coefficient of variation, by the median inside the mask.
    """
    image = envelope.copy()
    for _ in range(steps):
        north, south, west, east = _differences(image)
        slope = (north**2 + south**2 + west**2 + east**2) / image**2
        bend = (north + south + west + east) / image
        q2 = np.maximum((slope / 2 - bend**2 / 16) / (1 + bend / 4) ** 2, 0)
        q02 = max(float(np.median(q2[mask])), 1e-6)
        c = np.clip(1 / (1 + (q2 - q02) / (q02 * (1 + q02))), 0, 1)
        c_south, c_east = (np.concatenate([np.delete(c, 0, a), np.take(c, [-1], a)], a) for a in (0, 1))
        image = image + step / 4 * (c_south * south + c * north + c_east * east + c * west)
    return image


def _differences(image):
    """To the neighbours above, below, left and right; none across the border."""
    padded = np.pad(image, 1, mode="edge")
    around = padded[:-2, 1:-1], padded[2:, 1:-1], padded[1:-1, :-2], padded[1:-1, 2:]
    return [neighbour - image for neighbour in around]


def _noise(image, mask):
    """Deviation of the noise: median absolute finest diagonal Haar coefficient / 0.6745 (Donoho 1994)."""
    x = image.astype(np.float32)
    diagonal = (x[:-1, :-1] - x[1:, :-1] - x[:-1, 1:] + x[1:, 1:]) / 2
    return float(np.median(np.abs(diagonal[mask[:-1, :-1]]))) / 0.6745


def _shrunk(x, noise, level):
    """x as its mean over 2 x 2 shrunk further, plus what that took away above a threshold."""
    if level == 4:
        return x
    kernel = np.zeros((3, 3), np.float32)
    kernel[:2, :2], gap = 0.25, 2**level
    wide = np.zeros((2 * gap + 1,) * 2, np.float32)
    wide[::gap, ::gap] = kernel
    smooth = cv2.filter2D(cv2.filter2D(x, -1, wide), -1, wide[::-1, ::-1])  # there and back: centred
    detail, left = x - smooth, noise / 2**level
    signal = np.sqrt(max(float(detail.var()) - left**2, 1e-6))
    kept = np.sign(detail) * np.maximum(np.abs(detail) - left**2 / signal, 0)
    return _shrunk(smooth, noise, level + 1) + kept
