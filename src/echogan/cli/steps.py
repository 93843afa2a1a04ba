"""Commands one after the other, each in a process of its own where its files are lacking; a failure stops nothing else."""

import ctypes
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from echogan.config import shown


@dataclass(frozen=True)
class Step:
    """One command of the package, and how its own files tell that it is done."""

    name: str
    words: tuple  # of the command line
    done: Callable[[], bool]
    needs: tuple = ()  # files that steps before it make
    experiments: Path | None = None  # where its runs lie, if not with those of the study


def fresh(made, *needs):
    """Whether file `made` is there and no older than the files it is made of."""
    return made.is_file() and all(made.stat().st_mtime >= need.stat().st_mtime for need in needs if need.is_file())


def take(steps, logs, environment, tell):
    """Run what is not done yet; returns {name of a step that failed or could not begin: why}.

    What a step says goes to `logs`/<name>.log. `tell(step, state, seconds)` hears of every step that was not done before.
    """
    failed = {}
    for step in steps:
        if step.done():
            continue
        began = time.monotonic()
        reason = _lacking(step) or _run(step, logs, environment)
        if reason:
            failed[step.name] = reason
        tell(step, f"failed: {reason}" if reason else "done", time.monotonic() - began)
    return failed


def _lacking(step):
    lacking = [str(shown(need)) for need in step.needs if not need.is_file()]
    return f"{', '.join(lacking)} is missing, which an earlier step makes" if lacking else ""


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
