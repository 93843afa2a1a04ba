"""One call from frames to the ZIP that takes them to another machine, for notebooks."""

from pathlib import Path

from echogan.config import folder, on_drive
from echogan.data.tree import Archive
from echogan.errors import BadInput
from echogan.preprocessing.archive import holds_frames, pack, tables_of
from echogan.preprocessing.prepared import refuse_unmounted


def prepare_archive(frames, archive=""):
    """(the ZIP with `frames`, whether it was written now); one that is there is kept, and refused where it holds other frames.

    archive: a path that ends in .zip; "" is a name after the content, beside the runs where these are on Google Drive, else
    in the data folder.
    """
    path = Path(archive) if str(archive).strip() else _place() / f"echogan_frames_{frames.fingerprint()}.zip"
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file in it, such as {path / 'frames.zip'}")
    if path.suffix.lower() != ".zip":
        raise BadInput(f"{path} must end in .zip, or no other notebook knows it for an archive")
    refuse_unmounted(path)
    if not path.exists():
        pack(frames, path)
        return path, True
    if not _holds(path, frames):
        raise BadInput(f"{path} holds something else and is left as it is; choose another name")
    return path, False


def _place():
    runs = folder("experiments")
    return runs.parent if on_drive(runs) else folder("data")


def _holds(path, frames):
    if not holds_frames(path):
        return False
    packed, tables = Archive(path), tables_of(frames)
    return set(tables) <= set(packed.names()) and all(packed.read(name) == tables[name] for name in tables)
