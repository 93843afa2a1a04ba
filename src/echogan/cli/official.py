"""Commands around the official StyleGAN2-ADA code."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from echogan.cli.app import Config, Device, Out, TrainingBar, group
from echogan.config import shown

Snapshot = Positional[Annotated[Path, arg(metavar="SNAPSHOT")]]

official = group("official")


@official.command
def train(
    config: Config,
    data: Path,
    kimg: int = 200,
    snap: int = 10,
    seed: int = 0,
    size: int = 128,
    small: bool = False,
    gpus: int = 1,
    device: Device = "auto",
    code: Path | None = None,
    name: str = "",
):
    """Train a config of the original study by the official code, into experiments/stylegan2_ada_official/.

    The same command goes on from the last snapshot. Every snapshot is imported and judged as our own runs are.

    Args:
        config: E1 ... E9.
        data: folder of frames that `echogan extract` made.
        kimg: thousands of real images to show in all.
        snap: ticks of 4 kimg between snapshots; small: of 1.
        seed: of the official code.
        size: pixels of height and width that the frames are resized to: 64, 128 or 256.
        small: the CPU tier of `echogan train --small` instead: 64 px, and its widths.
        gpus: how many GPUs, a power of two; 1 of cuda:N.
        device: where to train.
        code: folder of the clone; default external/stylegan2-ada-pytorch.
        name: of the run; default that of the config.
    """
    from echogan.data.frames import load_frames
    from echogan.official.train import ARCH, Wish
    from echogan.official.train import train as run

    wish = Wish(kimg, snap, seed, gpus, device, size, small)
    name = name or config
    with TrainingBar(f"{ARCH}/{name}", kimg) as tell:
        folder = run(config, load_frames(data), wish, code, callback=tell, name=name)
    print(f"{ARCH}/{name} trained to {kimg} kimg in {shown(folder.path)}")


@official.command
def generate(
    snapshot: Snapshot,
    out: Out,
    n: int = 36,
    seed: int = 0,
    truncation: float = 1.0,
    device: Device = "auto",
    code: Path | None = None,
):
    """Draw images of an official snapshot by the official code, which runs the program text inside it.

    `echogan official import` and `echogan sample` draw the same without running anything of it.

    Args:
        snapshot: a network-snapshot-*.pkl that you trust.
        out: folder or .zip to make, or a .png for one sheet.
        n: images, of the seeds from `seed` on.
        seed: the first.
        truncation: below 1 less varied and more typical.
        device: where to compute.
        code: folder of the clone; default external/stylegan2-ada-pytorch.
    """
    from echogan.official.generate import generate as run

    run(snapshot, out, n, seed, truncation, device, code)
    print(f"{n} images of {snapshot.name} in {shown(out)}")


@official.command(name="import")
def import_(snapshot: Snapshot, out: Out, data: str = ""):
    """Make weights of ours (.safetensors) from an official snapshot (.pkl), without running anything of it.

    The images are the same to rounding. A network that draws RGB becomes one that draws the mean of its channels. There
    is no way back to .pkl: such files carry program code.

    Args:
        snapshot: a network-snapshot-*.pkl.
        out: file to write, .safetensors; every command that takes a run takes it.
        data: what the network was trained on, in words; default the name of its data set.
    """
    from echogan.official.convert import import_snapshot

    header = import_snapshot(snapshot, out, data=data)
    print(f"{header['origin']}, {header['resolution']} px, in {shown(out)}")
