"""The command from masks to labelled studies."""

from typing import Literal

from echogan.cli.app import Bar, Frames, Out, RunName, Steady, command
from echogan.config import shown
from echogan.errors import BadInput


@command
def synthesize(
    run: RunName,
    masks: Frames,
    out: Out,
    n: int = 100,
    per_mask: int = 1,
    source: Literal["masks", "shapes", "augmented"] = "masks",
    condition: str = "",
    mix: tuple[str, ...] = (),
    split: Literal["train", "val", "test"] = "train",
    layout: Literal["frames", "camus-nifti"] = "frames",
    seed: int = 0,
    kimg: float | None = None,
    device: Steady = "cpu",
):
    """Make labelled images: masks drawn from a data set, filled by a run that was trained on the same labels.

    A picture as OUT shows masks beside their images instead, and beside the true ones where masks are as they are.

    Args:
        run: folder of a run of spade, <arch>/<config>, or a .safetensors file.
        masks: folder of frames with masks.
        out: folder to make, or a .png for one picture.
        n: recordings; each gives as many images as a recording of MASKS has (CAMUS: end diastole and end systole).
        per_mask: images of each mask, different in all that the mask leaves open.
        source: masks = as they are; shapes = new ones from their principal components; augmented = deformed a little.
        condition: what the mix is of: view, ef, phase, quality, or several such as view+ef; with phase, frames are single.
        mix: classes of the condition and their shares, e.g. 4CH=3 2CH=1; default as common as in the data.
        split: whose masks.
        layout: frames = a folder of frames; camus-nifti = a CAMUS release.
        seed: of masks and images.
        kimg: moment of training; the nearest kept weights are used.
        device: where to compute.
    """
    from echogan.data.frames import load_frames
    from echogan.engine import synthesis
    from echogan.engine.launch import pick_device
    from echogan.files import check_images_out
    from echogan.preprocessing.labelled import write_camus, write_frames
    from echogan.report import masks as picture
    from echogan.report import style

    wish = synthesis.Wish(n, per_mask, source, condition, _shares(mix), split.upper(), seed)
    check_images_out(out, (".png",))
    frames, place = load_frames(masks), pick_device(device)
    if out.suffix == ".png":
        pictures = synthesis.beside(run, frames, wish, kimg, place)
        style.save(picture.figure(pictures), out)
        return print(f"{pictures.source} on {len(pictures.masks)} masks in {shown(out)}")
    with Bar("synthesize", "image") as tell:
        made = synthesis.synthesize(run, frames, wish, kimg, place, tell)
    {"frames": write_frames, "camus-nifti": write_camus}[layout](made, out)
    about = made.manifest
    drawn = f"{about['masks']}, {about['masks_a_recording']} of each recording"
    print(f"{len(made)} images with masks ({drawn}) by {about['source']} in {shown(out)}")


def _shares(pairs):
    """{class: share} of words such as 4CH=3; None of none."""
    mix = {}
    for pair in pairs:
        name, _, share = pair.rpartition("=")
        try:
            mix[name] = float(share)
        except ValueError as error:
            raise BadInput(f"--mix wants class=share, got {pair!r}") from error
    return mix or None
