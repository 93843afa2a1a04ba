"""Pictures of data, before anything is trained: the phases of a recording, and a sheet of prepared frames."""

import numpy as np

from echogan.data.clip import SPLITS
from echogan.errors import BadInput
from echogan.files import atomic
from echogan.preprocessing.card import counts, terms
from echogan.preprocessing.phase import THRESHOLD
from echogan.report import style

LARGE = 1_000_000  # bytes: these pictures are for the screen, not for the repository
ED, ES = style.COLOURS[0], style.COLOURS[1]
_ACROSS = 12  # frames of a split in a row of the sheet
_AT_MOST = 36  # frames of a split on the sheet


def write(figure, path):
    """Write a figure of this module as PNG, whole or not at all."""
    if path.suffix.lower() != ".png":
        raise BadInput(f"{path} must end in .png; the picture is one")
    data = style.png(figure, limit=LARGE)
    with atomic(path) as temporary:
        temporary.write_bytes(data)


# ------------------------------------------------------------------------------------------------ phases


@style.styled
def phases(clip, seen):
    """The four frames that extraction keeps, what counting sees of them, and the curve it chooses them by.

    `seen` is what `preprocessing.preview.see` says of `clip`.
    """
    note = (
        f"Data: {clip.kind}, recording {clip.name}, {len(seen.white)} frames, under the sector mask. "
        f"Systole and diastole of extraction: {seen.used.method}."
    )
    fig = style.new(4.6, "The frames that extraction keeps, and how it finds them", note, width=2 * style.COLUMN)
    grid = fig.add_gridspec(3, 4, height_ratios=[1, 1, 0.85])
    for column, (pick, image, binary) in enumerate(zip(seen.picks, seen.kept, seen.binary)):
        for row, picture in enumerate((image, 255 * binary)):
            ax = fig.add_subplot(grid[row, column])
            ax.imshow(picture, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            ax.set(xticks=[], yticks=[])
            ax.spines[:].set_visible(False)
            if not row:
                ax.set_title(f"{pick.phase}, frame {pick.frame}", loc="center")
            if not column:
                ax.set_ylabel(f"brighter than {THRESHOLD}" if row else "kept")
    _curve(fig.add_subplot(grid[2, :]), seen)
    return fig


def _curve(ax, seen):
    """White pixels over the frames; lines at the traced phases, dots at the counted ones."""
    ax.plot(seen.white, color=style.INK, linewidth=0.9)
    for phase, colour, marker in (("diastole", ED, "v"), ("systole", ES, "^")):
        frame = getattr(seen.counted, phase)
        ax.plot(frame, seen.white[frame], marker, color=colour, markersize=5, label=f"{phase} counted, frame {frame}")
        if seen.traced:
            frame = getattr(seen.traced, phase)
            ax.axvline(frame, color=colour, linestyle=(0, (4, 1.2)), label=f"{phase} traced, frame {frame}")
    ax.set(xlabel="frame", ylabel=f"pixels brighter than {THRESHOLD}")
    ax.margins(x=0.01, y=0.12)
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)


# ------------------------------------------------------------------------------------------------ frames


@style.styled
def frames(data):
    """A sheet of a `FrameSet`: of every split up to 36 frames, spread over its patients; masks are outlined."""
    chosen = {name: _spread(data.index, name) for name in SPLITS}
    rows = {name: -(-len(rows) // _ACROSS) for name, rows in chosen.items() if len(rows)}
    held = (data.manifest.get("counts") or counts(data.index))["split"]
    size = 2 * style.COLUMN / _ACROSS
    height = 0.55 + size * sum(rows.values()) + 0.22 * len(rows)
    fig = style.new(
        height, f"Frames by split: {data.manifest.get('source', 'frames')}", _said(data, chosen), 2 * style.COLUMN
    )
    for ax, name in zip(np.atleast_1d(fig.subplots(len(rows), 1, height_ratios=list(rows.values()))), rows):
        ax.set_title("{}: {images:,} frames of {patients:,} patients".format(name, **held[name]))
        ax.imshow(_mosaic(data, chosen[name]), interpolation="nearest")
        ax.set_axis_off()
    return fig


def _said(data, chosen):
    shown = sum(len(rows) for rows in chosen.values())
    labels = f". Outlined: {', '.join(name for name, code in data.labels.items() if code)}" if data.labels else ""
    spread = f"{shown} frames, {data.size} px, evenly over the patients of each split{labels}"
    return f"Data: {data.kind}. {terms(data.kind)} {spread}."


def _spread(index, split):
    """Rows of the split, evenly over its patients in the order of the index; repeats are left out."""
    rows = np.flatnonzero((index["split"] == split) & index["duplicate_of"].isna())
    places = np.unique(np.linspace(0, len(rows) - 1, min(_AT_MOST, len(rows))).round().astype(int)) if len(rows) else []
    return rows[places] if len(rows) else rows


def _mosaic(data, rows):
    """RGB (H, W, 3) of the rows, twelve abreast on white, one white pixel between them."""
    high = -(-len(rows) // _ACROSS)
    step = data.size + 2
    sheet = np.full((high * step, _ACROSS * step, 3), 255, np.uint8)
    for place, row in enumerate(rows):
        y, x = place // _ACROSS * step, place % _ACROSS * step
        sheet[y : y + data.size, x : x + data.size] = _outlined(data, row)
    return sheet


def _outlined(data, row):
    rgb = np.repeat(data.images[row][..., None], 3, axis=-1)
    if data.masks is not None:
        mask = data.masks[row]
        edge = np.zeros(mask.shape, bool)
        edge[1:] |= mask[1:] != mask[:-1]
        edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
        rgb[edge] = (255, 176, 0)
    return rgb
