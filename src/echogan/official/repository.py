"""The official StyleGAN2-ADA that a user has cloned: which one it is, and its scripts run from here."""

import hashlib
import importlib.util
import json
import os
import subprocess
import sys
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from echogan.config import home, installing, shown
from echogan.engine.launch import ENVIRONMENT, visible
from echogan.errors import BadInput
from echogan.official.launcher import SETTINGS

FOLDER = "stylegan2-ada-pytorch"
LAUNCHER = Path(__file__).with_name("launcher.py")
LAST = 4  # lines of a failure that are shown


@dataclass(frozen=True)
class Flavour:
    """One version of the code that was tried."""

    name: str
    address: str
    commit: str
    train: str  # sha256 of its train.py, by which a clone or an unpacked ZIP is known
    cfg: str  # of its table: 32,768 / resolution channels, 8 mapping layers, learning rate 0.002, no ramp-up
    lrate: bool  # whether the learning rate can be chosen
    needs: tuple = ("click", "requests", "psutil")  # packages beside ours


KNOWN = (
    Flavour(
        "NVlabs",
        "https://github.com/NVlabs/stylegan2-ada-pytorch",
        "d72cc7d041b42ec8e806021a205ed9349f87c6a4",
        "269f2073481ab269560ff76d4a866ac98656a494884c3ad0edcf8cc99d9e4c24",
        cfg="stylegan2",
        lrate=False,
    ),
    Flavour(
        "dvschultz",
        "https://github.com/dvschultz/stylegan2-ada-pytorch",
        "0e2caab039ca76650da7030990573086584f94cc",
        "5aaf426ed8fe3e23067448ebc1b2486991937ab36e074577a70b43102aecb0f9",
        cfg="11gb-gpu",
        lrate=True,
        needs=("click", "requests", "psutil", "opensimplex"),
    ),
)


@dataclass(frozen=True)
class Repository:
    """A clone: its folder, and what it is a clone of."""

    path: Path
    flavour: Flavour


def find_repository(path=None):
    """The `Repository` at `path`, by default external/stylegan2-ada-pytorch; a `BadInput` says how to clone it."""
    path = Path(path or home() / "external" / FOLDER)
    script = path / "train.py"
    if not script.is_file():
        raise BadInput(
            f"{path} has no train.py: clone the official code first, `git clone {KNOWN[0].address} {shown(path)}` "
            f"(or the fork of the original study, {KNOWN[1].address})"
        )
    text = script.read_bytes().replace(b"\r\n", b"\n")
    digest = hashlib.sha256(text).hexdigest()
    for flavour in KNOWN:
        if digest == flavour.train:
            _refuse_lacking(flavour)
            return Repository(path.resolve(), flavour)
    tried = " or ".join(f"{f.commit[:7]} of {f.name}" for f in KNOWN)
    raise BadInput(f"{path} is a version of the official code that was never tried; check out {tried}, unchanged")


def _refuse_lacking(flavour):
    lacking = [name for name in flavour.needs if importlib.util.find_spec(name) is None]
    if lacking:
        raise BadInput(f"the {flavour.name} code needs {', '.join(lacking)}: `{installing(' '.join(lacking))}`")


def run_script(repository, words, log, device, each_line=lambda line: None, settings=None):
    """Run `words` (script and arguments) of the clone to its end; its output goes to `log` and, line by line, onward.

    `settings` are arguments of its training loop that take the place of its own. A script that fails is a `BadInput`
    with its last lines; the log stays.
    """
    last = deque(maxlen=LAST)
    process = _started(repository, words, device, settings)
    try:
        with open(log, "w", encoding="utf-8") as kept:
            for line in process.stdout or ():
                kept.write(line)
                kept.flush()
                last.extend(filter(None, [line.strip()]))
                each_line(line.rstrip("\n"))
        code = process.wait()
    finally:
        _stop(process)
    if code:
        raise BadInput(
            f"{words[0]} of the official code ({repository.flavour.name}) failed in itself: {' / '.join(last)}; its whole "
            f"log is {shown(log)}"
        )


def _started(repository, words, device, settings):
    environment = {"PYTHONUNBUFFERED": "1", **os.environ, SETTINGS: json.dumps(settings or {})}
    if device.type == "cpu":
        environment = {**ENVIRONMENT, **environment, "CUDA_VISIBLE_DEVICES": ""}
    elif device.index is not None:  # the official code takes the first GPUs that it sees
        environment["CUDA_VISIBLE_DEVICES"] = visible(device.index)
    command = [sys.executable, str(LAUNCHER), *map(str, words)]
    return subprocess.Popen(
        command,
        cwd=repository.path,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
        errors="replace",
    )


def _stop(process):
    """End a script that is still running: we were interrupted, or failed ourselves."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    if process.stdout:
        process.stdout.close()
