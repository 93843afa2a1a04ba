"""Commands that train, and that generate from what was trained."""

from pathlib import Path
from typing import Literal

from echogan.cli.app import Arch, Config, Device, Out, RunName, Set, TrainingBar, command
from echogan.config import Settings, changed, shown


@command
def train(
    arch: Arch,
    config: Config,
    data: Path,
    kimg: float = Settings.kimg,
    seed: int = Settings.seed,
    device: Device = Settings.device,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    deterministic: bool = False,
    small: bool = False,
    name: str = "",
    set: Set = (),
):
    """Train a config of an architecture, or continue its run exactly.

    Args:
        arch: architecture, e.g. wgan.
        config: name in its table, e.g. demo.
        data: folder of frames that `echogan extract` made.
        kimg: thousands of real images to show; may be raised to train an existing run further.
        seed: equal seeds, machines and versions give equal rows and pixels.
        device: where to train.
        precision: auto = bf16 on GPUs that compute it, else fp32.
        deterministic: on a GPU, only deterministic algorithms (slower).
        small: the config's size for CPUs: 64 px, a quarter of the width.
        name: name of the run; default the config's.
        set: settings of the config to change, key=value.
    """
    from echogan import models
    from echogan.data.frames import load_frames
    from echogan.engine.fit import fit

    listed = models.config_of(arch, config)
    chosen = changed(listed.small() if small else listed, set)
    settings = Settings(kimg, seed, device, precision, deterministic=deterministic)
    with TrainingBar(f"{arch}/{name or config}", kimg) as tell:
        run = fit(arch, name or config, load_frames(data), settings, chosen, callback=tell)
    print(f"{arch}/{name or config} trained to {kimg:g} kimg in {shown(run.path)}")


@command
def sample(
    run: RunName,
    out: Out,
    n: int = 36,
    seed: int = 0,
    kimg: float | None = None,
    truncation: float = 1.0,
    device: Device = "cpu",
):
    """Generate images from a run: its best weights, or those of a chosen moment of its training.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file.
        out: folder to make, or a .png for one sheet.
        n: images.
        seed: image i of a seed is the same whatever n is.
        kimg: moment of training; the nearest kept weights are used.
        truncation: below 1 less varied and more typical.
        device: where to compute.
    """
    from echogan.engine.launch import pick_device
    from echogan.engine.sampling import write_samples

    header = write_samples(run, out, n, seed, kimg, truncation, pick_device(device))
    origin = f"{header['arch']}/{header['name']} at {header['kimg']:g} kimg, trained on {header['data']}"
    print(f"{n} images of {origin} in {shown(out)}")
