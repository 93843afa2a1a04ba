"""Grey pictures on disk: grids and PNG files."""

import cv2
import numpy as np

from echogan.errors import BadInput
from echogan.files import atomic


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
    image = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    if image is None:
        raise BadInput(f"{path} is missing or not an image; make it again, or remove it")
    return image


def write_png(path, image):
    """Write a uint8 picture (H, W) or (H, W, 3) RGB as PNG, whole or not at all."""
    rows = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    ok, data = cv2.imencode(".png", rows, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    if not ok:
        raise BadInput(f"cannot encode {path} as PNG")
    with atomic(path) as temporary:
        temporary.write_bytes(data.tobytes())
