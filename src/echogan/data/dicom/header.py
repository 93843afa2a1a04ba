"""What an ultrasound DICOM says of itself, checked before a pixel is decoded (DICOM PS3.3 C.7.6.3)."""

import logging
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.filereader import read_file_meta_info
from pydicom.pixels import as_pixel_options, get_decoder
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, MPEGTransferSyntaxes

from echogan.data.limits import check_size
from echogan.errors import BadInput

_GREY = ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")
_COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_RCT", "YBR_ICT")
_PIXEL_DATA = {"<": b"\xe0\x7f\x10\x00", ">": b"\x7f\xe0\x00\x10"}
_MUTE = logging.CRITICAL + 1
_UNDEFINED = 0xFFFFFFFF  # length of encapsulated, that is compressed, pixel data
_REMEDY = "export it as JPEG Baseline or uncompressed"


@dataclass(frozen=True)
class Header:
    """One file: its tags before the pixels, and where and how the pixels lie."""

    path: Path
    tags: Dataset = field(repr=False)
    syntax: UID
    start: int  # of the pixel data, in bytes
    length: int  # of the pixel data, in bytes; to the end of the file where compressed
    vr: str  # OB or OW: words of a big endian file are swapped
    frames: int
    rows: int
    columns: int
    samples: int
    bits: int  # allocated: 8 or 16
    stored: int  # bits that carry grey levels
    coding: str  # photometric interpretation

    @property
    def compressed(self):
        """True where each frame is a codestream of its own."""
        return self.syntax.is_encapsulated


@contextmanager
def quiet():
    """Silence the warnings and logged stack traces of pydicom: what matters of them is raised as a `BadInput`."""
    log = logging.getLogger("pydicom")
    level = log.level
    log.setLevel(_MUTE)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        log.setLevel(level)


def read_header(path):
    """The `Header` of the ultrasound file at `path`, or a `BadInput` that says what is wrong with it."""
    path = Path(path)
    try:
        with quiet(), open(path, "rb") as file:
            syntax = _syntax(path)
            tags = dcmread(file, stop_before_pixels=True)
            header = _header(path, tags, syntax, *_pixel_data(file, syntax))
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; check the name, or restore the file") from error
    except InvalidDicomError as error:
        raise BadInput(f"{path} is not a DICOM file (its mark is missing); remove it") from error
    except BadInput:
        raise
    except Exception as error:  # damage shows as whatever its bytes happen to be read as
        raise BadInput(
            f"{path} is not a readable DICOM file ({kind_of(error)}); export it again, or remove it"
        ) from error
    check_size(path, header.frames, header.rows, header.columns)
    return header


def kind_of(error):
    """What may be repeated of an error about tags: its name, for its words may quote the patient's."""
    return type(error).__name__


def _syntax(path):
    """The transfer syntax, of a kind that can be decoded here."""
    syntax = read_file_meta_info(path).get("TransferSyntaxUID")
    if syntax is None:
        raise BadInput(f"{path} does not say how it is coded (no TransferSyntaxUID); export it again")
    if not UID(syntax).is_transfer_syntax or UID(syntax).is_private:
        raise BadInput(f"{path} has the private transfer syntax {syntax}; {_REMEDY}")
    if syntax in MPEGTransferSyntaxes:
        raise BadInput(f"{path} holds a film ({syntax.name}); export that film as MP4 and give it instead")
    if syntax == DeflatedExplicitVRLittleEndian:  # would be inflated as a whole before anything can be checked
        raise BadInput(f"{path} is deflated as a whole; {_REMEDY}")
    try:
        decodable = get_decoder(syntax).is_available
    except NotImplementedError:
        decodable = False
    if not decodable:
        raise BadInput(f"{path} is compressed as {syntax.name}, which no installed decoder reads; {_REMEDY}")
    return syntax


def _pixel_data(file, syntax):
    """Start, length and VR of the pixel data, whose tag `file` stands before; zeros where there are none."""
    order = "<" if syntax.is_little_endian else ">"
    head = file.read(12)
    if head[:4] != _PIXEL_DATA[order]:
        return 0, 0, ""
    number = head[4:8] if syntax.is_implicit_VR else head[8:12]
    start = file.tell() - (4 if syntax.is_implicit_VR else 0)
    length, rest = int.from_bytes(number, "little" if order == "<" else "big"), file.seek(0, 2) - start
    vr = "OW" if syntax.is_implicit_VR else head[4:6].decode("ascii")
    return start, min(length, rest) if length != _UNDEFINED else rest, vr


def _header(path, tags, syntax, start, length, vr):
    modality, coding = tags.get("Modality"), tags.get("PhotometricInterpretation")
    if modality != "US" or not start:
        raise BadInput(f"{path} holds no ultrasound picture (modality {modality}); remove it")
    options = as_pixel_options(tags)
    bits, stored, samples = (options[key] for key in ("bits_allocated", "bits_stored", "samples_per_pixel"))
    if coding not in _GREY + _COLOUR or samples != (1 if coding in _GREY else 3):
        raise BadInput(f"{path} is coded as {coding} with {samples} samples; {_REMEDY} MONOCHROME2 or RGB")
    if bits not in ((8, 16) if samples == 1 else (8,)) or not 1 < stored <= bits or options["pixel_representation"]:
        raise BadInput(f"{path} stores {stored} of {bits} bits a sample; export it with 8 unsigned bits")
    frames, rows, columns = (int(options[key]) for key in ("number_of_frames", "rows", "columns"))
    return Header(path, tags, syntax, start, length, vr, frames, rows, columns, samples, bits, stored, coding)
