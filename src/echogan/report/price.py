"""What a reading costs: the best one of every config against the time that its training took."""

import numpy as np
from matplotlib.transforms import Bbox

from echogan.errors import BadInput
from echogan.report import across, lines, seeds, style
from echogan.report.metrics import METRICS
from echogan.report.run import together

PAUSE = 10  # times the median that a row of the log may take; longer, the run was paused
MARKER, NAME = 4.5, 5  # points, of a config and of its name
RINGS = (
    (4, 16),
    (9, 16),
    (14, 24),
    (20, 24),
    (27, 32),
    (35, 32),
)  # points from a marker to its name; directions tried there


def busy(run):
    """Seconds that a run trained: a row of its log that took over `PAUSE` times the median counts as the median."""
    table = run.losses.reindex(columns=["kimg", "seconds"]).dropna()
    steps = np.diff(table.to_numpy(float), axis=0, prepend=0)
    kimg, seconds = steps[steps[:, 0] > 0].T
    if not len(kimg):
        return np.nan
    pace = seconds / kimg
    usual = np.median(pace)
    return float(np.where(pace > PAUSE * usual, usual, pace) @ kimg)


@style.styled
def figure(runs):
    """Best reading of every config against the time of its training: medians over its seeds, lines from least to most."""
    lead = across.common_lead(runs)
    groups = _points(runs, lead)
    if not groups:
        raise BadInput(f"no run has both {lead} and the seconds it took")
    used, curves = (
        [run for group, _ in groups for run in group],
        [run.curve(lead) for group, _ in groups for run in group],
    )
    unit, divide = _clock(max(values[:, 0].max() for _, values in groups))
    groups = [(group, values / (divide, 1)) for group, values in groups]
    where = np.array([np.median(values, axis=0) for _, values in groups])
    caption = across.caption(used, curves, lead, _note(runs, groups, lead))
    fig = style.new(3.8, f"{lead} against training time", caption)
    ax = fig.add_subplot()
    _mark(ax, groups, where)
    if style.wide(where[:, 0]):
        style.log_axis(ax.xaxis, where[:, 0])
    if METRICS[lead].scale == "log" and where[:, 1].min() > 0:
        style.log_axis(ax.yaxis, where[:, 1])
    ax.margins(0.1)
    ax.set(xlabel=f"training time without pauses ({unit})", ylabel=METRICS[lead].axis)
    ax.set_title(lines.meaning(*curves), fontweight="normal", fontsize=6)
    _names(ax, groups, where)
    return fig


def _points(runs, lead):
    """[(runs of one config, (seeds, 2) seconds of the whole training, without pauses, and best reading)]."""
    curves, groups = dict(zip(runs, together(runs, lead))), []
    for group in seeds.grouped(runs):
        rows = [(run, row) for run in group if (curve := curves[run]) and (row := curve.best()) is not None]
        found = [(run, busy(run), row[lead]) for run, row in rows]
        found = [point for point in found if point[1] > 0]
        if found:
            groups.append(([run for run, *_ in found], np.array([point[1:] for point in found], float)))
    return groups


def _note(runs, groups, lead):
    kimg = {float(run.losses["kimg"].max()) for group, _ in groups for run in group}
    shown = "–".join(f"{end:.4g}" for end in sorted({min(kimg), max(kimg)}))
    note = f"Configs of {across.each(runs, lead)}: best reading, and time of the whole training of {shown} kimg. "
    note += f"A row of the log that took over {PAUSE} times the median counts as the median: pauses are left out, the load of a "
    note += "shared machine is not"
    ratios = [values[:, 0].max() / values[:, 0].min() for _, values in groups if len(values) > 1]
    if ratios:
        note += f", by which seeds of one config differ up to {max(ratios):.2g} times. Lines: from the least to the most of the "
        note += "seeds, which their medians stand for; one seed elsewhere"
    return note


def _clock(seconds):
    return ("h", 3600) if seconds > 2 * 3600 else ("min", 60) if seconds > 120 else ("s", 1)


def _looks(groups):
    """{architecture: its look}."""
    archs = list(dict.fromkeys(group[0].arch for group, _ in groups))
    return dict(zip(archs, style.looks(len(archs))))


def _mark(ax, groups, where):
    looks = _looks(groups)
    for (group, values), point in zip(groups, where):
        run, look = group[0], looks[group[0].arch]
        for k in (0, 1):
            ends = np.repeat(point[None], 2, axis=0)
            ends[:, k] = values[:, k].min(), values[:, k].max()
            ax.plot(*ends.T, color=look.color, linewidth=0.6, zorder=1)
        face = "white" if run.published else look.color
        ax.plot(*point, look.marker, color=face, markeredgecolor=look.color, markersize=MARKER, zorder=2)
    families = {group[0].arch: group[0].family for group, _ in groups}
    for arch, look in looks.items():
        ax.plot([], [], look.marker, color=look.color, markersize=MARKER, label=families[arch])
    ax.legend(loc="upper left", bbox_to_anchor=(-0.12, -0.13), ncols=3, handletextpad=0.2, columnspacing=1)


def _names(ax, groups, where):
    """The name of each config where there is room for it, as near as can be; a hairline leads to one that stands apart."""
    ax.figure.draw_without_rendering()  # the layout is known only now
    marks, looks, dot = ax.transData.transform(where), _looks(groups), ax.figure.dpi / 72
    drawn = np.concatenate([marks, *(_along(ax, values, point) for (_, values), point in zip(groups, where))])
    half, taken = MARKER / 2 * dot, []
    for k in np.argsort(marks[:, 1]):
        run = groups[k][0][0]
        size = _size(ax, run.label)
        boxes = [(ring, _box(marks[k], size, radius * dot, turn)) for ring, radius, turn in _places()]
        free = [
            pair
            for pair in boxes
            if _within(ax, pair[1])
            and not (pair[1].padded(half).count_contains(drawn) or pair[1].count_overlaps(taken))
        ]
        ring, box = (free or boxes)[0]
        taken.append(box)
        _name(ax, run.label, where[k], box.get_points().mean(0) - marks[k], looks[run.arch].color, ring > 0)


def _along(ax, values, point):
    """Points in pixels along the two lines of a config, which its own name and others keep off."""
    low, high, middle = ax.transData.transform([values.min(0), values.max(0), point])
    steps = np.linspace(0, 1, 12)[:, None] * (high - low)
    return np.concatenate([np.column_stack([low[0] + steps[:, 0], np.full(12, middle[1])]),
                           np.column_stack([np.full(12, middle[0]), low[1] + steps[:, 1]])])  # fmt: skip


def _places():
    """(ring, its points from the marker, direction) to try for a name, the nearest first."""
    for ring, (radius, directions) in enumerate(RINGS):
        yield from ((ring, radius, 0.4 + 2 * np.pi * k / directions) for k in range(directions))


def _size(ax, label):
    text = ax.text(0, 0, label, fontsize=NAME)
    size = text.get_window_extent().size
    text.remove()
    return size


def _box(mark, size, radius, turn):
    """The box of a name that touches a circle of `radius` around `mark`, in pixels."""
    towards = np.array([np.cos(turn), np.sin(turn)])
    return Bbox.from_bounds(*(mark + radius * towards + (towards - 1) * size / 2), *size)


def _within(ax, box):
    return ax.bbox.x0 < box.x0 and box.x1 < ax.figure.bbox.x1 and ax.bbox.y0 < box.y0 and box.y1 < ax.bbox.y1


def _name(ax, label, point, pixels, colour, apart):
    hair = {"arrowstyle": "-", "color": colour, "linewidth": 0.3, "shrinkA": 0, "shrinkB": MARKER / 2}
    ax.annotate(
        label, point, xytext=pixels * 72 / ax.figure.dpi, textcoords="offset points", ha="center", va="center",
        arrowprops=hair if apart else None, fontsize=NAME, color=colour, annotation_clip=False,
    )  # fmt: skip
