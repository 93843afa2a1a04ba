"""Command that trains many configs."""

import sys
from pathlib import Path
from typing import Literal

from echogan.cli.app import Arch, Device, Precision, Set, command
from echogan.config import Settings, folder, shown
from echogan.errors import BadInput


@command
def sweep(
    arch: Arch,
    data: Path,
    configs: tuple[str, ...] = (),
    kimg: float = Settings.kimg,
    seeds: tuple[int, ...] = (0,),
    device: Device = "auto",
    precision: Precision = "auto",
    accumulate: int = Settings.accumulate,
    beside: int = 1,
    small: bool = False,
    segmenter: str = "",
    launcher: Literal["local", "slurm"] = "local",
    slurm: Set = (),
    retries: int = 1,
):
    """Train all configs of an architecture, one per free device or cluster job; the same command goes on where it stopped.

    Args:
        arch: architecture, e.g. wgan.
        data: folder of frames that `echogan extract` made.
        configs: names in its table; default all, but without a segmenter those that weigh what one says.
        kimg: thousands of real images to show each.
        seeds: each config once per seed; the run of another seed than 0 is called <config>_seed<k>.
        device: auto = every GPU, one run each, else the CPU.
        precision: as of `echogan train`, of every run; one that began with another is refused by name.
        accumulate: parts of a batch computed one after the other, where memory is short; likewise.
        beside: runs beside each other on a CPU.
        small: the configs' size for CPUs.
        segmenter: run of `echogan segmenter`, for configs that weigh what a segmenter says.
        launcher: local = subprocesses of this machine; slurm = jobs of a cluster (needs submitit).
        slurm: of submitit, key=value, e.g. slurm_partition=gpu timeout_min=600 gpus_per_node=1.
        retries: how often a run that failed is tried again.
    """
    from echogan.engine import sweep as engine
    from echogan.engine.sampling import find_weights

    if segmenter:
        find_weights(segmenter)
    names, more = configs or _trainable(arch, segmenter), ["--small"] if small else []
    told = {name: ["--segmenter", segmenter] if _weighs(arch, name) and segmenter else [] for name in names}
    how, place = {"precision": precision, "accumulate": accumulate}, data.resolve()
    jobs = []
    for n in names:
        size = _resolution(arch, n, small)
        jobs += engine.jobs_of(arch, [n], place, kimg, seeds, more + told[n], how=how, resolution=size)
    if launcher == "local":
        slots, launch = engine.devices(device, beside), engine.here
    else:
        parameters = {key: text for key, _, text in (pair.partition("=") for pair in slurm)}
        launch = engine.cluster(folder("experiments") / ".slurm", **_numbers(parameters))
        slots = [str(i) for i in range(len(jobs))]  # the cluster queues
    done = engine.sweep(jobs, launch, slots, retries, callback=Status())
    failed = [job for job in done if job.state == "failed"]
    print(
        f"{len(done) - len(failed)} of {len(done)} runs of {arch} at {kimg:g} kimg in {shown(folder('experiments') / arch)}"
    )
    if failed:
        raise BadInput("; ".join(f"{job.name} failed: {job.reason}" for job in failed))


def _trainable(arch, segmenter):
    """All configs of an architecture; without a segmenter only those that need none, and a sentence on the others."""
    from echogan import models

    names = tuple(models.load(arch).CONFIGS)
    lacking = [] if segmenter else [name for name in names if _weighs(arch, name)]
    if lacking:
        others = "left out, as it weighs what a segmenter says; --segmenter RUN trains it too"
        print(f"echogan: {', '.join(lacking)}: {others}", file=sys.stderr)
    return tuple(name for name in names if name not in lacking)


def _resolution(arch, name, small):
    from echogan import models

    config = models.config_of(arch, name)
    return (config.small() if small else config).resolution


def _weighs(arch, name):
    """Whether a config asks for a segmenter; a wrong name stops here, not in a job."""
    from echogan import models

    return bool(getattr(models.config_of(arch, name), "segmentation", 0))


def _numbers(parameters):
    return {key: int(text) if text.isdigit() else text for key, text in parameters.items()}


class Status:
    """One table on stderr: rewritten in place on a terminal, elsewhere one line per change of state."""

    def __init__(self):
        self.lines = []

    def __call__(self, jobs):
        terminal, before = sys.stderr.isatty(), self.lines
        reached = [f"{job.reached:8.1f} of {job.kimg:g} kimg" if terminal else "" for job in jobs]
        self.lines = [f"  {job.name:32} {job.state:9} {far}".rstrip() for job, far in zip(jobs, reached)]
        if terminal and before:
            print(f"\033[{len(before)}F\033[J", end="", file=sys.stderr)
        new = self.lines if terminal else [line for line in self.lines if line not in before]
        if new:
            print("\n".join(new), file=sys.stderr)
