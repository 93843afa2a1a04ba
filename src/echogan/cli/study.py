"""The command that runs the whole study: data, every architecture and config, TEST, repeats, privacy, use, figures.

Nothing is remembered: what is done is read from the files that each step leaves, so the same command goes on after any
interruption. A study has folders of its own within experiments/ and results/; those of the reference phantom at the CPU
tier are these folders themselves.
"""

import os
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from echogan.cli.app import command
from echogan.cli.steps import Step, fresh, take
from echogan.config import RunFolder, folder, shown
from echogan.errors import BadInput

REFERENCE = 2000  # patients of the phantom of all evidence
FAKES = 50_000  # of fid50k_full, as which the published 9.17 was measured
SYNTHETIC = 400  # labelled recordings that a SPADE makes for each segmenter of `downstream`


@dataclass(frozen=True)
class Row:
    """One architecture: the frames it learns from, its published setting, thousands of images shown at each tier."""

    arch: str
    data: str
    published: str
    cpu: float
    gpu: float


@dataclass(frozen=True)
class Source:
    """Frames by name: the layout of the phantom that stands in, and the command that prepares it."""

    name: str
    layout: str
    study: str
    prepare: tuple


# fmt: off
ROWS = (
    #    arch             data       published  kimg: cpu   gpu
    Row("wgan",          "frames",  "W1",            40,  1000),
    Row("medgan",        "frames",  "M1",            40,  1000),
    Row("stylegan2_ada", "frames",  "E4",            40,  1000),
    Row("vqgan",         "frames",  "VQ1",           40,   400),
    Row("pix2pix",       "frames",  "P1",            20,   200),
    Row("spade",         "masks",   "S1",            20,   200),
    Row("cyclegan",      "quality", "C1",            10,   100),
)
SOURCES = (
    #       name       phantom       its folder                         made frames by
    Source("frames",  "echonet",    "phantom_{patients}_seed0",         ("extract",)),
    Source("masks",   "camus-hdf5", "phantom_camus_{patients}_seed0",   ("camus", "--size", "128")),
    Source("quality", "quality",    "phantom_quality_{patients}_seed0", ("domains", "--size", "128")),
)
# fmt: on
OTHER_DATA = {("pix2pix", "masks"): "masks", ("pix2pix", "both"): "masks"}  # configs that need more than their row's
SEGMENTERS = {
    ("cyclegan", "segment"): "quality"
}  # configs that weigh what a segmenter says, and the masks it learnt from
PUBLISHED_WAY = ("extract", "--phases", "counted", "--bilateral")  # of the frames that 9.17 was measured on


@dataclass(frozen=True)
class Study:
    """What was asked for, and where it lies."""

    data: str
    camus: str
    tier: str
    only: tuple
    patients: int
    kimg: float | None
    seeds: int
    fakes: int

    @property
    def name(self):
        """Of its folders; empty for the reference phantom at the CPU tier."""
        phantom = "" if self.patients == REFERENCE else f"phantom_{self.patients}"
        return "_".join(filter(None, (Path(self.data).stem or phantom, self.tier * (self.tier != "cpu"))))

    experiments = property(lambda self: folder("experiments").resolve() / self.name)
    results = property(lambda self: folder("results").resolve() / self.name)
    device = property(lambda self: ("--device", "cuda" if self.tier == "gpu" else "cpu"))
    rows = property(lambda self: [row for row in ROWS if self.configs(row)])

    def configs(self, row):
        """Names in the table of an architecture, as far as they were asked for; `demo` is no evidence."""
        from echogan import models

        names = [name for name in models.load(row.arch).CONFIGS if name != "demo"]
        return [name for name in names if not self.only or {row.arch, f"{row.arch}/{name}"} & set(self.only)]

    def run(self, row, name):
        """The folder of a run."""
        return RunFolder.of(row.arch, name, self.experiments)

    def place(self, source):
        """The frames of a source; those of `--data` serve where masks are wanted, if they have them."""
        where = folder("data").resolve()
        if source != "frames" and self.camus:
            return where / f"{Path(self.camus).stem}_{source}_128px"
        if source == "masks" and self.data and (self.place("frames") / "labels.json").is_file():
            return self.place("frames")
        if source == "frames" and self.data:
            given = Path(self.data).resolve()
            return given if (given / "manifest.json").is_file() else where / f"{given.stem}_128px"
        (study,) = [s.study for s in SOURCES if s.name == source]
        return where / f"{study.format(patients=self.patients)}_128px"

    def frames(self, row, config):
        """What a config learns from."""
        return self.place(OTHER_DATA.get((row.arch, config), row.data))


@command
def study(
    data: str = "",
    camus: str = "",
    tier: Literal["cpu", "gpu"] = "cpu",
    only: tuple[str, ...] = (),
    patients: int = REFERENCE,
    kimg: float | None = None,
    seeds: int = 3,
    fakes: int = FAKES,
):
    """Run the whole study: data, every config of every architecture, TEST, repeats, audits, figures. Given again, it goes on.

    What is done is left alone; what fails is named at the end and stops nothing else. Beside each other, one per GPU,
    studies share the work with --only.

    Args:
        data: EchoNet-Dynamic (folder or ZIP), HC18, other recordings, or a folder of frames; default the synthetic phantom.
        camus: CAMUS, for masks and for the two qualities; default phantoms in its layouts.
        tier: cpu = every config at its size for CPUs; gpu = at full size.
        only: architectures or configs, e.g. wgan stylegan2_ada/E4.
        patients: of the phantoms.
        kimg: thousands of real images to show to each run; default what the architecture's row says.
        seeds: of each architecture's best (by VAL) and of its published setting.
        fakes: images of the FID as it was published, against all frames of EchoNet-Dynamic.
    """
    plan = Study(data, camus, tier, only, patients, kimg, seeds, fakes)
    check(plan)
    environment = {**os.environ, "ECHOGAN_EXPERIMENTS": str(plan.experiments), "ECHOGAN_RESULTS": str(plan.results)}
    failed = {}
    for part in PARTS:  # each looks at what those before it left
        failed |= take(part(plan), plan.experiments / ".study", environment, _tell)
    for name, reason in failed.items():
        print(f"echogan: {name}: {reason}", file=sys.stderr)
    trained = sum(
        run.weights("best").is_file() for row in plan.rows for run in [*map(partial(plan.run, row), plan.configs(row))]
    )
    print(
        f"{trained} configs of {len(plan.rows)} architectures in {shown(plan.experiments)}, report in {shown(plan.results)}"
    )
    if failed:
        raise BadInput(f"{len(failed)} steps failed, named above; the same command tries them again")


def check(plan):
    """A `BadInput` for a word of --only that names nothing, or data that are not there."""
    from echogan import models

    for word in plan.only:
        arch, _, config = word.partition("/")
        models.config_of(arch, config) if config else models.load(arch)
    for path in filter(None, (plan.data, plan.camus)):
        if not Path(path).exists():
            raise BadInput(f"{path} does not exist; give recordings or frames, or leave it out for the phantom")


def _tell(step, state, seconds):
    print(f"{step.name}: {state} ({seconds:.0f} s)", file=sys.stderr, flush=True)


# ------------------------------------------------------------------------------------------------ data


def wanted(plan):
    """Names of the sources that the configs asked for learn from."""
    return {OTHER_DATA.get((row.arch, name), row.data) for row in plan.rows for name in plan.configs(row)}


def recordings(plan):
    """`--data`, or the phantom in its place."""
    if "frames" not in wanted(plan) and not plan.data:
        return []
    return prepared(plan, SOURCES[0], plan.data)


def siblings(plan):
    """Frames with masks, and of two qualities."""
    steps = []
    for source in SOURCES[1:]:
        if source.name in wanted(plan) and plan.place(source.name) != plan.place("frames"):
            steps += prepared(plan, source, plan.camus)
    return steps


def prepared(plan, source, given):
    """Steps to the frames of a source: its phantom where no data are given, then what prepares them."""
    frames, prepare, steps = plan.place(source.name), source.prepare, []
    ready = (frames / "manifest.json").is_file
    origin = Path(given).resolve() if given else frames.with_name(frames.name.removesuffix("_128px"))
    if not given:
        words = ("phantom", origin, "--layout", source.layout, "--patients", plan.patients)
        steps.append(Step(f"phantom {source.name}", words, lambda: ready() or (origin / "phantom.json").is_file()))
    elif source.name == "quality":
        prepare = ("camus", "--size", "128", "--low", "Poor")
    words = (prepare[0], origin, frames, *prepare[1:])
    return [*steps, Step(f"prepare {source.name}", words, ready)]


# ------------------------------------------------------------------------------------------------ training, TEST


def configs(plan):
    """Every config once, judged as soon as it is trained."""
    for row in plan.rows:
        for name in plan.configs(row):
            yield from trained(plan, row, name)
            yield from judged(plan, row, name, plan.frames(row, name))


def repeats(plan):
    """More seeds of what counts most."""
    for row in plan.rows:
        for name in chosen(plan, row):
            for seed in range(1, plan.seeds):
                yield from trained(plan, row, name, seed)
                yield from judged(plan, row, f"{name}_seed{seed}", plan.frames(row, name))


def chosen(plan, row):
    """The best config of an architecture by its VAL readings, and the published one."""
    from echogan.report import across
    from echogan.report.runs import read_run

    runs = [read_run(run.path) for name in plan.configs(row) if (run := plan.run(row, name)).config.is_file()]
    try:
        best = [run.name for run in across.best_runs(runs)]
    except BadInput:  # no reading yet
        best = []
    published = [name for name in plan.configs(row) if name == row.published]
    return list(dict.fromkeys([*best, *published]))


def trained(plan, row, config, seed=0, frames=None, name=""):
    """The step that trains one run, after its segmenter where it weighs one."""
    from echogan.engine.sweep import finished, jobs_of

    frames = frames or plan.frames(row, config)
    kimg = plan.kimg or (row.cpu if plan.tier == "cpu" else row.gpu)
    more = [*plan.device, *["--small"] * (plan.tier == "cpu")]
    if source := SEGMENTERS.get((row.arch, config)):
        yield segmenter(plan, source)
        more += ["--segmenter", str(_segmenter(plan, source).path)]
    (job,) = jobs_of(row.arch, [config], frames, kimg, (seed,), more, plan.experiments)
    if name:
        job.run, job.words[job.words.index("--name") + 1] = plan.run(row, name), name
    yield Step(
        f"train {row.arch}/{job.run.path.name}", tuple(job.words), partial(finished, job), (frames / "manifest.json",)
    )


def judged(plan, row, name, frames):
    """Steps that judge the weights VAL chose on TEST, in every way that applies: made from noise, made of images."""
    run = plan.run(row, name)
    for stage in stages(run):
        words = ("evaluate", run.path, "--reference", frames, "--split", "test", "--keep", *plan.device)
        told = f"TEST {row.arch}/{name} {stage}".strip()
        more = ("--stage", stage) if stage else ()
        yield Step(told, (*words, *more), partial(reported, run, "TEST", stage), (run.weights("best"),))


def stages(run):
    """How the best weights of a run can be judged; an enhancer has one way and no name for it."""
    from echogan.engine.checkpoint import load_weights

    if not run.weights("best").is_file():
        return [""]  # its step says what is missing
    model, header = load_weights(run.weights("best"))
    found = ["translate"] * model.paired + ["generate"] * (model.makes(header["kimg"]) == "generate")
    return found or [""]


def reported(run, split, stage):
    """Whether the present best weights have a row of a split in the metrics.csv of their run."""
    from math import isclose

    from echogan.report.tables import read_table

    table, _ = read_table(run.metrics)
    if "split" not in table or not run.weights("best").is_file():
        return False
    rows = table[(table["split"] == split) & (table.get("stage", "") == stage)]
    return any(isclose(kimg, chosen_kimg(run), rel_tol=1e-5) for kimg in rows["kimg"])


def chosen_kimg(run):
    """The moment of training of the best weights."""
    from safetensors import safe_open

    with safe_open(run.weights("best"), "np") as file:
        return float(file.metadata()["kimg"])


# ------------------------------------------------------------------------------------------------ privacy, use


def audits(plan):
    """Copies of training patients among what is generated."""
    for row in plan.rows:
        for name in chosen(plan, row):
            run = plan.run(row, name)
            if "generate" in stages(run):
                words = ("audit", run.path, "--training", plan.frames(row, name), "--keep", *plan.device)
                needs = (run.weights("best"),)
                yield Step(f"audit {row.arch}/{name}", words, partial(fresh, run.audit, *needs), needs)


def uses(plan):
    """Enhancers beside plain filters; segmenters that learnt from synthetic pictures beside those that did not."""
    for row in plan.rows:
        for name in chosen(plan, row):
            if row.arch == "cyclegan" and (plan.frames(row, name) / "truth").is_dir():
                yield rated(plan, row, name)
            if row.arch == "spade":
                yield segmenter(plan, "masks")
                yield from synthesized(plan, row, name)


def rated(plan, row, name):
    """`echogan rate` of one enhancer on phantoms whose truth is known."""
    run, out = plan.run(row, name), plan.results / "cyclegan" / f"{name}_rate.csv"
    words = ("rate", plan.frames(row, name), "--run", run.path, "--out", out, *plan.device)
    return Step(f"rate cyclegan/{name}", words, partial(fresh, out, run.weights("best")), (run.weights("best"),))


def _segmenter(plan, source):
    return RunFolder.of("segmenter", source, plan.experiments)


def segmenter(plan, source, kimg=8.0):
    """The segmenter of a source with masks."""
    from echogan.engine.sweep import Job, finished

    kimg, frames = plan.kimg or kimg, plan.place(source)
    words = ("segmenter", frames, "--name", source, "--kimg", f"{kimg:g}", *plan.device)
    job = Job(f"segmenter/{source}", _segmenter(plan, source), list(words), kimg)
    return Step(f"segmenter {source}", words, partial(finished, job), (frames / "manifest.json",))


def synthesized(plan, row, name):
    """Labelled pictures of one SPADE, whether they obey their masks, and segmenters trained on them."""
    run, masks, best = plan.run(row, name), plan.frames(row, name), plan.run(row, name).weights("best")
    if not best.is_file():
        return
    place = run.path / "synthetic" / f"kimg_{chosen_kimg(run):g}"
    made = [place / f"100_{seed}" for seed in range(plan.seeds)]
    for seed, out in enumerate(made):
        words = ("synthesize", run.path, masks, out, "--n", SYNTHETIC, "--seed", seed, *plan.device)
        yield Step(f"synthesize spade/{name} seed {seed}", words, (out / "manifest.json").is_file, (best,))
    ready = tuple(out / "manifest.json" for out in made)
    out, judge = place / "dice.csv", _segmenter(plan, "masks")
    words = ("dice", judge.path, made[0], "--split", "TRAIN", "--out", out, *plan.device)
    yield Step(f"dice spade/{name}", words, out.is_file, (judge.weights("best"), *ready[:1]))
    arms, shares = ("--arms", "real", "synthetic", "both"), ("--shares", f"100:{plan.seeds}")
    given = ("--synthetic", place / "{share}_{seed}", *arms, *shares, *(("--kimg", plan.kimg) if plan.kimg else ()))
    words = ("downstream", masks, place / "downstream", *given, *plan.device)
    yield Step(f"downstream spade/{name}", words, (place / "downstream" / "summary.csv").is_file, ready)


# ------------------------------------------------------------------------------------------------ as published, report


def as_published(plan):
    """EchoNet-Dynamic alone: FID as 9.17 was measured, of E4 and of our best, beside that of held-out patients.

    The frames are cut as the original study cut them, the reference is all of them, repeats too. The study had trained on all,
    these runs on TRAIN alone, so theirs is the easier task.
    """
    row = next((row for row in plan.rows if row.arch == "stylegan2_ada"), None)
    if (
        row is None
        or not plan.data
        or (not (Path(plan.data) / "FileList.csv").is_file() and Path(plan.data).suffix != ".zip")
    ):
        return
    frames = plan.place("frames").with_name(f"{plan.place('frames').name}_as_published")
    words = (PUBLISHED_WAY[0], Path(plan.data).resolve(), frames, *PUBLISHED_WAY[1:])
    yield Step("prepare frames as published", words, (frames / "manifest.json").is_file)
    for config in chosen(plan, row):
        name = f"{config}_as_published"
        run = plan.run(row, name)
        yield from trained(plan, row, config, frames=frames, name=name)
        yield from judged(plan, row, name, frames)
        words = ("evaluate", run.path, "--reference", frames / "images", "--n", plan.fakes, "--keep", *plan.device)
        done = partial(reported, run, "ALL", "generate")
        yield Step(f"FID of {plan.fakes:,} stylegan2_ada/{name}", words, done, (run.weights("best"),))


def figures(plan):
    """The report, always drawn anew."""
    return [Step("report", ("report",), lambda: False)]


PARTS = (recordings, siblings, configs, repeats, audits, uses, as_published, figures)
