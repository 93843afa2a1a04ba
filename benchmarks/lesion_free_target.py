"""Whether a generator that truly hallucinates is flagged: one trained with a lesion in every picture of one domain alone.

erases   every low picture of TRAIN has a bright and a dark lesion and no Good one has: the generator learns to take them away
paints   every Good picture has them and no low one: the generator learns to put them there (Cohen 2018)
removes  a U-Net that sees the truth: every low picture has lesions and its own truth has not, so it learns just that
keeps    the same with lesions in the truth as well: it should pass

Nothing holds the first two back: cycle and identity are 0. Pictures of TEST patients are flagged by two checks with limits of
other patients: `lost`, a planted lesion does not survive (`lesions.SURVIVES`, fixed on VAL pictures of cyclegan/plain, seed 0, so
judge that very run by it with caution), and `suspicion`, the change stands out of what honest filters do to TRAIN pictures.
`kept`: mean contrast that is left of planted lesions; `--honest`: enhancers that should pass.

    python benchmarks/lesion_free_target.py FRAMES [--kimg 8] [--seeds 1] [--honest cyclegan/plain ...] [--out CSV]
"""

import argparse
import tempfile
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd

from echogan.config import Settings
from echogan.data.frames import load_frames
from echogan.data.truth import load_truth
from echogan.engine.feed import resized
from echogan.engine.fit import fit
from echogan.engine.launch import hardware, pick_device
from echogan.enhancement.baselines import METHODS
from echogan.enhancement.judge import method_of
from echogan.enhancement.lesions import TONES, lost, planted, somewhere, survival
from echogan.enhancement.run import load_enhancer
from echogan.enhancement.supervised import load_supervised, train_supervised
from echogan.enhancement.trust import limit_on, suspicion
from echogan.files import write_text
from echogan.models import cyclegan
from echogan.report.quiz import share
from echogan.sector import ECHONET

FREE = dict(cycle=0.0, identity=0.0)  # a generator that nothing keeps from changing what its target lacks
KNOWN = 40  # pictures of TRAIN that the limit comes from
ILL = {"erases": "A", "paints": "B"}  # domain that has the lesions
PAIRS = ("removes", "keeps")


def ill(images, mask, rng, twins=()):
    """`images` (N, H, W), each with a bright and a dark lesion, and their `twins`, of the same shape, with the same ones."""
    spots = [[somewhere(mask, tone, rng, image) for tone in TONES] for image in images]
    return [np.stack([reduce(planted, s, x) for x, s in zip(xs, spots)]) for xs in (images, *twins)]


def unpaired(what, frames, settings, folder):
    """The weights of a CycleGAN trained on frames one of whose domains is ill."""
    rng, rows = np.random.default_rng(settings.seed), (frames.index["domain"] == ILL[what]).to_numpy()
    images = frames.images.copy()
    (images[rows],) = ill(images[rows], ECHONET.resized(frames.size).mask(), rng)
    config = replace(cyclegan.CONFIGS["far"].small(), **FREE)
    run = fit("cyclegan", what, replace(frames, images=images), settings, config, folder)
    return run.weights("last")


def paired(what, frames, truth, settings, folder):
    """The weights of a U-Net trained on ill pictures and their truth, which is ill where it should keep lesions."""
    low, rng = frames.domain("A"), np.random.default_rng(settings.seed)
    images, *twins = ill(low.images, ECHONET.resized(frames.size).mask(), rng, (truth,) * (what == "keeps"))
    goal = twins[0] if twins else truth
    return train_supervised(replace(low, images=images), goal, what, settings, experiments=folder).weights("last")


def generator(what, frames, settings, folder, truth):
    """The `Enhancer` that was trained to do `what`."""
    if what in ILL:
        return load_enhancer(unpaired(what, frames, settings, folder))
    return load_supervised(paired(what, frames, truth, settings, folder))


def judged(generator, images, mask, limit, seed):
    """{"pictures", "kept_bright", "kept_dark", "lost", "suspicious"}: numbers of pictures and mean shares of one generator."""
    kept = survival(lambda x: generator(x, mask), images, mask, seed)
    strange = [suspicion(a, b, mask) > limit for a, b in zip(images, generator(images, mask))]
    means = {f"kept_{tone}": float(np.nanmean(shares)) for tone, shares in kept.items()}
    return {"pictures": len(images), **means, "lost": int(lost(kept).sum()), "suspicious": sum(strange)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", nargs="?", type=Path, help="a quality phantom's frames (`echogan domains`)")
    parser.add_argument("--kimg", type=float, default=8.0, help="of each training; 8 take about four CPU-minutes")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--what", nargs="*", choices=(*ILL, *PAIRS), default=[*ILL, *PAIRS])
    parser.add_argument("--honest", nargs="*", default=[], help="enhancers that should pass, <arch>/<config>")
    parser.add_argument("--out", type=Path, help="CSV of every generator and seed")
    args = parser.parse_args()
    if not args.frames:
        return print("name the frames of a quality phantom; without them there is nothing to train on")
    frames = load_frames(args.frames)
    truth = resized(load_truth(args.frames, frames.domain("A")), args.size).numpy() if {*PAIRS} & {*args.what} else None
    frames = replace(frames, images=resized(frames.images, args.size).numpy(), masks=None)
    mask, low = ECHONET.resized(args.size).mask(), {s: frames.split(s).domain("A").images for s in ("TRAIN", "TEST")}
    limit, rows = limit_on(low["TRAIN"][:KNOWN], mask, METHODS), []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(args.seeds):
            told = frames, Settings(args.kimg, seed, "cpu"), Path(folder) / f"{seed}"
            made = {what: generator(what, *told, truth) for what in args.what}
            made |= {enhancer.name: enhancer for enhancer in map(load_enhancer, args.honest)}
            for name, enhancer in made.items():
                found = judged(method_of(enhancer), low["TEST"], mask, limit, seed)
                rows.append({"seed": seed, "generator": name, **found})
    table = pd.DataFrame(rows)
    if args.out:
        write_text(args.out, table.to_csv(index=False, lineterminator="\n"))
    print(
        f"{frames.kind}, TEST, {len(low['TEST'])} pictures at {args.size} px, trained for {args.kimg:g} kimg, "
        f"{args.seeds} seeds, limit {limit:.2f}, {hardware(pick_device('cpu'))}"
    )
    for name, part in table.groupby("generator", sort=False):
        kept = ", ".join(f"{tone} {part[f'kept_{tone}'].mean():.2f}" for tone in TONES)
        told = [f"{check} {_told(part[check].sum(), part['pictures'].sum())}" for check in ("lost", "suspicious")]
        print(f"{name}: lesions keep {kept} of their contrast; flagged as {', as '.join(told)}", flush=True)


def _told(hits, n):
    flagged, least, most = share(hits, n)
    return f"{flagged:.1%} ({least:.1%} to {most:.1%} of {n})"


if __name__ == "__main__":
    main()
