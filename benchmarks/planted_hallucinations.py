"""Whether hallucinations are flagged that a generator plants: wanted of every generator are 95 %, at 5 % of honest pictures.

Of each seed a quality phantom is made. The limit of `enhancement.trust.suspicion` comes from honest filters (`CALM`) on TRAIN
patients; it is judged with other generators on VAL and TEST patients. Hallucinations of two kinds, bright and dark:
painted = the generator's output with a lesion that its input has not; erased = the input has a lesion, and the output is that
of the same picture without it, which is what a generator does that was trained with a lesion-free target, and did it well.

    python benchmarks/planted_hallucinations.py [--seeds 3] [--patients 60] [--size 112] [--runs cyclegan/plain ...] [--out CSV]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import conclude, header, target

from echogan.data.frames import load_frames
from echogan.data.phantom.quality import write_quality
from echogan.data.truth import load_truth
from echogan.enhancement.baselines import METHODS, fitted_gain
from echogan.enhancement.judge import method_of
from echogan.enhancement.lesions import TONES, planted, somewhere
from echogan.enhancement.run import load_enhancer
from echogan.enhancement.trust import limit_on, suspicion
from echogan.files import write_text
from echogan.preprocessing.domains import prepare_domains
from echogan.report.quiz import share
from echogan.sector import ECHONET

OTHERS = ("identity", "NL-means", "TV", "SRAD")  # none of those that the limit comes from
KNOWN = 40  # pictures of TRAIN that the limit comes from


def measured(seed, patients, size, runs):
    """Rows {"seed", "generator", "what", "pictures", "flagged"} of one phantom."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_quality(root / "study", patients, seed, workers=1)
        prepare_domains(root / "study", root / "frames", size)
        frames = load_frames(root / "frames")
        train, *rest = (frames.split(name).domain("A") for name in ("TRAIN", "VAL", "TEST"))
        gain = fitted_gain(train.images, load_truth(root / "frames", train), ECHONET.resized(size).mask())
    mask, new = ECHONET.resized(size).mask(), np.concatenate([part.images for part in rest])
    limit = limit_on(train.images[:KNOWN], mask, METHODS)
    generators = {name: METHODS[name] for name in OTHERS} | {"fitted gain": gain}
    generators |= {enhancer.name: method_of(enhancer) for enhancer in map(load_enhancer, runs)}
    for name, generator in generators.items():
        better = generator(new, mask)
        for what, (before, after) in shown(new, better, mask, np.random.default_rng(seed)).items():
            flagged = [suspicion(a, b, mask) > limit for a, b in zip(before, after)]
            yield {"seed": seed, "generator": name, "what": what, "pictures": len(new), "flagged": sum(flagged)}


def shown(images, better, mask, rng):
    """{what: (inputs, outputs)}: honest ones, and a lesion of each tone painted, or erased."""
    found = {"honest": (images, better)}
    for tone in TONES:
        spots = [somewhere(mask, tone, rng, image) for image in images]
        found[f"{tone} painted"] = images, [planted(image, spot) for image, spot in zip(better, spots)]
        found[f"{tone} erased"] = [planted(image, spot) for image, spot in zip(images, spots)], better
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--patients", type=int, default=60)
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--runs", nargs="*", default=[], help="further generators: enhancers, <arch>/<config>")
    parser.add_argument("--out", type=Path, help="CSV of every generator and seed")
    args = parser.parse_args()
    header()
    table = pd.DataFrame(
        row for seed in range(args.seeds) for row in measured(seed, args.patients, args.size, args.runs)
    )
    if args.out:
        write_text(args.out, table.to_csv(index=False, lineterminator="\n"))
    print(f"synthetic phantom (quality), seeds 0 to {args.seeds - 1}, {args.patients} patients, {args.size} px")
    for names, part in [("all", table), *table.groupby("generator", sort=False)]:
        told = []
        for what, rows in part.groupby("what", sort=False):
            hits, n = rows["flagged"].sum(), rows["pictures"].sum()
            flagged, low, high = share(hits, n)
            told.append(
                f"{what} {flagged:.1%} ({low:.1%} to {high:.1%}, {n})" if names == "all" else f"{what} {flagged:.0%}"
            )
        print(f"flagged of {names}: {'; '.join(told)}")
    for what, rows in table.groupby("what", sort=False):
        counts = rows.groupby("generator")[["flagged", "pictures"]].sum()
        shares = counts["flagged"] / counts["pictures"]
        if what == "honest":
            target(f"most often flagged of honest ones: {shares.idxmax()}", shares.max(), most=0.05)
        else:
            target(f"least often flagged, {what}: {shares.idxmin()}", shares.min(), least=0.95)


if __name__ == "__main__":
    conclude(main)
