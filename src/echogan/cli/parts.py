"""The steps of the study, part by part. Each part looks at what those before it left: which runs are there, which VAL chose."""

from dataclasses import replace
from functools import partial
from pathlib import Path

from echogan.cli.plan import OTHER_DATA, SEGMENTERS, SOURCES
from echogan.cli.steps import Step, drawn_by, fresh
from echogan.config import RunFolder
from echogan.errors import BadInput
from echogan.files import read_json

GENERATED, SHEET = 10_000, 81  # images of each architecture's best run, and those of them on one sheet
SYNTHETIC = 640  # labelled recordings that a SPADE makes for each segmenter of `downstream`
SHARES = {5: 1, 10: 3, 25: 1, 100: 3}  # of the real patients in %, and seeds of each
PUBLISHED_WAY = ("extract", "--phases", "counted", "--bilateral")  # of the frames that 9.17 was measured on


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
            if plan.serves(source.name):  # recordings with masks, once more at full size
                steps += prepared(plan, replace(source, prepare=SOURCES[0].prepare), plan.data)
            else:
                steps += prepared(plan, source, plan.camus)
    return steps


def prepared(plan, source, given):
    """Steps to the frames of a source: its phantom where no data are given, then what prepares them."""
    frames, prepare, size, steps = plan.place(source.name), source.prepare, plan.pixels(source.name), []
    ready = (frames / "manifest.json").is_file
    origin = Path(given).resolve() if given else frames.with_name(frames.name.removesuffix(f"_{size}px"))
    if not given:
        words = ("phantom", origin, "--layout", source.layout, "--patients", plan.patients)
        made = origin / "phantom.json"
        steps.append(Step(f"phantom {source.name}", words, lambda: ready() or made.is_file(), lock=lock_of(origin)))
    elif source.name == "quality":
        prepare = ("camus", "--low", "Poor")
    words = (prepare[0], origin, frames, "--size", size, *prepare[1:])
    return [*steps, Step(f"prepare {source.name}", words, ready, lock=lock_of(frames))]


def lock_of(folder):
    """The file that a study locks while it makes a folder that others may want too."""
    return folder.with_name(f".{folder.name}.lock")


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

    names = [name for name in plan.configs(row) if (row.arch, name) not in OTHER_DATA]  # one data set, one ranking
    runs = [read_run(run.path) for name in names if (run := plan.run(row, name)).config.is_file()]
    try:
        best = [run.name for run in across.best_runs(runs)]
    except BadInput:  # no reading yet
        best = []
    published = [name for name in plan.configs(row) if name == row.published]
    return list(dict.fromkeys([*best, *published]))


def trained(plan, row, config, seed=0, frames=None, name="", experiments=None):
    """The step that trains one run, after its segmenter where it weighs one."""
    from echogan.engine.sweep import finished, jobs_of

    frames, home = frames or plan.frames(row, config), experiments or plan.experiments
    kimg = plan.kimg or (row.cpu if plan.tier == "cpu" else row.gpu)
    more = [*plan.device, *["--small"] * (plan.tier == "cpu")]
    if source := SEGMENTERS.get((row.arch, config)):
        yield segmenter(plan, source)
        more += ["--segmenter", str(_segmenter(plan, source).path)]
    size = plan.config(row, config).resolution
    (job,) = jobs_of(row.arch, [config], frames, kimg, (seed,), more, home, plan.how, size)
    if name:
        job.run, job.words[job.words.index("--name") + 1] = RunFolder.of(row.arch, name, home), name
    told, needs = f"train {row.arch}/{job.run.path.name}", (frames / "manifest.json",)
    yield Step(told, tuple(job.words), partial(finished, job), needs, experiments)


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


def reported(run, split, stage, least=0):
    """Whether the present best weights have a row of a split in the metrics.csv of their run; a blank stage is the only one.

    A row from before the encoder of the reports was on this machine is no report: it has no FID; nor is a trial of fewer than
    `least` images.
    """
    from math import isclose

    import numpy as np
    import pandas as pd

    from echogan import encoders
    from echogan.report.tables import read_table

    table, _ = read_table(run.metrics)
    if "split" not in table or not run.weights("best").is_file():
        return False
    stages = table.get("stage", pd.Series("", table.index))
    rows = table[(table["split"] == split) & stages.isin(["", stage])]
    if least:
        rows = rows[rows["n_fake"] >= least]
    if encoders.available("inception2015"):
        rows = rows[np.isfinite(rows.get("FID", pd.Series(np.nan, rows.index)))]
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


def galleries(plan):
    """What each architecture's best run makes from noise: many images in a folder, the first of them on a sheet."""
    for row in plan.rows:
        for name in chosen(plan, row)[:1]:
            run = plan.run(row, name)
            if "generate" in stages(run):
                yield generated(plan, run, GENERATED, run.path / "best_generated")
                yield generated(plan, run, SHEET, run.samples / f"best_{SHEET}.png")


def generated(plan, run, n, out):
    """`n` images of the best weights of a run, in a folder, made anew once the weights are others, or on a sheet (.png)."""
    from echogan.engine.sampling import remove_samples

    words, best = ("sample", run.path, out, "--n", n, *plan.device), run.weights("best")
    done = partial(fresh, out, best) if out.suffix else partial(drawn_by, best, out / "manifest.json")
    name = f"{n:,} images of {run.path.parent.name}/{run.path.name}"
    return Step(name, words, done, (best,), clear=partial(remove_samples, out))


def uses(plan):
    """Enhancers beside plain filters; segmenters that learnt from synthetic pictures beside those that did not."""
    for row in plan.rows:
        for name in chosen(plan, row):
            if row.arch == "cyclegan" and (plan.frames(row, name) / "truth").is_dir():
                if _judges_phantoms(plan):
                    yield segmenter(plan, "masks")
                yield rated(plan, row, name)
            if row.arch == "spade":
                yield segmenter(plan, "masks")
                yield from synthesized(plan, row, name)


def rated(plan, row, name):
    """`echogan rate` of one enhancer on phantoms whose truth is known, at the size it learnt from.

    The segmenter that judges has seen none of those pictures, nor of their patients, and trained no enhancer.
    """
    run, out = plan.run(row, name), plan.results / "cyclegan" / f"rate_{name}.csv"
    words, needs = ("rate", plan.frames(row, name), "--run", run.path, "--out", out), (run.weights("best"),)
    if _judges_phantoms(plan):
        words += ("--segmenter", _segmenter(plan, "masks").path)
        needs += (_segmenter(plan, "masks").weights("best"),)
    words += ("--size", plan.config(row, name).resolution)
    return Step(f"rate cyclegan/{name}", (*words, *plan.device), partial(fresh, out, *needs), needs)


def _judges_phantoms(plan):
    """Whether the segmenter of the masks learnt from phantoms, whose labels are those of the quality phantom."""
    return not plan.serves("masks")


def _segmenter(plan, source):
    return RunFolder.of("segmenter", source, plan.experiments)


def segmenter(plan, source, kimg=8.0):
    """The segmenter of a source with masks."""
    from echogan.engine.sweep import Job, finished

    kimg, frames = plan.kimg or kimg, plan.place(source)
    words = ("segmenter", frames, "--name", source, "--kimg", f"{kimg:g}", *plan.device)
    job = Job(f"segmenter/{source}", _segmenter(plan, source), list(words), kimg, frames)
    needs = (frames / "manifest.json",)
    return Step(f"segmenter {source}", words, partial(finished, job), needs, lock=lock_of(job.run.path))


def synthesized(plan, row, name):
    """Labelled pictures of one SPADE, whether they obey their masks, and segmenters trained on them."""
    run, masks, best = plan.run(row, name), plan.frames(row, name), plan.run(row, name).weights("best")
    if not best.is_file():
        return
    place = run.path / "synthetic" / f"kimg_{chosen_kimg(run):g}"
    shares = {percent: min(seeds, plan.seeds) for percent, seeds in SHARES.items()}
    for percent, seed in ((percent, seed) for percent, seeds in shares.items() for seed in range(seeds)):
        if percent < 100:
            yield from generator(plan, row, name, percent, seed)
        yield filled(plan, row, name, percent, seed, place / f"{percent}_{seed}")
    out, judge = place / "dice.csv", _segmenter(plan, "masks")
    words = ("dice", judge.path, place / "100_0", "--split", "train", "--out", out, *plan.device)
    needs = (judge.weights("best"), place / "100_0" / "manifest.json")
    yield Step(f"dice spade/{name}", words, partial(fresh, out, *needs), needs)
    sight = place / "plane.png"
    words = ("plane", judge.path, masks, place / "100_0", sight, *plan.device)
    yield Step(f"plane spade/{name}", words, partial(fresh, sight, *needs), needs)
    told = ["--kimg", plan.kimg] if plan.kimg else []
    told += ["--resolution", 64] * (plan.tier == "cpu")  # that of what is generated
    told += ["--no-ef"] * plan.serves("masks")  # masks of --data itself, such as HC18, have no phases
    told += ["--shares", *(f"{percent}:{seeds}" for percent, seeds in shares.items()), *plan.device]
    words = ("downstream", masks, place / "downstream", "--synthetic", place / "{share}_{seed}", *told)
    yield Step(f"downstream spade/{name}", words, (place / "downstream" / "summary.csv").is_file, needs)


def generator(plan, row, name, percent, seed):
    """A SPADE that learns from a share of the patients alone."""
    home, told = plan.run(row, name).path / "shares", f"{percent}_{seed}"
    frames, share = plan.frames(row, name), home / told
    words = ("share", frames, share, "--percent", percent, "--seed", seed)
    needs = (frames / "manifest.json",)
    yield Step(f"share {told}", words, (share / "manifest.json").is_file, needs, lock=lock_of(share))
    yield from trained(plan, row, name, seed, share, told, home)


def filled(plan, row, name, percent, seed, out):
    """New masks in the manner of a share of the patients, filled by a generator that knows that share alone."""
    run, masks = plan.run(row, name), plan.frames(row, name)
    if percent < 100:
        home = run.path / "shares"
        run, masks = RunFolder.of(row.arch, f"{percent}_{seed}", home), home / f"{percent}_{seed}"
    words = ("synthesize", run.path, masks, out, "--n", SYNTHETIC, "--source", "shapes", "--seed", seed, *plan.device)
    needs = (run.weights("best"),)
    return Step(f"synthesize spade/{name} {percent}_{seed}", words, (out / "manifest.json").is_file, needs)


# ------------------------------------------------------------------------------------------------ as published, report


def as_published(plan):
    """EchoNet-Dynamic at full size: FID as 9.17 was measured, of E4 and of our best, beside that of held-out patients.

    The frames are cut as the original study cut them, the reference is all of them, repeats too. The study had trained on all,
    these runs on TRAIN alone, so theirs is the easier task.
    """
    row = next((row for row in plan.rows if row.arch == "stylegan2_ada"), None)
    if row is None or not _measured_so(plan):
        return
    frames = plan.place("frames").with_name(f"{plan.place('frames').name}_as_published")
    words = (PUBLISHED_WAY[0], Path(plan.data).resolve(), frames, *PUBLISHED_WAY[1:])
    yield Step("prepare frames as published", words, (frames / "manifest.json").is_file, lock=lock_of(frames))
    for config in chosen(plan, row):
        name = f"{config}_as_published"
        run = plan.run(row, name)
        yield from trained(plan, row, config, frames=frames, name=name)
        yield from judged(plan, row, name, frames)
        words = ("evaluate", run.path, "--reference", frames / "images", "--n", plan.fakes, "--keep", *plan.device)
        done = partial(reported, run, "ALL", "generate", plan.fakes)
        yield Step(f"FID of {plan.fakes:,} stylegan2_ada/{name}", words, done, (run.weights("best"),))


def _measured_so(plan):
    """Whether `--data` are recordings to cut so: of EchoNet-Dynamic at the GPU tier, as 9.17 was no small network's.

    A phantom in its files rehearses this at any tier.
    """
    from echogan.data.echonet import KIND
    from echogan.preprocessing.sources import holds_study

    made = plan.place("frames") / "manifest.json"
    if not plan.data or not made.is_file() or not holds_study(plan.data):
        return False
    return plan.tier == "gpu" or read_json(made).get("kind") != KIND


def figures(plan):
    """The report, always drawn anew."""
    return [Step("report", ("report",), lambda: False, lock=plan.experiments / ".study" / "report.lock")]


PARTS = (recordings, siblings, configs, repeats, audits, galleries, uses, as_published, figures)
