"""Which files are of one patient, without telling which: a keyed hash of PatientID."""

import hashlib

from pydicom import dcmread

from echogan.data.dicom.header import quiet

_TAGS = ["PatientID", "IssuerOfPatientID", "StudyInstanceUID"]


def hashed(paths):
    """`pseudonyms`."""
    found = {path: _identity(path) for path in paths}
    key = min((study for _, study in found.values() if study), default="")
    return {path: _hash(key, person or study or path.stem) for path, (person, study) in found.items()}


def _hash(key, identity):
    key = hashlib.sha256(key.encode()).digest()
    return "P" + hashlib.blake2b(identity.encode(), key=key, digest_size=6).hexdigest()


def _identity(path):
    """(patient, study), each "" where the file does not say."""
    try:
        with quiet():
            tags = dcmread(path, stop_before_pixels=True, specific_tags=_TAGS)
            patient, issuer, study = (str(tags.get(tag) or "").strip() for tag in _TAGS)
    except Exception:  # said in one sentence when the file is read
        return "", ""
    return patient and f"{issuer}\0{patient}", study
