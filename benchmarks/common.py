"""What the benchmarks share: a line that says where they measure, targets that can be missed, a word for what was not measured.

A benchmark ends with 0 where every target was met, with 1 where one was missed or something failed, and with 2 where
something was not measured for want of what it compares with.
"""

import platform
import sys

import cv2
import numpy as np
import torch

from echogan.engine.launch import hardware, pick_device
from echogan.errors import BadInput

missed: list = []  # names of targets
lacking: list = []  # what was not measured, and why


def header(device="cpu"):
    """Say what measures: ratios hold for one machine and one set of versions."""
    versions = {"Python": platform.python_version(), "torch": torch.__version__}
    versions |= {"OpenCV": cv2.__version__, "NumPy": np.__version__}
    print(", ".join([hardware(pick_device(device)), *(" ".join(pair) for pair in versions.items())]), flush=True)


def target(name, value, least=None, most=None):
    """Print a value beside what is wanted of it, at `least` or at `most`; a miss is remembered."""
    wanted, met = (f"at least {least:g}", value >= least) if most is None else (f"at most {most:g}", value <= most)
    print(f"{name:44} {value:8.3f}   (wanted: {wanted}{'' if met else ', MISSED'})", flush=True)
    if not met:  # nor is what is no number
        missed.append(name)


def not_measured(why):
    """Say what a measurement lacks, and the command that makes it."""
    lacking.append(why)
    print(f"not measured: {why}", flush=True)


def conclude(main):
    """Run a benchmark to its exit code. A `BadInput` says what it cannot go on without."""
    try:
        main()
    except BadInput as error:
        not_measured(error)
    if missed:
        sys.exit(f"missed: {'; '.join(missed)}")
    sys.exit(2 if lacking else 0)
