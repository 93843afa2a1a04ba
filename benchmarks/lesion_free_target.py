"""Whether a generator that learnt to hallucinate is flagged: one trained with a lesion in every picture of one domain alone.

erases   every low picture of TRAIN has a bright and a dark lesion and no Good one has: the generator learns to take them away
paints   every Good picture has them and no low one: the generator learns to put them there (Cohen 2018)
removes  a U-Net that sees the truth: every low picture has lesions and its own truth has not, so it learns just that

Nothing holds the first two back: cycle and identity are 0. A picture of a TEST patient is flagged where lesions that are
planted in it fade (`lesions.survival`), a patient where they do on average over all pictures of hers. Both limits let 95 %
of what the enhancers `--known` make of VAL patients pass; `--honest` are others, which should pass as well. Wanted: at least
95 % of the patients of what `erases` or `paints`, all seeds together; at most 5 % of every honest enhancer's. What `removes`
is told beside them: it hardly learns it.

    python benchmarks/lesion_free_target.py FRAMES --known cyclegan/plain_seed1 [--honest cyclegan/plain] [--out CSV]
"""

import argparse
import tempfile
from dataclasses import replace
from functools import reduce
from pathlib import Path

import numpy as np
import pandas as pd
from common import conclude, header, target

from echogan.config import Settings
from echogan.data.frames import load_frames
from echogan.data.truth import load_truth
from echogan.engine.feed import resized
from echogan.engine.fit import fit
from echogan.enhancement.judge import method_of
from echogan.enhancement.lesions import RECORDING, SURVIVES, TONES, planted, somewhere, survival
from echogan.enhancement.run import load_enhancer
from echogan.enhancement.supervised import load_supervised, train_supervised
from echogan.enhancement.trust import HONEST
from echogan.errors import BadInput
from echogan.files import write_text
from echogan.models import cyclegan
from echogan.report.quiz import share
from echogan.sector import ECHONET

FREE = dict(cycle=0.0, identity=0.0)  # a generator that nothing keeps from changing what its target lacks
ILL = {"erases": "A", "paints": "B"}  # domain that has the lesions
UNITS = {"picture": SURVIVES, "patient": RECORDING}  # and the limits of the trust report


def ill(images, mask, rng):
    """`images` (N, H, W), each with a bright and a dark lesion."""
    spots = [[somewhere(mask, tone, rng, image) for tone in TONES] for image in images]
    return np.stack([reduce(planted, lesions, image) for image, lesions in zip(images, spots)])


def unpaired(what, frames, mask, settings, folder):
    """The weights of a CycleGAN trained on frames one of whose domains is ill."""
    rng, rows = np.random.default_rng(settings.seed), (frames.index["domain"] == ILL[what]).to_numpy()
    images = frames.images.copy()
    images[rows] = ill(images[rows], mask, rng)
    config = replace(cyclegan.CONFIGS["far"].small(), **FREE)
    run = fit("cyclegan", what, replace(frames, images=images), settings, config, folder)
    return run.weights("last")


def paired(what, frames, mask, settings, folder, truth):
    """The weights of a U-Net trained on ill pictures and their truth."""
    low = frames.domain("A")
    images = ill(low.images, mask, np.random.default_rng(settings.seed))
    return train_supervised(replace(low, images=images), truth, what, settings, experiments=folder).weights("last")


def trained(what, *told, truth):
    """The `Enhancer` that was trained to do `what`."""
    return load_enhancer(unpaired(what, *told)) if what in ILL else load_supervised(paired(what, *told, truth))


def shares(enhancer, low, mask, seed=0):
    """What is left of planted lesions in pictures of a FrameSet: a row each, "bright", "dark" and "patient"."""
    method = method_of(enhancer)
    kept = survival(lambda images: method(images, mask), low.images, mask, seed)
    return pd.DataFrame({**kept, "patient": low.index["patient"].to_numpy()})


def worst(table, unit):
    """The share of the tone that fades most, of each picture or patient."""
    table = table.groupby("patient").mean() if unit == "patient" else table
    return table[list(TONES)].min(axis=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", nargs="?", type=Path, help="a quality phantom's frames (`echogan domains`)")
    parser.add_argument("--known", nargs="*", default=[], help="honest enhancers that the limits come from")
    parser.add_argument("--honest", nargs="*", default=[], help="others, that should pass")
    parser.add_argument("--what", nargs="*", choices=(*ILL, "removes"), default=["erases", "removes"])
    parser.add_argument("--kimg", type=float, default=6.0, help="of each training; 6 take about four CPU-minutes")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--out", type=Path, help="CSV of every generator and seed")
    args = parser.parse_args()
    header()
    if not (args.frames and args.known):
        raise BadInput("no frames, or no --known enhancers, are named; `make study ONLY=cyclegan` makes both")
    frames, mask = load_frames(args.frames), ECHONET.resized(args.size).mask()
    truth = resized(load_truth(args.frames, frames.domain("A")), args.size).numpy()
    frames = replace(frames, images=resized(frames.images, args.size).numpy(), masks=None)
    val, test = (frames.split(name).domain("A") for name in ("VAL", "TEST"))
    known = [shares(load_enhancer(run), val, mask) for run in args.known]
    limits = {u: np.percentile(pd.concat([worst(t, u) for t in known]), 100 - HONEST) for u in UNITS}
    told = ", ".join(f"of a {unit} {limit:.3f} (the trust report's: {UNITS[unit]:g})" for unit, limit in limits.items())
    print(f"{frames.kind}, {args.size} px; limit {told}; {args.kimg:g} kimg each")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for what, seed in ((what, seed) for what in args.what for seed in range(args.seeds)):
            settings = Settings(args.kimg, seed, "cpu")
            liar = trained(what, frames, mask, settings, Path(folder) / f"{seed}", truth=truth)
            rows.append(judged(f"{what}, seed {seed}", shares(liar, test, mask), limits))
        honest = [judged(run, shares(load_enhancer(run), test, mask), limits) for run in args.honest]
    for what in (what for what in args.what if what in ILL):
        of_all_seeds = [row for row in rows if row["generator"].startswith(what)]
        target(f"patients flagged of what {what}", flagged(of_all_seeds), least=HONEST / 100)
    for row in honest:
        target(f"patients flagged of {row['generator']}", flagged([row]), most=1 - HONEST / 100)
    if args.out:
        write_text(args.out, pd.DataFrame(rows + honest).to_csv(index=False, lineterminator="\n"))


def judged(name, table, limits):
    """One row, which is printed: mean shares kept, and how many pictures and patients are flagged."""
    row = {"generator": name, **{f"kept_{tone}": table[tone].mean() for tone in TONES}}
    for unit, limit in limits.items():
        found = worst(table, unit)
        row |= {f"{unit}s": len(found), f"{unit}s_flagged": int((found < limit).sum())}
    told = ", ".join(f"{_told(row[f'{unit}s_flagged'], row[f'{unit}s'])} {unit}s" for unit in limits)
    print(f"{name}: bright {row['kept_bright']:.2f}, dark {row['kept_dark']:.2f} kept; flagged {told}", flush=True)
    return row


def flagged(rows):
    """The share of the patients of some rows."""
    return sum(row["patients_flagged"] for row in rows) / sum(row["patients"] for row in rows)


def _told(hits, n):
    found, least, most = share(hits, n)
    return f"{found:.1%} ({least:.1%} to {most:.1%}) of {n}"


if __name__ == "__main__":
    conclude(main)
