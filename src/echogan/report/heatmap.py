"""Config x metric: the best reading of each, the best of a column starred."""

import numpy as np
from matplotlib import colormaps
from matplotlib.patches import Rectangle

from echogan.errors import BadInput
from echogan.report import lines, style
from echogan.report.metrics import ARROWS, METRICS, best, ranges, short
from echogan.report.run import labels, together

MAP = colormaps["cividis"]  # equal steps for every kind of eye and in greyscale


def table(runs):
    """(names, values (configs, metrics), starred row per metric or None, floors) of the best readings.

    Best is the minimum where low is better, the maximum where high is, the value nearest the real-vs-real one where
    that is the target; where nothing can be called best, the last reading stands, and no star.
    """
    names = [name for name in METRICS if any(name in run.measured for run in runs)]
    columns = [together(runs, name) for name in names]
    values = np.array([[_value(curve) for curve in column] for column in columns]).T
    floors = np.array([_floor(column) for column in columns])
    stars = [_star(*column) for column in zip(columns, values.T, floors)]
    return names, values, stars, floors


@style.styled
def figure(runs):
    """The table as a picture: darker is better on each metric's fixed range; hatched: not measured; grey: not to be judged."""
    names, values, stars, floors = table(runs)
    if not names:
        raise BadInput("no run has a reading of any metric yet")
    pairs = [(run, curve) for run in runs for curve in map(run.curve, names) if curve]
    curves = [curve for _, curve in pairs]
    goals = [_goal(run.curve(name) for run in runs) for name in names]
    has_floor = np.isfinite(floors).any()
    stages = lines.left_out(pairs)
    note = ". ".join([*stages, _note(names, goals, stars), *_hatched(runs, names)])
    height = 1.3 + 0.215 * (len(runs) + has_floor) + 0.3 * bool(stages)
    fig = style.new(height, lines.heading(runs, "best reading of every metric"), style.caption(runs, curves, note))
    ax = fig.add_subplot()
    for i, k in np.ndindex(values.shape):
        good = METRICS[names[k]].outward(values[i, k]) if goals[k] in ("lower", "higher") else np.nan
        _cell(ax, i, k, values[i, k], good, stars[k] == i)
    for k, floor in enumerate(floors if has_floor else ()):
        ax.text(k, len(runs), short(floor), ha="center", va="center", fontsize=5, style="italic", color=style.GREY)
    _frame(ax, names, goals, [*labels(runs).values()] + ["real vs real"] * bool(has_floor))
    return fig


def _hatched(runs, names):
    """Part of a caption: whose cells are empty because their readings are of images made of images."""
    copied = {run.label: None for n in names for run, c in zip(runs, together(runs, n)) if c is None and run.curve(n)}
    return [f"Hatched: read on images made of images alone ({', '.join(copied)})"] * bool(copied)


def _value(curve):
    if curve is None:
        return np.nan
    row = curve.best()
    return float(curve.finite[-1] if row is None else row[curve.metric.name])


def _floor(column):
    floors = [curve.floor for curve in column if curve and np.isfinite(curve.floor)]
    return float(np.median(floors)) if floors else np.nan


def _star(column, values, floor):
    return best(values, _goal(column), floor) if np.isfinite(values).sum() > 1 else None


def _goal(column):
    """The one direction of a column; "" where its runs disagree (pairs of different kinds)."""
    goals = {curve.goal for curve in column if curve}
    return goals.pop() if len(goals) == 1 else ""


def _cell(ax, row, column, value, good, starred):
    """One value on its shade: `good` is 0..1 on the metric's fixed range, NaN where no direction is better."""
    known = np.isfinite(value) and np.isfinite(good)
    shade = MAP(1 - float(good)) if known else "#eeeeee"
    box = Rectangle((column - 0.5, row - 0.5), 1, 1, facecolor=shade, edgecolor="white", linewidth=0.8)
    ax.add_patch(box).set_hatch(None if np.isfinite(value) else "////")
    ink = "white" if known and good > 0.45 else style.INK
    ax.text(column, row + 0.09 * starred, short(value), ha="center", va="center", fontsize=5, color=ink)
    if starred:
        ax.text(column + 0.47, row - 0.46, "★", ha="right", va="top", fontsize=4, color=ink)


def _frame(ax, names, goals, rows):
    heads = [f"{METRICS[name].axis} {ARROWS.get(goal, '')}" for name, goal in zip(names, goals)]
    ax.set_xticks(range(len(names)), heads, rotation=40, ha="left", rotation_mode="anchor", fontsize=5.5)
    ax.set_yticks(range(len(rows)), rows, fontsize=5.5)
    ax.tick_params(length=0, top=True, labeltop=True, bottom=False, labelbottom=False, pad=1.5)
    ax.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(rows) - 0.5, -0.5))
    for spine in ax.spines.values():
        spine.set_visible(False)


def _note(names, goals, stars):
    note = "Each cell: the best reading of the whole training, so metrics of one row may be of different moments"
    if judged := [name for name, goal in zip(names, goals) if goal in ("lower", "higher")]:
        note += f"; yellow to dark blue: {ranges(judged)}"
    note += "; ★ best of its column" if any(star is not None for star in stars) else ""
    return note + ("; ≈ neither high nor low is better, last reading" if "floor" in goals else "")
