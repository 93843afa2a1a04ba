"""The command that draws what only the weights of a run can show."""

from pathlib import Path
from typing import Literal

from echogan.cli.app import Frames, RunName, Steady, command
from echogan.config import folder, shown


@command
def showcase(
    run: RunName,
    frames: Frames,
    out: Path | None = None,
    split: Literal["train", "val", "test"] = "test",
    n: int = 6,
    seed: int = 0,
    kimg: float | None = None,
    device: Steady = "cpu",
):
    """Draw what only the weights of a run can show, for its results page: real and generated, inputs and outputs, codes.

    Of frames with a truth (`echogan domains` of a phantom), an enhancer's pictures stand beside it.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file.
        frames: folder of frames, with masks where the run was trained on masks.
        out: folder of the figures; default results/<arch>/pictures.
        split: whose frames.
        n: columns.
        seed: of images from noise.
        kimg: moment of training; the nearest kept weights are used.
        device: where to compute.
    """
    from echogan.data.frames import load_frames
    from echogan.engine.launch import pick_device
    from echogan.engine.sampling import Wanted
    from echogan.engine.showing import showing
    from echogan.report import style
    from echogan.report.showcase import figures

    found = showing(run, load_frames(frames), split.upper(), n, Wanted(seed, kimg), pick_device(device))
    out = out or folder("results") / found.arch / "pictures"
    drawn = figures(found, _truth(frames, found))
    for name, figure in drawn.items():
        style.save(figure, out / f"{found.arch}_{found.name}_{name}.png")
    print(f"{len(drawn)} figures of {found.arch}/{found.name} at {found.kimg:.4g} kimg in {shown(out)}")


def _truth(place, found):
    """What the frames that an enhancer was shown should have become, where it is known; else None."""
    from echogan.data.truth import FOLDER, load_truth
    from echogan.engine.feed import resized
    from echogan.report.progress import panels_of

    enhances = "" in panels_of(found.arch, found.given)  # a panel without a name is the change
    if not (enhances and "domain" in found.frames.index and (place / FOLDER).is_dir()):
        return None
    return resized(load_truth(place, found.frames), found.real.shape[-1]).numpy()
