"""Samples through training: the same latents at log-spaced moments, as a sheet and as a GIF."""

from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from echogan.errors import BadInput
from echogan.report import style

GIF_LIMIT = 1_000_000  # bytes


@style.styled
def figure(run, moments=6, rows=4):
    """`rows` fixed latents (down) at up to `moments` moments of training (across), from the saved grids."""
    times = log_spaced(sorted(_readable(run)), moments)
    tiles = {kimg: cells(Image.open(run.sheets[kimg]), run.resolution) for kimg in times}
    rows = min(rows, *(len(column) for column in tiles.values()))
    columns = max(len(times), 5)  # few moments make no larger pictures
    size = style.COLUMN / columns
    text = style.caption([run], note=f"{rows} fixed latents, {_pixels(tiles)} px, grey levels as generated")
    fig = style.new(0.47 + rows * min(size, 0.75), f"{run.title}: samples through training", text)
    fig.set_layout_engine("constrained", w_pad=0.01, h_pad=0.01, wspace=0.01, hspace=0.01)
    grid = fig.subplots(rows, columns, squeeze=False)
    for ax in grid.flat:
        ax.set_axis_off()
    for column, kimg in enumerate(times):
        grid[0, column].set_title(f"{kimg} kimg", loc="center", fontweight="normal", fontsize=5.5)
        for row in range(rows):
            grid[row, column].imshow(tiles[kimg][row], cmap="gray", vmin=0, vmax=255)
    return fig


def gif(run, limit=GIF_LIMIT):
    """Bytes of an animated GIF of the whole grid through training, each frame named by its kimg; at most `limit`."""
    times = sorted(_readable(run))
    for width, greys in ((384, 128), (384, 48), (256, 48), (192, 32), (128, 16)):
        frames = [_frame(run.sheets[kimg], kimg, width, greys) for kimg in times]
        data = _animated(frames)
        if len(data) <= limit:
            break
    return data


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


def _readable(run):
    """The moments whose grid can be opened; the others are named in the run's problems."""
    good = []
    for kimg, path in run.sheets.items():
        try:
            Image.open(path).verify()
            good.append(kimg)
        except (OSError, SyntaxError):
            problem = f"{run.arch}/{run.name}: {path.name} is not a readable picture"
            run.problems += [problem] * (problem not in run.problems)
    if not good:
        raise BadInput(f"{run.arch}/{run.name} has no sample grid to draw")
    return good


def _pixels(tiles):
    return next(iter(tiles.values())).shape[-1]


def _frame(path, kimg, width, greys):
    """One picture of the GIF: the grid at `width` px above a line that names its moment."""
    grid = Image.open(path).convert("L")
    grid = grid.resize((width, round(width * grid.height / grid.width)), Image.Resampling.LANCZOS)
    frame = Image.new("L", (width, grid.height + 16), 255)
    frame.paste(grid)
    ImageDraw.Draw(frame).text((3, grid.height + 2), f"{kimg} kimg", fill=0)
    return frame.quantize(greys, dither=Image.Dither.NONE)


def _animated(frames):
    buffer = BytesIO()
    times = [600] * (len(frames) - 1) + [2000]  # ms; the result stays longest
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0, optimize=True)
    return buffer.getvalue()
