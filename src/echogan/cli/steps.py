"""Commands one after the other, each in a process of its own where its files are lacking; a failure stops nothing else."""

import ctypes
import hashlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from echogan.config import shown
from echogan.errors import BadInput
from echogan.files import disk_errors, read_json


@dataclass(frozen=True)
class Step:
    """One command of the package, and how its own files tell that it is done."""

    name: str
    words: tuple  # of the command line
    done: Callable[[], bool]
    needs: tuple = ()  # files that steps before it make
    experiments: Path | None = None  # where its runs lie, if not with those of the study
    lock: Path | None = None  # held meanwhile, where a study beside this one may come to the same step
    clear: Callable[[], None] | None = None  # removes what it made before, of what has changed since


def fresh(made, *needs):
    """Whether file `made` is there and no older than the files it is made of."""
    return made.is_file() and all(made.stat().st_mtime >= need.stat().st_mtime for need in needs if need.is_file())


def drawn_by(weights, manifest):
    """Whether a manifest of generated images names a file of weights by its content."""
    if not (manifest.is_file() and weights.is_file()):
        return False
    return read_json(manifest).get("weights_sha256") == hashlib.sha256(weights.read_bytes()).hexdigest()


def take(steps, logs, environment, tell):
    """Run what is not done yet; returns {name of a step that failed or could not begin: why}.

    What a step says goes to `logs`/<name>.log. `tell(step, state, seconds)` hears of every step that was not done before.
    """
    failed = {}
    for step in steps:
        if step.done():
            continue
        began = time.monotonic()
        reason = _lacking(step) or _alone(step, logs, environment, tell)
        if reason:
            failed[step.name] = reason
        tell(step, f"failed: {reason}" if reason else "done", time.monotonic() - began)
    return failed


def _lacking(step):
    lacking = [str(shown(need)) for need in step.needs if not need.is_file()]
    return f"{', '.join(lacking)} is missing, which an earlier step makes" if lacking else ""


def _alone(step, logs, environment, tell):
    """Why the command failed, where no study beside this one has done the step meanwhile; else empty."""
    try:
        with _held(step, tell) if step.lock else nullcontext():
            if step.lock and step.done():
                return ""
            if step.clear:
                step.clear()
            return _run(step, logs, environment)
    except BadInput as error:
        return str(error)


def _held(step, tell):
    """The lock of a step, held until the context that this returns ends; waits for a study that holds it."""
    with disk_errors(step.lock):
        step.lock.parent.mkdir(parents=True, exist_ok=True)
        try:
            return FileLock(step.lock).acquire(timeout=0)
        except Timeout:
            tell(step, "waits for a study beside this one", 0)
            return FileLock(step.lock).acquire()


def _run(step, logs, environment):
    """Why the command failed; empty where it did not."""
    logs.mkdir(parents=True, exist_ok=True)
    log = logs / f"{step.name.replace('/', '_').replace(' ', '_')}.log"
    command = [sys.executable, "-m", "echogan.cli", *map(str, step.words)]
    if step.experiments:
        environment = {**environment, "ECHOGAN_EXPERIMENTS": str(step.experiments)}
    with open(log, "w", encoding="utf-8") as file:
        code = subprocess.run(command, stdout=file, stderr=file, env=environment, preexec_fn=_LINUX, check=False)
    if code.returncode == 0:
        return ""
    if code.returncode < 0:
        return f"ended by {signal.Signals(-code.returncode).name}; {shown(log)} has its last words"
    return _said(log) or f"exit code {code.returncode}; see {shown(log)}"


def _said(log: Path):
    """The sentence a command ended with."""
    lines = [line for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1].strip().removeprefix("echogan: ") if lines else ""


def _end_with_parent():
    """Linux: a study killed by force leaves no command behind that would write beside the next one's."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


_LINUX = _end_with_parent if sys.platform == "linux" else None
