"""Whether a generator that truly hallucinates is flagged: one trained with a lesion in every picture of one domain alone.

erases   every low picture of TRAIN has a bright and a dark lesion and no Good one has: the generator learns to take them away
paints   every Good picture has them and no low one: the generator learns to put them there (Cohen 2018)

Nothing else holds it back: cycle and identity weigh little. The limit of `enhancement.trust.suspicion` comes from honest filters
on TRAIN patients, the pictures judged are of TEST. Of `erases` those count in which less than half of the planted contrast is
left; of `paints` those in which the generator's own change stands out as a lesion does. `--honest`: runs that should pass.

    python benchmarks/lesion_free_target.py FRAMES [--kimg 3] [--seeds 1] [--honest cyclegan/plain ...] [--out CSV]
"""

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from echogan.config import Settings
from echogan.data.frames import load_frames
from echogan.engine.feed import resized
from echogan.engine.fit import fit
from echogan.engine.launch import hardware, pick_device
from echogan.enhancement.baselines import METHODS
from echogan.enhancement.judge import method_of
from echogan.enhancement.lesions import TONES, contrast, planted, somewhere
from echogan.enhancement.run import load_enhancer
from echogan.enhancement.trust import limit_on, suspicion
from echogan.files import write_text
from echogan.models import cyclegan
from echogan.report.quiz import share
from echogan.sector import ECHONET

FREE = dict(cycle=1.0, identity=0.0)  # a generator that nothing keeps from changing what its target lacks
KNOWN = 40  # pictures of TRAIN that the limit comes from
LEFT = 0.5  # of the contrast: below it a lesion counts as erased
ILL = {"erases": "A", "paints": "B"}  # domain that has the lesions


def ill(images, mask, rng):
    """`images` (N, H, W), each with a bright and a dark lesion."""
    for tone in TONES:
        images = np.stack([planted(image, somewhere(mask, tone, rng, image)) for image in images])
    return images


def trained(frames, what, settings, folder):
    """The `Enhancer` of a CycleGAN trained on frames one of whose domains is ill."""
    rng, rows = np.random.default_rng(settings.seed), (frames.index["domain"] == ILL[what]).to_numpy()
    images = frames.images.copy()
    images[rows] = ill(images[rows], ECHONET.resized(frames.size).mask(), rng)
    config = replace(cyclegan.CONFIGS["plain"].small(), **FREE)
    run = fit("cyclegan", what, replace(frames, images=images), settings, config, folder)
    return load_enhancer(run.path / "checkpoints" / "last.safetensors")


def judged(generator, images, mask, limit, seed):
    """Rows {"case", "pictures", "flagged"} of one generator on pictures of unseen patients."""
    rng, flagged = np.random.default_rng(seed), lambda a, b: sum(suspicion(x, y, mask) > limit for x, y in zip(a, b))
    better = generator(images, mask)
    yield {"case": "nothing planted", "pictures": len(images), "flagged": flagged(images, better)}
    for tone in TONES:
        spots = [somewhere(mask, tone, rng, image) for image in images]
        before = np.stack([planted(image, spot) for image, spot in zip(images, spots)])
        after = generator(before, mask)
        left = np.array(
            [contrast(a, p, s) / contrast(b, x, s) for a, p, b, x, s in zip(after, better, before, images, spots)]
        )
        gone = left < LEFT
        yield {"case": f"{tone} erased", "pictures": int(gone.sum()), "flagged": flagged(before[gone], after[gone])}
        yield {"case": f"{tone} kept", "pictures": int((~gone).sum()), "flagged": flagged(before[~gone], after[~gone])}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", nargs="?", type=Path, help="a quality phantom's frames (`echogan domains`)")
    parser.add_argument("--kimg", type=float, default=3.0, help="of each training; 3 take about two CPU-minutes")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--what", nargs="*", choices=tuple(ILL), default=list(ILL))
    parser.add_argument("--honest", nargs="*", default=[], help="enhancers that should pass, <arch>/<config>")
    parser.add_argument("--out", type=Path, help="CSV of every generator and seed")
    args = parser.parse_args()
    if not args.frames:
        return print("name the frames of a quality phantom; without them there is nothing to train on")
    frames = load_frames(args.frames)
    frames = replace(frames, images=resized(frames.images, args.size).numpy(), masks=None)
    mask, low = ECHONET.resized(args.size).mask(), {s: frames.split(s).domain("A").images for s in ("TRAIN", "TEST")}
    limit, rows = limit_on(low["TRAIN"][:KNOWN], mask, METHODS), []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):
            made = {
                w: trained(frames, w, Settings(args.kimg, seed, "cpu"), Path(folder) / f"{seed}") for w in args.what
            }
            made |= {enhancer.name: enhancer for enhancer in map(load_enhancer, args.honest)}
            for name, enhancer in made.items():
                found = judged(method_of(enhancer), low["TEST"], mask, limit, seed)
                rows += [{"seed": seed, "generator": name, **row} for row in found]
    table = pd.DataFrame(rows)
    if args.out:
        write_text(args.out, table.to_csv(index=False, lineterminator="\n"))
    print(
        f"{frames.kind}, TEST, {len(low['TEST'])} pictures at {args.size} px, trained for {args.kimg:g} kimg, "
        f"{args.seeds} seeds, limit {limit:.2f}, {hardware(pick_device('cpu'))}"
    )
    for (name, case), part in table.groupby(["generator", "case"], sort=False):
        n, hits = part["pictures"].sum(), part["flagged"].sum()
        if n:
            flagged, least, most = share(hits, n)
            print(f"{name}, {case}: flagged {flagged:.1%} ({least:.1%} to {most:.1%}) of {n}")


if __name__ == "__main__":
    main()
