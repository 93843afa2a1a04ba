"""Commands of the enhancer: recordings made better, and enhancers compared."""

import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from echogan.cli.app import Bar, Device, Frames, Out, command
from echogan.config import shown

Recording = Positional[Annotated[Path, arg(metavar="IN")]]


@command
def enhance(
    source: Recording,
    out: Out,
    run: str,
    strength: float = 1.0,
    temporal: bool = False,
    sector: Literal["auto", "echonet"] = "auto",
    beside: bool = False,
    residual: bool = False,
    training: Path | None = None,
    keep_surround: bool = False,
    keep_patient: bool = False,
    force: bool = False,
    report: Literal["quick", "full", "none"] = "quick",
    segmenter: str = "",
    kimg: float | None = None,
    device: Device = "auto",
):
    """Enhance recordings with a trained run: the same kind, size, depth and frame rate. Research use only.

    Only pixels inside the ultrasound sector change; at strength 0 none does. AVI is written without loss (FFV1), MP4 is lossy.
    Nothing is replaced. Of a folder that was interrupted, even by kill -9, the same command makes the rest.

    Args:
        source: PNG (8 or 16 bits), AVI, MP4 or DICOM (.dcm or not; comes out grey, marked, without patient tags), or a folder.
        out: file of the same kind, or folder, to make.
        run: a run, <arch>/<config>, or a .safetensors file.
        strength: 0 = the input, 1 = all that the run would change.
        temporal: smooth the change over time, and the input a little, so that a clip flickers no more than its input.
        sector: auto = found in each recording; echonet = square frames on the sector of EchoNet-Dynamic.
        beside: also write input and output side by side, OUT_beside.
        residual: also write the signed change, OUT_residual: middle grey = none, four grey levels for each.
        training: folder of frames whose like are enhanced; default, the frames that the run was trained on, as it remembers them.
        keep_surround: DICOM: keep what lies around the sector, names that are burnt in too, instead of blanking it.
        keep_patient: DICOM: keep the tags that name the patient and the study.
        force: enhance what would be refused (colour, but not of a DICOM; unlike the training frames), and mark it in the picture.
        report: what to write of each recording as OUT_trust.html and .png: quick = 8 of its frames; full = 32, further moments
            of training, and whether lesions appear or vanish; none = nothing. A DICOM is shown blank around its sector always.
        segmenter: run of `echogan segmenter`: does it find the same ventricle, and ejection fraction, before and after?
        kimg: moment of the run's training; the nearest kept weights are used.
        device: where to compute.
    """
    from echogan.cli.trust import report_beside, wished
    from echogan.engine.launch import pick_device
    from echogan.enhancement.clips import enhance_path
    from echogan.enhancement.run import load_enhancer
    from echogan.enhancement.stream import Wanted

    where = pick_device(device)
    enhancer, wish = load_enhancer(run, kimg, where), wished(report == "full", segmenter, where)
    known, origin = _range(enhancer, training), f"{enhancer.name}, weights sha256 {enhancer.sha256}"
    wanted = Wanted(strength, temporal, sector, beside, residual, force, known, keep_surround, keep_patient, origin)
    pages = None if report == "none" else report_beside(run, enhancer, wanted, wish, f"{report} {segmenter}".strip())
    with Bar("enhance", "recording") as tell:
        result = enhance_path(source, out, enhancer, wanted, tell, pages)
    for sentence in (*result.warnings, *result.failed):
        print(f"echogan: {sentence}", file=sys.stderr)
    for done in result.done:
        for sentence in done.warnings:
            print(f"echogan: {sentence}", file=sys.stderr)
        if done.box and not done.refused:
            print(
                f"echogan: {done.path} is marked as research only at {done.box} (x, y, width, height)", file=sys.stderr
            )
        if done.refused:
            print(f"echogan: {done.refused}; forced, and marked at {done.box}", file=sys.stderr)
    if result.done:
        print(_told(result, out, enhancer.name))
    if result.failed:
        sys.exit(1)


def _told(result, out, name):
    from math import isnan

    done = result.done
    moved = sum(d.changed for d in done) / len(done)
    films = [d for d in done if not isnan(d.shake)]
    line = f"{len(done)} recording{'s' * (len(done) > 1)} enhanced by {name} in {shown(out)}: mean change {moved:.1f} grey levels"
    if films:
        jitter, shake = (sum(getattr(d, what) for d in films) / len(films) for what in ("jitter", "shake"))
        line += f", flicker {jitter:.2f} (brightness) and {shake:.2f} (texture) of the input's"
    if any(d.path.suffix.lower() == ".mp4" for d in done):
        line += "; MP4 is lossy, so pixels outside the sector are only nearly those of the input"
    return line + "; research use only"


def _range(enhancer, training):
    """What recordings must be like: as the frames of `training`, or those the run learnt from. All thresholds are told."""
    from echogan.data.frames import load_frames
    from echogan.engine.describe import familiar
    from echogan.enhancement.gate import COLOURED_SHARE, MEAN_CHROMA

    known = familiar(load_frames(training)) if training else enhancer.known
    foreign = (
        f"what lies outside {known.words()} dB" if known else "nothing else: its weights tell no range, give --training"
    )
    chroma = (
        f"a mean chroma above {MEAN_CHROMA:g} grey levels, colour in more than {100 * COLOURED_SHARE:g} % of the sector"
    )
    print(f"echogan: refused are {chroma}, and {foreign}", file=sys.stderr)
    return known


@command
def rate(
    frames: Frames,
    run: tuple[str, ...] = (),
    supervised: str | None = None,
    methods: tuple[str, ...] = (),
    split: Literal["val", "test"] = "test",
    size: int | None = None,
    clips: Path | None = None,
    segmenter: str = "",
    encoder: str = "auto",
    out: Path | None = None,
    device: Device = "auto",
):
    """Compare enhancers with plain filters on pictures whose truth is known: one table, what wins in bold.

    Args:
        frames: folder of frames with two domains and their truth (`echogan phantom --layout quality`, `echogan domains`).
        run: runs to judge, each <arch>/<config>, a folder or a .safetensors file.
        supervised: run of the U-Net that was trained on pairs of TRAIN; train = train it now, or train it on.
        methods: filters to compare with; default all.
        split: whose low-quality pictures; test reports, val chooses.
        size: pixels a side that pictures, truth and masks are brought to, such as those a run learnt from; default theirs.
        clips: folder of low-quality videos, 112 x 112 on EchoNet-Dynamic's sector, for the flicker.
        segmenter: run of `echogan segmenter`, not the one a run was trained with, for Dice and ejection fraction.
        encoder: auto = inception2015 where its weights are, else none; or lite0.
        out: CSV to write, with every error, and the printed table beside it as Markdown (.md).
        device: where to compute.
    """
    from echogan.data.frames import load_frames
    from echogan.engine.feed import at_size
    from echogan.enhancement import judge
    from echogan.enhancement.table import legend, printed, rows_of
    from echogan.files import write_text

    loaded, where = load_frames(frames), _device(device)
    data = at_size(loaded, size or loaded.size)
    low = {name: data.split(name).domain("A") for name in ("TRAIN", split.upper())}
    truth = {name: _truth(frames, loaded.split(name).domain("A"), data.size) for name in low}
    case = judge.case_of(data, truth[split.upper()], split.upper(), _clips(clips))
    chosen = _methods(methods, low["TRAIN"], truth["TRAIN"], run, where)
    if supervised:
        chosen["L1 U-Net"] = _supervised(supervised, loaded, data.size, frames, where)
    network, masks = _encoder(encoder, where), _masks(segmenter, where, data.labels)
    with Bar("rate", "method") as tell:
        table = judge.rate(case, chosen, masks, network, tell)
    told = f"{printed(table)}\n\n{legend(table)}\n\n{_said(case, data, split, network, where)}"
    if out:
        import pandas as pd

        write_text(out, pd.DataFrame(rows_of(table)).to_csv(index=False, lineterminator="\n"))
        write_text(out.with_suffix(".md"), f"{told}\n")
    print(told)


def _device(name):
    from echogan.engine.launch import pick_device

    return pick_device(name)


def _methods(names, low, truth, runs, device):
    """{name: method}: the filters, the gain fitted to TRAIN, and the runs."""
    from echogan.enhancement.baselines import METHODS, fitted_gain
    from echogan.enhancement.judge import method_of
    from echogan.enhancement.run import load_enhancer
    from echogan.errors import BadInput, nearest
    from echogan.sector import ECHONET

    known = {**METHODS, "fitted gain": fitted_gain(low.images, truth, ECHONET.resized(low.size).mask())}
    for name in names:
        if name not in known:
            raise BadInput(f"there is no filter {name!r}{nearest(name, known)}")
    enhancers = [load_enhancer(run, device=device) for run in runs]
    kept = {name: known[name] for name in names or known}
    return {**{"identity": known["identity"]}, **kept, **{e.name: method_of(e) for e in enhancers}}


def _truth(folder, frames, size):
    from echogan.data.truth import load_truth
    from echogan.engine.feed import resized

    return resized(load_truth(folder, frames), size).numpy()


def _supervised(source, data, size, folder, device):
    """The rival that was, or is now, trained at `size` px on the pairs of TRAIN; VAL chooses its weights."""
    from dataclasses import replace

    from echogan.data.truth import load_truth
    from echogan.enhancement.judge import method_of
    from echogan.enhancement.supervised import Config, load_supervised, train_supervised

    if source == "train":
        low, name = data.domain("A"), "unet" if size == data.size else f"unet{size}"
        source = train_supervised(low, load_truth(folder, low), name, config=replace(Config(), resolution=size)).path
    return method_of(load_supervised(source, device))


def _masks(segmenter, device, labels=None):
    """images uint8 (N, H, W) -> label ids, by the run of a segmenter; None without one."""
    from echogan.downstream.masks import load_segmenter, segment

    return partial(segment, load_segmenter(segmenter, device, labels)) if segmenter else None


def _encoder(name, device):
    from echogan import encoders

    if name == "auto":
        return encoders.find("inception2015", device) if encoders.available("inception2015") else None
    return encoders.find(name, device)


def _clips(folder):
    if folder is None:
        return ()
    from echogan.data.video import read_video

    return tuple(read_video(path)[0] for path in sorted(folder.glob("*.avi")))


def _said(case, data, split, encoder, device):
    """What every table says of itself."""
    from echogan.engine.launch import hardware

    patients = len(set(case.patients))
    return (
        f"{case.kind} ({data.fingerprint()}), {split}: {len(case.low)} low-quality pictures of {patients} patients at "
        f"{case.low.shape[-1]} px against their truth, inside the sector; texture, FID and KID against {len(case.good)} held-out "
        f"Good frames; encoder {encoder.name if encoder else 'none'}; {len(case.clips)} clips; {_rested(case)}± is half the 95 % "
        f"interval over patients; measured on {hardware(device)}"
    )


def _rested(case):
    """How many pictures, and patients, the measures of regions rest on; nothing where there are no regions."""
    from echogan.enhancement.judge import resting
    from echogan.enhancement.measures import LEAST

    whole, found = len(set(case.patients)), resting(case)
    told = [
        f"{names} on {large.sum()} of {len(large)} pictures ({len(set(case.patients[large]))} of {whole} patients)"
        for names, large in found.items()
    ]
    some = any(large.any() for large in found.values())
    return f"regions of less than {LEAST} px say nothing, which leaves {', '.join(told)}; " if some else ""
