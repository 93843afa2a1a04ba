"""Radar charts as small multiples: outward is better, ranges are fixed, and the raw values stand beside the shape.

Every spoke runs over the range written in `metrics.METRICS`, never over what happens to be in the figure, so that two
radars can be compared; a value beyond its range is drawn hollow at the edge.
"""

import numpy as np

from echogan.errors import BadInput
from echogan.report import lines, style
from echogan.report.metrics import ARROWS, METRICS, leading, ranges, ranked_by, written
from echogan.report.run import full_length, together

SPOKES = ("FID", "KID", "KID_lite0", "SWD", "spectrum_dB", "JSD", "JSD_root", "precision", "recall", "coverage")
SPOKES += ("SSIM", "PSNR", "LPIPS")
MOST = 7


@style.styled
def figure(runs, title=None, names=None, lead=None):
    """One small radar per run at its best moment (by the leading metric), all others hairline grey behind it.

    Configs that were asked for fewer images than the others are left out.
    """
    lead, looks, short = lead or leading([run.measured for run in runs]), style.looks_of(runs), lines.shorter(runs)
    runs = full_length(runs)
    spokes = spokes_of(runs)
    moments = [(run, best_moment(run, lead)) for run, curve in zip(runs, together(runs, lead)) if curve]
    shown = [(run, kimg, values_at(run, spokes, kimg)) for run, kimg in moments if kimg is not None]
    if len(spokes) < 3 or not shown:
        raise BadInput(f"a radar needs three metrics, found {', '.join(spokes) or 'none'}")
    rows = -(-len(shown) // 2)
    pairs = [(run, curve) for run, _, _ in shown for curve in map(run.curve, spokes) if curve]
    title = title or lines.heading([run for run, *_ in shown], f"metrics at the best {lead}")
    stages = lines.left_out(pairs) + short
    height = 0.55 + 0.86 * rows + 0.3 * (rows == 1)  # one row shares its height with title and caption alone
    fig = style.new(height + 0.25 * bool(stages), title, _words(runs, pairs, lead, len(shown), stages))
    grid = fig.subplots(rows, 2, squeeze=False)
    for ax, row in zip(grid.flat, shown):
        _panel(ax, row, shown, spokes, looks[row[0]], names)
    for ax in grid.flat[len(shown) :]:
        ax.set_axis_off()
    return fig


def spokes_of(runs):
    """At most seven metrics with a direction that at least half of the runs measured, always in the same order."""

    def judged(name):
        curves = [run.curve(name) for run in runs]
        return sum(curve is not None and curve.goal != "floor" for curve in curves) * 2 >= len(runs)

    return [name for name in SPOKES if judged(name)][:MOST]


def best_moment(run, lead):
    """The kimg at which metric `lead` would choose the weights of the run, None where it has no reading."""
    curve = run.curve(lead)
    row = curve.chosen() if curve else None
    return None if row is None else float(row["kimg"])


def values_at(run, names, kimg):
    """The readings of metrics `names` nearest to `kimg`; NaN for one never measured."""
    curves = [run.curve(name) for name in names]
    return np.array([curve.nearest(kimg) if curve else np.nan for curve in curves])


def _panel(ax, row, shown, spokes, look, names):
    run, kimg, values = row
    ax.set_axis_off()
    ax.set(xlim=(-1.3, 4.6), ylim=(-1.25, 1.3), aspect="equal")
    for ring in (0.5, 1):
        ax.plot(*_ring(np.full(len(spokes), ring)), color=style.PALE, linewidth=0.5, zorder=0)
    for k, (x, y) in enumerate(_points(np.ones(len(spokes)))):
        ax.plot([0, x], [0, y], color=style.PALE, linewidth=0.4, zorder=0)
        ax.text(1.17 * x, 1.17 * y, chr(ord("a") + k), fontsize=5, ha="center", va="center", color=style.GREY)
    for other, _, theirs in shown:
        if other is not run:
            ax.plot(*_ring(_outward(spokes, theirs)), color="#bdbdbd", linewidth=0.3, zorder=1)
    _shape(ax, spokes, values, look)
    _beside(ax, names[run.arch] if names else run.label, kimg, spokes, values, look)


def _shape(ax, spokes, values, look):
    out = _outward(spokes, values)
    if np.isfinite(out).all():
        ax.fill(*_ring(out), color=look.color, alpha=0.12, linewidth=0, zorder=2)
    ax.plot(*_ring(out), color=look.color, linewidth=1, zorder=3)
    for (x, y), value, name in zip(_points(out), values, spokes):
        metric = METRICS[name]
        beyond = not min(metric.worst, metric.best) <= value <= max(metric.worst, metric.best)
        face = "white" if beyond else look.color
        ax.plot(
            x, y, "o", markersize=2, markerfacecolor=face, markeredgecolor=look.color, markeredgewidth=0.6, zorder=4
        )


def _beside(ax, name, kimg, spokes, values, look):
    ax.text(1.5, 1.3, name, fontsize=6.5, fontweight="bold", color=look.color, va="top")
    ax.text(1.5, 0.9, f"at {kimg:.4g} kimg", fontsize=5, color=style.GREY, va="top")
    for k, (spoke, value) in enumerate(zip(spokes, values)):
        y = 0.42 - k * min(0.35, 1.96 / max(len(spokes) - 1, 1))
        label = f"{chr(ord('a') + k)}  {spoke.replace('_dB', '')} {ARROWS[METRICS[spoke].better]}"
        ax.text(1.5, y, label, fontsize=5, va="center", color=style.GREY)
        ax.text(4.6, y, written(value), fontsize=5, va="center", ha="right")


def _outward(spokes, values):
    """(len(spokes),) in 0..1, NaN where a metric is missing, so that the outline stays open there."""
    return np.array([METRICS[name].outward(value) for name, value in zip(spokes, values)])


def _points(radii):
    angles = np.pi / 2 - 2 * np.pi * np.arange(len(radii)) / len(radii)
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], -1)  # (spokes, 2)


def _ring(radii):
    points = _points(radii)
    return np.concatenate([points, points[:1]]).T


def _words(runs, pairs, lead, shown, stages):
    curves = [curve for _, curve in pairs]
    spokes = dict.fromkeys(curve.metric.name for curve in curves)
    parts = [
        ranked_by(lead, style.values_of("split", curves)),
        f"Centre to rim: {ranges(spokes)}",
        "Hollow: beyond the range",
    ]
    parts += stages
    parts.append(f"Moment: that of the {lines.CHOSEN[METRICS[lead].better]}, the rule that chooses weights")
    parts += ["Grey: the other panels"] * (shown > 1)
    parts += lines.absent(runs, lead)
    return style.caption(runs, curves, ". ".join(part for part in parts if part))
