"""Samples: the same latents at log-spaced moments, as a sheet and as a GIF; all configs of an architecture beside each other."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from echogan.errors import BadInput
from echogan.report import style
from echogan.report.run import SEGMENTER

GIF_LIMIT = 1_000_000  # bytes
LATENTS, FRAMES = "fixed latents", "fixed VAL frames"  # what pictures are made of
PANELS = {  # what stands beside each other in a sheet of a run that makes images of images: inputs, made, aims
    "vqgan": ("image", "reconstructed"),
    "pix2pix": ("edge", "painted", "real"),
    "spade": ("mask", "synthetic", "real"),
    "cyclegan": ("input", "enhanced", ""),  # the way back or, where there is none, what was added
    SEGMENTER: ("image+mask", "obtained"),
}
FEW, ACROSS = 4, 7  # with so few columns, moments stand below each other, each with so many pictures
ROOM = 42  # pictures that a figure of every config has room for
TILE, LABEL = 0.56, 0.66  # inches: the side of one, the name of a config
LONG = 10  # rows, beyond which they stand in two columns


def panels_of(arch, given=""):
    """Names of the pictures beside each other in a sheet of translations; `given`: the inputs, where the config chooses them."""
    first, *rest = PANELS.get(arch, ("input", "made", "aim"))
    return *(given or first).split("+"), *rest


@style.styled
def figure(run, moments=6, rows=4):
    """The same pictures at up to `moments` moments of training, from the saved grids: images from `rows` fixed latents.

    Of a run that makes images of images, what it made of `rows` fixed VAL frames, between these and what it aimed at.
    """
    columns, note = _columns(run, log_spaced(sorted(readable(run)), moments))
    down = len(columns) < FEW
    n = min(ACROSS if down else rows, *map(len, columns.values()))
    shape = (len(columns), n) if down else (n, len(columns))
    text = style.caption([run], note=f"Shown: {n} {note}, {_pixels(columns)} px, grey levels as made")
    fig = style.new(
        0.47 + shape[0] * min(style.COLUMN / max(shape[1], 5), 0.75), f"{run.title}: samples through training", text
    )
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    grid = fig.subplots(*shape, squeeze=False)
    for axes, (heading, tiles) in zip(grid if down else grid.T, columns.items()):
        name = axes[0].set_ylabel if down else axes[0].set_title
        name(heading, loc="center", fontweight="normal", fontsize=5.5)
        _show(axes, tiles)
    return fig


def _show(axes, tiles):
    for ax, tile in zip(axes, tiles):
        ax.imshow(tile, cmap="gray", vmin=0, vmax=255)
        ax.set(xticks=[], yticks=[])
        ax.spines[:].set_visible(False)


@style.styled
def every_config(runs):
    """What each of `runs`, of one architecture, made at its last moment: a row for each, from its saved grid.

    Of runs that make images of images, the images aimed at (else the inputs) stand below, where they are the same for all;
    images from noise, where other runs of the architecture make these, are a block of their own.
    """
    runs = [run for run in runs if run.sheets]
    if not runs:
        raise BadInput("no run has a sample grid to draw")
    blocks = _last_of_each(runs)
    rows = [(name, tiles) for block in blocks.values() for name, tiles in block]
    n = min(ACROSS, max(3, ROOM // len(rows)), *(len(tiles) for _, tiles in rows))
    abreast = 1 + (len(rows) > LONG)
    what = next(iter(blocks)) if len(blocks) == 1 else "pictures a row"
    text = style.caption(runs, note=f"Shown: {n} {what}{_differing(runs)}, {_when(runs)}, grey levels as made")
    side, apart = min((style.COLUMN - abreast * LABEL) / (abreast * n), TILE), 0.13 * (len(blocks) > 1)
    heights = [side * -(-len(block) // abreast) + apart for block in blocks.values()]
    fig = style.new(
        0.5 + sum(heights), f"{runs[0].family}: samples of every config", text, width=abreast * (side * n + LABEL)
    )
    fig.set_layout_engine("constrained", w_pad=0.03, h_pad=0.01, wspace=0.0, hspace=0.01)
    parts = fig.subfigures(len(blocks), 1, squeeze=False, height_ratios=heights)
    for part, (of, block) in zip(parts[:, 0], blocks.items()):
        if len(blocks) > 1:
            part.suptitle(
                f"Made {'from' if of == LATENTS else 'of'} {of}", x=0.01, ha="left", fontsize=6, fontweight="bold"
            )
        _rows(part, block, n, abreast)
    return fig


def _rows(part, block, n, abreast):
    """The rows of a block below each other, in `abreast` columns."""
    high = -(-len(block) // abreast)
    grid = part.subplots(high, abreast * n, squeeze=False)
    for ax in grid.flat:
        ax.set_axis_off()
    for k, (heading, tiles) in enumerate(block):
        axes = grid[k % high, k // high * n :][:n]
        axes[0].set_axis_on()
        axes[0].set_ylabel(heading, rotation=0, ha="right", va="center", fontsize=5.5)
        _show(axes, tiles)


def _differing(runs):
    """Part of a caption: that the pictures given are not the same for all, as of runs of several versions."""
    given = [beside for run in runs if (beside := _apart(run, readable(run)[-1])[0])]
    alike = all(_equal(tiles, other.get(name)) for other in given for name, tiles in given[0].items())
    return "" if alike else " (not the same ones for every config)"


def _when(runs):
    """Part of a caption: at which moment the last grids are."""
    first, *others = {readable(run)[-1] for run in runs}
    return "at the end of each config" if others else f"after {first} kimg"


def _last_of_each(runs):
    """{what they are of: [(config (and its kimg, where these differ), pictures)]}; what all aimed at or were given comes last."""
    ends, blocks = {run: readable(run)[-1] for run in runs}, {}
    alike = len(set(ends.values())) == 1
    for run, kimg in ends.items():
        before, pictures, after = _apart(run, kimg)
        row = run.label + f"\n{kimg} kimg" * (not alike), pictures
        blocks.setdefault(FRAMES if before else LATENTS, []).append((row, after or before))
    return {what: [row for row, _ in rows] + _same([beside for _, beside in rows]) for what, rows in blocks.items()}


def _same(beside):
    """[(name, pictures)] that stand beside those of every run and are equal there."""
    return [
        (name, tiles) for name, tiles in beside[0].items() if all(_equal(tiles, other.get(name)) for other in beside)
    ]


def _equal(tiles, others):
    """Whether as many pictures as both have are the same; a grid may have been cut."""
    return others is not None and all(np.array_equal(*pair) for pair in zip(tiles, others))


def gif(run, limit=GIF_LIMIT):
    """Bytes of an animated GIF of the whole grid through training, each frame named by its kimg; at most `limit`."""
    times = sorted(readable(run))
    sizes = [_size(run.sheets[kimg]) for kimg in times]
    for width, greys in ((384, 128), (384, 48), (256, 48), (192, 32), (128, 16)):
        high = max(round(width * h / w) for w, h in sizes)  # a GIF cuts what is higher than its first frame
        frames = [_frame(run.sheets[kimg], kimg, width, greys, high) for kimg in times]
        data = _animated(frames)
        if len(data) <= limit:
            break
    return data


def made(run, kimg):
    """What a run made, uint8 (n, size, size), from its sheet of a moment: without the inputs and aims that stand beside it."""
    return _apart(run, kimg)[1]


def _columns(run, times):
    """({heading: pictures}, what they are of): inputs and aims stand first and last, where all moments have them."""
    sheets = {kimg: _apart(run, kimg) for kimg in times}
    columns = {f"{kimg} kimg": pictures for kimg, (_, pictures, _) in sheets.items()}
    translated = [kimg for kimg, (before, _, _) in sheets.items() if before]
    if not translated:
        return columns, LATENTS
    if len(translated) < len(times):
        return columns, f"fixed VAL frames up to {translated[-1]} kimg, then as many fixed latents"
    before, _, after = sheets[times[-1]]
    return {**before, **columns, **after}, FRAMES


def _apart(run, kimg):
    """({name: inputs}, what was made, {name: aims}) of the sheet of a moment; of images from noise, only what was made."""
    tiles = cells(Image.open(run.sheets[kimg]), run.resolution)
    if run.arch not in PANELS or run.stage_at(kimg) == "generate":
        return {}, tiles, {}
    names = panels_of(run.arch, run.config.get("config", {}).get("given", ""))
    inputs = len(names) - len(PANELS[run.arch]) + 1
    pictures = [tiles[k :: len(names)] for k in range(len(names))]
    pairs = list(zip(names, pictures))
    return dict(pairs[:inputs]), pictures[inputs], {name: aim for name, aim in pairs[inputs + 1 :] if name}


def cells(grid, size):
    """The square pictures of a sample grid, row by row, gaps between them left out: uint8 (n, size, size)."""
    pixels = np.asarray(grid.convert("L"))
    size = size if 0 < size <= min(pixels.shape) else min(pixels.shape)
    rows, columns = (length // size for length in pixels.shape)
    gap = [(length - n * size) // max(n - 1, 1) for length, n in zip(pixels.shape, (rows, columns))]
    corners = [(r * (size + gap[0]), c * (size + gap[1])) for r in range(rows) for c in range(columns)]
    return np.stack([pixels[y : y + size, x : x + size] for y, x in corners])


def log_spaced(times, n):
    """At most n of `times`, the first and the last among them, evenly spaced in the logarithm."""
    if len(times) <= n:
        return times
    logs = np.log1p(times)
    wanted = np.linspace(logs[0], logs[-1], n)
    return sorted({times[int(np.abs(logs - value).argmin())] for value in wanted})


def readable(run):
    """The moments whose grid can be opened; the others are named in the run's problems."""
    good = []
    for kimg, path in run.sheets.items():
        try:
            with Image.open(path) as grid:
                grid.verify()
            good.append(kimg)
        except (OSError, SyntaxError):
            problem = f"{run.arch}/{run.name}: {path.name} is not a readable picture"
            run.problems += [problem] * (problem not in run.problems)
    if not good:
        raise BadInput(f"{run.arch}/{run.name} has no sample grid to draw")
    return good


def _pixels(columns):
    return next(iter(columns.values())).shape[-1]


def _size(path):
    with Image.open(path) as grid:
        return grid.size


def _frame(path, kimg, width, greys, high):
    """One picture of the GIF: the grid at `width` px, in `high` px above a line that names its moment."""
    grid = Image.open(path).convert("L")
    grid = grid.resize((width, round(width * grid.height / grid.width)), Image.Resampling.LANCZOS)
    frame = Image.new("L", (width, high + 16), 255)
    frame.paste(grid)
    ImageDraw.Draw(frame).text((3, high + 2), f"{kimg} kimg", fill=0)
    return frame.quantize(greys, dither=Image.Dither.NONE)


def _animated(frames):
    buffer = BytesIO()
    times = [600] * (len(frames) - 1) + [2000]  # ms; the result stays longest
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)
    return buffer.getvalue()
