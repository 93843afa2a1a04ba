"""Reading experiments/<arch>/<config>/ into `Run` objects, whatever state the folders are in."""

import re
from pathlib import Path

from echogan.config import RunFolder
from echogan.errors import BadInput
from echogan.files import read_json
from echogan.report import legacy
from echogan.report.run import ARCHITECTURES, SEGMENTER, Run, waits
from echogan.report.tables import read_table


def read_runs(experiments, arch=None, config=None):
    """Every run under `experiments` (of one architecture, of one config), sorted by name; an empty list for none.

    Segmenters, which are no architecture, are read where they are asked for.
    """
    experiments = Path(experiments)
    if not experiments.is_dir():
        raise BadInput(f"{experiments} is not a folder; train a run first with `echogan train ARCH CONFIG`")
    folders = sorted(
        experiments.glob(f"{arch or '*'}/{config or '*'}"), key=lambda f: (f.parent.name, _natural(f.name))
    )
    runs = [read_run(folder) for folder in folders if _is_run(folder)]
    return runs if arch else [run for run in runs if run.arch != SEGMENTER]


def read_run(folder):
    """One run; never raises for a half-written, partial or empty one, its `problems` name what is wrong."""
    folder = Path(folder)
    if legacy.is_theirs(folder):
        return legacy.read_run(folder)
    where, run = RunFolder(folder), Run(folder.parent.name, folder.name, folder=folder)
    run.config = _config(where.config, run.problems)
    told = str(run.config.get("arch"))
    if run.arch not in ARCHITECTURES and told in (
        *ARCHITECTURES,
        SEGMENTER,
    ):  # a run that was moved stands in any folder
        run.arch = told
    run.losses, lost = read_table(where.losses, wanted=("seconds",))
    run.metrics, more = read_table(where.metrics, wanted=("seconds", "split", "n_real", "n_fake"))
    run.problems += lost + more + _stopped(run)
    if len(run.metrics) and not run.measured and run.arch != SEGMENTER:
        run.problems.append("metrics.csv has no reading of any known metric")
    run.sheets = sheets(where.samples)
    if not run.sheets and run.name == run.listed:  # further seeds count by their readings alone
        run.problems.append("generated_samples has no grid")
    run.problems = [f"{run.arch}/{run.name}: {problem}" for problem in run.problems]
    return run


def sheets(folder):
    """{kimg: path} of the sample grids in a folder, through training."""
    found = {int(m[1]): p for p in Path(folder).glob("kimg_*.png") if (m := re.fullmatch(r"kimg_(\d+)", p.stem))}
    return dict(sorted(found.items()))


def _is_run(folder):
    return folder.is_dir() and ((folder / "config.json").is_file() or (folder / "metrics_csv").is_dir())


def _config(path, problems):
    try:
        config = read_json(path)
    except BadInput as error:
        problems.append(str(error).replace(f"{path}", path.name))
        return {}
    if isinstance(config, dict):
        return config
    problems.append(f"{path.name} is not an object of settings")
    return {}


def _stopped(run):
    """Losses that were numbers and end as none: the run diverged."""
    lines = []
    for name in run.loss_names:
        known = run.losses[name].notna()
        last = known[::-1].idxmax()
        dense = known[:last].mean() > 0.5  # until then, so not one of the lazy losses
        if last < len(known) - 1 and dense and not waits(run.losses, name):
            lines.append(f"losses.csv: {name} is not a number after {run.losses['kimg'][last]:g} kimg")
    return lines


def _natural(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]
