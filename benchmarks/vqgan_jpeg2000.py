"""What a VQGAN keeps of held-out images, beside JPEG 2000 in as many bits (its headers not counted), in one run.

Prints SSIM, PSNR and, where the weights are installed, LPIPS and FID of both, and for each run the difference

    SSIM - SSIM of JPEG 2000, 16 x 16 codes of a 128 px image      wanted: at least +0.05
    SSIM - SSIM of JPEG 2000, 32 x 32 codes of a 128 px image      wanted: at least 0

    python benchmarks/vqgan_jpeg2000.py [vqgan/grid16 ...] --data FRAMES [--split TEST]

Without runs it takes all of experiments/vqgan/. At 64 px (the CPU tier) nothing is wanted: the rows stand as they are.
"""

import argparse
import json

from common import conclude, header, not_measured, target

from echogan.config import folder
from echogan.data.frames import load_frames
from echogan.engine.checkpoint import read_weights
from echogan.engine.feed import resized
from echogan.engine.judge import judge, networks
from echogan.engine.sampling import Wanted, find_weights
from echogan.errors import BadInput
from echogan.metrics import jpeg2000

SHOWN = ("SSIM", "PSNR", "LPIPS", "FID")
WANTED = {(128, 16): 0.05, (128, 32): 0.0}  # by resolution and codes a side


def rows(run, frames, split):
    """(row of the run's reconstructions, row of JPEG 2000 in as many bits), each as `judge` gives it."""
    found = networks()
    ours = judge(run, frames, split, **found, wanted=Wanted(stage="translate"))
    if "bits" not in ours:
        raise BadInput("its images are not made of codes; name runs of vqgan")
    images = resized(frames.split(split).images, ours["size"]).numpy()
    kept, used = jpeg2000.at_bits(images, ours["bits"])
    theirs = judge(kept, frames, split, **found)
    paired = {name: ours.get(f"JPEG2000_{name}") for name in SHOWN[:3]}
    return ours, {**theirs, **paired, "bits": used.mean()}


def wanted_of(run):
    """What is wanted of a run's SSIM beyond that of JPEG 2000, None where nothing is."""
    config = json.loads(read_weights(find_weights(run))[0]["config"])
    return WANTED.get((config["resolution"], config["grid"]))


def line(name, row):
    values = "".join(f"{name:>7} {row[name]:8.3f}" if row.get(name) is not None else " " * 16 for name in SHOWN)
    return f"{name:24} {row['bits']:8.0f} bits{values}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*")
    parser.add_argument("--data")
    parser.add_argument("--split", default="TEST")
    args = parser.parse_args()
    header()
    runs = args.runs or sorted(str(path.parent) for path in (folder("experiments") / "vqgan").glob("*/config.json"))
    if not runs or not args.data:
        raise BadInput("no run of vqgan, or no --data; `echogan train vqgan grid16 --data FRAMES` trains one")
    frames = load_frames(args.data)
    for run in runs:
        try:
            ours, theirs = rows(run, frames, args.split)
        except BadInput as error:
            not_measured(f"{run}: {error}")
            continue
        print(
            f"{run}: {ours['n_real']} {args.split} images at {ours['size']} px, {frames.kind}; FID floor {ours.get('floor_FID')}"
        )
        print(line("VQGAN", ours), line("JPEG 2000", theirs), sep="\n")
        beyond, wanted = ours["SSIM"] - theirs["SSIM"], wanted_of(run)
        if wanted is None:
            print(f"{'SSIM beyond JPEG 2000':24} {beyond:+8.3f}   (nothing is wanted at this size)")
        else:
            target(f"{run}, SSIM beyond JPEG 2000", beyond, least=wanted)


if __name__ == "__main__":
    conclude(main)
