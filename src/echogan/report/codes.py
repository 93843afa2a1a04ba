"""Figures and a table of images written in codes: how many codes are used, what is left of an image, where codes lie."""

from math import log2

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from echogan.errors import BadInput
from echogan.report import style


@style.styled
def usage(run):
    """Share of the codes in use, and their perplexity, over training; dotted: all of them."""
    if not has_codes(run):
        raise BadInput(f"{run.arch}/{run.name} has no codes: its losses.csv lacks the columns usage and perplexity")
    table = run.losses[["kimg", "usage", "perplexity"]].dropna()
    settings = run.config.get("config", {})
    note = "Perplexity is the number of codes that, used equally often, would carry as much information"
    fig = style.new(1.75, f"{run.title}: use of the codebook", style.caption([run], note=note))
    left, right = fig.subplots(1, 2)
    for ax, name, most, look in zip((left, right), ("usage", "perplexity"), (1, settings.get("codes")), style.looks(2)):
        ax.plot(table["kimg"], table[name], color=look.color, linestyle=look.linestyle)
        ax.set_ylim(0, 1.05 * (most or table[name].max()))
        if most:
            ax.axhline(most, color=style.INK, linewidth=0.6, linestyle=(0, (1, 2)))
        ax.xaxis.set_major_locator(MaxNLocator(5))
        ax.set_xlabel("training (kimg)")
    left.set_title("share of codes in use")
    right.set_title(f"perplexity, at most {most}" if most else "perplexity")
    return fig


def has_codes(run):
    """Whether a run logged the use of a codebook."""
    return {"usage", "perplexity"} <= set(run.losses) and bool(run.losses["usage"].notna().any())


def table(runs):
    """DataFrame, a row for each run with a codebook, of its last readings in losses.csv.

    `bits`: of one image; `in use`: share of its codes; `perplexity`: the number of codes that, used equally often, would
    carry as much; `real - fake`: the smallest gap of the discriminator's mean scores at any reading, above 0 where it never
    took reconstructions for the truer images; empty without a discriminator.
    """
    rows = {run.label: _uses(run) for run in runs if has_codes(run)}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("config")


def _uses(run):
    settings, losses = run.config.get("config", {}), run.losses
    last = losses[["usage", "perplexity"]].dropna().iloc[-1]
    row = {"kimg": losses["kimg"].max(), "grid": settings.get("grid"), "codes": settings.get("codes")}
    if row["grid"] and row["codes"]:
        row["bits"] = row["grid"] ** 2 * log2(row["codes"])
    row |= {"in use": last["usage"], "perplexity": last["perplexity"]}
    if {"real", "fake"} <= set(losses):
        row["real - fake"] = (losses["real"] - losses["fake"]).min()
    return row


@style.styled
def panel(rows, title, caption):
    """`rows` = {what: images uint8 (n, H, W)}, one row of pictures for each; column i is the same frame in all rows."""
    n = {len(images) for images in rows.values()}
    if len(n) != 1:
        raise BadInput(f"the rows of a panel must hold as many pictures each, got {', '.join(map(str, sorted(n)))}")
    (n,) = n
    fig, grid = _tiles(len(rows), n, title, caption)
    for axes, (what, images) in zip(grid, rows.items()):
        axes[0].set_ylabel(what, fontsize=5.5)
        for ax, image in zip(axes, images):
            ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    return fig


@style.styled
def maps(images, tokens, book, title, caption):
    """Images uint8 (n, H, W) above their codes' numbers (n, h, w); codes (codes, dim) near to each other look alike."""
    colours = of_codes(book)
    fig, grid = _tiles(2, len(images), title, caption)
    for axes, what in zip(grid, ("image", "codes")):
        axes[0].set_ylabel(what, fontsize=5.5)
    for top, bottom, image, numbers in zip(*grid, images, tokens):
        top.imshow(image, cmap="gray", vmin=0, vmax=255)
        bottom.imshow(colours[numbers], interpolation="nearest")
    return fig


def of_codes(book):
    """A colour (codes, 3) in [0, 1] for each code (codes, dim): its ranks along their three main axes as red, green, blue."""
    book = np.asarray(book, float)
    centred = book - book.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:3]
    along = np.zeros((len(book), 3))
    along[:, : len(axes)] = centred @ axes.T
    return along.argsort(0, kind="stable").argsort(0, kind="stable") / max(len(book) - 1, 1)


def _tiles(rows, columns, title, caption):
    """(figure, axes (rows, columns)) of small pictures without ticks."""
    fig = style.new(0.42 + rows * min(style.COLUMN / columns, 0.8), title, caption)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    grid = fig.subplots(rows, columns, squeeze=False)
    for ax in grid.flat:
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)
    return fig, grid
