"""The files of a data set, below a folder or in a ZIP, under one set of names and with one way to read them.

Nothing is ever unpacked by the names in an archive: a member is read into memory, or into a temporary file of our own.
"""

import hashlib
import os
import re
import shutil
import zipfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

from echogan.errors import BadInput

IN_MEMORY = 2**26  # bytes: no picture and no small table is larger
BOMB = 200  # times its packed size: no recording and no table of numbers shrinks so far
_BLOCK = 2**20
_OUTSIDE = re.compile(r"(^|[\\/])\.\.([\\/]|$)|^[\\/]|^[A-Za-z]:")  # up and away, absolute, of a Windows drive
_ODD = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]|[^\\/]{200}")  # no archiver writes such names, few disks take them
# What zipfile and zlib raise on damaged members; an encrypted one is a RuntimeError.
_DAMAGE = (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, EOFError, OSError, ValueError)


def open_tree(path):
    """The `Folder` or `Archive` at `path`."""
    path = Path(path)
    if path.is_dir():
        return Folder(path)
    if not path.is_file():
        raise BadInput(f"{path} is missing; give a folder or a ZIP")
    return Archive(path)


@dataclass(frozen=True)
class Folder:
    """A folder and all below it."""

    root: Path

    def names(self):
        """Relative names with "/", sorted; hidden ones are left out, links followed, each folder once."""
        found, seen = [], {os.path.realpath(self.root)}
        for folder, below, files in os.walk(self.root, followlinks=True, onerror=_unreadable):
            below[:] = [name for name in sorted(below) if not _hidden([name]) and _is_new(Path(folder, name), seen)]
            found += [path for name in files if not _hidden([name]) and _is_there(path := Path(folder, name))]
        return sorted(path.relative_to(self.root).as_posix() for path in found)

    def path(self, name):
        """What a message calls the file."""
        return self.root / name

    def read(self, name, first=-1):
        """The bytes of a file, or the `first` of them."""
        with self.opened(name) as file:
            if first < 0 and (self.root / name).stat().st_size > IN_MEMORY:
                raise BadInput(_too_large(self.path(name)))
            return file.read(first)

    @contextmanager
    def local(self, name):
        """The path of a file, as long as the context lasts."""
        yield self.root / name

    def digest(self, name):
        """Hash of the bytes of a file."""
        with self.opened(name) as file:
            return _digest(file)

    @contextmanager
    def opened(self, name):
        """The bytes of a file as a stream that can seek."""
        try:
            with open(self.root / name, "rb") as file:
                yield file
        except OSError as error:
            raise BadInput(f"{self.path(name)} cannot be read ({error.strerror or error}); restore it") from error


@dataclass(frozen=True)
class Archive:
    """A ZIP; a folder that holds all of its files, as archivers make one, does not count as part of their names."""

    root: Path

    def names(self):
        """Relative names with "/", sorted; hidden files are left out."""
        return sorted(_members(self.root))

    def path(self, name):
        """What a message calls the member."""
        return f"{self.root}:{name}"

    def read(self, name, first=-1):
        """The bytes of a member, or the `first` of them; larger ones than `IN_MEMORY` are refused."""
        with self.opened(name) as file:
            if first < 0 and _members(self.root)[name].file_size > IN_MEMORY:
                raise BadInput(_too_large(self.path(name)))
            return file.read(first)

    @contextmanager
    def local(self, name):
        """A copy of a member in a temporary folder, for as long as the context lasts."""
        with TemporaryDirectory() as scratch:
            path = Path(scratch) / Path(name).name
            with self.opened(name) as member, open(path, "wb") as file:
                shutil.copyfileobj(member, file, _BLOCK)
            yield path

    def digest(self, name):
        """Hash of the unpacked bytes of a member."""
        with self.opened(name) as file:
            return _digest(file)

    @contextmanager
    def opened(self, name):
        """The unpacked bytes of a member as a stream that can seek."""
        info = _members(self.root)[name]
        if info.file_size > max(IN_MEMORY, BOMB * info.compress_size):
            raise BadInput(f"{self.path(name)} would unpack to {info.file_size / 1e9:.1f} GB; remove it from the ZIP")
        try:
            with _opened(self.root).open(info) as file:
                yield file
        except _DAMAGE as error:
            why = type(error).__name__  # its words would repeat the name, which may be a person's
            raise BadInput(f"{self.path(name)} cannot be unpacked ({why}); download the ZIP again") from error


# A process reads the directory of 10,000 members once, not once for every video: until another file takes the name.
def _opened(path):
    return _open_once(path, _state(path))


def _members(path):
    """name -> its entry, below the one folder that may hold them all."""
    return _members_once(path, _state(path))


def _state(path):
    try:
        state = Path(path).stat()
    except OSError as error:
        raise BadInput(f"{path} cannot be read ({error.strerror or error}); restore it") from error
    return state.st_size, state.st_mtime_ns


@lru_cache(maxsize=2)
def _open_once(path, _):
    try:
        return zipfile.ZipFile(path)
    except _DAMAGE as error:
        raise BadInput(f"{path} is not a readable ZIP ({error}); give another, or download it again") from error


@lru_cache(maxsize=2)
def _members_once(path, _):
    entries = [info for info in _opened(path).infolist() if not info.filename.endswith("/")]
    outside = [info.filename for info in entries if _OUTSIDE.search(info.orig_filename)]
    if outside:
        raise BadInput(f"{path} holds {outside[0]!r}, a name that leads outside of it; do not trust this ZIP")
    odd = [i.filename for i in entries if not i.filename or _ODD.search(i.filename) or _ODD.search(i.orig_filename)]
    if odd:
        raise BadInput(
            f"{path} holds {odd[0][:40]!r}, a name that is empty, too long or has control characters; pack it again"
        )
    kept = {info.filename.replace("\\", "/"): info for info in entries}
    if len(kept) < len(entries):
        names = [info.filename for info in entries]
        twice = next(name for name in names if names.count(name) > 1)
        raise BadInput(f"{path} holds {twice!r} twice; pack it again with every name once")
    kept = {name: info for name, info in kept.items() if not _hidden(name.split("/"))}
    tops = {name.split("/")[0] + "/" for name in kept}
    top = tops.pop() if len(tops) == 1 and all("/" in name for name in kept) else ""
    return {name.removeprefix(top): info for name, info in kept.items()}


def _unreadable(error):
    raise BadInput(f"{error.filename} cannot be read ({error.strerror}); make it readable, or remove it") from error


def _is_new(folder, seen):
    """Whether the walk has not been in this folder, by this name or through a link."""
    real = os.path.realpath(folder)
    new = real not in seen
    seen.add(real)
    return new


def _is_there(path):
    """Whether this is a file; a link to one that is gone is an error, as what it stands for would be missed silently."""
    if path.is_symlink() and not path.exists():
        raise BadInput(f"{path} is a link to a file that is not there; fetch that file, or remove the link")
    return path.is_file()


def _hidden(parts):
    return any(part.startswith(".") or part == "__MACOSX" for part in parts)


def _digest(file):
    hashed = hashlib.sha256()
    while block := file.read(_BLOCK):
        hashed.update(block)
    return hashed.hexdigest()[:32]


def _too_large(path):
    return f"{path} has more than {IN_MEMORY >> 20} MiB, too many for a picture or a table; remove it"
