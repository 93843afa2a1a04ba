"""How every figure looks: one rcParams dict, one look per config, one caption, one way to disk.

Figures are built at their final size, a journal column of 85 mm, and never touch pyplot's state.
"""

from dataclasses import dataclass
from functools import wraps
from io import BytesIO
from textwrap import fill

import numpy as np
from matplotlib import rc_context
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from PIL import Image

from echogan.files import atomic
from echogan.report.run import full_length, on_usual_data

COLUMN = 85 / 25.4  # inches
LIMIT = 120_000  # bytes of a tracked figure
STEPS = (  # dpi and colours, until a figure fits
    (300, 256), (300, 128), (300, 64), (220, 256), (220, 64), (160, 256), (160, 64), (140, 64), (120, 32),
)  # fmt: skip
INK, GREY, PALE = "#1a1a1a", "#6b6b6b", "#d9d9d9"
RC = {
    "font.family": "DejaVu Sans", "font.size": 6.5, "text.color": INK, "svg.fonttype": "none",
    "axes.titlesize": 6.5, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlepad": 3,
    "axes.labelsize": 6.5, "axes.labelcolor": INK, "axes.labelpad": 2, "axes.linewidth": 0.5, "axes.edgecolor": GREY,
    "axes.spines.top": False, "axes.spines.right": False, "axes.grid": False, "axes.axisbelow": True,
    "xtick.labelsize": 6, "ytick.labelsize": 6, "xtick.color": GREY, "ytick.color": GREY,
    "xtick.labelcolor": INK, "ytick.labelcolor": INK, "xtick.major.size": 2.5, "ytick.major.size": 2.5,
    "xtick.major.width": 0.5, "ytick.major.width": 0.5, "xtick.minor.size": 0, "ytick.minor.size": 0,
    "lines.linewidth": 1.0, "lines.markersize": 3.2, "lines.solid_capstyle": "round", "patch.linewidth": 0.5,
    "legend.fontsize": 6, "legend.frameon": False, "figure.dpi": 200, "savefig.dpi": 300, "pdf.fonttype": 42,
    "figure.constrained_layout.h_pad": 0.03, "figure.constrained_layout.w_pad": 0.03, "hatch.linewidth": 0.4,
}  # fmt: skip
# Okabe and Ito's colours, safe for colour-blind readers; yellow, too pale on paper, is left out. Neighbours differ
# in lightness, dash and marker, so that any two lines stay apart in greyscale.
COLOURS = ("#0072B2", "#D55E00", "#000000", "#E69F00", "#009E73", "#56B4E9", "#707070", "#CC79A7")
DASHES = ("-", (0, (4, 1.2)), (0, (1, 1)), (0, (5, 1, 1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")


@dataclass(frozen=True)
class Look:
    """Colour, dash and marker of one config in every figure."""

    color: str
    linestyle: object
    marker: str

    def line(self, n):
        """Arguments of `Axes.plot` for a line of n points, about eight of them marked."""
        return {**vars(self), "markevery": max(1, n // 8), "markeredgewidth": 0.4, "markeredgecolor": "white"}


def looks(n):
    """One `Look` for each of n configs, always in the same order; where colours begin again, dash and marker are others."""
    shifted = [(i % len(COLOURS), i + i // len(COLOURS)) for i in range(n)]
    return [Look(COLOURS[i], DASHES[k % len(DASHES)], MARKERS[k % len(MARKERS)]) for i, k in shifted]


def looks_of(runs):
    """{run: Look} by place: in every figure that is given the same runs a config looks the same, whichever of them it shows.

    Configs that were shown as many images as any come first, as some figures show them alone.
    """
    order = dict.fromkeys([*full_length(runs), *runs])
    return dict(zip(order, looks(len(order))))


def styled(draw):
    """Run a figure function under `RC`, whatever the caller's matplotlib settings are."""

    @wraps(draw)
    def drawn(*args, **kwargs):
        with rc_context(RC):
            return draw(*args, **kwargs)

    return drawn


def new(height, title, caption, width=COLUMN):
    """An empty Figure of `width` x `height` inches with its title above and its caption below."""
    figure = Figure(figsize=(width, height), layout="constrained")
    across = width * 72
    figure.suptitle(fill(title, int(across / 4.7)), x=0.01, ha="left", fontsize=7.5, fontweight="bold")
    figure.supxlabel(fill(caption, int(across / 2.72)), x=0.01, ha="left", fontsize=5, color=GREY, linespacing=1.25)
    return figure


def caption(runs, curves=(), note=""):
    """What every figure states: data, split, n, encoder, hardware; then what is particular to it."""
    data = _listed(run.kind + simulated(run.kind) + (f" ({run.study})" if run.study else "") for run in runs)
    parts = [f"Data: {data}", _read(curves) if curves else _trained(runs)]
    parts.append(f"Hardware: {_listed(run.hardware for run in runs)}")
    if any(run.published and not run.study for run in runs):
        parts.append("† setting of the original study")
    parts += mixed(runs)
    return ". ".join([*parts, note] if note else parts) + "."


def mixed(runs):
    """[words of a caption]: how many data sets the runs learnt from, where several, and who learnt from another than most."""
    several = len({run.data.get("fingerprint") for run in runs} - {None})
    names = dict.fromkeys(run.label for run, usual in on_usual_data(runs).items() if not usual)
    apart = f" ({', '.join(names)}: other data than the rest)" if names else ""
    return [f"Trained on {several} different data sets: compare with care{apart}"] * (several > 1)


def simulated(kind):
    """What a caption adds to the kind of data: phantoms are never taken for patients."""
    return " (simulated, not echocardiograms)" if kind == "synthetic phantom" else ""


def _trained(runs):
    images = [run.data.get("images", {}).get("TRAIN") for run in runs]
    return f"Trained on {_span(images)} TRAIN images"


def _read(curves):
    rows = [curve.rows for curve in curves]
    n = {name: [v for table in rows if name in table for v in table[name].dropna()] for name in ("n_real", "n_fake")}
    text = f"Split: {values_of('split', curves)}, {_span(n['n_real'])} real and {_span(n['n_fake'])} generated images"
    pairs = _listed(curve.paired for curve in curves if curve.paired and curve.metric.of == "pairs")
    needs = any(curve.metric.of == "encoder" for curve in curves)
    text += f". Encoder: {values_of('encoder', curves)}" if needs else ". Encoder: none needed"
    return text + (f". Pairs: {pairs}" if pairs != "not stated" else "")


def values_of(column, curves):
    """Every value of a text column of metrics.csv in the readings of `curves`, for a caption."""
    return _listed(value for curve in curves if column in curve.rows for value in curve.rows[column].unique())


def _listed(words):
    return ", ".join(sorted({str(word) for word in words if word} - {"nan"})) or "not stated"


def _span(numbers):
    numbers = [int(n) for n in numbers if n is not None and n == n]
    if not numbers:
        return "an unstated number of"
    low, high = min(numbers), max(numbers)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def wide(values):
    """True where a logarithmic axis serves better: all positive and spread over more than a factor of 12."""
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    return len(values) > 0 and values.min() > 0 and values.max() > 12 * values.min()


def log_axis(axis, values):
    """Make `axis` (ax.xaxis or ax.yaxis) logarithmic for `values`, labelled 1, 2, 5, 10 ... in plain numbers."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log")
    crowded = np.nanmax(values) / np.nanmin(values) > (150 if axis.axis_name == "x" else 3000)
    axis.set_major_locator(LogLocator(subs=(1,) if crowded else (1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.6g}"))
    axis.set_minor_formatter(NullFormatter())


def spread(heights, gap, bottom=0.0, top=0.96):
    """`heights` moved apart to at least `gap`, in the same order and about the same middle, for end labels.

    They stay between `bottom` and `top`; where that is too little room for all, they keep their distance and reach below.
    """
    order = np.argsort(heights, kind="stable")
    placed = np.array(heights, float)[order]
    for _ in range(200):
        short = gap - np.diff(placed)
        if (short <= 1e-9).all():
            break
        push = np.maximum(short, 0) / 2
        placed[:-1] -= push
        placed[1:] += push
    steps = gap * np.arange(len(placed))
    placed = np.maximum(placed, bottom + steps)
    placed = np.minimum(placed, top - steps[::-1])
    result = np.empty_like(placed)
    result[order] = placed
    return result


def png(figure, limit=LIMIT):
    """PNG bytes of `figure`, at most `limit`: 300 dpi if it fits with a palette, else fewer colours and dots."""
    for dpi, colours in STEPS:
        data = _quantised(_rendered(figure, dpi), colours, dpi)
        if len(data) <= limit:
            break
    return data


def save(figure, path):
    """Write `figure` to `path`: PNG within the size of a tracked figure, or PDF with embedded TrueType."""
    if path.suffix == ".png":
        data = png(figure)
    else:
        buffer = BytesIO()
        with rc_context(RC):
            figure.savefig(buffer, format=path.suffix[1:])
        data = buffer.getvalue()
    with atomic(path) as temporary:
        temporary.write_bytes(data)
    return path


def _rendered(figure, dpi):
    """RGB picture of `figure`, as `savefig` draws it, but without its rehearsal and its PNG in between."""
    usual = figure.dpi
    with rc_context(RC):
        figure.set_facecolor("white")
        figure.set_dpi(dpi)
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        figure.set_dpi(usual)
    figure.set_layout_engine("none")  # laid out once; a second rendering at fewer dots keeps every place
    return Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")


def _quantised(image, colours, dpi):
    buffer = BytesIO()
    image.quantize(colours, Image.Quantize.MAXCOVERAGE, kmeans=1, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True, dpi=(dpi, dpi)
    )
    return buffer.getvalue()
