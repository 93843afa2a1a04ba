"""Small pictures, and files around them, for the readers of folders and archives."""

import json
import struct
import zipfile
import zlib

import cv2
import numpy as np


def picture(seed=0, size=(32, 32)):
    """uint8, never the same for two seeds."""
    return np.random.default_rng(seed).integers(0, 256, size, dtype=np.uint8)


def png(image):
    """Bytes of a PNG; (H, W, 4) is RGBA, uint16 has 16 bits."""
    if image.ndim == 3:
        image = image[..., [2, 1, 0, 3][: image.shape[-1]]]
    return cv2.imencode(".png", image)[1].tobytes()


def jpeg(image):
    return cv2.imencode(".jpg", image)[1].tobytes()


def chunk(kind, data):
    """One chunk of a PNG, with its checksum."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def raw_png(width, height, depth=8, colour=0, rows=b"\0"):
    """A PNG that claims any size, whatever its pixels are."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


def write(folder, files):
    """{relative name: bytes} below `folder`."""
    for name, data in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)
    return folder


def zipped(path, files, compression=zipfile.ZIP_STORED):
    """{name: bytes} as a ZIP."""
    with zipfile.ZipFile(path, "w", compression) as opened:
        for name, data in files.items():
            opened.writestr(zipfile.ZipInfo(name), data, compress_type=compression)
    return path


def dataset(n, labels=None):
    """The files of a StyleGAN2-ADA data set of n pictures."""
    files = {f"{i // 1000:05d}/img{i:08d}.png": png(picture(i)) for i in range(n)}
    return {**files, "dataset.json": json.dumps({"labels": labels}).encode()}
