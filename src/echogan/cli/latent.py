"""Commands that look into the latent space of a StyleGAN2 run."""

from pathlib import Path
from typing import Literal

from echogan.cli.app import Bar, Device, Frames, Out, RunName, Steady, command, group
from echogan.config import shown


@command
def project(
    run: RunName,
    frames: Frames,
    out: Out,
    n: int = 20,
    split: Literal["train", "val", "test"] = "test",
    steps: int = 500,
    plus: bool = False,
    seed: int = 0,
    kimg: float | None = None,
    label: str = "",
    device: Device = "auto",
):
    """Find real frames in the latent space of a run, beside the TRAIN frame that is nearest to each.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file, of StyleGAN2.
        frames: folder of frames.
        out: folder to make: figure.png, sheet.png, distances.csv, latents.safetensors.
        n: frames, spread over the split.
        split: whose frames.
        steps: of the optimiser, on every frame.
        plus: W+, a latent of its own for every layer: closer, less typical.
        seed: of the noise maps it starts from.
        kimg: moment of training; the nearest kept weights are used.
        label: class of a conditional run, e.g. systole.
        device: where to compute.
    """
    from echogan.data.frames import load_frames
    from echogan.encoders.lpips import lpips
    from echogan.engine.launch import hardware, pick_device
    from echogan.latent.space import open_space
    from echogan.latent.write import projected
    from echogan.report.style import simulated

    where = pick_device(device)
    space, header = open_space(run, kimg, where, label)
    with Bar("project", "step") as tell:
        real = load_frames(frames)
        table, pictures = projected(space, real, lpips(where), out, split.upper(), n, steps, plus, seed, tell)
    told = f"{len(table)} {split.upper()} frames of {real.kind}{simulated(real.kind)}, among "
    told += f"{len(real.split('TRAIN')):,} TRAIN frames"
    told += f". {steps} steps in {'W+' if plus else 'W'} with the noise maps, on {hardware(where)}"
    _draw_projection(out / "figure.png", table, pictures, f"{_origin(space, header, label)} Data: {told}.")
    closer = (table["LPIPS"] < table["LPIPS_nearest"]).mean()
    print(
        f"{len(table)} {split} frames in {header['arch']}/{header['name']}: LPIPS {table['LPIPS'].median():.3f}, to the "
        f"nearest TRAIN frame {table['LPIPS_nearest'].median():.3f} (medians), closer in {closer:.0%}; {shown(out)}"
    )


def _draw_projection(path, table, pictures, caption):
    """The first frames, ten a block: real, projected, nearest TRAIN frame, with the LPIPS of all in the caption."""
    import numpy as np

    from echogan.report import style
    from echogan.report.latent import table as drawn

    width = min(10, len(pictures))
    blocks = pictures[: len(pictures) // width * width].reshape(-1, width, *pictures.shape[1:])
    rows = np.concatenate([block.swapaxes(0, 1) for block in blocks[:2]])
    medians = [f"{table[name].median():.3f}" for name in ("LPIPS", "LPIPS_nearest")]
    note = f"{caption} LPIPS (AlexNet), which the search lowers: {medians[0]}; nearest TRAIN frame: {medians[1]} (medians)."
    words = ["frame", "projected", "nearest TRAIN"] * len(blocks[:2])
    style.save(drawn(rows, "Frames and where they lie in the latent space", note, words), path)


latent = group("latent")
STEPS, SEEDS = (-3, -2, -1, 0, 1, 2, 3), 8  # of the strips of directions


@latent.command
def mix(
    run: RunName,
    out: Out,
    coarse: tuple[int, ...] = (0, 1, 2, 3, 4),
    fine: tuple[int, ...] = (10, 11, 12, 13, 14),
    border: int = 4,
    truncation: float = 0.7,
    label: str = "",
    device: Steady = "cpu",
):
    """Draw a style-mixing grid: the layout of each row's seed with the texture of each column's.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file, of StyleGAN2.
        out: picture to write (.png or .pdf).
        coarse: seeds of the rows.
        fine: seeds of the columns.
        border: layers that the row decides.
        truncation: below 1 less varied and more typical.
        label: class of a conditional run, e.g. systole.
        device: where to compute.
    """
    from echogan.latent.space import mixed

    space, caption = _open(run, out, device, label)
    words = dict(rows=[f"layout {s}" for s in coarse], columns=[f"texture {s}" for s in fine])
    title = f"Style mixing: layers 1 to {border} of the row, the rest of the column"
    _write(out, mixed(space, coarse, fine, border, truncation), title, f"{caption} Truncation {truncation:g}.", **words)


@latent.command
def truncation(
    run: RunName,
    out: Out,
    n: int = 5,
    seed: int = 0,
    values: tuple[float, ...] = (0.0, 0.25, 0.5, 0.7, 0.85, 1.0, 1.2),
    label: str = "",
    device: Steady = "cpu",
):
    """Draw what truncation does: every seed on its way to the mean latent and beyond itself.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file, of StyleGAN2.
        out: picture to write (.png or .pdf).
        n: seeds.
        seed: the first.
        values: truncations; 0 is the mean latent.
        label: class of a conditional run, e.g. systole.
        device: where to compute.
    """
    from echogan.latent.space import sweep

    space, caption = _open(run, out, device, label)
    seeds = range(seed, seed + n)
    words = dict(rows=[f"seed {s}" for s in seeds], columns=[f"{v:g}" for v in values])
    _write(out, sweep(space, seeds, values), "Truncation", caption, **words)


@latent.command
def directions(
    run: RunName,
    out: Out,
    k: int = 5,
    part: Literal["all", "coarse", "middle", "fine"] = "all",
    seed: int = 0,
    truncation: float = 0.7,
    segmenter: str | None = None,
    label: str = "",
    device: Steady = "cpu",
):
    """Draw the directions that change images most (SeFa), a strip for each, and what each changes.

    With a segmenter, a second picture OUT_effects shows brightness, area of the left ventricle and ejection over the steps.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file, of StyleGAN2.
        out: picture to write (.png or .pdf).
        k: directions.
        part: of the layers: all, or the third that lays out, shapes or paints.
        seed: of the image that is moved.
        truncation: of that image.
        segmenter: run of one (segmenter/NAME) that finds the ventricle in such pictures.
        label: class of a conditional run, e.g. systole.
        device: where to compute.
    """
    from echogan.latent import directions as latent

    space, caption = _open(run, out, device, label)
    found = latent.directions(space, k, part)
    strips = latent.strips(space, found, range(seed, seed + SEEDS), STEPS, truncation)
    grey = latent.effects(strips, {"brightness": latent.brightness})["brightness"]
    rows = [f"{i + 1}\n{line[0]:+.0f} ... {line[-1]:+.0f}" for i, line in enumerate(grey)]
    title, words = f"Directions of W, {part} layers", dict(rows=rows, columns=[f"{s:+d}" if s else "0" for s in STEPS])
    note = (
        f"{caption} Steps of the standard deviation of w. Left: change of the mean grey level, mean of {SEEDS} seeds."
    )
    if segmenter:
        _write_effects(out, strips, segmenter, device, f"{title}: what each changes", caption)
    _write(out, strips[:, 0], title, note, **words)


def _write_effects(out, strips, segmenter, device, title, caption):
    from echogan.downstream.masks import masker
    from echogan.engine.launch import pick_device
    from echogan.latent.directions import changes
    from echogan.report import style
    from echogan.report.latent import effects

    found = changes(strips, *masker(segmenter, pick_device(device)))
    note = (
        f"{caption} Steps of the standard deviation of w. Change from the unmoved image over {strips.shape[1]} seeds: mean grey "
        "level, area in % of the image (means), share of the volume by discs that is ejected (median). Masks by "
        f"{Path(segmenter).name}."
    )
    style.save(effects(STEPS, found, title, note), out.with_stem(f"{out.stem}_effects"))


@latent.command
def nearest(
    run: RunName,
    frames: Frames,
    out: Out,
    n: int = 8,
    seed: int = 0,
    truncation: float = 1.0,
    label: str = "",
    device: Steady = "cpu",
):
    """Draw samples of a run, each over the real TRAIN frame that it is nearest to.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file, of StyleGAN2.
        frames: folder of the frames that it was trained on.
        out: picture to write (.png or .pdf).
        n: samples.
        seed: of the first.
        truncation: below 1 less varied and more typical.
        label: class of a conditional run, e.g. systole.
        device: where to compute.
    """
    import numpy as np

    from echogan.data.frames import load_frames
    from echogan.latent.space import neighbours

    space, caption = _open(run, out, device, label)
    with Bar("nearest", "image") as tell:
        real = load_frames(frames).split("TRAIN")
        samples, close, distance, _ = neighbours(space, range(seed, seed + n), real, truncation, tell)
    words = dict(rows=["generated", "nearest real"], columns=[f"{d:.2f}" for d in distance])
    note = f"{caption} Distance by texture over crops and turns: 0 is a copy, about 1 unrelated; among {len(real)} TRAIN frames."
    _write(out, np.stack([samples, close]), "Nearest real frame of each sample", note, **words)


def _open(run, out, device, label):
    """(the space of a run, what a caption must say of it), where a picture can be written to `out`."""
    from echogan.engine.launch import pick_device
    from echogan.files import check_file
    from echogan.latent.space import open_space
    from echogan.report.audit import picture

    check_file(picture(out))
    space, header = open_space(run, device=pick_device(device), label=label)
    return space, _origin(space, header, label)


def _origin(space, header, label):
    from echogan.report.style import simulated

    whose = f"{header['arch']}/{header['name']}{f', class {label},' if label else ''}"
    trained = f"{whose} at {header['kimg']:.4g} kimg, {space.size} px"
    return f"Generated by {trained}, trained on: {header['data']}{simulated(header['data'])}."


def _write(out, pictures, title, caption, **words):
    from echogan.report import style
    from echogan.report.latent import table

    style.save(table(pictures, title, caption, **words), out)
    print(f"{title} in {shown(out)}")
