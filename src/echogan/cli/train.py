"""Commands that train, and that generate from what was trained."""

import sys
from pathlib import Path

from echogan.cli.app import Arch, Choices, Config, Device, Out, Precision, RunName, Set, Steady, TrainingBar, command
from echogan.config import RunFolder, Settings, changed, shown
from echogan.errors import BadInput


@command
def train(
    arch: Arch,
    config: Config,
    data: Path,
    kimg: float = Settings.kimg,
    seed: int = Settings.seed,
    device: Device = Settings.device,
    precision: Precision = "auto",
    compile: bool = False,
    patience: float = Settings.patience,
    accumulate: int = Settings.accumulate,
    deterministic: bool = False,
    small: bool = False,
    name: str = "",
    segmenter: str = "",
    set: Set = (),
):
    """Train a config of an architecture, or continue its run exactly.

    Args:
        arch: architecture, e.g. wgan.
        config: name in its table, e.g. demo.
        data: folder of frames that `echogan extract` made.
        kimg: thousands of real images to show; may be raised to train an existing run further.
        seed: equal seeds, machines and versions give equal rows and pixels (GPU: with --deterministic).
        device: where to train.
        precision: auto = bf16 on GPUs that compute it, fp16 with loss scaling on older ones, fp32 on a CPU.
        compile: torch.compile what allows it; pays on a GPU, and costs minutes at the start.
        patience: kimg without a better reading after which the run ends; 0 = never.
        accumulate: parts of a batch computed one after the other, where memory is short.
        deterministic: on a GPU, only deterministic algorithms (slower).
        small: the config's size for CPUs: 64 px, a fraction of the width.
        name: name of the run; default the config's.
        segmenter: run of `echogan segmenter`, for a config that weighs what a segmenter says.
        set: settings of the config to change, key=value.
    """
    from echogan import models
    from echogan.data.frames import load_frames
    from echogan.engine.checkpoint import reached
    from echogan.engine.fit import fit
    from echogan.engine.guests import begun_in, of_loss

    listed = models.config_of(arch, config)
    chosen = changed(listed.small() if small else listed, set)
    settings = Settings(kimg, seed, device, precision, accumulate, compile, patience, deterministic)
    frames = load_frames(data)
    # said before hours are spent: a run goes on as it began
    for guest, state in of_loss(chosen, begun_in(RunFolder.of(arch, name or config))).items():
        print(f"echogan: {guest} {state}", file=sys.stderr)
    with TrainingBar(f"{arch}/{name or config}", kimg) as tell:
        run = fit(arch, name or config, frames, settings, chosen, callback=tell, guests=_guests(segmenter))
    done = min(kimg, reached(run.last))  # the last batch may reach beyond; patience may have ended it before
    print(f"{arch}/{name or config} trained to {done:g} kimg in {shown(run.path)}")


def _guests(segmenter):
    from echogan.downstream.masks import load_segmenter

    return (load_segmenter(segmenter).logits,) if segmenter else ()


@command
def sample(
    run: RunName,
    out: Out,
    n: int = 36,
    seed: int = 0,
    kimg: float | None = None,
    truncation: float = 1.0,
    label: str = "",
    device: Steady = "cpu",
    set: Choices = (),
):
    """Generate images from a run: its best weights, or those of a chosen moment of its training.

    Args:
        run: folder of a run, <arch>/<config>, a .safetensors file, or one that comes along, e.g. shipped:stylegan2_ada.
        out: folder or .zip to make, or a .png for one sheet.
        n: images.
        seed: image i of a seed is the same whatever n is.
        kimg: moment of training; the nearest kept weights are used.
        truncation: below 1 less varied and more typical.
        label: class of a conditional run, e.g. systole; default as common as in its data.
        device: where to compute.
        set: choices of the architecture, key=value, e.g. noise=constant.
    """
    from echogan.engine.launch import pick_device
    from echogan.engine.sampling import Wanted, write_samples

    wanted = Wanted(seed, kimg, truncation, label, choices_of(set))
    header = write_samples(run, out, n, wanted, pick_device(device))
    print(f"{n} images of {origin(header)} in {shown(out)}")


@command
def compact(run: RunName, out: Out, data: Path | None = None, kimg: float | None = None):
    """Write the weights of a run in half the bytes, to pass on, where no pixel of the images it makes tells.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file.
        out: .safetensors file to write; assets/weights/<arch>.safetensors comes along with the package.
        data: folder of frames, for a run that makes images of images: those to compare.
        kimg: moment of training; the nearest kept weights are used.
    """
    from echogan.data.frames import load_frames
    from echogan.engine.compact import compact

    done = compact(run, out, load_frames(data) if data else None, kimg)
    halves = "in half precision" if done.halved else "at full precision, halves would tell"
    print(f"{origin(done.header)} in {shown(out)}, {halves}: at most {done.worst} of 255 grey levels from the original")


@command
def interpolate(
    run: RunName,
    out: Out,
    keys: int = 6,
    steps: int = 24,
    walks: int = 1,
    fps: float = 24.0,
    seed: int = 0,
    kimg: float | None = None,
    truncation: float = 1.0,
    label: str = "",
    device: Steady = "cpu",
    set: Choices = (),
):
    """Make a film of a closed walk through the latent space of a run.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file.
        out: film to write (.gif or .mp4).
        keys: images that the walk passes.
        steps: frames from one to the next.
        walks: beside each other, of this seed and those after it.
        fps: frames per second.
        seed: of the keys.
        kimg: moment of training; the nearest kept weights are used.
        truncation: below 1 less varied and more typical.
        label: class of a conditional run, e.g. systole.
        device: where to compute.
        set: choices of the architecture, key=value, e.g. noise=constant.
    """
    from echogan.engine.launch import pick_device
    from echogan.engine.sampling import Walk, Wanted, write_interpolation

    wanted = Wanted(seed, kimg, truncation, label, choices_of(set))
    header = write_interpolation(run, out, Walk(keys, steps, walks, fps), wanted, pick_device(device))
    print(f"{keys * steps} frames of {origin(header)} in {shown(out)}")


def origin(header):
    """Whose images: the run, its moment and its data."""
    return f"{header['arch']}/{header['name']} at {float(header['kimg']):g} kimg, trained on {header['data']}"


def choices_of(pairs):
    """{"noise": "constant", "temperature": 0.9} of key=value words."""
    parted = [pair.partition("=") for pair in pairs]
    if wrong := [pair for pair, (_, equals, _) in zip(pairs, parted) if not equals]:
        raise BadInput(f"--set wants key=value, got {wrong[0]!r}")
    return {key: _number(text) for key, _, text in parted}


def _number(text):
    try:
        return float(text)
    except ValueError:
        return text
