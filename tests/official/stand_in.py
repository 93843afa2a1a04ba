"""A stand-in for the official train.py: the same command line, log, files and names, without training anything.

It is copied into a folder that plays the clone, beside nothing else. STAND_IN=fail makes it fail in its own code.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys
import zipfile

TICK = (
    "tick {tick:<5d} kimg {kimg:<8.1f} time {time:<12s} sec/tick {per:<7.1f} sec/kimg 75.03   maintenance 0.0    "
    "cpumem 1.27   gpumem 0.00   augment {p:.3f}"
)
WORDS = "outdir gpus snap metrics seed data mirror cfg lrate gamma kimg batch aug target augpipe resume fp32 workers"


def options():
    parser = argparse.ArgumentParser()
    for name in WORDS.split():
        parser.add_argument(f"--{name}")
    return parser.parse_args()


def stats(kimg, seconds):
    values = {
        "Loss/G/loss": 0.5 + kimg,
        "Loss/G/reg": 0.25,
        "Loss/D/loss": 1.5,
        "Loss/D/reg": None,
        "Loss/scores/real": 0.1,
        "Loss/scores/fake": -0.1,
        "Loss/signs/real": 0.6,
        "Progress/kimg": kimg,
        "Progress/augment": 0.012,
        "Timing/total_sec": seconds,
        "Timing/Gmain": None,
    }
    told = {
        k: {"num": int(v is not None), "mean": float("nan") if v is None else v, "std": 0.0} for k, v in values.items()
    }
    return json.dumps({**told, "timestamp": 1650000000.0})


def main():
    args = options()
    images = [name for name in zipfile.ZipFile(args.data).namelist() if name.endswith(".png")]
    batch, total = int(args.batch), int(args.kimg)
    number = len(list(pathlib.Path(args.outdir).glob("0*")))
    out = pathlib.Path(args.outdir) / f"{number:05d}-data-{args.cfg}"
    print(f"\nOutput directory:   {out}\nNumber of images:   {len(images)}\n")
    print("words", json.dumps(vars(args)))
    print("settings", os.environ["ECHOGAN_OFFICIAL_SETTINGS"])
    out.mkdir(parents=True)
    if args.resume:
        print(f'Resuming from "{args.resume}"')
        assert pathlib.Path(args.resume).is_file()
    print(f"Training for {total} kimg...\n")
    with open(out / "stats.jsonl", "w") as file:
        for tick, images in enumerate([batch, *range(4000, total * 1000, 4000), total * 1000]):
            kimg = images / 1000
            print(TICK.format(tick=tick, kimg=kimg, time="1d 02h 03m", per=3.6, p=0.012), flush=True)
            if os.environ.get("STAND_IN") == "fail" and tick == 1:
                raise RuntimeError("CUDA out of memory, said the official code")
            if tick % int(args.snap) == 0 or images == total * 1000:
                shutil.copy("snapshot.pkl", out / f"network-snapshot-{int(kimg):06d}.pkl")
            file.write(stats(kimg, 10.0 * tick) + "\n")
            file.flush()
    print("\nExiting...")


if __name__ == "__main__":
    sys.exit(main())
