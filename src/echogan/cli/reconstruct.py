"""The command that shows images to a run, and keeps what it makes of them."""

from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from echogan.cli.app import Choices, Out, RunName, Steady, command
from echogan.cli.train import choices_of, origin
from echogan.config import shown


@command
def reconstruct(
    run: RunName,
    given: Positional[Annotated[Path, arg(metavar="IN")]],
    out: Out,
    split: str = "",
    seed: int = 0,
    kimg: float | None = None,
    device: Steady = "cpu",
    set: Choices = (),
):
    """Let a run make images of images: VQGAN reconstructs them, pix2pix paints over their edges or masks.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file.
        given: a picture, a folder or ZIP of pictures, or a folder of frames (with masks, where the run was trained on masks).
        out: folder or .zip to make, or a .png for one sheet that shows the first 12 between their inputs and goals.
        split: TRAIN, VAL or TEST frames only; default all.
        seed: of dropout, where noise=dropout is chosen.
        kimg: moment of training; the nearest kept weights are used.
        device: where to compute.
        set: choices of the architecture, key=value, e.g. noise=dropout.
    """
    from echogan.engine.launch import pick_device
    from echogan.engine.sampling import Wanted
    from echogan.engine.source import frames_of
    from echogan.engine.translating import write_translations

    frames = frames_of(given)
    frames = frames.split(split.upper()) if split else frames
    header, row = write_translations(run, frames, out, Wanted(seed, kimg, choices=choices_of(set)), pick_device(device))
    alike = f"SSIM {row['SSIM']:.3f}, PSNR {row['PSNR']:.1f} dB, " if row else ""
    print(f"{len(frames)} image{'s' * (len(frames) > 1)} by {origin(header)}: {alike}in {shown(out)}")
