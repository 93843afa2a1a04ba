"""Many processes that end when the one that started them does."""

import multiprocessing
import os
import signal
import threading
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager

import cv2

from echogan.data.cores import cores
from echogan.errors import BadInput

# glibc gives the blocks of one recording back to the system and faults them in again for the next, a tenth of the time.
_ALLOCATOR = {"MALLOC_TRIM_THRESHOLD_": "1073741824", "MALLOC_TOP_PAD_": "16777216"}

_REPAY = {"recording": 16, "picture": 1000}  # how many repay starting one more process


def processes(total, unit="recording"):
    """How many processes serve so many recordings, or pictures."""
    return max(1, min(cores(), total // _REPAY[unit]))


@contextmanager
def mapped(workers):
    """`map` over `workers` processes; results come in order, and an error cancels what has not begun."""
    if workers == 1:
        yield map
        return
    # spawn: a forked copy of a process that holds threads (torch, OpenCV) may deadlock.
    context = multiprocessing.get_context("spawn")
    try:
        with _environment(_ALLOCATOR), ProcessPoolExecutor(workers, context, initializer=_start) as pool:
            yield lambda *args: pool.map(*args, chunksize=4)
    except BrokenProcessPool as error:
        reason = "out of memory, or a script without `if __name__ == '__main__':`"
        raise BadInput(f"a worker process died ({reason}); use workers=1, or fewer workers") from error


@contextmanager
def _environment(words):
    """`words` in the environment of processes started meanwhile; what the user has set stays."""
    added = {name: value for name, value in words.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]


def _start():
    """One OpenCV thread per process, an interrupt is the parent's to handle, and none outlives a killed parent."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent():
    parent = multiprocessing.parent_process()
    if parent:
        parent.join()
        os._exit(1)
