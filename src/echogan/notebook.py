"""What all notebooks do alike: show pictures, follow work live in one place, name a run.

This module and the command line are the only ones that display anything. It works in Jupyter, in Colab (IPython 7.34)
and, as lines of text, in a Python without a notebook.
"""

import base64
import math
import re
import sys
import time
from dataclasses import asdict
from io import BytesIO
from pathlib import Path
from zipfile import ZIP_DEFLATED, ZipFile

from IPython.display import DisplayHandle, Image, display
from PIL import Image as Picture

from echogan.config import seed_of
from echogan.data.images import grid, png_bytes
from echogan.errors import BadInput
from echogan.files import atomic
from echogan.report import style
from echogan.report.metrics import METRICS

# ------------------------------------------------------------------------------------------------ pictures

EXPLORER = 720  # CSS pixels of its picture
LARGE = 1_000_000  # bytes of a picture: notebooks are committed without it, so it may keep its dots


def show(*figures, width=560, limit=LARGE):
    """Display figures, or PNG files, as one picture: two abreast, each `width` CSS pixels wide, one where there is more room.

    A figure of many samples keeps fewer dots under a smaller `limit` of bytes.
    """
    pictures = _alike([_opened(figure, limit) for figure in figures])
    ends = [0] * min(2, len(pictures))  # how far down each column is filled
    places = []
    for picture in pictures:
        column = ends.index(min(ends))
        places.append((column * pictures[0].width, ends[column]))
        ends[column] += picture.height + 30
    page = Picture.new("RGB", (len(ends) * pictures[0].width, max(ends)), "white")
    for picture, place in zip(pictures, places):
        page.paste(picture, place)
    data = BytesIO()
    page.quantize(256, Picture.Quantize.FASTOCTREE, dither=Picture.Dither.NONE).save(data, "PNG", optimize=True)
    display(Image(data.getvalue(), width=len(ends) * width))


def _opened(figure, limit):
    source = figure if isinstance(figure, Path) else BytesIO(style.png(figure, limit=limit))
    return Picture.open(source).convert("RGB")


def _alike(pictures):
    """Pictures of the width of the widest."""
    widest = max((picture.width for picture in pictures), default=0)
    return [picture.resize((widest, round(picture.height * widest / picture.width))) for picture in pictures]


@style.styled
def sheet(images, title, caption, columns=8):
    """A figure of grey images uint8 (N, H, W) in rows of `columns`."""
    rows = math.ceil(len(images) / columns)
    figure = style.new(0.36 + 0.97 * style.COLUMN * rows / columns, title, caption)
    axes = figure.add_subplot()
    axes.imshow(grid(images, columns), cmap="gray", vmin=0, vmax=255)
    axes.set_axis_off()
    return figure


def explorer(draw, **sliders):
    """Sliders over a picture uint8 (H, W) of `draw(**values)`; without ipywidgets, the picture of their first values.

    Each slider is (least, most, first), whole numbers or not.
    """
    try:
        import ipywidgets
    except ImportError:
        first = {name: start for name, (*_, start) in sliders.items()}
        return display(Image(png_bytes(draw(**first)), width=EXPLORER))
    made = {name: _slider(ipywidgets, name, *limits) for name, limits in sliders.items()}
    picture = ipywidgets.Image(format="png", width=EXPLORER)

    def redraw(_=None):
        picture.value = png_bytes(draw(**{name: one.value for name, one in made.items()}))

    for one in made.values():
        one.observe(redraw, "value")
    redraw()
    display(ipywidgets.VBox([*made.values(), picture]))


def ask(quiz):
    """The questions of a `report.quiz.Quiz`, one after the other, over two buttons; without ipywidgets, the next as a still."""
    try:
        import ipywidgets
    except ImportError:
        return _asked_without_buttons(quiz)
    words, picture = ipywidgets.HTML(), ipywidgets.Image(format="png", width=EXPLORER)
    buttons = [ipywidgets.Button(description=side) for side in ("left", "right")]
    shown_at = [0.0]

    def turn():
        words.value = f"<b>{quiz.words()}</b>"
        if quiz.current is None:
            picture.layout.display = "none"
        else:
            picture.value = png_bytes(quiz.picture())
        for button in buttons:
            button.disabled = quiz.current is None
        shown_at[0] = time.monotonic()

    def answered(button):
        try:
            quiz.answer(button.description, time.monotonic() - shown_at[0])
        except BadInput as error:  # a full disk: nothing is lost but this answer
            words.value = f"<b>{error}</b>"
            return
        turn()

    for button in buttons:
        button.on_click(answered)
    turn()
    display(ipywidgets.VBox([words, picture, ipywidgets.HBox(buttons)]))


def _asked_without_buttons(quiz):
    hint = (
        ""
        if quiz.current is None
        else ' (without ipywidgets: quiz.answer("left") or "right", then run this cell again)'
    )
    display(_Page(quiz.words() + hint))
    if quiz.current is not None:
        display(Image(png_bytes(quiz.picture()), width=EXPLORER))


def _slider(widgets, name, least, most, first):
    told = dict(min=least, max=most, description=name, continuous_update=False)
    whole = all(isinstance(value, int) for value in (least, most, first))
    return widgets.IntSlider(first, **told) if whole else widgets.FloatSlider(first, step=0.05, **told)


# ------------------------------------------------------------------------------------------------ live


class _Page:
    """A piece of HTML, or its words where there is no browser."""

    def __init__(self, html):
        self._html = html

    def _repr_html_(self):
        return self._html

    def __repr__(self):
        return re.sub("<[^>]*>", "", self._html.replace("<br>", "\n")).strip()


class _Place:
    """One place in the output that is written anew, at most twice a second unless it is `due`."""

    def __init__(self, pause=0.5):
        self.pause, self.written = pause, -math.inf
        self.handle: DisplayHandle | None = None

    def write(self, html, due=False):
        if not due and time.monotonic() - self.written < self.pause:
            return
        self.written = time.monotonic()
        if self.handle:
            self.handle.update(_Page(html))
        else:
            self.handle = display(_Page(html), display_id=True)  # None without a notebook: then lines follow lines


def _bar(done, total, words):
    """A bar as every browser draws it, and what it means."""
    return f'<progress value="{done:g}" max="{total:g}" style="width:20em"></progress> {words}'


class Bar:
    """The callback of `prepare`: one bar for each step of the work."""

    def __init__(self):
        self.places = {}

    def __call__(self, step, done, total):
        """Move the bar of a step."""
        place = self.places.setdefault(step, _Place())
        place.write(_bar(done, total, f"{step}: {done:,} of {total:,}"), due=done == total)


class Live:
    """The callback of `fit`: progress, the latest losses and readings, and the sample grid, in one place."""

    def __init__(self):
        self.place, self.picture = _Place(), (None, "")
        self.began: tuple[float, float] | None = None  # when, and at how many kimg

    def __call__(self, progress):
        """Show a `Progress`."""
        self.began = self.began or (time.monotonic(), progress.kimg)
        done = min(progress.kimg, progress.of)  # the last batch may reach beyond
        bar = _bar(done, progress.of, f"{done:.4g} of {progress.of:.4g} kimg{_left(progress, *self.began)}")
        lines = [bar, _losses(progress.losses), _readings(progress.metrics), self._image(progress.sheet)]
        self.place.write("<br>".join(filter(None, lines)), due=progress.kimg >= progress.of)

    def _image(self, sheet):
        if sheet is not None and sheet is not self.picture[0]:
            png = base64.b64encode(png_bytes(sheet)).decode()
            height, width = sheet.shape
            shown = min(width, 520)  # a fixed size, so that nothing below it jumps
            tag = f'<img width="{shown}" height="{shown * height // width}" src="data:image/png;base64,{png}">'
            self.picture = sheet, tag
        return self.picture[1]


def _left(progress, began, first):
    if not first < progress.kimg < progress.of:
        return ""
    seconds = (time.monotonic() - began) / (progress.kimg - first) * (progress.of - progress.kimg)
    return f", {seconds / 60:.0f} min left" if seconds > 90 else f", {seconds:.0f} s left"


def _losses(row):
    values = [f"{name} {value:.3g}" for name, value in row.items() if name not in ("kimg", "epoch", "seconds")]
    return f"losses: {', '.join(values)}"


def _readings(row):
    """Every metric of the latest reading, beside the same metric of real images where that is known."""
    known = {name: float(row[name]) for name in METRICS if row.get(name) not in (None, "")}
    floors = {name: f" (real images {float(row[f'floor_{name}']):.3g})" for name in known if row.get(f"floor_{name}")}
    words = ", ".join(f"{name} {value:.3g}{floors.get(name, '')}" for name, value in known.items())
    return f"against {row['split']} at {float(row['kimg']):.4g} kimg: {words}" if words else ""


# ------------------------------------------------------------------------------------------------ files and runs


def uploaded(files):
    """The one file that a user picks in the dialogue of Colab's `files`; a `BadInput` where none or several were picked."""
    names = list(files.upload())
    if not names:
        raise BadInput("no file was uploaded; run this cell again and choose one, or untick upload")
    if len(names) > 1:
        raise BadInput(
            f"{len(names)} files were uploaded; run this cell again and choose one, such as a ZIP of them all"
        )
    return names[0]


def run_name(name, config, frames, settings):
    """A name that changes with whatever one run may not change (config, data, how it computes): equal ones continue a run."""
    how = [settings.precision] * (settings.precision != "auto") + [settings.accumulate] * (settings.accumulate != 1)
    return f"{name}_seed{settings.seed}_{seed_of(asdict(config), frames.fingerprint(), *how) >> 16:04x}"


TAKEN = ("config.json", "metrics_csv/*.csv", "generated_samples/*.png", "checkpoints/best.safetensors")


def packed(run):
    """<run>.zip beside the folder of a `RunFolder`: its settings, tables, sample grids and best weights, to take home.

    The archive holds the folder of the run, from which every command reads as from this one; what only going on needs stays.
    """
    archive = run.path.with_name(f"{run.path.name}.zip")
    with atomic(archive) as temporary, ZipFile(temporary, "w", ZIP_DEFLATED) as opened:
        for file in (file for taken in TAKEN for file in sorted(run.path.glob(taken))):
            opened.write(file, file.relative_to(run.path.parent))
    return archive


def to_browser(path):
    """In Colab, offer a file for download; elsewhere it lies on the reader's own disk."""
    if colab := sys.modules.get("google.colab"):
        colab.files.download(str(path))
