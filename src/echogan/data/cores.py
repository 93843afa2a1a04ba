"""How many processes may work at once."""

import os
import sys

from echogan.errors import BadInput

_WINDOWS = 61  # processes that Windows can wait for at once


def cores():
    """Processors that this process may use: a container or a batch job has fewer than the machine."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count, _most())


def check_workers(workers):
    """The number of processes that a user asks for, or None."""
    if workers is not None and not 1 <= workers <= _most():
        most = f", and at most {_WINDOWS} on Windows" if sys.platform == "win32" else ""
        raise BadInput(f"{workers} workers cannot share the work; ask for at least 1{most}")
    return workers


def _most():
    return _WINDOWS if sys.platform == "win32" else sys.maxsize
