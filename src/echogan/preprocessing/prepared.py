"""What the `prepare` functions share: the path that a user names, and the folder in which its frames are kept."""

import hashlib
import os
from pathlib import Path

from echogan.config import DRIVE, folder, home, on_drive, shown
from echogan.data.frames import load_frames
from echogan.errors import BadInput


def found(data, wanted):
    """The path that `data` names; a `BadInput` where it names none (else it would be the current folder) or nothing is there.

    A relative path counts from the current folder, then from the project's: a notebook runs in training/, and whoever made
    frames on the command line did so one folder above.
    """
    if not str(data).strip():
        raise BadInput('data is empty; write "phantom" or a path')
    path = Path(os.path.expanduser(data))
    refuse_unmounted(path)
    places = dict.fromkeys([path.absolute(), home() / path])  # one where they are the same
    for place in places:
        if place.exists():
            return place
    raise BadInput(f'{" or ".join(map(str, places))} does not exist; use "phantom", {wanted}')


def refuse_unmounted(path):
    """A `BadInput` for a path on Google Drive while that is not there."""
    if on_drive(path) and not (DRIVE / "MyDrive").is_dir():
        raise BadInput(f"{path} is on Google Drive, which is not mounted; tick use_drive and run that cell")


def kept(source):
    """The folder for what is made of `source`: another one of the same name, or the same one changed, gets another.

    A folder has changed where files came or went: to ask each of ten thousand on Google Drive for its size takes minutes.
    """
    path = Path(source).resolve()
    state = path.stat()
    # Disks differ in fractions of a second.
    changed = [state.st_size, int(state.st_mtime)] if path.is_file() else sorted(_names(path))
    marks = [path.as_posix(), *changed]
    return folder("data") / f"{path.stem}_{hashlib.sha256(repr(marks).encode()).hexdigest()[:8]}"


def _names(path):
    """The files of a folder, but hidden ones and what was prepared of it."""
    for place, folders, files in os.walk(path):
        here = Path(place)
        folders[:] = [name for name in folders if name[0] != "." and here / name != folder("data").resolve()]
        yield from ((here / name).relative_to(path).as_posix() for name in files if name[0] != ".")


def sized(folder, size):
    """The folder beside `folder` for its frames at `size` pixels."""
    return folder.with_name(f"{folder.name}_{size}px")


def read(folder, tell):
    """The frames of `folder`; `tell(step, done, total)` says which they are."""
    frames = load_frames(folder)
    tell(f"frames of {shown(folder)}", len(frames), len(frames))
    return frames
