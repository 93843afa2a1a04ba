"""Sizes beyond which nothing is decoded: no scanner makes them, damaged and hostile files claim them."""

from echogan.errors import BadInput

LARGEST_PICTURE = 4096 * 4096  # pixels; scanners stay below 1920 x 1200
LARGEST_RECORDING = 1 << 31  # pixels: 2 GiB once grey


def check_size(path, frames, rows, columns):
    """A `BadInput` for a recording at `path` that is empty or larger than anything a scanner makes."""
    if min(frames, rows, columns) < 1:
        raise BadInput(f"{path} has {frames} frames of {columns} x {rows} pixels; export it again")
    if rows * columns > LARGEST_PICTURE or rows * columns * frames > LARGEST_RECORDING:
        raise BadInput(
            f"{path} claims {frames} frames of {columns} x {rows} pixels, more than the {LARGEST_PICTURE >> 20} million "
            f"of a picture or the {LARGEST_RECORDING >> 20} million of a recording; export a part of it"
        )
