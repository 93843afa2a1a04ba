"""Whether longer training pays: the last kept weights of a run against the best kept ones.

Prints, for each run, the Frechet distance of the small encoder (EfficientNet-Lite0) between generated images and all VAL
frames at the moments whose weights were kept, two at the least, and last / best. 1.00: the end is the best; wanted of configs
of ours: at most 1.15. The distance is biased by its n, the same on both sides of the ratio.

    python benchmarks/training_drift.py wgan/gp medgan/rank --data FRAMES [--n 2000] [--since 4]
"""

import argparse
from pathlib import Path

from common import conclude, header, not_measured, target

from echogan import encoders
from echogan.config import RunFolder
from echogan.data.frames import load_frames
from echogan.engine.checkpoint import kept_moments
from echogan.engine.feed import resized
from echogan.engine.launch import pick_device
from echogan.engine.sampling import generated, load_generator
from echogan.errors import BadInput
from echogan.metrics.frechet import frechet


def distances(run, frames, encoder, n, since):
    """{kimg: distance to VAL} of the weights kept from `since` kimg on."""
    found, features = {}, None
    for kimg, path in sorted(kept_moments(RunFolder.find(run).checkpoints).items()):
        if kimg < since:
            continue
        model, _ = load_generator(path, encoder.device)
        if features is None:
            features = encoder(resized(frames.split("VAL").images, model.config.resolution, encoder.device))
        found[kimg] = frechet(encoder(generated(model, n)), features).value
    return found


def published(run):
    """Whether the config of a run is one of the original study's."""
    return RunFolder.find(run).read()["config"].get("published", False)


def judge(run, found):
    """Print a run's moments and last / best, of which something is wanted where the config is ours."""
    print(f"{run}  " + "  ".join(f"{kimg:g}: {value:.2f}" for kimg, value in found.items()))
    ratio = found[max(found)] / min(found.values())
    if published(run):
        print(f"{run}, last / best {ratio:.3f}, a published config: nothing is wanted of it", flush=True)
    else:
        target(f"{run}, last / best", ratio, most=1.15)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", help="runs, e.g. wgan/gp")
    parser.add_argument("--data", type=Path, help="frames they were trained on")
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--since", type=float, default=4.0, help="kimg; earlier weights are far from the best")
    parser.add_argument("--device", default="auto")
    args = parser.parse_args()
    header(args.device)
    if not (args.runs and args.data):
        raise BadInput("no runs, or no --data, are named; `make study ONLY=wgan` makes both")
    frames, encoder = load_frames(args.data), encoders.find("lite0", pick_device(args.device))
    print(f"{frames.kind} {frames.fingerprint()}, VAL, {args.n} generated images, lite0")
    for run in args.runs:
        found = distances(run, frames, encoder, args.n, args.since)
        if len(found) < 2:  # the last would be the best by itself
            not_measured(
                f"{run} kept weights at {len(found)} of the two moments from {args.since:g} kimg on that the ratio takes; go on "
                "with its `echogan train`, or lower --since"
            )
        else:
            judge(run, found)


if __name__ == "__main__":
    conclude(main)
