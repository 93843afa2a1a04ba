"""The lock of a run: two programs must not write one folder. The system frees it however a program ends."""

from contextlib import contextmanager

from filelock import FileLock, Timeout

from echogan.engine.parallel import rank
from echogan.errors import BadInput
from echogan.files import disk_errors


@contextmanager
def alone(folder, remedy="wait for it, or train under another name"):
    """Hold the lock of a `RunFolder`; a `BadInput` ending in `remedy` where another program does."""
    if rank():
        yield
        return
    with _taken(folder, remedy):
        yield


def _taken(folder, remedy):
    """The lock, held until the context that this returns ends."""
    with disk_errors(folder.path):
        folder.path.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(folder.path / ".lock").acquire(timeout=0)
        except Timeout as error:
            raise BadInput(f"{folder.path} is being trained by another program; {remedy}") from error


def kept_in(folder):
    """Hold the lock of a run to add a row to its tables: training holds them in memory, and would write without the row."""
    return alone(folder, "wait until it is done, or leave --keep out")


def refuse_trained(folder):
    """A `BadInput` where a run is being trained: `kept_in` would say so after the work."""
    with kept_in(folder):
        pass


def held(folder):
    """Whether a program holds the lock of a `RunFolder`."""
    if not folder.path.is_dir():
        return False
    with disk_errors(folder.path):
        try:
            with FileLock(folder.path / ".lock", timeout=0):
                return False
        except Timeout:
            return True
