"""Speed of the phantom, which must make 150 frames/s on one core, and beside it bare Motion-JPEG coding.

Prints frames per second of processor time, set-up of every patient included, of `make_phantom` + `video` (and of the
writer around them), all in one run. The floor of 150 is absolute, so it follows the machine; the ratio to encoding and
decoding the same frames with OpenCV alone does not, and nothing is wanted of it.

    python benchmarks/phantom_speed.py [--patients 12] [--frames 48]

A study of 2,000 patients and 48 frames then takes 96,000 frames / (frames/s x cores).
"""

import argparse
import tempfile
import time
from pathlib import Path

import cv2
from common import conclude, header, target

from echogan.data.phantom.phantom import make_phantom
from echogan.data.phantom.study import write_echonet
from echogan.data.video import write_avi

WANTED = 150.0  # frames per second of one core


def speed(frames, work):
    """Frames per second of processor time that `work()` needs for `frames` frames."""
    start = time.process_time()
    work()
    return frames / (time.process_time() - start)


def coding(clips, folder):
    """Write every clip as Motion JPEG and read it again, with OpenCV alone."""
    for i, clip in enumerate(clips):
        path = folder / f"{i}.avi"
        write_avi(path, clip, 50)
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1])
        while capture.read()[0]:
            pass


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--patients", type=int, default=12)
    parser.add_argument("--frames", type=int, default=48)
    args = parser.parse_args()
    header()
    cv2.setNumThreads(1)
    make_phantom(0).video(1)  # tables that all phantoms share
    count, clips = args.patients * args.frames, []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        render = speed(count, lambda: clips.extend(make_phantom(i).video(args.frames)[0] for i in range(args.patients)))
        bare = speed(count, lambda: coding(clips, folder))
        write = speed(count, lambda: write_echonet(folder / "study", args.patients, frames=args.frames, workers=1))
    print(f"bare MJPG encode + decode         {bare:7.0f} frames/s of one core")
    print(f"phantom study written             {write:7.0f} frames/s of one core")
    print(f"phantom / (MJPG encode + decode)  {render / bare:7.2f}")
    target("phantom, set-up included, frames/s of one core", render, least=WANTED)


if __name__ == "__main__":
    conclude(main)
