"""Stored frames of an ultrasound DICOM, one at a time: decoded, made grey, refused where they have colour."""

from functools import cached_property

import cv2
import numpy as np
from pydicom.encaps import encapsulate, generate_frames
from pydicom.pixels import apply_color_lut, as_pixel_options, get_decoder
from pydicom.uid import JPEG2000TransferSyntaxes, JPEGTransferSyntaxes, RLELossless

from echogan.data import jpeg
from echogan.data.colour import chroma, is_grey, told
from echogan.data.dicom.header import kind_of, quiet
from echogan.errors import BadInput

_YBR = ("YBR_FULL", "YBR_FULL_422")


def grey_frames(header, region, warnings):
    """Yield each frame of the file as grey uint8 (rows, columns); one is in memory at a time.

    region: (x0, y0, x1, y1), inclusive, where colour means flow, or None; marks of the scanner elsewhere may have it.
    warnings: a list to which a photometric interpretation that contradicts the picture is added.
    """
    decode, where = Decoder(header), _box(region)
    for number, code in enumerate(_stored(header)):
        picture, coding = decode(code, number)
        if picture.ndim == 2:
            yield picture
            continue
        truth = _reading(picture[where], coding)
        if truth is None:
            raise BadInput(
                f"frame {number} of {header.path} {told(_chroma(picture[where], coding))}; give a grey recording"
            )
        sentence = f"{header.path.name} is tagged {coding} but grey only when read as {truth}; it was read so"
        if truth != coding and sentence not in warnings:
            warnings.append(sentence)
        yield picture[..., 0].copy() if truth in _YBR else cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)


# ------------------------------------------------------------------------------------------------ bytes


def _stored(header):
    """The bytes of each frame as they lie in the file, as many as the header says."""
    with open(header.path, "rb") as file:
        file.seek(header.start)
        found, codes = 0, (_codestreams if header.compressed else _slices)(header, file)
        try:
            for code in codes:
                found += 1
                if found <= header.frames:
                    yield code
        except BadInput:
            raise
        except Exception as error:
            raise BadInput(
                f"{header.path} breaks off after {found} of {header.frames} frames ({kind_of(error)}); copy it again"
            ) from error
    if found != header.frames:
        raise BadInput(f"{header.path} says it has {header.frames} frames but holds {found}; export it again")


def _codestreams(header, file):
    offsets = as_pixel_options(header.tags).get("extended_offsets")
    return generate_frames(file, number_of_frames=header.frames, extended_offsets=offsets)


def _slices(header, file):
    """Uncompressed frames; YBR_FULL_422 stores two bytes for each pixel."""
    samples = 2 if header.coding == "YBR_FULL_422" else header.samples
    size = header.rows * header.columns * samples * header.bits // 8
    held = header.length / size
    if not header.frames <= held < header.frames + 1:
        raise BadInput(
            f"{header.path} says it has {header.frames} frames but holds {held:.3g}; copy or export it again"
        )
    return (file.read(size) for _ in range(header.frames))


# ------------------------------------------------------------------------------------------------ pictures


class Decoder:
    """Bytes of one frame -> (picture, coding): grey uint8 (rows, columns), or three channels and what they mean."""

    def __init__(self, header):
        self.header, self.decode = header, get_decoder(header.syntax).as_array
        self.options = {
            **as_pixel_options(header.tags, number_of_frames=1, pixel_keyword="PixelData", pixel_vr=header.vr),
            "planar_configuration": header.tags.get("PlanarConfiguration", 0),
        }
        self.options.pop("extended_offsets", None)

    def __call__(self, code, number):
        path, syntax = self.header.path, self.header.syntax
        self._check(code, number)
        try:
            with quiet():
                source = encapsulate([code], has_bot=False) if self.header.compressed else code
                picture, facts = self.decode(source, index=0, raw=True, **self.options)
                return self._eight_bits(picture), facts["photometric_interpretation"]
        except Exception as error:  # every decoder has its own exceptions
            raise BadInput(
                f"frame {number} of {path} ({syntax.name}) does not decode ({_words(error)}); export it again"
            ) from error

    def _check(self, code, number):
        """What decoders would take on trust: the size inside, and that the bits are all there."""
        path, wanted = self.header.path, (self.header.rows, self.header.columns)
        if self.header.syntax in (*JPEGTransferSyntaxes, *JPEG2000TransferSyntaxes) and jpeg.size(code) != wanted:
            raise BadInput(
                f"frame {number} of {path} is no picture of {wanted[1]} x {wanted[0]} pixels; export it again"
            )
        if self.header.syntax in JPEGTransferSyntaxes and not jpeg.sound(code):
            raise BadInput(
                f"frame {number} of {path} is damaged (its JPEG does not end where it should); copy it again"
            )
        raw = wanted[0] * wanted[1] * self.header.samples * self.header.bits // 8
        if self.header.syntax == RLELossless and len(code) > 2 * raw + 128:
            raise BadInput(f"frame {number} of {path} takes more bytes than its pixels; export it again")

    def _eight_bits(self, picture):
        header = self.header
        if header.coding == "PALETTE COLOR":
            return self._palette[picture]
        if header.stored != 8:
            picture = _windowed(picture, header)
        return 255 - picture if header.coding == "MONOCHROME1" else picture

    @cached_property
    def _palette(self):
        """Colours uint8 (2 ** bits, 3) of every index."""
        tags = self.header.tags
        if "SegmentedRedPaletteColorLookupTableData" in tags:  # a few bytes may stand for any length
            raise BadInput("segmented palette")
        index = np.arange(1 << self.header.bits, dtype=f"uint{self.header.bits}")
        colours = apply_color_lut(index, tags)
        return (colours >> 8 * (colours.itemsize - 1)).astype(np.uint8)


def _words(error):
    """The last line of what a decoder says of pixels; pydicom lists there what each one said."""
    return str(error).strip().split("\n")[-1].strip()[:120] or kind_of(error)


def _windowed(picture, header):
    """Grey levels of other than 8 bits through the window of the file, else through all stored bits (PS3.3 C.11.2.1.2)."""
    tags, span = header.tags, (1 << header.stored) - 1
    centre, width = (np.ravel(tags.get(f"Window{what}") or 0)[0] for what in ("Center", "Width"))
    low, high = (centre - width / 2, centre + width / 2 - 1) if width > 1 else (0, span)
    slope, offset = float(tags.get("RescaleSlope") or 1), float(tags.get("RescaleIntercept") or 0)
    grey = (picture.astype(np.float32) * slope + offset - low) * (255 / (high - low))
    return np.clip(np.rint(grey), 0, 255).astype(np.uint8)


# ------------------------------------------------------------------------------------------------ colour


def _box(region):
    if region is None:
        return np.s_[:, :]
    x0, y0, x1, y1 = region
    return np.s_[y0 : y1 + 1, x0 : x1 + 1]


def _chroma(picture, coding):
    if coding in _YBR:
        luma, blue, red = cv2.split(picture)
        picture = cv2.cvtColor(cv2.merge([luma, red, blue]), cv2.COLOR_YCrCb2RGB)
    return chroma(picture)


def _reading(picture, tagged):
    """What the channels mean, None for colour: tags confuse RGB and YBR, but a grey picture is grey in one of them only."""
    other = "RGB" if tagged in _YBR else "YBR_FULL"
    return next((coding for coding in (tagged, other) if is_grey(_chroma(picture, coding))), None)
