"""Pictures of a latent space: tables of images with words beside their rows and over their columns."""

import numpy as np

from echogan.report import style


@style.styled
def table(pictures, title, caption, rows=(), columns=(), width=None):
    """A figure of images uint8 (R, C, H, W); `rows` and `columns` are words, one for each or none."""
    n, m = pictures.shape[:2]
    width = width or min(max(style.COLUMN, 0.62 * m + 0.6), 2 * style.COLUMN)
    figure = style.new((width - 0.5 * bool(rows)) * n / m + 0.75, title, caption, width)
    for i, line in enumerate(figure.subplots(n, m, squeeze=False, gridspec_kw={"wspace": 0.02, "hspace": 0.02})):
        for j, ax in enumerate(line):
            ax.imshow(pictures[i, j], cmap="gray", vmin=0, vmax=255)
            ax.set(xticks=[], yticks=[], frame_on=False)
            if j == 0 and rows:
                ax.set_ylabel(rows[i], rotation=0, ha="right", va="center", fontsize=5.5)
            if i == 0 and columns:
                ax.set_title(columns[j], fontweight="normal", loc="center", fontsize=5.5)
    return figure


@style.styled
def effects(steps, changes, title, caption):
    """What each direction changes: one panel a measure, one line a direction; `changes`: {measure: (k, steps)}.

    A step is one standard deviation of w.
    """
    figure = style.new(2.1, title, caption)
    panels = figure.subplots(1, len(changes), squeeze=False)[0]
    for ax, (name, values) in zip(panels, changes.items()):
        for i, (line, look) in enumerate(zip(np.asarray(values), style.looks(len(values)))):
            ax.plot(steps, line, label=str(i + 1), **look.line(len(steps)))
        ax.set_title(name, fontweight="normal")
        ax.set(xlabel="steps", xticks=[steps[0], 0, steps[-1]])
    lines, names = panels[0].get_legend_handles_labels()
    figure.legend(lines, names, title="direction", loc="outside right center", handlelength=2.6, title_fontsize=6)
    return figure
