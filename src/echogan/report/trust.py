"""The trust report of an enhancer: what it changed and where it may have lied, as a figure and as one self-contained page."""

from html import escape

import numpy as np

from echogan.files import atomic, write_text
from echogan.report import style
from echogan.report.html import page, table, tiles, uri

WIDTH = 1.4 * style.COLUMN
PAGE = 2_000_000  # bytes of the picture in a page
# name in Trust.shown -> (heading, colour map, grey levels at both ends)
PANELS = {
    "input": ("input", "gray", (0, 255)),
    "enhanced": ("enhanced", "gray", (0, 255)),
    "residual": ("change", "RdBu_r", (-60, 60)),
    "cycle": ("error of the way back", "magma", (0, 60)),
    "uncertainty": ("uncertainty", "magma", (0, 20)),
}
# name in Trust.row -> (what it is, what it should be)
CHECKS = {
    "change": ("mean change inside the sector, grey levels", "small"),
    "change_outside": ("largest change outside the sector, grey levels", "0"),
    "idempotence": ("change of a second pass over that of the first", "near 0"),
    "kept_bright": ("contrast of planted bright lesions that is kept, mean", "1; below 0.89 they fade"),
    "kept_bright_least": ("the same, of the worst picture", "above 0.5"),
    "kept_dark": ("contrast of planted dark lesions that is kept, mean", "1; below 0.89 they fade"),
    "kept_dark_least": ("the same, of the worst picture", "above 0.5"),
    "lost": ("share of pictures in which planted lesions fade: 14 % of their contrast or more is gone", "at most 0.05"),
    "suspicion": ("strongest unexplained spot, in deviations", "below the limit"),
    "suspicion_limit": ("limit of that, from honest filters", ""),
    "flagged": ("share of pictures above the limit", "at most 0.05 of a filter; a run that removes haze changes more"),
    "cycle": ("error of the way back, grey levels", "small"),
    "cycle_8bit_blurred": (
        "the same after a slight blur, grey levels",
        "hardly more: else the input is hidden in the output",
    ),
    "agreement": ("Dice of the ventricle found before and after", "near 1"),
    "EF_change": ("mean change of the ejection fraction, points", "within ±1"),
    "EF_change_abs": ("mean absolute change of the ejection fraction, points", "below 5"),
    "uncertainty": ("deviation over mirroring and moments of training, grey levels", "small beside the change"),
}


@style.styled
def figure(trust, title, caption):
    """The pictures of a `Trust`, the most suspicious first: input, output, change, way back, uncertainty."""
    names = [name for name in PANELS if name in trust.shown]
    rows = len(trust.shown["input"])
    title += f": the {rows} most suspicious" * (rows < trust.row["n"])
    each = WIDTH / (len(names) + 0.1)
    fig = style.new(each * rows + 1.1, title, caption, WIDTH)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    axes = fig.subplots(rows, len(names), squeeze=False)
    for column, name in enumerate(names):
        heading, colours, (low, high) = PANELS[name]
        for row in range(rows):
            drawn = axes[row, column].imshow(trust.shown[name][row], cmap=colours, vmin=low, vmax=high)
            axes[row, column].set_axis_off()
        axes[0, column].set_title(heading, fontsize=5.5, fontweight="normal")
        if colours != "gray":
            bar = fig.colorbar(drawn, ax=axes[:, column], location="bottom", shrink=0.8, aspect=30, pad=0.02)
            bar.outline.set_visible(False)
            bar.set_label("grey levels")
    return fig


def document(trust, title, caption, picture):
    """The page as a string: everything is in it, nothing is fetched; `picture` are the bytes of the figure as PNG."""
    row = trust.row
    lead = {
        "pictures": f"{row['n']:,}",
        "mean change, grey levels": f"{row['change']:.1f}",
        "of planted lesions' contrast kept, the worse tone": f"{min(row['kept_bright'], row['kept_dark']):.0%}",
        "largest change outside the sector": f"{row['change_outside']:.0f}",
    }
    body = [
        f"<h1>{escape(title)}</h1>",
        f'<p class="lead">{escape(caption)}</p>',
        tiles(lead),
        "<h2>Pictures, the most suspicious first</h2>",
        f'<img src="{uri(picture, "png")}" alt="{escape(title)}" style="width:100%;height:auto">',
        "<h2>Checks</h2>",
        table(("check", "measured", "should be"), _checks(row)),
    ]
    if trust.prevalence:
        head = ("lesions", "planted in", "found in inputs", "found in outputs", "in inputs alone", "in outputs alone")
        body.append("<h2>Are lesions still where they were, and only there?</h2>")
        body.append(table(head, _prevalence(trust.prevalence), numbers=5))
    return page(title, body)


def write(trust, path, title, caption):
    """Write the figure (.png, .pdf), or the page (.html) and beside it the figure (.png); returns `path`."""
    if path.suffix != ".html":
        return style.save(figure(trust, title, caption), path)
    picture = style.png(figure(trust, title, caption), limit=PAGE)
    with atomic(path.with_suffix(".png")) as temporary:
        temporary.write_bytes(picture)
    write_text(path, document(trust, title, caption, picture))
    return path


def _checks(row):
    return [
        (what, f"{row[name]:.3g}", wish) for name, (what, wish) in CHECKS.items() if np.isfinite(row.get(name, np.nan))
    ]


def _prevalence(rows):
    shares, counts = ("planted", "input", "enhanced"), ("only_input", "only_enhanced")
    return [
        (row["tone"], *(f"{row[name]:.0%}" for name in shares), *(f"{row[name]} of {row['n']}" for name in counts))
        for row in rows
    ]
