"""Kill -9 anywhere, give the same command, get the unbroken run: with real processes and real signals."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from echogan.config import RunFolder
from echogan.data.frames import save_index
from echogan.data.images import write_png
from tests.engine.test_fit import left_behind

TINY = ("--set", "resolution=32", "width=4", "critic_width=4", "ema_kimg=0.1")


def start(frames, experiments):
    command = [
        sys.executable,
        "-m",
        "echogan.cli",
        "train",
        "wgan",
        "demo",
        "--data",
        str(frames),
        "--kimg",
        "12",
        *TINY,
    ]
    environment = {**os.environ, "ECHOGAN_EXPERIMENTS": str(experiments)}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_killed_three_times_equals_unbroken(frames, tmp_path):
    folder = tmp_path / "frames"
    for name, image in zip(frames.index["file"], frames.images):
        write_png(folder / "images" / name, image)
    save_index(folder, frames.index, frames.manifest)
    whole = start(folder, tmp_path / "whole")
    assert whole.wait() == 0, whole.stderr.read()
    killed = 0
    for attempt in range(30):
        process = start(folder, tmp_path / "killed")
        run = RunFolder.of("wgan", "demo", tmp_path / "killed")
        while process.poll() is None and not run.losses.is_file():
            time.sleep(0.05)
        if attempt < 3:
            time.sleep(random.Random(attempt).uniform(0.1, 3))
            process.send_signal(signal.SIGKILL)
        if process.wait() == 0:
            break
        killed += process.returncode == -signal.SIGKILL
    assert killed >= 2
    assert left_behind(run) == left_behind(RunFolder.of("wgan", "demo", tmp_path / "whole"))
