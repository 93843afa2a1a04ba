"""The picture of an audit: the generated images nearest to a training frame, side by side, and how near is near."""

from pathlib import Path

import numpy as np

from echogan.errors import BadInput
from echogan.report import style

GENERATED, UNSEEN = style.COLOURS[1], style.COLOURS[0]
HEADINGS = ("generated", "nearest in training", "nearest unseen")


@style.styled
def figure(audit):
    """Rows of three pictures for the worst pairs, then both distributions of distances with the threshold of copies."""
    rows = len(audit.worst)
    title = f"{audit.row['flagged']:.1f} % of {audit.row['n_fake']:,} generated images flagged as copies"
    fig = style.new(1.2 * rows + 1.95, title, _caption(audit))
    grid = fig.add_gridspec(2, height_ratios=[1.05 * rows, 1.3])
    above, below = fig.add_subfigure(grid[0]), fig.add_subfigure(grid[1])  # labels below narrow nothing above
    for i, (axes, pair) in enumerate(zip(above.subplots(rows, 3, squeeze=False), audit.worst)):
        _pictures(axes, pair, audit.threshold, first=i == 0)
    _distributions(below.add_subplot(), audit)
    return fig


def picture(path):
    """`path`, if a picture of it can be written: .png or .pdf."""
    if Path(path).suffix not in (".png", ".pdf"):
        raise BadInput(f"{path} is neither .png nor .pdf; give the picture a name that ends in one of them")
    return Path(path)


def write(audit, path):
    """Write the figure to `path` (.png or .pdf)."""
    return style.save(figure(audit), picture(path))


def _pictures(axes, pair, threshold, first):
    shown = ((pair.fake, None), pair.training, pair.heldout)
    for ax, (image, distance), heading in zip(axes, shown, HEADINGS):
        ax.imshow(image, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
        ax.set(xticks=[], yticks=[])
        for side in ax.spines.values():
            side.set_visible(False)
        if first:
            ax.set_title(heading)
        if distance is not None:
            flagged = ax is axes[1] and distance < threshold
            ax.set_xlabel(f"{distance:.3f}{', flagged' if flagged else ''}", color=GENERATED if flagged else style.INK)


def _distributions(ax, audit):
    values = np.concatenate([audit.fakes, audit.heldout])
    edges = np.linspace(min(0, values.min()), values.max(), 41)
    for distances, colour, name in (
        (audit.heldout, UNSEEN, f"unseen patients (n = {len(audit.heldout):,})"),
        (audit.fakes, GENERATED, f"generated (n = {len(audit.fakes):,})"),
    ):
        share = 100 * np.histogram(distances, edges)[0] / len(distances)
        ax.stairs(share, edges, fill=True, color=colour, alpha=0.25)
        ax.stairs(share, edges, color=colour, linewidth=0.8, label=name)
    ax.axvline(audit.threshold, color=style.INK, linewidth=0.7, linestyle=(0, (3, 2)))
    where = dict(xycoords=("data", "axes fraction"), textcoords="offset points", ha="right", va="top", fontsize=6)
    ax.annotate("copies", (audit.threshold, 1), (-3, -2), **where)
    ax.set(
        xlabel="distance to the nearest training frame (0 = same texture)", ylabel="% of images", xlim=edges[[0, -1]]
    )
    ax.set_ylim(0, None)
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, handlelength=1.2, borderaxespad=0)


def _caption(audit):
    row = audit.row
    return (
        f"Data: {audit.kind}{style.simulated(audit.kind)}. {row['n_training']:,} training frames of "
        f"{row['training_patients']:,} patients; {row['heldout_patients']:,} unseen patients, one frame each. "
        f"Flagged: {_interval('flagged', row)} of the generated images, {_interval('false_flags', row)} of unseen patients "
        f"(95 % intervals). AuthPct {row['AuthPct']:.1f} (real: {row['floor_AuthPct']:.1f}), C_T {row['C_T']:.1f}. "
        f"Planted copies caught: exact {row['caught_exact']:.0f} %, cropped {row['caught_cropped']:.0f} %, turned "
        f"{row['caught_turned']:.0f} %, regraded {row['caught_regraded']:.0f} %, all three {row['caught_changed']:.0f} %. "
        "Numbers under pictures: distance to the generated image."
    )


def _interval(name, row):
    return f"{row[name]:.1f} % ({row[f'{name}_low']:.1f}–{row[f'{name}_high']:.1f})"
