"""One compressed picture: the size it claims inside, and whether its bits end where its picture does."""

from io import BytesIO

START, END = b"\xff\xd8", b"\xff\xd9"

_SCAN = 0xDA
_SIZED = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF markers; the gaps are tables
_SEQUENTIAL = (0xC0, 0xC1)
_SLACK = 8  # bytes that an encoder may leave between its last bit and the end marker
_AHEAD = 16  # bytes that a decoder reads before it needs them


def size(code):
    """(rows, columns) of the JPEG or JPEG 2000 codestream `code`, or None where it does not begin like one."""
    if code[:2] == START:
        frame = _segments(code)[0]
        return (_number(code, frame + 5), _number(code, frame + 7)) if frame else None
    siz = code.find(b"\xff\x51", 0, 4096)  # in JP2 boxes or raw
    if siz < 0 or len(code) < siz + 22:
        return None
    x1, y1, x0, y0 = (int.from_bytes(code[siz + at : siz + at + 4], "big") for at in (6, 10, 14, 18))
    return y1 - y0, x1 - x0


def sound(code):
    """False where the entropy-coded data of a sequential JPEG end before its picture is complete, or go on after it.

    Decoders fill in missing pixels and only warn, and Pillow does not pass the warning on. So the scan is decoded twice: cut
    short by a few bytes it must fail, padded with zeros it must not. A Huffman code falls back into step after most small
    errors, so damage that neither lengthens nor shortens the scan is not noticed.
    """
    frame, scan = _segments(code)
    if not scan or code[frame + 1] not in _SEQUENTIAL:
        return True
    end = code.rfind(END)
    if end < scan:
        return False
    return _decodes(code[:end] + bytes(_AHEAD)) and not _decodes(code[: end - _SLACK])


def _segments(code):
    """Where the frame header and the first scan begin; 0 for what is not found."""
    at, frame = 2, 0
    while at + 4 <= len(code) and code[at] == 0xFF:
        if code[at + 1] == 0xFF:  # fill bytes
            at += 1
            continue
        if code[at + 1] in _SIZED:
            frame = at
        if code[at + 1] == _SCAN:
            return frame, at
        at += 2 + _number(code, at + 2)
    return frame, 0


def _number(code, at):
    return int.from_bytes(code[at : at + 2], "big")


def _decodes(code):
    """Whether it decodes, tried at an eighth of the size: that reads every bit in little of the time."""
    from PIL import Image

    try:
        with Image.open(BytesIO(code), formats=("JPEG",)) as picture:
            picture.draft(picture.mode, (picture.width // 8, picture.height // 8))
            picture.load()
    except (OSError, SyntaxError, ValueError):
        return False
    return True
