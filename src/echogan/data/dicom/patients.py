"""Which files are of one patient, without telling which: a keyed hash of PatientID."""

import hashlib
from pathlib import PurePath
from typing import NamedTuple

from pydicom.filereader import read_dataset, read_partial, read_preamble
from pydicom.uid import DeflatedExplicitVRLittleEndian

from echogan.data.dicom.header import quiet
from echogan.errors import BadInput

_PERSON, _ISSUER, _INSTANCE, _STUDY = 0x00100020, 0x00100021, 0x00080018, 0x0020000D

_MANY = 3  # studies of one patient, each in a folder of its own


class _Said(NamedTuple):
    """What a file says of itself, each "" where it does not."""

    person: str = ""
    study: str = ""
    instance: str = ""


def hashed(names, opened):
    """`pseudonyms`."""
    said = {name: _read(opened, name) for name in names}
    key = _key(list(said.values()))
    of_study = {s.study: s.person for s in sorted(said.values()) if s.person and s.study}
    whose = {name: s.person or of_study.get(s.study) or s.study or str(name) for name, s in said.items()}
    silent = sum(not (s.person or s.study) for s in said.values())
    told = f"{silent} DICOM files say neither their patient nor their study, or are damaged; each counts as a patient"
    called = {name: _hash(key, who) for name, who in whose.items()}
    return called, ([told] if silent else []) + _suspicions(said, called)


def _suspicions(said, called):
    """Sentences on those who have many studies in many folders: one PatientID may have been given to everybody."""
    studies, folders = {}, {}
    for name, one in said.items():
        studies.setdefault(called[name], set()).add(one.study)
        folders.setdefault(called[name], set()).add(PurePath(name).parent)
    return [
        f"{who} is one patient with {len(studies[who])} studies in {len(folders[who])} folders; if these are of different "
        "people (a PatientID such as ANONYMOUS), give each their own PatientID"
        for who in studies
        if min(len(studies[who]), len(folders[who])) >= _MANY
    ]


def _key(said):
    """A text that only who has the files knows; a number of an instance is as hard to guess as that of a study."""
    numbers = [s.study for s in said if s.study] or [s.instance for s in said if s.instance]
    if not numbers and any(s.person for s in said):
        raise BadInput(
            "no DICOM file has a StudyInstanceUID or SOPInstanceUID, without which a hash gives PatientIDs away; "
            "export the files again"
        )
    return min(numbers, default="")


def _hash(key, identity):
    key = hashlib.sha256(key.encode()).digest()
    return "P" + hashlib.blake2b(identity.encode(), key=key, digest_size=6).hexdigest()


def _read(opened, name):
    """A file that cannot be read up to these tags says nothing: nor can its pictures be, so it tears no patient apart."""
    try:
        with quiet(), opened(name) as file:
            return _tags(file)
    except Exception:  # said in one sentence when the file is read
        return _Said()


def _tags(file):
    """What stands before the pixels is read as far as it goes: scanners put private tags of any length there."""
    read_preamble(file, False)
    syntax = read_dataset(file, False, True, stop_when=lambda tag, vr, length: tag.group != 2).get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:  # would be inflated as a whole, and is not read anyway
        return _Said()
    file.seek(0)
    wanted = [_PERSON, _ISSUER, _INSTANCE, _STUDY]
    tags = read_partial(file, stop_when=lambda tag, vr, length: tag > _STUDY, specific_tags=wanted)
    person, issuer, instance, study = (str(tags[tag].value or "").strip() if tag in tags else "" for tag in wanted)
    return _Said(person and f"{issuer}\0{person}", study, instance)
