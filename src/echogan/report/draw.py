"""Everything the report draws, written to results/<arch>/<family>/ under names that say what they show."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from echogan.errors import BadInput
from echogan.files import atomic
from echogan.report import across, beside, codes, heatmap, lines, losses, price, progress, radar, seeds, style, violin
from echogan.report.metrics import METRICS, leading
from echogan.report.run import by_group
from echogan.report.runs import read_runs

TOGETHER = "all_architectures"


@dataclass
class Drawn:
    """What was written, and in one sentence each what is missing or broken."""

    files: list = field(default_factory=list)
    problems: list = field(default_factory=list)


def draw(experiments, results, arch=None, config=None, callback=None):
    """Draw what `experiments` holds into `results`: the whole study, one architecture, or one run (arch and config).

    `callback(done, total, path)` follows the progress. A figure that cannot be drawn is named in `problems`, the
    others are drawn all the same; no figure replaces an older one before it is whole.
    """
    runs = read_runs(experiments, arch, config)
    if not runs:
        what = "/".join(filter(None, (arch, config))) or "any architecture"
        return Drawn(problems=[f"{experiments} has no data of {what}; train one with `echogan train ARCH CONFIG`"])
    drawn, jobs = Drawn(), plan(runs, Path(results), alone=config is not None)
    for done, (path, make) in enumerate(jobs):
        try:
            drawn.files.append(_write(path, make))
        except BadInput as error:
            drawn.problems.append(str(error))
        if callback:
            callback(done + 1, len(jobs), path)
    drawn.problems = list(dict.fromkeys([*(p for run in runs for p in run.problems), *drawn.problems]))
    return drawn


def plan(runs, results, alone=False):
    """[(path, function without arguments that returns a Figure or bytes)] for these runs."""
    if alone:
        return _of_run(runs[0], results / runs[0].arch / runs[0].stem)
    jobs = [job for group in by_group(runs) for job in _of_architecture(group, results / group[0].arch)]
    jobs += [(_beside(results, theirs), partial(beside.figure, theirs, own)) for theirs, own in beside.pairs(runs)]
    runs = [run for run in runs if run.arch not in beside.OURS]  # another code's runs are no architecture of their own
    return jobs + (_of_study(runs, results / TOGETHER) if len({run.arch for run in runs}) > 1 else [])


def _of_run(run, folder):
    jobs = [(folder / "losses_over_kimg.png", partial(losses.figure, run))]
    jobs += [(folder / "codes_in_use_over_kimg.png", partial(codes.usage, run))] * codes.has_codes(run)
    jobs += [(folder / f"{name}_over_kimg.png", partial(lines.figure, [run], name)) for name in run.measured]
    jobs += [(folder / f"metrics_at_best_{lead}_radar.png", partial(radar.figure, [run])) for lead in _lead([run])]
    return jobs + _samples(run, folder / "samples_through_training")


def _of_architecture(all_runs, folder):
    arch, runs = all_runs[0].group, seeds.firsts(all_runs)
    jobs = [(folder / f"losses/{arch}_{r.name}_losses_over_kimg.png", partial(losses.figure, r)) for r in runs]
    for run in filter(codes.has_codes, runs):
        jobs.append((folder / f"losses/{arch}_{run.name}_codes_in_use_over_kimg.png", partial(codes.usage, run)))
    for name in _measured(runs):
        jobs.append((folder / f"line_graph/{arch}_{name}_over_kimg.png", partial(lines.figure, runs, name)))
        violins = (folder / f"violin/{arch}_{name}_readings_by_config.png", partial(violin.figure, all_runs, name))
        jobs += [violins] * (len(all_runs) > 1)  # one run's are in its line
    for lead in _lead(runs):
        radars = (folder / f"radar/{arch}_metrics_at_best_{lead}.png", partial(radar.figure, runs))
        jobs += [radars] * (len(runs) > 1)  # one shape has nothing beside it
        jobs.append((folder / f"heatmap/{arch}_best_reading_of_every_metric.png", partial(heatmap.figure, runs)))
        if seeds.repeated(all_runs):
            jobs.append(
                (folder / f"violin/{arch}_best_{lead}_of_every_seed.png", partial(seeds.figure, all_runs, lead))
            )
    best = across.best_runs(runs, _lead(runs)[0])[:1] if _lead(runs) else []
    if sum(bool(run.sheets) for run in runs) > 1:
        jobs.append((folder / f"samples/{arch}_samples_of_every_config.png", partial(progress.every_config, runs)))
    for run in runs:  # moving pictures of the best config only: eight a family would outweigh everything else in git
        if len(run.sheets) > 1:
            jobs += _samples(run, folder / f"samples/{arch}_{run.name}_samples_through_training", moving=run in best)
    return jobs


def _of_study(all_runs, folder):
    runs = seeds.firsts(all_runs)
    return [
        (folder / "best_config_of_each_architecture.png", partial(across.table, runs)),
        (folder / "best_of_each_architecture_radar.png", partial(across.radars, runs)),
        (folder / "best_reading_against_training_time.png", partial(price.figure, all_runs)),
        (folder / "as_published_beside_ours.png", partial(across.published_and_ours, all_runs)),
    ]


def _beside(results, run):
    return results / run.arch / f"beside_ours/{run.arch}_{run.name}_and_ours_over_kimg.png"


def _samples(run, stem, moving=True):
    jobs = [(stem.with_name(stem.name + ".png"), partial(progress.figure, run))]
    jobs += [(stem.with_name(stem.name + ".gif"), partial(progress.gif, run))] * moving
    return jobs if run.sheets else []  # that there are none is among the run's problems


def _measured(runs):
    return [name for name in METRICS if any(name in run.measured for run in runs)]


def _lead(runs):
    """The leading metric in a list, empty where nothing was measured: then there is nothing to rank by."""
    try:
        return [leading([run.measured for run in runs])]
    except BadInput:
        return []


def _write(path, make):
    made = make()
    if not isinstance(made, bytes):
        return style.save(made, path)
    with atomic(path) as temporary:
        temporary.write_bytes(made)
    return path
