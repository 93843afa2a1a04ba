"""Loss curves of one run: the game of D and G on top, every other loss and reading in a panel of its own, counts together.

A panel reaches as far as its values do: of a run in two stages each loss belongs to one. What never changes is told in words.
"""

import numpy as np
from matplotlib.ticker import MaxNLocator

from echogan.errors import BadInput
from echogan.report import style
from echogan.report.metrics import written
from echogan.report.run import COUNTS, waits

RIVALS = ("D", "D_loss", "loss_D", "disc_loss", "G", "G_loss", "loss_G", "g_loss")
EVEN = 0.02  # of its mean, that the pace of updates may vary and still be called even
ROWS = 60  # from so many rows on, the logged values are drawn thin behind their running median

# fmt: off
MEANINGS = {  # of the names in losses.csv, as every architecture uses them
    "D": "loss of the discriminator or critic", "G": "loss of the generator",
    "Dmain": "loss of the discriminator", "Gmain": "loss of the generator",
    "Dreg": "gradient penalty", "penalty": "gradient penalty", "Greg": "path length penalty",
    "path_length": "mean length of paths", "sign": "mean sign of the scores", "p": "strength of augmentation",
    "real": "mean score of real images", "fake": "mean score of generated images",
    "r": "mean score of real images", "f": "mean score of generated images",
    "rank": "share of pairs in which the real image scores higher",
    **{f"{what}_{domain}": f"mean score of {of} images, by domain" for what, of in (("real", "real"), ("fake", "generated"))
       for domain in "AB"},
    "l1": "mean absolute error", "lpips": "perceptual distance", "matching": "distance of the critic's features",
    "divergence": "of the style code", "mix": "inconsistency under LabelMix",
    "cycle": "error after the way there and back", "identity": "change of images of the target domain",
    "segmentation": "disagreement of a segmenter", "vq": "loss of the autoencoder",
    "vq_adv": "that of the autoencoder and of its adversary",
    "commitment": "distance of encodings from their codes", "lambda": "weight of the adversary",
    "usage": "share of the codes in use", "perplexity": "codes that, used equally often, would carry as much",
    "prior": "nats a token", "book": "length of the codebook",
}
# fmt: on


@style.styled
def figure(run):
    """Loss curves of `run` over kimg; `BadInput` where it logged none."""
    names = run.loss_names
    if not names:
        raise BadInput(f"{run.arch}/{run.name} has no losses to draw")
    counts, still = [name for name in names if name.endswith(COUNTS)], _still(run.losses, names)
    drawn = [name for name in names if name not in still and name not in counts] or names[:1]
    game = sorted((name for name in drawn if name in RIVALS), key=RIVALS.index)
    even = _even(run.losses, counts)
    panels = [game, *([name] for name in drawn if name not in game), [] if even else counts]
    panels = [panel for panel in panels if panel]
    rows = len(panels) // 2  # of small panels, two abreast
    caption = style.caption([run], note=_note(run.losses, drawn, still, even))
    fig = style.new(2.1 + 0.8 * rows, f"{run.title}: training losses", caption)
    for axes, columns in zip(_grid(fig, len(panels), rows), panels):
        (_counts if columns == counts else _panel)(axes, run.losses, columns)
    return fig


def _still(losses, names):
    """{name: value} of the columns that never change."""
    values = {name: losses[name].dropna() for name in names if not name.endswith(COUNTS)}
    return {name: column.iloc[0] for name, column in values.items() if len(column) > 2 and column.nunique() == 1}


def _even(losses, counts):
    """{phase: updates a kimg} where none of the counts ever changes its pace, else nothing."""
    steps = losses[["kimg", *counts]].diff().dropna()
    paces = {name.removesuffix(COUNTS): steps[name] / steps["kimg"] for name in counts}
    even = len(steps) and all(np.ptp(pace) <= EVEN * pace.mean() for pace in paces.values())
    return {name: pace.mean() for name, pace in paces.items()} if even else {}


def _note(losses, drawn, still, even):
    told = {}
    for name in filter(MEANINGS.get, drawn):
        told.setdefault(MEANINGS[name], []).append(name)
    parts = ["; ".join(f"{', '.join(names)}: {what}" for what, names in told.items())]
    parts += ["Never changed: " + ", ".join(f"{name} {written(value)}" for name, value in still.items())] * bool(still)
    parts += ["Updates a kimg, even: " + ", ".join(f"{name} {pace:,.4g}" for name, pace in even.items())] * bool(even)
    parts += ["Thin: as logged; thick: running median"] * (len(losses) >= ROWS)
    return ". ".join(part for part in parts if part)


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
    """Axes, n of them: the first over the full width, the others two abreast."""
    grid = fig.add_gridspec(rows + 1, 2, height_ratios=[1.6] + [1] * rows)
    top = fig.add_subplot(grid[0, :])
    top.set_xlabel("training (kimg)")
    top.margins(x=0.02)
    rest = [fig.add_subplot(grid[1 + k // 2, k % 2]) for k in range(n - 1)]
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
        handlelength=1.3, columnspacing=0.6, handletextpad=0.3, fontsize=5,
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
        ax.set_xlim(right=1.02 * losses["kimg"].max())
        words = f" {', '.join(dense)}: no number\n after {end:.4g} kimg"
        ax.text(end, 0.05, words, transform=ax.get_xaxis_transform(), fontsize=5, va="bottom", linespacing=1.2)
