"""Masks beside the images that were made of them, and beside the true ones."""

from itertools import cycle

import numpy as np

from echogan.report import style

GREYS = {"outside": "black", "background": "black", "inside": "grey"}  # structures take the colours of the lines
COLOURS = {
    name: code for name, code in zip(("blue", "vermilion", "", "orange", "green", "light blue"), style.COLOURS) if name
}
COLOURS |= {"black": "#000000", "grey": "#3a3a3a"}
EACH = 0.62  # inches of a picture


@style.styled
def figure(pictures):
    """A row for each mask of an `engine.synthesis.Beside`: the mask, the images made of it, and the true one, if there is one."""
    masks, made, real = pictures.masks, pictures.made, pictures.real
    columns = {"mask": palette(pictures.labels)[masks]}
    columns |= {f"synthetic {k}" if len(made) > 1 else "synthetic": images for k, images in enumerate(made, start=1)}
    columns |= {} if real is None else {"real": real}
    height, width = 0.5 + EACH * len(masks), max(style.COLUMN, EACH * len(columns))
    figure = style.new(height, f"Images made of masks by {pictures.source}", _caption(pictures), width)
    figure.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    grid = figure.subplots(len(masks), len(columns), squeeze=False)
    for axes, (name, images) in zip(grid.T, columns.items()):
        axes[0].set_title(name, loc="center", fontweight="normal", fontsize=5.5)
        for ax, picture in zip(axes, images):
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set_axis_off()
    return figure


def _caption(pictures):
    kind, size = pictures.kind, pictures.masks.shape[-1]
    legend = ", ".join(f"{name} {colour}" for name, colour in colours(pictures.labels).items())
    return (
        f"Masks: {len(pictures.masks)} of {kind}{style.simulated(kind)}, {pictures.drawn}. Trained on: {pictures.trained_on}. "
        f"{size} px. Hardware: {pictures.hardware}. Colours: {legend}."
    )


def colours(labels):
    """{label: name of its colour}: backgrounds in greys, structures in the colours of the lines."""
    lines = cycle(name for name in COLOURS if name not in GREYS.values())
    return {name: GREYS.get(name) or next(lines) for name in labels}


def palette(labels):
    """RGB uint8 (256, 3) of label ids."""
    table = np.zeros((256, 3), np.uint8)
    for name, colour in colours(labels).items():
        table[labels[name]] = [int(COLOURS[colour][i : i + 2], 16) for i in (1, 3, 5)]
    return table
