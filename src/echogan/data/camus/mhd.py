"""Pixels and spacing of one MetaImage file (.mhd and its .raw or .zraw): a header of `Key = value` lines, and bare pixels.

Read here and not by SimpleITK, which writes beyond its memory on damaged headers. Pixels of one channel, plain or deflated.
"""

import re
import zlib
from pathlib import Path

import numpy as np

from echogan.data.camus.view import check_shape
from echogan.errors import BadInput

# fmt: off
KINDS = {
    "MET_CHAR": "i1", "MET_SHORT": "i2", "MET_INT": "i4", "MET_FLOAT": "f4",
    "MET_UCHAR": "u1", "MET_USHORT": "u2", "MET_UINT": "u4", "MET_DOUBLE": "f8",
}
# fmt: on
USUAL = {"BinaryData": "True", "ElementNumberOfChannels": "1", "HeaderSize": "0"}  # what else they may say is not read
LONGEST = 10_000  # bytes of a header
REMEDY = "restore the .mhd and its .raw file"


def load(path):
    """Pixels ([T,] H, W) in the type of the file, and (row, column) mm per pixel."""
    path = Path(path)
    said = _header(path)
    size = _numbers(said, "DimSize", int, path)  # x, y, ...
    check_shape(size, path)
    if len(size) < 2 or said.get("NDims", str(len(size))) != str(len(size)):
        raise BadInput(f"{path} has NDims = {said.get('NDims')} and DimSize = {said['DimSize']}; {REMEDY}")
    shape = size[::-1]
    while len(shape) > 2 and shape[0] == 1:
        shape = shape[1:]
    pixels = np.frombuffer(_stored(path, said, size), _kind(path, said)).reshape(shape)
    x, y = _numbers(said, "ElementSpacing", float, path, len(size))[:2]
    return pixels.astype(pixels.dtype.newbyteorder("=")), (y, x)


def _header(path):
    """{key: value} of the lines up to that of the data file, whose pixels lie in one file beside it."""
    try:
        with open(path, "rb") as file:
            text = file.read(LONGEST).decode("latin-1")
    except OSError as error:
        raise BadInput(f"{path} is missing; restore the original file") from error
    said = dict(re.findall(r"^[ \t]*(\w+)[ \t]*=[ \t]*(.*?)[ \t\r]*$", text, re.MULTILINE))
    name = said.get("ElementDataFile", "")
    if not name or "\0" in name or Path(name).name != name:
        raise BadInput(f"{path} names no data file beside it; restore the original file")
    if not (path.parent / name).is_file():
        raise BadInput(f"{path} has lost its data file {name}; restore it")
    strange = [f"{key} = {said[key]}" for key, value in USUAL.items() if said.get(key, value) != value]
    if strange:
        raise BadInput(f"{path} has {', '.join(strange)}, which is not read; take the NIfTI release")
    return said


def _numbers(said, key, kind, path, count=None):
    """The numbers of a line of the header, `count` of them."""
    try:
        found = [kind(word) for word in said[key].split()]
    except (KeyError, ValueError):
        found = []
    if not found or count not in (None, len(found)):
        raise BadInput(f"{path} has no readable line {key}; {REMEDY}")
    return found


def _kind(path, said):
    kind = KINDS.get(said.get("ElementType", ""))
    if kind is None:
        raise BadInput(f"{path} has pixels of type {said.get('ElementType')!r}, not {', '.join(KINDS)}; {REMEDY}")
    last = said.get("BinaryDataByteOrderMSB", said.get("ElementByteOrderMSB", "False"))
    return (">" if last == "True" else "<") + kind


def _stored(path, said, size):
    """The bytes of all pixels, as many as the header says."""
    file, wanted = path.parent / said["ElementDataFile"], int(np.prod(size)) * np.dtype(_kind(path, said)).itemsize
    with open(file, "rb") as opened:
        data = opened.read(wanted + LONGEST)  # deflated noise grows by less
    if said.get("CompressedData", "False") == "True":
        try:
            data = zlib.decompressobj().decompress(data, wanted + 1)
        except zlib.error as error:
            raise BadInput(f"{file} is no deflated image ({error}); {REMEDY}") from error
    if len(data) != wanted:
        raise BadInput(
            f"{file} is no readable MetaImage: its pixels are not the {wanted} bytes of its header; {REMEDY}"
        )
    return data
