"""Grey pictures: grids and PNG files of our own, and PNG or JPEG from anywhere."""

import warnings
from contextlib import contextmanager
from io import BytesIO

import cv2
import numpy as np
from PIL import Image

from echogan.data.colour import COLOURED_SHARE, chroma, share
from echogan.errors import BadInput
from echogan.files import atomic

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg")
MOST_PIXELS = 2**23  # a 4K screen; a header that claims more is a mistake or an attack
_PNG_DEPTH = 24  # the byte of a PNG's header that holds the bits of a sample


def grid(images, columns=None, gap=1):
    """uint8 (N, H, W) side by side in rows of `columns` (default: as square as may be), black between them."""
    n, h, w = images.shape
    columns = columns or int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    sheet = np.zeros((rows * (h + gap) - gap, columns * (w + gap) - gap), np.uint8)
    for i, image in enumerate(images):
        y, x = i // columns * (h + gap), i % columns * (w + gap)
        sheet[y : y + h, x : x + w] = image
    return sheet


def read_png(path):
    """A grey picture uint8 (H, W)."""
    image = imread(path, cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise BadInput(f"{path} is missing or not an image; make it again, or remove it")
    return image


def imread(path, flags):
    """What `cv2.imread` returns, where that finds no names beyond the code page of a Windows; None of any damage."""
    try:
        code = np.fromfile(path, np.uint8)
        return cv2.imdecode(code, flags) if len(code) else None
    except (OSError, cv2.error):
        return None


def write_png(path, image):
    """Write a uint8 picture (H, W) or (H, W, 3) RGB as PNG, as small as may be, whole or not at all."""
    rows = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    with atomic(path) as temporary:
        temporary.write_bytes(png_bytes(rows, [cv2.IMWRITE_PNG_COMPRESSION, 9]))


def png_bytes(image, options=()):
    """A uint8 picture (H, W), or (H, W, 3) in BGR, as the bytes of a PNG; `options` are those of `cv2.imencode`."""
    return cv2.imencode(".png", image, options)[1].tobytes()


# ------------------------------------------------------------------------------------------------ from anywhere


def decode(data, name):
    """The PNG or JPEG in the bytes `data` as grey uint8 (H, W); `name` is what a message calls it.

    Refused are: what is damaged or claims more than `MOST_PIXELS` (seen before a pixel is decoded), 16-bit pictures (no
    one knows their window), see-through pixels, and colour in more than a hundredth of the pixels (flow, not tissue).
    """
    with _readable(name):
        picture = Image.open(BytesIO(data), formats=("PNG", "JPEG"))
    if picture.width * picture.height > MOST_PIXELS:
        raise BadInput(_too_many(name))
    if picture.format == "PNG" and data[_PNG_DEPTH] == 16:
        raise BadInput(f"{name} has 16 bits a pixel; save it with 8, at the window you want to see")
    see_through = "A" in picture.getbands() or "transparency" in picture.info
    with _readable(name):
        if picture.mode in ("1", "L") and not see_through:
            return np.array(picture.convert("L"))
        pixels = np.array(picture.convert("RGBA"))
    return _grey(pixels, name)


@contextmanager
def _readable(name):
    """Turns what a decoder makes of damage, exceptions of every kind, into a `BadInput`."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            yield
    except Image.DecompressionBombError as error:
        raise BadInput(_too_many(name)) from error
    except Exception as error:
        raise BadInput(f"{name} is damaged or no PNG or JPEG; make it again, or remove it") from error


def _too_many(name):
    return f"{name} claims more than {MOST_PIXELS:,} pixels; give pictures of the size of a screen"


def _grey(rgba, name):
    if rgba[..., 3].min() < 255:
        raise BadInput(f"{name} has see-through pixels; flatten it onto black")
    if (found := share(chroma(rgba[..., :3]))) > COLOURED_SHARE:  # a tinted screenshot is made grey
        raise BadInput(f"{name} has colour in {found:.0%} of its pixels (Doppler?); give a grey-scale picture")
    return cv2.cvtColor(rgba, cv2.COLOR_RGBA2GRAY)


def squared(image, size, interpolation=cv2.INTER_AREA):
    """`image` in the middle of a black square, resized to `size` pixels."""
    height, width = image.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.zeros((side, side), image.dtype)
    square[top : top + height, left : left + width] = image
    if side == size:
        return square
    larger = side < size and interpolation == cv2.INTER_AREA
    return cv2.resize(square, (size, size), interpolation=cv2.INTER_CUBIC if larger else interpolation)
