"""`Run` and `Curve`: what the report knows of one run, and one metric of it over training."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from echogan.config import config_of_run
from echogan.engine import watch
from echogan.report.metrics import METRICS, Metric, best, scored

ARCHITECTURES = {
    "stylegan2_ada": "StyleGAN2-ADA",
    "stylegan2_ada_official": "StyleGAN2-ADA, official code",
    "medgan": "MedGAN",
    "wgan": "WGAN",
    "vqgan": "VQGAN",
    "pix2pix": "pix2pix",
    "cyclegan": "CycleGAN",
    "spade": "SPADE",
}
SEGMENTER = "segmenter"  # trained by the same engine, but no architecture: its readings are overlaps
CHOOSES = ("VAL", "TRAIN")  # whose readings make a curve; TEST reports once, in a table of its own (`held_out`)
REPORTS = ("TEST", "ALL")
STAGES = ("generate", "translate")  # images from noise; images made of images, such as reconstructions
MADE = {"generate": "samples", "translate": "reconstructions"}  # by a run that does both, one after the other
PAIRINGS = ("reconstruction", "nearest", "diversity", "random")
SHORT = 0.9  # of the longest training beside it: what ended before says so
COUNTS = "_updates"  # ends the columns of losses.csv that count updates, e.g. G_updates


@dataclass(frozen=True)
class Curve:
    """One metric of one run over training: readings of one stage, one split, one encoder and one pairing, by kimg.

    `rows` keeps the readings that failed (NaN), so that a line breaks where there is nothing to show.
    """

    metric: Metric
    rows: pd.DataFrame
    paired: str = ""  # one of `PAIRINGS`, where the metric is of pairs
    stage: str = ""  # one of `STAGES`, where the table says
    idle: float = 0.0  # kimg until which the generator had no update

    kimg = property(lambda self: self.rows["kimg"].to_numpy(float))
    value = property(lambda self: self.rows[self.metric.name].to_numpy(float))
    goal = property(lambda self: self.metric.goal(self.paired))

    @property
    def finite(self):
        """The readings that are numbers."""
        return self.value[np.isfinite(self.value)]

    @property
    def trained(self):
        """The readings of the trained network that are numbers; all, where there are no others."""
        values = self._trained(self.rows)[self.metric.name].to_numpy(float)
        return values[np.isfinite(values)]

    @property
    def floor(self):
        """The same metric of real images against real images, NaN where it was not measured."""
        column = self.rows.get(f"floor_{self.metric.name}", pd.Series(dtype=float)).dropna()
        return float(column.iloc[-1]) if len(column) else np.nan

    def best(self, until=np.inf):
        """The row of the best reading up to `until` kimg, None where nothing can be called best.

        The untrained network is never the best of a run that has further readings.
        """
        rows = self._trained(self.rows[self.rows["kimg"] <= until])
        place = best(rows[self.metric.name], self.goal, self.floor) if len(rows) else None
        return None if place is None else rows.iloc[place]

    def chosen(self):
        """The row whose weights training would keep by this metric, and in `median` what ranks it, lower is better; or None.

        A single lucky reading chooses nothing: it is the median of the last three that counts, see `engine.watch`.
        """
        rows = self._trained(self.rows)
        scores = scored(rows[self.metric.name], self.goal, self.floor)
        place = watch.chosen(scores)
        return None if place is None else rows.assign(median=watch.smoothed(scores)).iloc[place]

    def _trained(self, rows):
        """The rows without those of the untrained network, where there are others."""
        for bound in (self.idle, 0.0):
            if (rows["kimg"] > bound).any():
                return rows[rows["kimg"] > bound]
        return rows

    def nearest(self, kimg):
        """The finite reading nearest in kimg."""
        ok = np.isfinite(self.value)
        return float(self.value[ok][np.abs(self.kimg[ok] - kimg).argmin()])


def waits(losses, name):
    """Whether a loss is empty at the end because its network had no turn there.

    Its count of updates stands still; or its stage is over: another loss begins where it ends.
    """
    counts, last = losses.get(f"{name}{COUNTS}"), losses[name].last_valid_index()
    if counts is not None and counts.iloc[-1] == counts[last]:
        return True
    begins = [losses[other].first_valid_index() for other in losses if other != name]
    return any(first and last <= first <= last + 1 for first in begins)


@dataclass(eq=False)
class Run:
    """One run as its folder tells it; `problems` names what was missing or broken."""

    arch: str
    name: str
    config: dict = field(default_factory=dict)  # config.json, whole
    losses: pd.DataFrame = field(default_factory=pd.DataFrame)
    metrics: pd.DataFrame = field(default_factory=pd.DataFrame)
    sheets: dict = field(default_factory=dict)  # kimg -> path of the sample grid
    problems: list = field(default_factory=list)
    folder: Path | None = None
    study: str = ""  # "" = ours, else whose numbers these are

    data = property(lambda self: self.config.get("data", {}))
    kind = property(lambda self: self.data.get("kind", "data not stated"))
    hardware = property(lambda self: self.config.get("hardware", "not stated"))
    resolution = property(lambda self: int(self.config.get("config", {}).get("resolution", 0)))
    published = property(lambda self: bool(self.config.get("config", {}).get("published", False)))
    family = property(lambda self: ARCHITECTURES.get(self.arch, self.arch))
    asked = property(lambda self: float(self.config.get("settings", {}).get("kimg") or np.nan))  # kimg of the training
    listed = property(lambda self: config_of_run(self.name))  # its config's name in the table

    @property
    def label(self):
        """The config's name, with a dagger where it is a setting of the original study; whose numbers, where not ours."""
        if self.study:
            return f"{self.name} ({self.study})"
        return f"{self.name}†" if self.published else self.name

    @property
    def stem(self):
        """The name of the run's files and folder: that of the config, and whose numbers they are where not ours."""
        return _with(self.name, self.study)

    @property
    def group(self):
        """Begins the names of the files of all runs that it stands beside: its architecture, and whose, where not ours."""
        return _with(self.arch, self.study)

    @property
    def title(self):
        """Architecture and `label` of the config."""
        return f"{self.family} {self.label}"

    @property
    def loss_names(self):
        """The columns of losses.csv that are losses or readings of the training, in file order."""
        clocks = ("kimg", "epoch", "seconds")
        return [c for c in self.losses.columns if c not in clocks and self.losses[c].notna().any()]

    @property
    def measured(self):
        """Names of the metrics this run has at least one reading of in training, in the order of the metrics table."""
        rows = self.readings
        return [name for name in METRICS if name in rows and rows[name].notna().any()]

    @property
    def readings(self):
        """The rows of metrics.csv but those that report: of TEST, and of all frames at once as others measure FID.

        Training tells the `variety` of all that it reads: rows that `echogan evaluate --keep` added rank nothing, as they
        choose nothing there. Rows from before tables told the stage are of the one that the later rows of their run tell, if
        it is one.
        """
        rows = self.metrics[~self.metrics["split"].isin(REPORTS)] if "split" in self.metrics else self.metrics
        rows = rows[rows["variety"].notna()] if "variety" in rows else rows
        told = set(rows.get("stage", ())) - {""}
        return rows.assign(stage=told.pop()) if len(told) == 1 else rows

    def stage_at(self, kimg):
        """What the reading nearest to `kimg` looked at: one of `STAGES`, "" where the table does not say."""
        if "stage" not in self.readings or self.readings["stage"].isna().all():
            return ""
        rows = self.readings.dropna(subset="stage")
        return str(rows["stage"].iloc[int((rows["kimg"] - kimg).abs().argmin())])

    def left_out(self, curve):
        """What a caption says of `curve` where this run was read in two stages, of which it holds one; "" where in one."""
        rows = self.readings
        if curve.stage not in MADE or set(rows["stage"]) == {curve.stage}:
            return ""
        (other,) = set(STAGES) - {curve.stage}
        theirs = rows.loc[rows["stage"] == other, "kimg"]
        when = f"until {theirs.max():.4g}" if theirs.max() <= curve.kimg.min() else f"from {theirs.min():.4g}"
        return f"readings of {MADE[curve.stage]} only; {when} kimg its {MADE[other]} were read"

    def curve(self, name, stage=""):
        """The `Curve` of one metric (of one of `STAGES`, by default its first), or None where this run never measured it."""
        if name not in self.measured:
            return None
        metric, rows, paired = METRICS[name], self.readings, ""
        stages = STAGES[::-1] if metric.of == "pairs" else STAGES  # where there is a true image, alike means most
        rows = _one(_one(rows, "stage", name, (stage,) if stage else stages), "split", name, CHOOSES)
        if metric.of == "pairs":
            rows = _one(rows, "paired", name, PAIRINGS)
            paired = _only(rows, "paired")
        if metric.of == "encoder":
            rows = _one(
                rows, "encoder", name, rows[rows[name].notna()].get("encoder", pd.Series()).value_counts().index
            )
        if rows[name].notna().mean() <= 0.5:  # read on a coarser grid than the table's: blanks are no failures
            rows = rows[rows[name].notna()]
        return Curve(metric, rows, paired, _only(rows, "stage"), self.idle)

    @property
    def idle(self):
        """kimg until which the generator had no update, as losses.csv counts them; 0 where it does not."""
        counts = self.losses.get(f"G{COUNTS}", pd.Series(dtype=float))
        return float(self.losses.loc[counts[counts == 0].index, "kimg"].max()) if (counts == 0).any() else 0.0


def _with(name, study):
    return "_".join([name, *study.split()])


def by_group(runs):
    """[[runs of one architecture by one study]], in the order of `runs`: theirs read other data than ours, by other means."""
    groups = {}
    for run in runs:
        groups.setdefault((run.arch, run.study), []).append(run)
    return list(groups.values())


def on_usual_data(runs):
    """{run: whether it learnt from the data that most of these runs of its architecture learnt from}."""
    usual = {}
    for arch in {run.arch for run in runs}:
        prints = [run.data.get("fingerprint") for run in runs if run.arch == arch]
        usual[arch] = max(dict.fromkeys(prints), key=prints.count)
    return {run: run.data.get("fingerprint") == usual[run.arch] for run in runs}


def full_length(runs):
    """Those asked for as many images as any other of their architecture and side (as published, ours), or nearly."""
    most = {}
    for run in runs:
        side = run.arch, run.published
        most[side] = np.fmax(most.get(side, 0), run.asked)
    return [run for run in runs if not run.asked < SHORT * most[run.arch, run.published]]


def labels(runs):
    """{run: its label, with the kimg it was trained for where others went on for longer}."""
    ends = {run: float(run.metrics["kimg"].max()) if len(run.metrics) else np.nan for run in runs}
    enough = SHORT * np.nanmax([*ends.values(), 0])
    return {run: f"{run.label} · {kimg:.3g} kimg" if kimg < enough else run.label for run, kimg in ends.items()}


def together(runs, name):
    """The `Curve` of one metric of each run, None where it has none or it means something else.

    Where any run makes images from noise, only those do: reconstructions lie nearer to real images than any of them could.
    """
    curves = [run.curve(name) for run in runs]
    made = [curve if curve and curve.stage != STAGES[1] else None for curve in curves]
    return made if METRICS[name].of != "pairs" and any(made) else curves


def _one(rows, column, name, order):
    """The rows of the first value of `column` in `order` that has a reading of metric `name`; all, where none has."""
    for value in order:
        part = rows[rows[column] == value] if column in rows else rows
        if part[name].notna().any():
            return part
    return rows


def _only(rows, column):
    values = rows[column].unique() if column in rows else []
    return str(values[0]) if len(values) == 1 else ""
