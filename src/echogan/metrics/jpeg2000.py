"""JPEG 2000 (ISO 15444-1) in a given number of bits: what an autoencoder's codes stand beside.

The bits of an image are those between the start-of-data and the end-of-codestream markers: tables and headers, which a codec
for images of one kind would leave out, are not counted. The wavelet is the irreversible 9/7, the better one at low rates.
"""

from io import BytesIO

import numpy as np
from PIL import Image

from echogan.errors import BadInput

SOD, EOC = b"\xff\x93", b"\xff\xd9"  # markers around the data of the one tile
STEPS = 12  # of the search: a rate to within 0.3 %


def at_bits(images, bits):
    """(images uint8 (N, H, W) as JPEG 2000 keeps them in at most `bits` each, or in the fewest it can; bits used (N,))."""
    if bits < 8:
        raise BadInput(f"JPEG 2000 needs 8 bits or more an image, got {bits:g}")
    kept = [_nearest(image, bits) for image in images]
    return np.stack([_decoded(data) for data in kept]), np.array([payload(data) for data in kept])


def payload(data):
    """Bits of the data of a code stream, without its headers."""
    return 8 * (len(data) - data.index(SOD) - len(SOD) - len(EOC))


def encoded(image, rate):
    """The code stream of an image uint8 (H, W) compressed `rate` times, headers included."""
    buffer = BytesIO()
    options = dict(irreversible=True, quality_mode="rates", quality_layers=[rate], no_jp2=True)
    Image.fromarray(image).save(buffer, "JPEG2000", **options)
    return buffer.getvalue()


def _nearest(image, bits):
    """The code stream with the largest payload of at most `bits`; the smallest there is, where all are larger."""
    low, high = 0.0, np.log(8 * image.size)  # logarithms of rates: nothing lost, one bit left
    best = encoded(image, np.exp(high))
    for _ in range(STEPS):
        middle = (low + high) / 2
        data = encoded(image, np.exp(middle))
        if payload(data) > bits:
            low = middle
        else:
            high, best = middle, data
    return best


def _decoded(data):
    return np.asarray(Image.open(BytesIO(data), formats=("JPEG2000",)).convert("L"))
