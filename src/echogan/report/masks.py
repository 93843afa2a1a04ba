"""Masks beside the images that were made of them, and beside the true ones."""

from itertools import cycle

import numpy as np
from matplotlib.patches import Patch

from echogan.report import style

GREYS = {"outside": "#000000", "background": "#000000", "inside": "#3a3a3a"}  # structures take the colours of the lines
EACH = 0.62  # inches of a picture


@style.styled
def figure(pictures):
    """A row for each mask of an `engine.synthesis.Beside`: the mask, the images made of it, and the true one, if there is one."""
    masks, made, real = pictures.masks, pictures.made, pictures.real
    columns = {"mask": palette(pictures.labels)[masks]}
    columns |= {f"synthetic {k}" if len(made) > 1 else "synthetic": images for k, images in enumerate(made, start=1)}
    columns |= {} if real is None else {"real": real}
    height, width = 0.5 + EACH * len(masks), max(style.COLUMN, EACH * len(columns))
    figure = style.new(height, f"Masks filled by {pictures.source}", pictures.caption, width)
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    grid = figure.subplots(len(masks), len(columns), squeeze=False)
    for axes, (name, images) in zip(grid.T, columns.items()):
        axes[0].set_title(name, loc="center", fontweight="normal", fontsize=5.5)
        for ax, picture in zip(axes, images):
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set_axis_off()
    _name_labels(figure, pictures.labels)
    return figure


def _name_labels(figure, labels):
    """Which colour is which structure, above the pictures."""
    colours = palette(labels) / 255
    patches = [Patch(color=colours[number], label=name) for name, number in labels.items() if name not in GREYS]
    figure.legend(
        handles=patches, loc="outside upper left", ncols=len(patches), fontsize=5, frameon=False, handlelength=1
    )


def palette(labels):
    """RGB uint8 (256, 3) of label ids: backgrounds in greys, structures in the colours of the lines."""
    lines = cycle(colour for colour in style.COLOURS if colour != GREYS["background"])
    colours = np.zeros((256, 3), np.uint8)
    for name, number in labels.items():
        text = GREYS.get(name) or next(lines)
        colours[number] = [int(text[i : i + 2], 16) for i in (1, 3, 5)]
    return colours
