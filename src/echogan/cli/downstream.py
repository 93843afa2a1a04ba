"""Commands on what the pictures are good for: a segmenter, its Dice, and the experiment with synthetic echoes."""

from functools import partial
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from echogan.cli.app import Bar, Device, Frames, Out, RunName, TrainingBar, command
from echogan.config import Settings, shown
from echogan.errors import BadInput


@command
def segmenter(
    frames: Frames,
    name: str = "unet",
    kimg: float = 8.0,
    resolution: int = 128,
    affine: bool = True,
    seed: int = 0,
    device: Device = "auto",
):
    """Train a segmenter on frames with masks, or continue its run; VAL chooses the best weights.

    Args:
        frames: folder of frames with masks, e.g. made by `echogan camus`.
        name: of the run, experiments/segmenter/NAME.
        kimg: thousands of pictures to show; 8 take about three CPU-minutes at 128 px.
        resolution: pixels that it works at; pictures of another size are brought to it.
        affine: random turns, shears, scales and shifts of picture and mask.
        seed: of the training.
        device: where to train.
    """
    from dataclasses import replace

    from echogan.data.frames import load_frames
    from echogan.downstream.masks import at, train_segmenter

    loaded = load_frames(frames)
    config = replace(at(loaded, resolution), augment=affine)
    with TrainingBar(f"segmenter/{name}", kimg) as tell:
        run = train_segmenter(loaded, name, Settings(kimg, seed, device), config, callback=tell)
    print(f"segmenter/{name} trained to {kimg:g} kimg in {shown(run.path)}")


@command
def dice(
    run: RunName,
    frames: Frames,
    split: Literal["train", "val", "test"] = "test",
    out: Path | None = None,
    device: Device = "auto",
):
    """Dice of a segmenter's masks and those of frames: how good it is or, of synthetic frames, whether they obey.

    Args:
        run: segmenter/NAME, the folder of its run, or a .safetensors file.
        frames: folder of frames with masks.
        split: which of the frames.
        out: CSV to write: a row per structure, its mean and standard error over patients.
        device: where to compute.
    """
    from echogan.data.frames import load_frames
    from echogan.downstream.masks import load_segmenter, obtained, schema
    from echogan.downstream.patients import overlap, spacing
    from echogan.engine.launch import pick_device
    from echogan.files import write_text

    part = load_frames(frames).split(split.upper())
    model = load_segmenter(run, pick_device(device), schema(part))
    scores = obtained(model, part.images, part.masks, spacing(part))
    table = overlap(scores, part).assign(split=split.upper(), segmenter=run)
    if out:
        write_text(out, table.to_csv(index=False, float_format="%.6g", lineterminator="\n"))
    told = [f"{name} {value:.3f}" for name, value in zip(table["structure"], table["Dice"])]
    print(f"Dice of {len(part)} {split.upper()} frames of {shown(frames)} ({part.kind}): {', '.join(told)}")


@command
def plane(
    run: RunName,
    frames: Frames,
    synthetic: Positional[Annotated[Path, arg(metavar="SYNTHETIC")]],
    out: Out,
    split: Literal["train", "val", "test"] = "test",
    n: int = 500,
    device: Device = "auto",
):
    """Real beside synthetic images on the principal plane of a segmenter's features, and how often a neighbour tells them apart.

    Args:
        run: segmenter/NAME, the folder of its run, or a .safetensors file.
        frames: folder of real frames.
        synthetic: folder of synthetic frames, e.g. made by `echogan synthesize`.
        out: picture to write, .png or .pdf.
        split: which of the real frames.
        n: images a side at most: one of each patient, as many real as synthetic ones.
        device: where to compute.
    """
    from echogan.data.frames import load_frames
    from echogan.downstream.masks import features, load_segmenter
    from echogan.engine.evaluate import spread
    from echogan.engine.feed import resized
    from echogan.engine.launch import hardware, pick_device
    from echogan.metrics.embedding import principal_plane, told_apart
    from echogan.report import downstream as report
    from echogan.report import style

    where = pick_device(device)
    model, real, made = load_segmenter(run, where), load_frames(frames).split(split.upper()), load_frames(synthetic)
    size = min(real.size, made.size)  # enlarged, one side would be told by its blur
    sides = [resized(_one_each(part), size).numpy() for part in (real, made)]
    n = min(n, *map(len, sides))
    seen = [features(model, spread(images, n)) for images in sides]
    apart = told_apart(*seen)
    space = f"deepest level of {run}, of images of {size} px. Real: {split.upper()}; {made.kind}. Hardware: {hardware(where)}"
    style.save(report.plane(principal_plane(*seen), apart, real.kind, space), out)
    print(f"told apart by the nearest neighbour: {apart:.0f} % (50 = indistinguishable), {shown(out)}")


def _one_each(frames):
    """Images uint8 (patients, H, W), one of each patient; where the index names none, every image counts as one."""
    from echogan.metrics.privacy import one_each

    return frames.images[one_each(frames.index["patient"].fillna(frames.index["file"]))]


@command
def share(frames: Frames, out: Out, percent: float, seed: int = 0):
    """A share of the TRAIN and VAL patients of frames, with all TEST patients: what a generator may see in `downstream`.

    Args:
        frames: folder of frames.
        out: folder to make.
        percent: of the patients of TRAIN and of VAL.
        seed: of the draw; of one seed, a smaller share is part of a larger one.
    """
    from echogan.downstream.share import write_share

    part = write_share(frames, out, percent / 100, seed)
    patients = part.index.loc[part.index["split"] == "TRAIN", "patient"].nunique()
    print(f"{len(part)} frames, {patients} TRAIN patients among them, in {shown(out)}")


@command
def downstream(
    frames: Frames,
    out: Out,
    synthetic: str = "",
    arms: tuple[str, ...] = ("real", "real_affine", "synthetic", "both", "both_affine"),
    shares: tuple[str, ...] = ("5:1", "10:3", "25:1", "100:3"),
    kimg: float = 8.0,
    resolution: int = 128,
    ef: bool = True,
    device: Device = "auto",
):
    """Train segmenters on real, synthetic and both, test them on real patients: Dice, HD95, ejection fractions, figures.

    Finished cells are skipped, so the same command goes on where it stopped.

    Args:
        frames: folder of real frames with masks.
        out: folder of downstream.csv, summary.csv and figures.
        synthetic: folder of synthetic frames with masks for each share (in %) and seed, as in syn/{share}_{seed}.
        arms: training sets.
        shares: of the real patients in %, each with its number of seeds.
        kimg: thousands of pictures shown to each segmenter.
        resolution: pixels that segmenters work at; HD95 is in mm where FRAMES tell these, else in pixels of FRAMES.
        ef: ejection fractions too, which need end diastole and end systole.
        device: where to train.
    """
    from echogan.data.frames import load_frames
    from echogan.downstream.experiment import ARMS, Plan, experiment
    from echogan.report.downstream import write

    plan = Plan(dict(map(_share, shares)), arms, kimg, resolution, ef, device=device)
    if not synthetic and any(ARMS[arm].synthetic for arm in arms):
        raise BadInput("training sets with synthetic frames need --synthetic FOLDER; or choose --arms real real_affine")

    made = partial(_folder, synthetic)
    for share, seed, _ in plan.cells():
        made(share, seed)  # a pattern that names no folder fails before anything trains
    with Bar("downstream", "cell") as tell:
        table = experiment(load_frames(frames), made, out, plan, callback=tell)
    files = write(out / "downstream.csv", out)
    cells = len(table[["share", "seed", "arm"]].drop_duplicates())
    print(f"{cells} segmenters tested on {table['patient'].nunique()} patients; {len(files)} files in {shown(out)}")


def _folder(pattern, share, seed):
    """The folder of a cell's synthetic frames."""
    try:
        return Path(pattern.format(share=f"{100 * share:g}", seed=seed))
    except (LookupError, ValueError, AttributeError, TypeError) as error:
        raise BadInput(
            f"--synthetic {pattern!r} is no pattern of folders; write {{share}} and {{seed}} where these stand, as in "
            "'syn/{share}_{seed}'"
        ) from error


def _share(text):
    percent, colon, seeds = text.partition(":")
    try:
        return float(percent) / 100, int(seeds) if colon else 1
    except ValueError as error:
        raise BadInput(f"--shares wants percent:seeds, such as 10:3, got {text!r}") from error
