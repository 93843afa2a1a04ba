"""Ultrasound DICOM in: grey frames, frame rate, spacing and region; no patient tag leaves the file.

header.py    what a file says of itself, checked before a pixel is decoded
region.py    where its ultrasound lies, millimetres per pixel, frames per second
pixels.py    one picture after another, decoded and made grey
cine.py      all of it: a `Cine` to walk through, or a whole `Clip`
patients.py  which files are of one patient, without telling which

pydicom loads with the first file, so a worker that reads other formats stays small.
"""

from functools import partial

KIND = "ultrasound DICOM"
_opened = partial(open, mode="rb")


def is_dicom(path):
    """True where the file has the DICOM mark after its preamble."""
    with open(path, "rb") as file:
        return file.read(132)[128:] == b"DICM"


def open_dicom(path):
    """Read and check the header of one ultrasound file; returns a `Cine`, of which nothing is decoded yet.

    What cannot be read as grey tissue (another modality, M-mode, Doppler, an unknown compression, signed or float
    pixels, a calibration that fits no size, sizes that no scanner has) is a `BadInput`.
    """
    from echogan.data.dicom.cine import cine

    return cine(path)


def read_dicom(path, patient=None):
    """One ultrasound file, still or cine, as a `Clip`; frames uint8 (T, H, W), no tag that names a person.

    patient: what to call the person (see `pseudonyms`); the file name unless given. Errors as in `open_dicom`, and for
    frames that are missing, damaged, or in colour.
    """
    return open_dicom(path).clip(patient)


def pseudonyms(names, opened=_opened):
    """({name: "P" and 12 hexadecimal digits}, sentences) for DICOM files that belong together, equal where the patient is.

    opened(name) lends the file, in binary; by default the names are paths. PatientIDs are few and guessable, so a plain
    hash of one gives it away. The key here is the smallest StudyInstanceUID of all files: who lacks them cannot know
    it, who has them needs no hash, and whoever runs this on the same folder gets the same names, on any machine. Adding
    a study can change all names at once. A file without PatientID counts by its study; one without either, or that
    cannot be read, counts by its name, which a sentence says.
    """
    from echogan.data.dicom.patients import hashed

    return hashed(names, opened)
