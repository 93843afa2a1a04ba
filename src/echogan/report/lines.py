"""One metric over training for every config, before the study's quality bands and the real-against-real floor."""

import numpy as np
import pandas as pd

from echogan.errors import BadInput
from echogan.report import style
from echogan.report.metrics import BANDS, METRICS, written
from echogan.report.run import STAGES, full_length, together

LABEL, ROOM = 0.094, 0.85  # inches: of an end label, and of a figure's words above and below its axes
FLOOR = "TRAIN"  # frames of the floor that training reads; other rows name theirs
SUBTITLE = 54  # characters, which fit beside the names of the configs
SENSE = {
    "lower": "lower is better ↓",
    "higher": "higher is better ↑",
    "floor": "target: that of real images",
}
CHOSEN = {
    goal: f"{word} median of three readings"
    for goal, word in (("lower", "lowest"), ("higher", "highest"), ("floor", "most real"))
}


def drawable(runs, name):
    """[(run, curve, look)] of the runs that measured metric `name`; looks stay those of the whole set of runs."""
    looks = style.looks_of(runs)
    runs = full_length(runs)
    rows = [(run, curve, looks[run]) for run, curve in zip(runs, together(runs, name)) if curve is not None]
    if not rows:
        raise BadInput(f"no run of {', '.join(sorted({run.arch for run in runs})) or 'none'} has a reading of {name}")
    return rows


def heading(runs, what):
    """Title of a figure: whose runs, and what of them is shown."""
    studies = {run.study for run in runs}
    theirs = f" ({runs[0].study})" if len(studies) == 1 and runs[0].study else ""
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


def left_out(pairs):
    """Parts of a caption: which readings of [(run, curve)] are not shown, being of another stage, and whose, where not all's."""
    rows = [(run.title, curve.metric.name.removesuffix("_dB"), run.left_out(curve)) for run, curve in pairs]
    everyone, parts = [set(column) for column in zip(*rows)][:2], []
    for text in dict.fromkeys(row[2] for row in rows if row[2]):
        mine = [list(dict.fromkeys(row[k] for row in rows if row[2] == text)) for k in (0, 1)]
        whose = [", ".join(names) for names, every in zip(mine, everyone) if set(names) != every]
        parts.append(f"{', '.join(whose)}: {text}" if whose else text[0].upper() + text[1:])
    return parts


def absent(runs, name):
    """Parts of a caption: which of `runs` have no curve of metric `name` beside those of the others, and why."""
    lacking = [run for run, curve in zip(runs, together(runs, name)) if curve is None]
    copied = [run.label for run in lacking if run.curve(name)]
    never = len(lacking) - len(copied)
    parts = [f"Left out: {', '.join(copied)}, read on images made of images alone"] * bool(copied)
    return [*parts, *[f"{name} was not read in {never} of {len(runs)} configs"] * bool(never)]


@style.styled
def figure(runs, name):
    """Metric `name` over kimg, one line per config, each named at its end; a star marks the weights to choose of all.

    Configs that were asked for fewer images than the others are left out: their lines would end before there is much to see.
    """
    rows = drawable(runs, name)
    curves = [curve for _, curve, _ in rows]
    height = max(2.4, ROOM + LABEL * (len(rows) + 1))
    shown = [run for run, *_ in rows]
    fig = style.new(height, heading(shown, f"{name} over training"), style.caption(shown, curves, _note(runs, rows)))
    ax = fig.add_subplot()
    for _, curve, look in rows:
        ax.plot(curve.kimg, curve.value, **look.line(len(curve.kimg)))
    _scale(ax, curves)
    _bands(ax, curves[0])
    _star(ax, curves)
    _ends(ax, [*map(_end, rows), *_floor(ax, curves)], LABEL / (height - ROOM))
    ax.set(xlabel="training (kimg)", ylabel=METRICS[name].axis)
    ax.set_title(meaning(curves[0]), fontweight="normal", fontsize=6)
    return fig


def _note(runs, rows):
    curves, parts = [curve for _, curve, _ in rows], left_out([row[:2] for row in rows])
    metric = curves[0].metric
    if limits := metric.bands_for(curves[0].paired):
        sign = "<" if metric.better == "lower" else ">"
        classes = ", ".join(f"{name} {sign} {written(limit)}" for name, limit in zip(BANDS, limits))
        parts.append(f"Grey bands, light to dark, are the original study's: {classes}, {BANDS[-1]}")
    parts += dotted(curves)
    if curves[0].goal in CHOSEN and _best(curves):
        parts.append(f"Star: {CHOSEN[curves[0].goal]}")
    return ". ".join([*parts, *absent(full_length(runs), metric.name), *shorter(runs)])


def shorter(runs):
    """Part of a caption: how many configs are left out of a figure of `full_length` ones."""
    number = len(runs) - len(full_length(runs))
    return [
        f"Left out: {number} config{'s' * (number > 1)} that {'were' if number > 1 else 'was'} shown fewer images"
    ] * bool(number)


def _scale(ax, curves):
    read = np.concatenate([curve.finite for curve in curves])
    floors = [c.floor for c in curves if np.isfinite(c.floor)]
    log = curves[0].metric.scale == "log" and style.wide(read)  # a far floor alone would press the readings together
    values = np.concatenate([read, [floor for floor in floors if floor > 0 or not log]])
    if log:
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


def dotted(curves):
    """Parts of a caption: what the dotted line is, where there is one."""
    told = {name for curve in curves for name in curve.rows.get("floor_of", pd.Series(dtype=str)).dropna() if name}
    whose = " and ".join(sorted(told)) or FLOOR
    return [f"Dotted: {whose} frames in place of the generated ones"] * any(np.isfinite(c.floor) for c in curves)


def _floor(ax, curves):
    """Draw what real images reach, dotted; its end as `_end` gives it, none where it was not measured."""
    floors = [curve.floor for curve in curves if np.isfinite(curve.floor)]
    if not floors:
        return []
    floor = float(np.median(floors))
    return [(f"real {floor:.3g}", style.INK, (ax.get_xlim()[1], floor_line(ax, floor, 0.7)))]


def floor_line(ax, floor, width):
    """Draw a dotted line of `width` points at `floor` and return its place.

    An unbiased floor may be 0 or less, for which a logarithmic axis has no place: its line is the lower end of the axis.
    """
    beyond = ax.get_yscale() == "log" and floor <= 0
    place = ax.get_ylim()[0] if beyond else floor
    over = {"zorder": 3, "clip_on": False} if beyond else {"zorder": 1}  # the axis's own line must not cover it
    ax.axhline(place, color=style.INK, linewidth=width, linestyle=(0, (1, 2)), **over)
    return place


def _best(curves):
    """(curve, row) of the best choice of weights among all of them; None where nothing can be called best."""
    found = [(curve, row) for curve in curves if (row := curve.chosen()) is not None]
    return min(found, key=lambda pair: pair[1]["median"], default=None)


def _star(ax, curves):
    if found := _best(curves):
        curve, row = found
        look = {"color": "white", "markeredgecolor": style.INK, "markeredgewidth": 0.7}
        ax.plot(row["kimg"], row[curve.metric.name], "*", markersize=7, zorder=9, **look)


def _end(row):
    """(name, colour, last point) of a line."""
    run, curve, look = row
    k = np.flatnonzero(np.isfinite(curve.value))[-1]
    return run.label, look.color, (curve.kimg[k], curve.value[k])


def _ends(ax, ends, gap):
    """A name beside each of `ends` (name, colour, point), moved apart to `gap` of the height where lines end together."""
    heights = ax.transAxes.inverted().transform(ax.transData.transform([point for *_, point in ends]))[:, 1]
    for (name, colour, point), y in zip(ends, style.spread(heights, gap)):
        hair = {"arrowstyle": "-", "color": colour, "linewidth": 0.3, "shrinkA": 0, "shrinkB": 1}
        hair["relpos"] = (0, 0.5)  # to the name's near edge: towards its middle it would strike through its neighbours
        ax.annotate(
            name, point, xytext=(1.045, y), textcoords=ax.transAxes, arrowprops=hair,
            annotation_clip=False, fontsize=5.5, color=colour, va="center",
        )  # fmt: skip
