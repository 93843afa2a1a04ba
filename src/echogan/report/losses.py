"""Loss curves of one run: the game of D and G on top, every other loss and reading in a panel of its own, counts together."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from echogan.errors import BadInput
from echogan.report import style
from echogan.report.run import COUNTS, waits

RIVALS = ("D", "D_loss", "loss_D", "disc_loss", "G", "G_loss", "loss_G", "g_loss")
ROWS = 60  # from so many rows on, the logged values are drawn thin behind their running median


@style.styled
def figure(run):
    """Loss curves of `run` over kimg; `BadInput` where it logged none."""
    names = run.loss_names
    if not names:
        raise BadInput(f"{run.arch}/{run.name} has no losses to draw")
    game = sorted((name for name in names if name in RIVALS), key=RIVALS.index)
    counts = [name for name in names if name.endswith(COUNTS)]
    alone = [[name] for name in names if name not in (*game, *counts)]
    panels = [panel for panel in (game, *alone, counts) if panel]
    note = "Thin: as logged; thick: running median" if len(run.losses) >= ROWS else ""
    rows = len(panels) // 2  # of small panels, two abreast
    fig = style.new(1.95 + 0.8 * rows, f"{run.title}: training losses", style.caption([run], note=note))
    for axes, columns in zip(_grid(fig, len(panels), rows), panels):
        (_counts if columns == counts else _panel)(axes, run.losses, columns)
    return fig


def panel(ax, run):
    """The game alone, without words, for a table of small pictures."""
    names = [name for name in run.loss_names if name in RIVALS]
    if len(names) < 2:  # no game of two all along: what it lowered last
        names = ["prior"] if "prior" in run.loss_names else run.loss_names[:2]
    for name, look in zip(sorted(names), style.looks(2)):
        table = run.losses[["kimg", name]].dropna()
        ax.plot(table["kimg"], _median(table[name]), color=look.color, linestyle=look.linestyle, label=name)
    ax.legend(loc="best", handlelength=2, fontsize=5, borderaxespad=0.1)


def _grid(fig, n, rows):
    """Axes, n of them: the first over the full width, the others two abreast, all of one time axis."""
    grid = fig.add_gridspec(rows + 1, 2, height_ratios=[1.6] + [1] * rows)
    top = fig.add_subplot(grid[0, :])
    top.set_xlabel("training (kimg)")
    top.margins(x=0.02)
    rest = [fig.add_subplot(grid[1 + k // 2, k % 2], sharex=top) for k in range(n - 1)]
    for ax in rest:
        ax.set_xlabel("kimg", loc="right", labelpad=-1, fontsize=5)
    return [top, *rest]


def _panel(ax, losses, columns):
    for name, look in zip(columns, style.looks(2)):
        table = losses[["kimg", name]]
        if table[name].notna().mean() < 0.5:  # a lazy loss is logged on its own, coarser grid
            table = table.dropna()
        _curve(ax, table["kimg"], table[name], look)
    values = losses[columns].to_numpy(float)
    if np.nanmin(values) < 0 < np.nanmax(values):
        ax.axhline(0, color=style.PALE, linewidth=0.6, zorder=0)
    ax.set_title(" and ".join(columns))
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    if len(columns) > 1:
        ax.set_ylabel("loss")
        ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0, borderpad=0.1, handlelength=2.6)
    _failure(ax, losses, columns)


def _counts(ax, losses, columns):
    """Updates made so far, of each phase; a schedule that adapts shows in their slopes."""
    for name, look in zip(columns, style.looks(len(columns))):
        label = name.removesuffix(COUNTS)
        ax.plot(losses["kimg"], losses[name], color=look.color, linestyle=look.linestyle, label=label)
    ax.set_title("updates")
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.yaxis.set_major_locator(MaxNLocator(4))
    ax.legend(
        loc="lower right", bbox_to_anchor=(1, 1), ncols=len(columns), borderaxespad=0, borderpad=0.1,
        handlelength=1.6, columnspacing=0.8, handletextpad=0.4, fontsize=5,
    )  # fmt: skip


def _curve(ax, kimg, values, look):
    if len(values) >= ROWS:
        ax.plot(kimg, values, color=look.color, linewidth=0.3, alpha=0.45)
        values = _median(values)
    ax.plot(kimg, values, label=values.name, **look.line(len(values)))


def _median(values):
    if len(values) < ROWS:
        return values
    return values.rolling(len(values) // 30 | 1, center=True, min_periods=1).median().where(values.notna())


def _failure(ax, losses, columns):
    """Mark where losses stop being numbers for good."""
    ends = {name: losses["kimg"][losses[name].last_valid_index()] for name in columns}
    waiting = [name for name in columns if waits(losses, name)]
    lost = [name for name in columns if losses[name].isna().iloc[-1] and losses[name].notna().mean() > 0.3]
    dense = [
        name
        for name in lost
        if name not in waiting and losses[name][: losses[name].last_valid_index()].notna().mean() > 0.5
    ]
    if dense:
        end = max(ends[name] for name in dense)
        ax.axvline(end, color=style.INK, linewidth=0.6, linestyle=(0, (1, 2)))
        words = f" {', '.join(dense)}: no number\n after {end:.4g} kimg"
        ax.text(end, 0.05, words, transform=ax.get_xaxis_transform(), fontsize=5, va="bottom", linespacing=1.2)
