"""The lock of a run: two programs must not write one folder. The system frees it however a program ends."""

from contextlib import contextmanager

from filelock import FileLock, Timeout

from echogan.engine.parallel import rank
from echogan.errors import BadInput


@contextmanager
def alone(folder, remedy="wait for it, or train under another name"):
    """Hold the lock of a `RunFolder`; a `BadInput` ending in `remedy` where another program does."""
    if rank():
        yield
        return
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(folder.path / ".lock", timeout=0):
            yield
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
    try:
        with FileLock(folder.path / ".lock", timeout=0):
            return False
    except Timeout:
        return True
