"""Many runs: one subprocess per free device, or one job each on a cluster. Killed and started again, a sweep goes on.

Nothing is remembered here: what is done, running or left is read from the runs' own folders, and every job is the same
`echogan train` that a person would type, so a sweep can be mixed with single runs.
"""

import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import torch

from echogan.config import RunFolder, Settings
from echogan.data.frames import load_frames
from echogan.engine import checkpoint
from echogan.engine.launch import pick_device, visible
from echogan.engine.lock import held
from echogan.engine.recorder import read_rows
from echogan.errors import BadInput, at_least
from echogan.files import disk_errors


@dataclass
class Job:
    """One run of a sweep, and what has become of it."""

    name: str  # <arch>/<run>
    run: RunFolder
    words: list  # of the command `echogan train`
    kimg: float  # when done
    data: Path  # folder of frames that it learns from
    how: dict = field(default_factory=dict)  # settings of its training that its words ask for
    resolution: int = 0  # of its images, where its words tell it
    state: str = "waiting"  # waiting | running | elsewhere | done | failed
    tries: int = 0
    reason: str = ""  # why it failed
    device: str = ""
    handle: Any = field(default=None, repr=False)  # of a subprocess or a cluster's job: poll(), log

    @property
    def reached(self):
        """kimg of the last row of its losses.csv."""
        try:
            rows = read_rows(self.run.losses)[1]
        except FileNotFoundError:
            return 0.0
        return float(rows[-1]["kimg"]) if rows else 0.0


def jobs_of(arch, names, data, kimg, seeds=(0,), more=(), experiments=None, how=None, resolution=0):
    """One `Job` per config and seed; the run of another seed than 0 is called <config>_seed<k>.

    `how` are settings by name, such as {"accumulate": 2}; `more` any further words of the command; `resolution` what these
    make of the config's own, 0 where that is not known.
    """
    how, jobs = how or {}, []
    told = [word for key, value in how.items() if value != getattr(Settings, key) for word in (f"--{key}", str(value))]
    for name in names:
        for seed in seeds:
            run = name if seed == 0 else f"{name}_seed{seed}"
            rest = f"--kimg {kimg:g} --seed {seed} --name {run}".split()
            words = ["train", arch, name, "--data", str(data), *rest, *told, *more]
            folder = RunFolder.of(arch, run, experiments)
            jobs.append(Job(f"{arch}/{run}", folder, words, kimg, Path(data), how, resolution))
    return jobs


def sweep(jobs, launch, slots, retries=1, callback=None, interval=1.0):
    """Run all jobs, at most one per slot at a time; what failed is tried again `retries` times.

    `launch(job, slot)` starts one and returns its handle: `poll()` is None while it runs, else its exit code, and `log` is
    the file with what it said. `callback(jobs)` is told at every look. Returns the jobs.
    """
    free = list(slots)
    for job in jobs:
        job.state = "done" if _nothing_left(job) else "waiting"
    while any(job.state in ("waiting", "running", "elsewhere") for job in jobs):
        for job in jobs:
            if job.state == "running" and (code := job.handle.poll()) is not None:
                free.append(job.device)
                _judge(job, code, retries)
            elif job.state == "elsewhere" and not held(job.run):
                job.state = "done" if _nothing_left(job) else "waiting"
        for job in jobs:
            if job.state == "waiting" and free:
                _start(job, launch, free)
        if callback:
            callback(jobs)
        time.sleep(interval)
    return jobs


def _start(job, launch, free):
    if held(job.run):  # of a sweep that was killed, or of a person
        job.state = "elsewhere"
        return
    job.device, job.state, job.tries = free.pop(0), "running", job.tries + 1
    job.handle = launch(job, job.device)


def _judge(job, code, retries):
    if code == 0:
        job.state = "done"
        return
    job.reason = _last_line(job.handle.log) or f"exit code {code}"
    job.state = "waiting" if job.tries <= retries else "failed"


def finished(job):
    """Whether a job's run has reached its kimg, can go on from there, and learnt from the job's frames at its resolution.

    Its last row does not tell: a run may have been killed, or have diverged, between that row and the weights of its moment.
    """
    return checkpoint.reached(job.run.last) >= job.kimg * (1 - 1e-6) and _learnt_so(job)


def _learnt_so(job):
    """Whether a job's run is of the job's frames and resolution; else `echogan train` refuses it by name."""
    try:
        had = job.run.read()
        same = not job.resolution or had["config"]["resolution"] == job.resolution
        return same and had["data"]["fingerprint"] == _fingerprint(job.data)
    except (BadInput, KeyError):  # its own command says what is wrong with it
        return False


@cache
def _fingerprint(data):
    """Of the frames in a folder, which are read for this once."""
    return load_frames(data).fingerprint()


def _nothing_left(job):
    """Whether a job's run is finished and was trained as the job asks; else `echogan train` goes on, or refuses by name."""
    if not finished(job):
        return False
    had = job.run.read()["settings"]
    return all(had.get(key, value) == value for key, value in job.how.items())


def _last_line(path):
    lines = [
        line.strip() for line in Path(path).read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()
    ]
    return lines[-1] if lines else ""


# ------------------------------------------------------------------------------------------------ launchers


def devices(wanted="auto", beside=1):
    """Slots of this machine: every GPU once, or the CPU `beside` times; never none."""
    at_least(1, beside=beside)
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    pick_device(wanted)
    if wanted == "cuda":
        return [f"cuda:{i}" for i in range(torch.cuda.device_count())]
    return [wanted] * (beside if wanted == "cpu" else 1)


def here(job, slot):
    """A subprocess of this machine that sees its device alone."""
    environment = dict(os.environ)
    if slot.startswith("cuda:"):
        environment["CUDA_VISIBLE_DEVICES"] = visible(int(slot.removeprefix("cuda:")))
    log = _log(job)
    with open(log, "w", encoding="utf-8") as file:
        command = _command([*job.words, "--device", slot.split(":")[0]])
        process = subprocess.Popen(command, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=environment)
    return Local(process, log)


def cluster(folder, kind="slurm", **parameters):
    """A launcher that submits to a Slurm cluster; `parameters` are submitit's (`slurm_partition`, `timeout_min`, ...)."""
    try:
        import submitit
    except ImportError as error:
        raise BadInput(
            "the slurm launcher needs submitit; install it with `uv pip install -c constraints.txt submitit` (uv is "
            ".uv/bin/uv where make installed it)"
        ) from error
    executor = submitit.AutoExecutor(folder=folder, cluster=kind)
    executor.update_parameters(**parameters)

    def launch(job, slot):
        return Submitted(executor.submit(_train, job.words, _log(job)), _log(job))

    return launch


@dataclass
class Local:
    """A subprocess as `sweep` looks at it."""

    process: subprocess.Popen
    log: Path

    def poll(self):
        """None while it runs, else its exit code."""
        return self.process.poll()


@dataclass
class Submitted:
    """A job of a cluster as `sweep` looks at it."""

    job: Any
    log: Path

    def poll(self):
        """None while it waits or runs; 1 when it raised or vanished."""
        if not self.job.done():
            return None
        error = self.job.exception()
        if error is None:
            return self.job.result()
        self.log.write_text(str(error), encoding="utf-8")
        return 1


def _train(words, log):
    with open(log, "w", encoding="utf-8") as file:
        return subprocess.run(_command(words), stdout=file, stderr=file, check=False).returncode


def _command(words):
    return [sys.executable, "-m", "echogan.cli", *words]


def _log(job):
    """The file for what a job says, which can be written."""
    log = job.run.path / "train.log"
    with disk_errors(log):
        log.parent.mkdir(parents=True, exist_ok=True)
        log.touch()
    return log
