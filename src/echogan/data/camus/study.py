"""Which of its layouts a CAMUS data set is in."""

from pathlib import Path

from echogan.data.camus.folders import open_release
from echogan.data.camus.hdf5 import SUFFIXES, open_hdf5
from echogan.data.camus.subset import is_subset, open_subset
from echogan.errors import BadInput

_WANTED = "give an HDF5 file, or the folder of a release"


def open_camus(path):
    """The views at `path`: an HDF5 file, a folder that holds one, a public release or the subset's folder."""
    path = Path(path)
    if path.is_file():
        if path.suffix.lower() not in SUFFIXES:
            remedy = "unpack it and give the folder" if path.suffix.lower() == ".zip" else _WANTED
            raise BadInput(f"{path} is no CAMUS data set; {remedy}")
        return open_hdf5(path)
    if not path.is_dir():
        raise BadInput(f"{path} is missing; give a CAMUS HDF5 file, or the folder of a release")
    if is_subset(path):
        return open_subset(path)
    files = [file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES]
    if len(files) > 1:
        raise BadInput(f"{path} holds {len(files)} HDF5 files; name the one to read")
    return open_hdf5(files[0]) if files else open_release(path)
