"""Copies planted on purpose, to measure how many of them an audit finds: exact, cropped, turned, with another gamma."""

import cv2
import numpy as np

AREA = (0.85, 1.0)  # share of the image that a crop keeps
DEGREES = (-10.0, 10.0)
GAMMA = (0.7, 1.4)


def exact(image, rng):
    """The image itself."""
    return image


def cropped(image, rng):
    """A window of a random share of the area at a random place, enlarged to the size of the image."""
    size = len(image)
    side = size * np.sqrt(rng.uniform(*AREA))
    x, y = rng.uniform(0, size - side, 2)
    zoom = side / size
    # pixel centres are whole numbers to OpenCV, and (i + 1/2) is where pixel i is
    back = np.array([[zoom, 0, x + zoom / 2 - 0.5], [0, zoom, y + zoom / 2 - 0.5]])
    return _warped(image, back, cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP, cv2.BORDER_REPLICATE)


def turned(image, rng):
    """The image turned by a random angle about its centre, black where nothing is."""
    centre = (len(image) - 1) / 2
    return _warped(image, cv2.getRotationMatrix2D((centre, centre), rng.uniform(*DEGREES), 1), cv2.INTER_CUBIC)


def regraded(image, rng):
    """The image with a random gamma."""
    return np.round(255 * (image / 255) ** rng.uniform(*GAMMA)).astype(np.uint8)


def changed(image, rng):
    """Cropped, turned and regraded at once."""
    return regraded(turned(cropped(image, rng), rng), rng)


KINDS = {f.__name__: f for f in (exact, cropped, turned, regraded, changed)}


def planted(images, kind, seed=0):
    """A copy of every image uint8 (N, H, W), of one of `KINDS`."""
    rng = np.random.default_rng(seed)
    return np.stack([KINDS[kind](image, rng) for image in images])


def _warped(image, matrix, how, border=cv2.BORDER_CONSTANT):
    return cv2.warpAffine(image, matrix, image.shape[::-1], flags=how, borderMode=border)
