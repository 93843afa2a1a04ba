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
    """The folder for what is made of `source`: another one of the same name, or the same one changed, gets another."""
    path = Path(source).resolve()
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file() and file.name[0] != "."]
    states = [file.stat() for file in files]
    newest = int(max((state.st_mtime for state in states), default=0))  # disks differ in fractions of a second
    marks = [path.as_posix(), len(files), sum(state.st_size for state in states), newest]
    return folder("data") / f"{path.stem}_{hashlib.sha256(repr(marks).encode()).hexdigest()[:8]}"


def sized(folder, size):
    """The folder beside `folder` for its frames at `size` pixels."""
    return folder.with_name(f"{folder.name}_{size}px")


def read(folder, tell):
    """The frames of `folder`; `tell(step, done, total)` says which they are."""
    frames = load_frames(folder)
    tell(f"frames of {shown(folder)}", len(frames), len(frames))
    return frames
