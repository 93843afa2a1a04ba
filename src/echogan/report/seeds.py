"""Runs of one config under several seeds, named <config>_seed<k>: one stands for all, and a figure shows their scatter."""

import json

import numpy as np

from echogan.errors import BadInput
from echogan.report import lines, style
from echogan.report.metrics import METRICS
from echogan.report.run import together

MANNER = ("kimg", "precision", "deterministic")  # settings that, with config and data, make runs repeats of each other


def grouped(runs):
    """[[runs that differ in their seed alone, lowest seed first]], in the order of `runs`."""
    groups = {}
    for run in runs:
        groups.setdefault(_recipe(run), []).append(run)
    return [sorted(group, key=_seed) for group in groups.values()]


def firsts(runs):
    """One run for each group of repeats: that of the lowest seed."""
    return [group[0] for group in grouped(runs)]


def repeated(runs):
    """The groups of two and more."""
    return [group for group in grouped(runs) if len(group) > 1]


@style.styled
def figure(runs, name):
    """The best reading of metric `name` of every seed, one row per config that was repeated; the bar is their median."""
    looks, read = style.looks_of(firsts(runs)), dict(zip(runs, together(runs, name)))
    groups = [(group, _bests([read[run] for run in group], name)) for group in repeated(runs)]
    groups = [(group, values) for group, values in groups if len(values) > 1]
    if not groups:
        raise BadInput(f"no config has readings of {name} under more than one seed")
    used = [run for group, _ in groups for run in group]
    curves = [curve for run in used if (curve := read[run])]
    note = ". ".join(["Dot: one seed; bar: their median", *lines.absent(runs, name)])
    title = lines.heading([group[0] for group, _ in groups], f"best {name} of every seed")
    fig = style.new(0.95 + 0.23 * len(groups), title, style.caption(used, curves, note))
    ax = fig.add_subplot()
    for k, (group, values) in enumerate(groups):
        colour = looks[group[0]].color
        ax.plot(values, np.full(len(values), k), "o", color=colour, markersize=4, alpha=0.8, markeredgewidth=0)
        ax.plot([np.median(values)] * 2, [k - 0.3, k + 0.3], color=style.INK, linewidth=1.2)
    _frame(ax, groups, METRICS[name], np.concatenate([values for _, values in groups]))
    ax.set_title(lines.meaning(curves[0]), fontweight="normal", fontsize=6)
    return fig


def _frame(ax, groups, metric, values):
    ax.set_yticks(range(len(groups)), [f"{group[0].label}  ({len(values)} seeds)" for group, values in groups])
    ax.set_ylim(len(groups) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    if style.wide(values):
        style.log_axis(ax.xaxis, values)
    ax.set_xlabel(metric.axis)


def _bests(curves, name):
    rows = [curve.best() for curve in curves if curve]
    return np.array([row[name] for row in rows if row is not None], float)


def _seed(run):
    return run.config.get("settings", {}).get("seed", 0)


def _recipe(run):
    """What repeats share; a run that does not tell its config is like no other."""
    if not run.config.get("config") or run.study:
        return run.arch, run.name, run.study
    settings = run.config.get("settings", {})
    told = [run.config["config"], run.data.get("fingerprint"), *(settings.get(key) for key in MANNER)]
    return run.arch, run.listed, json.dumps(told, sort_keys=True)
