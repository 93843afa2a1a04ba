"""Architectures beside each other: the best of each, and the published setting beside ours."""

from dataclasses import dataclass

import numpy as np
from matplotlib.ticker import MaxNLocator

from echogan.errors import BadInput
from echogan.report import lines, losses, progress, radar, seeds, style
from echogan.report.metrics import METRICS, leading, ranked_by, written
from echogan.report.run import SHORT, full_length, on_usual_data, together


def best_runs(runs, lead=None):
    """The best run of each architecture by metric `lead` (its leading one if None), where it has a reading.

    By the rule that chooses a run's weights, the lowest rolling median: one lucky reading makes no config the best. Runs on
    other data than most of their architecture, those asked for fewer images than the others, and theirs where there are ours,
    are not ranked.
    """
    runs = [run for run in runs if not run.study or all(other.study for other in runs if other.arch == run.arch)]
    best, usual = {}, on_usual_data(runs)
    runs = full_length([run for run in runs if usual[run]])
    for run, curve in zip(runs, together(runs, lead or common_lead(runs))):
        row = curve.chosen() if curve else None
        if row is not None:
            best[run.arch] = min(best.get(run.arch, (np.inf, run)), (row["median"], run), key=lambda pair: pair[0])
    return [run for _, run in best.values()]


def common_lead(runs):
    """The first ranking metric that every architecture measured, else the one that most of them did."""
    return leading(
        [{name for run in runs if run.arch == arch for name in run.measured} for arch in _archs(runs)], share=1
    )


@style.styled
def table(runs):
    """The study at a glance: per architecture its best config's losses, leading metric over training and sample."""
    lead, chosen = common_lead(runs), best_runs(runs)
    curves = [run.curve(lead) for run in chosen]
    star = f"Star: {lines.CHOSEN[METRICS[lead].better]}"
    note = ". ".join([*lines.left_out(zip(chosen, curves)), *lines.dotted(curves), star])
    title = f"Best config of {each(runs, lead)}, by {lead}"
    fig = style.new(0.8 + 1.02 * len(chosen), title, caption(chosen, curves, lead, note))
    grid = fig.subplots(len(chosen), 3, squeeze=False, width_ratios=(1.15, 1.15, 0.8))
    for row, run, curve, look in zip(grid, chosen, curves, style.looks(len(chosen))):
        losses.panel(row[0], run) if run.loss_names else row[0].set_axis_off()
        _metric(row[1], curve, look)
        _sample(row[2], run, curve)
        row[0].set_title(run.title)
        for ax in row[:2]:
            ax.xaxis.set_major_locator(MaxNLocator(4))
            ax.tick_params(labelsize=5, pad=1.5)
    for ax, words in zip(grid[-1], ("losses over kimg", f"{METRICS[lead].axis} over kimg", "")):
        ax.set_xlabel(words, fontsize=5.5)
    return fig


def radars(runs):
    """The best run of each architecture as small radars."""
    chosen, lead = best_runs(runs), common_lead(runs)
    names = {run.arch: run.title for run in chosen}
    return radar.figure(chosen, f"Best of {each(runs, lead)} at its best {lead}", names, lead)


@style.styled
def published_and_ours(runs):
    """Best published setting (open) beside our best (filled), per architecture, at equal images shown: a dot for each seed."""
    lead = common_lead(runs)
    pairs = [pair for arch in _archs(runs) if (pair := _pair([r for r in runs if r.arch == arch], lead))]
    if not pairs:
        raise BadInput("no architecture has both a published setting and one of ours")
    used = [run for sides, _ in pairs for side in sides for run in side.values]
    curves = [run.curve(lead) for run in used]
    note = "Open: as published; filled: ours; both trained by us. Dot: the best reading of a seed within the images stated; "
    note += "number: their median. Each side: the config whose first seed is best, of as many as the left says (†: as published)"
    note += _unpaired(runs, pairs)
    fig = style.new(0.95 + 0.36 * len(pairs), f"As published beside ours: {lead}", caption(used, curves, lead, note))
    ax = fig.add_subplot()
    for k, (sides, _) in enumerate(pairs):
        _dumbbell(ax, k, sides)
    ax.set_yticks(range(len(pairs)), [_of_how_many(*pair) for pair in pairs], fontsize=5.5)
    ax.set_ylim(len(pairs) - 0.5, -0.6)
    _room_for_names(
        ax, METRICS[lead], np.array([value for sides, _ in pairs for side in sides for value in side.values.values()])
    )
    ax.spines["left"].set_visible(False)
    ax.tick_params(axis="y", length=0)
    ax.set_xlabel(METRICS[lead].axis)
    ax.set_title(lines.meaning(*curves), fontweight="normal", fontsize=6)
    return fig


def _of_how_many(sides, until):
    """What stands left of a row: the architecture, how many configs each side is the best of, and the images shown."""
    theirs, ours = sides
    family = next(iter(theirs.values)).family
    return f"{family}\n≤ {until:.4g} kimg, of {theirs.configs}† and {ours.configs}"


def _room_for_names(ax, metric, values):
    if metric.scale == "log" and values.min() > 0:
        style.log_axis(ax.xaxis, values)
    ax.margins(x=0.4)
    scale = ax.xaxis.get_transform()
    low, high = scale.transform(ax.get_xlim())
    low, high = ax.set_xlim(
        *scale.inverted().transform([low - 0.22 * (high - low), high])
    )  # names of ours are the longer ones
    ax.set_xticks([tick for tick in ax.get_xticks() if max(low, 0) <= tick <= high])  # the room below 0 is for names


def _unpaired(runs, pairs):
    """Part of a caption: architectures without both sides."""
    lacking = set(_archs(runs)) - {run.arch for sides, _ in pairs for run in sides[0].values}
    names = sorted({run.family for run in runs if run.arch in lacking})
    return f". Left out, without both sides judged alike: {', '.join(names)}" if names else ""


def each(runs, lead):
    """Whom a figure of "each architecture" leaves out: reconstructions and the like, beside images from noise, see `together`."""
    shown = {run.arch for run, curve in zip(runs, together(runs, lead)) if curve}
    measured = {run.arch for run in runs if run.curve(lead)}
    return "each architecture" + " that draws from noise" * bool(measured - shown)


def _archs(runs):
    return list(dict.fromkeys(run.arch for run in runs))


def _best_value(curve, lead, until=np.inf):
    row = curve.best(until) if curve else None
    return np.nan if row is None else float(row[lead])


@dataclass(frozen=True)
class Side:
    """The best config of one side of a comparison."""

    values: dict  # run, a seed of it -> its best reading
    configs: int  # that it is the best of


def _pair(runs, lead):
    """((`Side` as published, `Side` of ours), kimg both may use) or None; "equal" is the shorter training of the two sides.

    What ended long before, as it had collapsed, stands on neither.
    """
    usual = on_usual_data([run for run in runs if not run.study])
    runs = [run for run, curve in zip(runs, together(runs, lead)) if curve and usual.get(run)]
    parts = [[run for run in runs if run.published is side] for side in (True, False)]
    if not all(parts):
        return None
    wanted = min(max(run.metrics["kimg"].max() for run in part) for part in parts)
    parts = [[run for run in part if run.metrics["kimg"].max() > SHORT * wanted] for part in parts]
    until = min(run.metrics["kimg"].max() for part in parts for run in part)
    theirs, ours = (_side(part, lead, until) for part in parts)
    return ((theirs, ours), until) if theirs and ours else None


def _side(runs, lead, until):
    """The config whose first seed has the best reading; None where nothing can be called best."""
    values = {run: _best_value(run.curve(lead), lead, until) for run in runs}
    groups = [group for group in seeds.grouped(runs) if np.isfinite(values[group[0]])]
    if not groups:
        return None
    chosen = min(groups, key=lambda group: (-1 if METRICS[lead].better == "higher" else 1) * values[group[0]])
    return Side({run: values[run] for run in chosen if np.isfinite(values[run])}, len(groups))


def caption(runs, curves, lead, note=""):
    """The caption of a figure over architectures: what ranks, then what is particular to it."""
    parts = (ranked_by(lead, style.values_of("split", curves)), note)
    return style.caption(runs, curves, ". ".join(part for part in parts if part))


def _metric(ax, curve, look):
    ax.plot(curve.kimg, curve.value, color=look.color)
    row = curve.chosen()
    ax.plot(row["kimg"], row[curve.metric.name], "*", color="white", markersize=6, markeredgecolor=style.INK, zorder=5)
    if style.wide(curve.finite):
        style.log_axis(ax.yaxis, curve.finite)
    if np.isfinite(curve.floor):
        lines.floor_line(ax, curve.floor, 0.6)
    best = written(row[curve.metric.name])
    ax.set_title(f"{curve.metric.name} {best} at {row['kimg']:.4g} kimg", fontweight="normal", fontsize=5.5)


def _sample(ax, run, curve):
    """One picture from the saved grid nearest to the star, of those that can be opened."""
    ax.set_axis_off()
    try:
        kimg = min(progress.readable(run), key=lambda k: abs(k - curve.chosen()["kimg"]))
    except BadInput:  # it has none, as its problems say
        return
    ax.imshow(progress.made(run, kimg)[0], cmap="gray", vmin=0, vmax=255)
    ax.set_title(f"at {kimg} kimg", fontweight="normal", fontsize=5.5)


def _dumbbell(ax, k, sides):
    """A row: the seeds of both sides, a line from median to median, and the names at the outer ends."""
    middles = [float(np.median(list(side.values.values()))) for side in sides]
    every = [value for side in sides for value in side.values.values()]
    ax.plot(middles, [k, k], color=style.GREY, linewidth=0.8, zorder=1)
    for side, middle, face in zip(sides, middles, ("white", style.COLOURS[0])):
        values = list(side.values.values())
        ax.plot(values, [k] * len(values), "o", markersize=4, markerfacecolor=face, markeredgecolor=style.COLOURS[0],
                markeredgewidth=0.8, alpha=0.85, zorder=2)  # fmt: skip
        left = middle == min(middles)
        label = f"{next(iter(side.values)).label} {written(middle)}"
        ax.annotate(label, ((min if left else max)(every), k), xytext=(-5 if left else 5, 0), va="center",
                    ha="right" if left else "left", textcoords="offset points", fontsize=5.5)  # fmt: skip
