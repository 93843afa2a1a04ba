"""Which WGAN is nearest to unseen frames after as many images? The variants behind the `demo` config, by seed, on the phantom.

Each run is `wgan/demo` with a few settings changed. A row gives processor seconds, the sliced Wasserstein distance (SWD,
grey levels) to the VAL patients, and its ratios to three baselines measured in the same run: step 0, the mean TRAIN
image, and one TRAIN frame repeated. The floor is real TRAIN frames against VAL. Wanted: the first variant's SWD is at most that
of each other one, in every seed.

    python benchmarks/wgan_quickstart.py [--variants demo r1 ...] [--seeds 3] [--kimg 24] [--patients 240]
"""

import argparse
import tempfile
import time

import numpy as np
from common import conclude, header, target

from echogan.config import Settings, changed
from echogan.engine.feed import resized
from echogan.engine.fit import fit
from echogan.engine.recorder import METRICS, Table
from echogan.metrics.sliced import sliced_wasserstein
from echogan.models import config_of
from echogan.preprocessing.prepare import prepare

VARIANTS = {
    "demo": [],
    "gp, 1 critic step": ["critic_steps=1"],
    "lp": ["bound=lp"],
    "r1": ["bound=r1", "every=4", "critic_steps=1"],
    "clip": ["bound=clip", "weight=0.01", "critic_steps=5", "norm=batch", "kind=rmsprop", "lr=5e-5"],
}


def baselines(frames, size):
    """SWD to VAL of the mean TRAIN image, and of one TRAIN frame repeated (the best of eight)."""
    train, val = (resized(frames.split(s).images, size).numpy() for s in ("TRAIN", "VAL"))
    still = [train.mean(0).round().astype(np.uint8), *train[:: len(train) // 8][:8]]
    mean, *ones = (sliced_wasserstein(np.repeat(image[None], len(val), 0), val) for image in still)
    return mean, min(ones)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variants", nargs="+", default=["demo"], choices=VARIANTS)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--kimg", type=float, default=24.0)
    parser.add_argument("--patients", type=int, default=240)
    args = parser.parse_args()
    header()
    frames = prepare("phantom", args.patients)
    mean, one = baselines(frames, config_of("wgan", "demo").resolution)
    print(
        f"synthetic phantom, {args.patients} patients, VAL; SWD of the mean image {mean:.1f}, of one frame repeated {one:.1f}"
    )
    print(
        f"{'variant':20} seed  CPU s   SWD  best  floor  step 0 / SWD  mean / SWD  repeated / SWD    JSD  spectrum dB"
    )
    reached = {variant: [] for variant in args.variants}
    for variant in reached:
        config = changed(config_of("wgan", "demo"), VARIANTS[variant])
        for seed in range(args.seeds):
            with tempfile.TemporaryDirectory() as folder:
                began = time.process_time()
                run = fit("wgan", "quick", frames, Settings(args.kimg, seed, "cpu"), config, experiments=folder)
                seconds, table = time.process_time() - began, Table(run.metrics, METRICS)
            swd, last = table.numbers("SWD"), table.rows[-1]
            reached[variant].append(swd[-1])
            print(
                f"{variant:20} {seed:4} {seconds:6.0f} {swd[-1]:5.1f} {min(swd):5.1f} {float(last['floor_SWD']):6.1f} "
                f"{swd[0] / swd[-1]:13.1f} {mean / swd[-1]:11.2f} {one / swd[-1]:15.2f} {float(last['JSD']):6.4f} "
                f"{float(last['spectrum_dB']):12.2f}",
                flush=True,
            )
    first, *others = reached
    for other in others:
        worst = max(one / two for one, two in zip(reached[first], reached[other]))
        target(f"SWD of {first} / of {other}, worst seed", worst, most=1.0)


if __name__ == "__main__":
    conclude(main)
