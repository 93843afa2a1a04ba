"""How the readings of one metric are distributed, config by config: violin, box and every single reading."""

import numpy as np
from scipy.stats import gaussian_kde

from echogan.report import lines, seeds, strip, style
from echogan.report.metrics import METRICS
from echogan.report.run import together

ENOUGH = 20  # readings; below, a density would be invention and the points stand alone


def figure(runs, name):
    """Readings of metric `name` by config: violins where there are enough for them, else the ends of every seed (`strip`)."""
    firsts = seeds.firsts(runs)
    most = max((len(curve.trained) for curve in together(firsts, name) if curve), default=0)
    return violins(firsts, name) if most >= ENOUGH else strip.figure(runs, name)


@style.styled
def violins(runs, name):
    """Horizontal violins of metric `name`, best last reading first; dots darken from the first reading to the last."""
    rows = lines.drawable(runs, name)
    curves = [curve for _, curve, _ in rows]
    rows = sorted(rows, key=lambda row: row[1].trained[-1], reverse=curves[0].goal == "higher")
    shown = [run for run, *_ in rows]
    title = lines.heading(shown, f"{name} readings")
    fig = style.new(0.95 + 0.23 * len(rows), title, style.caption(shown, curves, _note(runs, rows)))
    ax = fig.add_subplot()
    values = np.concatenate([curve.trained for curve in curves])
    if METRICS[name].scale == "log" and style.wide(values):
        style.log_axis(ax.xaxis, values)
    for k, (_, curve, look) in enumerate(rows):
        _row(ax, k, curve.trained, look)
    ax.set_yticks(range(len(rows)), [f"{run.label}  (n = {len(curve.trained)})" for run, curve, _ in rows])
    ax.set_ylim(len(rows) - 0.45, -0.55)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    ax.set_xlabel(METRICS[name].axis)
    ax.set_title(lines.meaning(curves[0]), fontweight="normal", fontsize=6)
    return fig


def density(values, log=False, points=160):
    """(x, d): Gaussian density of `values` between their extremes and nowhere else, its peak scaled to 1.

    On a logarithmic axis it is the density of the logarithm, which is what the eye compares there.
    """
    shown = np.log(values) if log else np.asarray(values, float)
    grid = np.linspace(shown.min(), shown.max(), points)
    height = gaussian_kde(shown)(grid)
    return (np.exp(grid) if log else grid), height / height.max()


def _row(ax, k, values, look):
    if len(values) >= ENOUGH and np.ptp(values) > 0:
        x, height = density(values, log=ax.get_xscale() == "log")
        ax.fill_between(x, k - 0.4 * height, k + 0.4 * height, color=look.color, alpha=0.22, linewidth=0, zorder=1)
        ax.plot(x, k - 0.4 * height, x, k + 0.4 * height, color=look.color, linewidth=0.5, zorder=1)
        low, middle, high = np.percentile(values, (25, 50, 75))
        ax.plot([low, high], [k, k], color=style.INK, linewidth=2.2, solid_capstyle="butt", zorder=3)
        ax.plot(middle, k, "o", color="white", markersize=3.4, markeredgecolor=style.INK, markeredgewidth=0.6, zorder=5)
    wobble = k + 0.16 * np.sin(2.4 * np.arange(len(values)))  # a fixed jitter: equal data, equal figure
    shade = np.linspace(0.3, 1, len(values))
    ax.scatter(values, wobble, s=3.5, color=look.color, alpha=shade, linewidths=0, zorder=4)


def _note(runs, rows):
    curves = [curve for _, curve, _ in rows]
    note = ". ".join(
        [
            *lines.left_out([row[:2] for row in rows]),
            "Dots: single readings of the trained network, pale early, dark late",
        ]
    )
    if any(len(curve.trained) >= ENOUGH for curve in curves):
        note += "; bar: quartiles; white: median; density only between the extremes"
    if any(len(curve.trained) < ENOUGH for curve in curves):
        note += f"; fewer than {ENOUGH} readings: dots only"
    return ". ".join([note, *lines.absent(runs, curves[0].metric.name), *lines.shorter(runs)])
