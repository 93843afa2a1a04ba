"""Images from a trained run, at its best or at a chosen moment of its training."""

from pathlib import Path

from echogan import __version__
from echogan.config import RunFolder
from echogan.data.images import grid, write_png
from echogan.engine.checkpoint import kept_moments, load_weights
from echogan.engine.feed import to_grey
from echogan.errors import BadInput
from echogan.files import atomic_folder, write_json


def find_weights(source, kimg=None):
    """The .safetensors file of a run (folder, or <arch>/<config>): its best, or the kept one nearest to `kimg`."""
    if str(source).endswith(".safetensors"):
        return Path(source)
    run = RunFolder.find(source)
    if kimg is None:
        path = run.weights("best")
        if not path.is_file():
            raise BadInput(f"{run.path} has no weights yet; train it on with `echogan train`")
        return path
    moments = kept_moments(run.checkpoints)
    if not moments:
        raise BadInput(f"{run.path} keeps no weights of past moments; train it on with `echogan train`")
    return moments[min(moments, key=lambda kept: abs(kept - kimg))]


def write_samples(source, out, n=36, seed=0, kimg=None, truncation=1.0, device="cpu"):
    """Write `n` images of a run to `out`: a sheet where it ends in .png, else a new folder of PNGs with manifest.json.

    Returns the header of the weights: which config, which moment, what data they were trained on.
    """
    path = find_weights(source, kimg)
    model, header = load_weights(path, device)
    images = to_grey(model.sample(n, seed, truncation)).cpu().numpy()
    if str(out).endswith(".png"):
        write_png(out, grid(images))
        return header
    with atomic_folder(out) as folder:
        for i, image in enumerate(images):
            write_png(folder / f"img_{i:05d}.png", image)
        write_json(
            folder / "manifest.json",
            {**header, "n": n, "seed": seed, "truncation": truncation, "weights": path.name, "echogan": __version__},
        )
    return header
