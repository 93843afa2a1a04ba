"""Films out: grey frames as an animated GIF or an MP4 that a browser plays."""

from pathlib import Path

import cv2
from PIL import Image

from echogan.errors import BadInput
from echogan.files import atomic, check_file

SLOWEST, FASTEST = 0.01, 1000  # frames per second


def write_film(path, frames, fps=24.0):
    """Write uint8 frames (T, H, W) to `path`, .gif (loops; its frame times are whole hundredths of a second) or .mp4 (lossy)."""
    path = Path(path)
    check_film(path, fps)
    if not len(frames):
        raise BadInput(f"{path} would be a film without frames; ask for 1 or more")
    with atomic(path) as temporary:
        WRITERS[path.suffix.lower()](temporary, frames, fps)


def check_film(path, fps):
    """A `BadInput` unless a film of so many frames per second can become `path`."""
    if path.suffix.lower() not in WRITERS:
        raise BadInput(f"{path} is no film this can write; name it .gif or .mp4")
    if not SLOWEST <= fps <= FASTEST:
        raise BadInput(f"a film shows {SLOWEST} to {FASTEST} frames per second, got {fps}")
    check_file(path)


def _write_gif(path, frames, fps):
    pictures = [Image.fromarray(frame) for frame in frames]
    pictures[0].save(
        path, "GIF", save_all=True, append_images=pictures[1:], duration=max(20, round(1000 / fps)), loop=0
    )


def _write_mp4(path, frames, fps):
    # MPEG-4 wants even sides.
    bottom, right = frames.shape[1] % 2, frames.shape[2] % 2
    writer = cv2.VideoWriter(
        str(path),
        cv2.VideoWriter.fourcc(*"mp4v"),
        fps,
        (frames.shape[2] + right, frames.shape[1] + bottom),
        isColor=False,
    )
    if not writer.isOpened():
        raise BadInput(f"this build of OpenCV cannot write {path.suffix}; name the film .gif")
    for frame in frames:
        writer.write(cv2.copyMakeBorder(frame, 0, bottom, 0, right, cv2.BORDER_REPLICATE))
    writer.release()


WRITERS = {".gif": _write_gif, ".mp4": _write_mp4}
