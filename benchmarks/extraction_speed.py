"""Extraction speed against bare decoding and against the original study's way, and memory against the number of videos.

Prints videos per second of `extract`, its frames per second divided by those of a bare OpenCV read loop and by those of the
original study's per-frame steps, all measured in this run on the same Motion-JPEG study, the peak memory at 4n videos divided
by that at n, and the time to load the frames. The target is in processor time, which other work on the machine does not change:

    extraction / bare decoding     wanted: at least 0.80

    python benchmarks/extraction_speed.py [--videos 2000] [--frames 175] [--workers 2] [--folder /dev/shm]

175 frames of 112 x 112 at about 3 kB each is the mean video of EchoNet-Dynamic; all of it is --videos 10030.
"""

import argparse
import csv
import importlib
import inspect
import os
import resource
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from common import conclude, header, target

from echogan.data.echonet import FILE_LIST, TRACINGS
from echogan.data.frames import load_frames
from echogan.preprocessing.extract import extract
from echogan.sector import ECHONET, study_mask

MEMORY = "/dev/shm"  # a memory disk: the ratio is then of computation, not of the machine's disk


def write_study(root, videos, frames):
    """An EchoNet-Dynamic folder of moving speckle in the sector; eight distinct videos, linked under new names."""
    folder = root / "Videos"
    folder.mkdir(parents=True)
    for i in range(min(8, videos)):
        _encode(folder / f"V{i:05d}.avi", frames, seed=i)
    for i in range(8, videos):
        os.link(folder / f"V{i % 8:05d}.avi", folder / f"V{i:05d}.avi")
    rows = [(f"V{i:05d}", 60, 40, 100, 112, 112, 50, frames, "TRAIN") for i in range(videos)]
    traces = [(f"V{i:05d}.avi", *row, frame) for i in range(videos) for frame in (3, 20) for row in _trace(frame)]
    _write_csv(root / "FileList.csv", FILE_LIST, rows)
    _write_csv(root / "VolumeTracings.csv", TRACINGS, traces)
    return root


def _encode(path, frames, seed):
    rng = np.random.default_rng(seed)
    fan = ECHONET.mask()
    tissue = cv2.GaussianBlur(rng.gamma(0.6, 90.0, (112, 112 + frames)).astype(np.float32), (0, 0), 1.1)
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*"MJPG"), 50, (112, 112))
    for t in range(frames):
        frame = np.clip(tissue[:, t : t + 112] * fan, 0, 255).astype(np.uint8)
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()


def _trace(frame):
    half = 12.0 + frame / 2
    return [(60, 20, 60, 70)] + [(60 - half, 20 + 2.5 * i, 60 + half, 20 + 2.5 * i) for i in range(20)]


def _write_csv(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])


def bare_decoding(root, options):
    """Read every video with `VideoCapture.read` alone; the number of frames."""
    count = 0
    for path in sorted((root / "Videos").glob("*.avi")):
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG, options)
        while capture.read()[0]:
            count += 1
    return count


def study_script(root, out):
    """The steps of the original study, one video after another in one process; the number of frames.

    Every frame is turned grey, resized, masked, thresholded and counted; the first, the whitest, the darkest and the
    last are enlarged, smoothed and written.
    """
    out.mkdir()
    mask, count = study_mask(), 0
    for path in sorted((root / "Videos").glob("*.avi")):
        capture, frames, white = cv2.VideoCapture(str(path)), [], []
        while True:
            ok, frame = capture.read()
            if not ok:
                break
            grey = cv2.resize(cv2.cvtColor(frame, cv2.COLOR_BGR2GRAY), (112, 112), interpolation=cv2.INTER_AREA)
            masked = cv2.bitwise_and(grey, grey, mask=mask)
            white.append(cv2.countNonZero(cv2.threshold(masked, 30, 255, cv2.THRESH_BINARY)[1]))
            frames.append(masked)
        for order, k in enumerate((0, int(np.argmax(white)), int(np.argmin(white)), len(frames) - 1)):
            large = cv2.resize(frames[k], (128, 128), interpolation=cv2.INTER_LANCZOS4)
            cv2.imwrite(str(out / f"{path.stem}_f{order}.png"), cv2.bilateralFilter(large, 5, 15, 15))
        count += len(frames)
    return count


def speeds(work):
    """Frames per second of wall time, and per second of processor time over all processes, of `work() -> frames`."""
    start, used = time.perf_counter(), _processor_seconds()
    frames = work()
    return np.array([frames / (time.perf_counter() - start), frames / (_processor_seconds() - used)])


def _processor_seconds():
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in usage)


def peak_memory(root, out, workers):
    """Peak resident MB of a fresh program that does nothing but extract `root`: its own and that of its largest worker.

    It has not this one's torch, whose gigabyte would hide any growth.
    """
    code = f"""
import resource, sys
from pathlib import Path
from echogan.preprocessing.extract import extract

{inspect.getsource(own_peak)}
if __name__ == "__main__":
    extract(sys.argv[1], Path(sys.argv[2]), workers=int(sys.argv[3]))
    print(own_peak() + resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
    command = [sys.executable, "-c", code, str(root), str(out), str(workers)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout) / 1024


def own_peak():
    """Peak resident kB of this program; `ru_maxrss` of Linux goes on from the process that started it."""
    status = Path("/proc/self/status")
    if status.is_file():
        return int(status.read_text().partition("VmHWM:")[2].split()[0])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--videos", type=int, default=2000)
    parser.add_argument("--frames", type=int, default=175)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", default=MEMORY if Path(MEMORY).is_dir() else None, help="where to write")
    args = parser.parse_args()
    header()
    cv2.setNumThreads(1)
    importlib.import_module("pandas")  # before the clock starts: its second would count for a fifth of the real study
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        study = write_study(Path(folder) / "study", args.videos, args.frames)
        quarter = write_study(Path(folder) / "quarter", args.videos // 4, args.frames)
        few = peak_memory(quarter, Path(folder) / "few", args.workers)
        many = peak_memory(study, Path(folder) / "many", args.workers)
        plain = speeds(lambda: bare_decoding(study, []))
        tuned = partial(bare_decoding, study, [cv2.CAP_PROP_N_THREADS, 1])
        before = speeds(tuned)  # and once more afterwards: the faster counts
        ours = speeds(lambda: extract(study, Path(folder) / "out", workers=args.workers).recordings * args.frames)
        bare = np.maximum(before, speeds(tuned))
        script = speeds(lambda: study_script(study, Path(folder) / "script"))
        start = time.perf_counter()
        images = len(load_frames(Path(folder) / "out"))
        loading = time.perf_counter() - start
    wall, processor = ours / bare
    print(f"bare decoding, one core        {bare[0]:8.0f} frames/s (with OpenCV's own threads {plain[0]:.0f})")
    print(f"the study's steps, one process {script[0]:8.0f} frames/s")
    print(f"extraction, {args.workers} workers          {ours[0]:8.0f} frames/s, {ours[0] / args.frames:.0f} videos/s")
    print(f"extraction / (bare x workers)  {wall / args.workers:8.2f}   by the clock")
    target("extraction / bare decoding, processor time", processor, least=0.80)
    print(f"extraction / the study's steps {ours[0] / script[0]:8.2f}   ({ours[1] / script[1]:.2f} in processor time)")
    print(f"loading {images:,} frames        {loading:8.1f} s")
    print(f"peak memory {few:.0f} MB at {args.videos // 4} videos, {many:.0f} MB at {args.videos}")
    print(f"peak memory at four times the videos {many / few:.2f} x")


if __name__ == "__main__":
    conclude(main)
