"""Files are written whole or not at all: a temporary name beside the target, then one rename."""

import json
import os
import shutil
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from zipfile import ZipFile, ZipInfo

from echogan.errors import BadInput, CannotWrite

FILES = (".gif", ".mp4", ".avi", ".jpg", ".jpeg", ".npz", ".npy", ".tar", ".gz")  # endings that no folder of images has


@contextmanager
def atomic(path):
    """Yield a temporary path in the folder of `path`; on success it is flushed to disk and becomes `path`.

    An exception (a full disk, an interrupt) leaves the old `path` as it was and nothing beside it.
    """
    path = Path(path)
    check_file(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial{path.suffix}")
    try:
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            with open(temporary, "rb+") as written:  # Windows flushes what is open for writing only
                os.fsync(written.fileno())
            os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def remove_leftovers(folder):
    """Remove what killed programs left half written in a folder that nobody else writes to."""
    for path in Path(folder).glob(".*.partial*"):
        path.unlink(missing_ok=True)


@contextmanager
def atomic_folder(path):
    """Yield an empty temporary folder that becomes `path` on success and vanishes on failure."""
    path = Path(path)
    check_new(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.partial")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        with disk_errors(path):
            temporary.mkdir(parents=True)
            yield temporary
            if path.exists():
                path.rmdir()  # empty, as seen above; whatever came since is not ours to remove
            os.replace(temporary, path)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_images_out(path, files=(".png", ".zip")):
    """A `BadInput` unless one file, where `path` ends like one of `files`, or else a new folder can become `path`."""
    path = Path(path)
    if path.suffix in (".png", ".zip", *FILES) and path.suffix not in files:
        raise BadInput(
            f"{path} would be a folder with the name of a file; name a folder or a file that ends in {' or '.join(files)}"
        )
    (check_file if path.suffix in files else check_new)(path)


@contextmanager
def folder_or_zip(path):
    """Yield an empty temporary folder that becomes `path`; where that ends in .zip, its files are packed there instead."""
    path = Path(path)
    if path.suffix != ".zip":
        with atomic_folder(path) as folder:
            yield folder
        return
    with atomic(path) as temporary, TemporaryDirectory(dir=path.parent, prefix=f".{path.name}.") as folder:
        yield Path(folder)
        with ZipFile(temporary, "w") as packed:
            for file in sorted(Path(folder).iterdir()):
                packed.writestr(ZipInfo(file.name), file.read_bytes())  # without its time: equal calls, equal bytes


def check_file(path):
    """A `BadInput` where a file cannot become `path`."""
    if path.is_dir():
        raise BadInput(f"{path} is a folder; name a file in it")
    _check_parents(path)


def check_new(path):
    """A `BadInput` unless a folder can become `path` by one rename, which work of hours may end with."""
    _check_parents(path)
    if path.is_symlink():
        raise BadInput(f"{path} is a link, which no folder can replace; give a new folder below the one it leads to")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise BadInput(f"{path} exists and is not empty; choose another folder or remove it first")
    if path.exists() and (os.path.ismount(path) or os.path.samefile(path, os.curdir)):
        raise BadInput(f"{path} is the current folder or a disk, which no folder can replace; give a new folder in it")


def _check_parents(path):
    there = next((parent for parent in path.absolute().parents if parent.exists()), None)
    if there is not None and not there.is_dir():
        raise BadInput(f"{path} cannot be written, as {there} is a file; choose another folder")


@contextmanager
def disk_errors(path):
    """Turn what the system says of a full or write-protected disk into a `CannotWrite` that names `path`."""
    try:
        yield
    except OSError as error:
        raise CannotWrite(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another folder"
        ) from error


def write_text(path, text):
    """Write `text` (UTF-8, lines ending in one character) to `path`, whole or not at all."""
    with atomic(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")


def write_json(path, value):
    """Write `value` as indented JSON with a final newline, whole or not at all."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def read_json(path):
    """The JSON in `path`; a missing or broken file is a `BadInput` that names it."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise BadInput(
            f"{path} is not valid JSON ({error}); restore it or remove its folder and start again"
        ) from error
