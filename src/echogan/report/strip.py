"""Best and last reading of one metric, config by config, a row of marks for every seed: for runs with few readings."""

import numpy as np

from echogan.errors import BadInput
from echogan.report import lines, seeds, style
from echogan.report.metrics import METRICS, scored
from echogan.report.run import labels, together

APART = 0.2  # of a row, between the seeds of one config


@style.styled
def figure(runs, name):
    """Rings at the last reading of metric `name`, dots at the best of the trained network; rows by the median last one."""
    rows = _sorted(_rows(runs, name))
    if not rows:
        raise BadInput(f"no run has a reading of {name}")
    firsts, looks = seeds.firsts(runs), style.looks_of(seeds.firsts(runs))
    used, curves = [run for group, _ in rows for run in group], [curve for _, curves in rows for curve in curves]
    title = lines.heading([group[0] for group, _ in rows], f"{name} readings")
    caption = style.caption(used, curves, _note(firsts, used, curves))
    fig = style.new(1.0 + 0.06 * len(curves) + 0.17 * len(rows), title, caption)
    ax = fig.add_subplot()
    ends = [[_ends(curve) for curve in curves] for _, curves in rows]
    for k, ((group, _), pairs) in enumerate(zip(rows, ends)):
        _row(ax, k, pairs, looks[group[0]].color)
    _frame(ax, rows, METRICS[name], np.concatenate(ends).ravel())
    if curves[0].goal == "floor" and np.isfinite(curves[0].floor):
        ax.axvline(curves[0].floor, color=style.INK, linewidth=0.7, linestyle=(0, (1, 2)), zorder=0)
    ax.set_title(lines.meaning(curves[0]), fontweight="normal", fontsize=6)
    return fig


def _rows(runs, name):
    """[(seeds of one config, their curves)] of those that were read."""
    curves = {run: curve for run, curve in zip(runs, together(runs, name)) if curve and len(curve.trained)}
    groups = [[run for run in group if run in curves] for group in seeds.grouped(runs)]
    return [(group, [curves[run] for run in group]) for group in groups if group]


def _sorted(rows):
    """The rows with the best median of the last readings first; as they came where nothing can be called best."""
    last = [np.median([curve.trained[-1] for curve in curves]) for _, curves in rows]
    goals = {curve.goal for _, curves in rows for curve in curves}
    scores = scored(last, goals.pop(), rows[0][1][0].floor) if len(goals) == 1 else np.full(len(rows), np.nan)
    return [rows[k] for k in np.argsort(scores, kind="stable")]


def _ends(curve):
    """(best, last) reading of the trained network; twice the last where nothing can be called best."""
    row = curve.best()
    return float(curve.trained[-1] if row is None else row[curve.metric.name]), float(curve.trained[-1])


def _row(ax, k, pairs, colour):
    for seed, (best, last) in enumerate(pairs):
        y = k + APART * (seed - (len(pairs) - 1) / 2)
        ax.plot([best, last], [y, y], color=colour, linewidth=0.6, zorder=1)
        ax.plot(last, y, "o", color="white", markersize=4, markeredgecolor=colour, markeredgewidth=0.7, zorder=2)
        ax.plot(best, y, "o", color=colour, markersize=2.2, markeredgewidth=0, zorder=3)


def _frame(ax, rows, metric, values):
    if metric.scale == "log" and style.wide(values):
        style.log_axis(ax.xaxis, values)
    several = [f"  ({len(group)} seeds)" * (len(group) > 1) for group, _ in rows]
    names = labels([group[0] for group, _ in rows]).values()
    ax.set_yticks(range(len(rows)), [name + more for name, more in zip(names, several)])
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(metric.axis)


def _note(firsts, used, curves):
    parts = lines.left_out(zip(used, curves))
    if curves[0].goal == "floor":
        parts.append("Dotted: real images")
    parts.append(
        "Ring: last reading of a seed; dot: its best, of the trained network. Rows by the median last reading, best first"
    )
    return ". ".join([*parts, *lines.absent(firsts, curves[0].metric.name)])
