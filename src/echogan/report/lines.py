"""One metric over training for every config, before the study's quality bands and the real-against-real floor."""

import numpy as np

from echogan.errors import BadInput
from echogan.report import style
from echogan.report.metrics import BANDS, METRICS, written
from echogan.report.run import STAGES, together

LABEL, ROOM = 0.094, 0.85  # inches: of an end label, and of a figure's words above and below its axes
SUBTITLE = 54  # characters, which fit beside the names of the configs
SENSE = {
    "lower": "lower is better ↓",
    "higher": "higher is better ↑",
    "floor": "target: that of real images",
}


def drawable(runs, name):
    """[(run, curve, look)] of the runs that measured metric `name`; looks stay those of the whole set of runs."""
    looks = style.looks(len(runs))
    rows = [(run, curve, look) for run, curve, look in zip(runs, together(runs, name), looks) if curve is not None]
    if not rows:
        raise BadInput(f"no run of {', '.join(sorted({run.arch for run in runs})) or 'none'} has a reading of {name}")
    return rows


def heading(runs, what):
    """Title of a figure: whose runs, and what of them is shown."""
    theirs = f" ({runs[0].study})" if runs[0].study else ""
    who = runs[0].title if len(runs) == 1 else f"{runs[0].family}, {len(runs)} configs{theirs}"
    return f"{who}: {what}"


def meaning(curve, *others):
    """Subtitle of a figure that shows one metric: its full name and which way is better, on two lines where it is long.

    That images were made of images it says where that holds for all its curves.
    """
    translated = {c.stage for c in (curve, *others)} == {STAGES[1]}
    made = "of images made of images · " * (translated and curve.metric.of != "pairs")
    parts = (curve.metric.full, made + SENSE[curve.goal])
    return ("\n" if made or sum(map(len, parts)) > SUBTITLE else " · ").join(parts)


@style.styled
def figure(runs, name):
    """Metric `name` over kimg, one line per config, each named at its end; a star marks the best reading of all."""
    rows = drawable(runs, name)
    curves = [curve for _, curve, _ in rows]
    height = max(2.4, ROOM + LABEL * len(rows))
    fig = style.new(height, heading(runs, f"{name} over training"), style.caption(runs, curves, _note(runs, curves)))
    ax = fig.add_subplot()
    for _, curve, look in rows:
        ax.plot(curve.kimg, curve.value, **look.line(len(curve.kimg)))
    _scale(ax, curves)
    _bands(ax, curves[0])
    _floor(ax, curves)
    _star(ax, curves)
    _ends(ax, rows, LABEL / (height - ROOM))
    ax.set(xlabel="training (kimg)", ylabel=METRICS[name].axis)
    ax.set_title(meaning(curves[0]), fontweight="normal", fontsize=6)
    return fig


def _note(runs, curves):
    metric, parts = curves[0].metric, []
    if limits := metric.bands_for(curves[0].paired):
        sign = "<" if metric.better == "lower" else ">"
        classes = ", ".join(f"{name} {sign} {written(limit)}" for name, limit in zip(BANDS, limits))
        parts.append(f"Grey bands, light to dark, are the original study's: {classes}, {BANDS[-1]}")
    if len(curves) < len(runs):
        parts.append(f"Not measured in {len(runs) - len(curves)} of {len(runs)} configs")
    return ". ".join(parts)


def _scale(ax, curves):
    values = np.concatenate([curve.finite for curve in curves] + [[c.floor for c in curves if np.isfinite(c.floor)]])
    if curves[0].metric.scale == "log" and style.wide(values):
        style.log_axis(ax.yaxis, values)
    low, high = ax.transData.transform([(0, values.min()), (0, values.max())])[:, 1]  # pad in the axis's own scale
    pad = 0.06 * (high - low) or 20
    ax.set_ylim(*ax.transData.inverted().transform([(0, low - pad), (0, high + pad)])[:, 1])
    kimg = np.concatenate([curve.kimg for curve in curves])
    ax.set_xlim(kimg.min() - 0.02 * np.ptp(kimg) - 1e-9, kimg.max() + 0.02 * np.ptp(kimg) + 1e-9)


def _bands(ax, curve):
    """The study's five classes as ever darker greys."""
    limits = sorted(curve.metric.bands_for(curve.paired))
    names = BANDS if curve.metric.better == "lower" else BANDS[::-1]
    low, high = ax.get_ylim()
    edges = np.clip([low, *limits, high], low, high)
    for bottom, top, name in zip(edges, edges[1:], names if limits else ()):
        ax.axhspan(bottom, top, facecolor=f"{1 - 0.04 * BANDS.index(name):.2f}", linewidth=0, zorder=-2)


def _floor(ax, curves):
    floors = [curve.floor for curve in curves if np.isfinite(curve.floor)]
    if floors:
        floor = float(np.median(floors))
        ax.axhline(floor, color=style.INK, linewidth=0.7, linestyle=(0, (1, 2)), zorder=1)
        ax.annotate(
            f"real vs real {floor:.3g}", (0.01, floor), xycoords=("axes fraction", "data"), fontsize=5,
            xytext=(0, 1.5), textcoords="offset points", va="bottom",
        )  # fmt: skip


def _star(ax, curves):
    found = [(curve.best(), curve) for curve in curves]
    values = [np.nan if row is None else row[curve.metric.name] for row, curve in found]
    if np.isfinite(values).any():
        place = {"lower": np.nanargmin, "higher": np.nanargmax}.get(curves[0].goal)
        k = place(values) if place else np.nanargmin([abs(v - c.floor) for v, (_, c) in zip(values, found)])
        ax.plot(
            found[k][0]["kimg"],
            values[k],
            "*",
            color="white",
            markersize=7,
            markeredgecolor=style.INK,
            markeredgewidth=0.7,
            zorder=9,
        )


def _ends(ax, rows, gap):
    """Each config's name beside the last point of its line, moved apart to `gap` of the height where lines end together."""
    last = [np.flatnonzero(np.isfinite(curve.value))[-1] for _, curve, _ in rows]
    ends = [(curve.kimg[k], curve.value[k]) for (_, curve, _), k in zip(rows, last)]
    heights = ax.transAxes.inverted().transform(ax.transData.transform(ends))[:, 1]
    for (run, _, look), (kimg, value), y in zip(rows, ends, style.spread(heights, gap)):
        hair = {"arrowstyle": "-", "color": look.color, "linewidth": 0.3, "shrinkA": 1, "shrinkB": 1}
        ax.annotate(
            run.label, (kimg, value), xytext=(1.03, y), textcoords=ax.transAxes, arrowprops=hair,
            annotation_clip=False, fontsize=5.5, color=look.color, va="center",
        )  # fmt: skip
