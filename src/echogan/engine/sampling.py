"""Images and films from a trained run, at its best or at a chosen moment of its training."""

import hashlib
import inspect
import json
import math
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch

from echogan import __version__
from echogan.config import SHIPPED, RunFolder, or_shipped, seed_of, shipped
from echogan.contract import BLOCK, Batch
from echogan.data.film import check_film, write_film
from echogan.data.images import grid, write_png
from echogan.engine.checkpoint import kept_moments, load_weights
from echogan.engine.feed import to_grey
from echogan.errors import BadInput, at_least, nearest
from echogan.files import check_images_out, disk_errors, folder_or_zip, read_json, write_json

PICTURE = "img_{:05d}.png"  # names in a folder of samples


@dataclass(frozen=True)
class Wanted:
    """Which images of a run: the moment of its training, the seed, and how they are drawn."""

    seed: int = 0
    kimg: float | None = None  # the nearest kept weights are used; None = the best
    truncation: float = 1.0  # below 1 less varied and more typical
    label: str = ""  # class of a conditional run, by name; "" = as common as in its data
    choices: dict = field(default_factory=dict)  # further ones of the architecture, e.g. {"noise": "constant"}
    stage: str = ""  # generate | translate, for a run that does both; "" = what it did last


BEST = Wanted()


def find_weights(source, kimg=None):
    """The .safetensors file of a run (folder, or <arch>/<config>): its best, or the kept one nearest to `kimg`.

    A .safetensors file is itself, and shipped:<name> the one of that name that comes with the package.
    """
    if str(source).endswith(".safetensors"):
        return Path(source)
    if str(source).startswith(SHIPPED):
        return _shipped(str(source))
    run = RunFolder.find(source)
    if kimg is None:
        path = run.weights("best")
        if not path.is_file():
            raise BadInput(f"{run.path} has no weights yet; train it on with `echogan train`{or_shipped(run.path)}")
        return path
    moments = kept_moments(run.checkpoints)
    if not moments:
        raise BadInput(f"{run.path} keeps no weights of past moments; train it on with `echogan train`")
    return moments[min(moments, key=lambda kept: abs(kept - kimg))]


def _shipped(source):
    known = {f"{SHIPPED}{name}": path for name, path in shipped().items()}
    if not known:
        raise BadInput("this copy of EchoGAN comes without weights; install the package, or train a run of your own")
    if source not in known:
        raise BadInput(f"no weights {source} come along{nearest(source, known)}")
    return known[source]


def load_generator(path, device="cpu"):
    """(model, header) of a .safetensors file whose model makes images from noise; a `BadInput` where it does not, or not yet."""
    model, header = load_weights(path, device)
    refuse_translator(model, header)
    return model, header


def refuse_translator(model, header):
    """A `BadInput` where a model makes images of images only, at this moment of its training or at all."""
    if model.makes(header["kimg"]) != "generate":
        later = model.makes(math.inf) == "generate"
        remedy = "take a later moment, or train it on" if later else "use `echogan reconstruct`"
        raise BadInput(
            f"{header['arch']}/{header['name']} at {header['kimg']:g} kimg makes images of images, none from noise; {remedy}"
        )


def generated(model, n, wanted=BEST, label=None):
    """`n` images of a model, uint8 (n, H, W) on its device."""
    if n < 1:
        raise BadInput(f"{n} images were asked for; ask for 1 or more")
    model.check(wanted.choices)
    blocks = model.samples(n, wanted.seed, wanted.truncation, label, **wanted.choices)
    return torch.cat([to_grey(block) for block in blocks])


def write_samples(source, out, n=36, wanted=BEST, device="cpu"):
    """Write `n` images of a run to `out`: a sheet where it ends in .png, else PNGs with manifest.json, in a .zip or a new folder.

    Returns the header of the weights: which config, which moment, what data they were trained on.
    """
    check_images_out(out)
    path = find_weights(source, wanted.kimg)
    model, header = load_generator(path, device)
    images = generated(model, n, wanted, class_of(header, wanted.label)).cpu().numpy()
    if str(out).endswith(".png"):
        write_png(out, grid(images))
        return header
    with folder_or_zip(out) as folder:
        for i, image in enumerate(images):
            write_png(folder / PICTURE.format(i), image)
        chosen = {**_at_first(model), **provenance(path, wanted)}
        write_json(folder / "manifest.json", {**header, "n": n, **chosen})
    return header


def remove_samples(folder):
    """Remove what `write_samples` wrote into a folder, as its manifest tells; nothing where anything else lies there."""
    manifest = Path(folder) / "manifest.json"
    told = read_json(manifest) if manifest.is_file() else {}
    if "weights_sha256" not in told or "n" not in told:
        return
    pictures = {PICTURE.format(i) for i in range(told["n"])}
    there = {path.name for path in Path(folder).iterdir()}
    if there - pictures - {manifest.name, ".DS_Store"}:
        return
    with disk_errors(folder):
        for name in sorted(there - {manifest.name}):
            (Path(folder) / name).unlink()
        manifest.unlink()  # last: a removal that was stopped can go on


def _at_first(model):
    """The choices of an architecture as they are where nobody chooses, e.g. {"noise": "random"}."""
    takes = inspect.signature(model.generate).parameters
    return {name: takes[name].default for name in model.choices if name in takes}


def classes_of(header):
    """Names of the classes of a conditional run, in their order; none of another."""
    return json.loads(header.get("classes", "[]"))


def class_of(header, name):
    """Number of a class by its name; None for no name."""
    if not name:
        return None
    names = classes_of(header)
    if name not in names:
        has = f"it has {', '.join(names)}" if names else "it was trained without conditions"
        remedy = nearest(name, names) if names else "; leave the label out"
        raise BadInput(f"{header['arch']}/{header['name']} ({has}) has no class {name!r}{remedy}")
    return names.index(name)


def provenance(path, wanted):
    """What a manifest says of how images were made."""
    choices = {"seed": wanted.seed, "truncation": wanted.truncation, "label": wanted.label, **wanted.choices}
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {**choices, "weights": path.name, "weights_sha256": digest, "echogan": __version__}


# ------------------------------------------------------------------------------------------------ interpolation


class Between(Batch):
    """A batch whose latents, the first random draw, lie on a closed way from key to key; everything else stands still."""

    def __init__(self, positions, keys, device, rng):
        super().__init__({"index": torch.zeros(len(positions), dtype=torch.long, device=device)}, keys, rng=rng)
        self.positions, self.moved = positions.to(device), False  # (rows,) in [0, keys)

    def _rows(self, draw, shape):
        numbers = super()._rows(draw, shape)  # (keys, *shape)
        if self.moved:
            return numbers[:1].expand(len(self.positions), *shape)
        self.moved = True
        start = self.positions.long()
        return slerp(numbers[start], numbers[(start + 1) % self.total], self.positions - start)


def slerp(a, b, t):
    """Spherical interpolation of rows (N, D) at t (N,): normal latents keep their length (Shoemake 1985, eq. 1)."""
    angle = torch.acos(torch.cosine_similarity(a, b, dim=1).clamp(-1 + 1e-6, 1 - 1e-6))
    here, there = (torch.sin(part * angle) / torch.sin(angle) for part in (1 - t, t))
    return here[:, None] * a + there[:, None] * b


def interpolation(model, keys=6, steps=24, wanted=BEST, label=None):
    """Frames uint8 (keys * steps, H, W) of a closed walk through the latent space, `steps` frames from key to key."""
    at_least(1, keys=keys, steps=steps)
    model.check(wanted.choices)
    device, frames = next(model.parameters()).device, []
    for positions in (torch.arange(keys * steps) / steps).split(BLOCK):
        batch = Between(positions, keys, device, torch.Generator().manual_seed(seed_of(wanted.seed, "interpolate")))
        if label is not None:
            batch["label"] = torch.full((len(positions),), label, device=device)
        frames.append(to_grey(model.drawn(batch, wanted.truncation, **wanted.choices)).cpu())
    return torch.cat(frames).numpy()


@dataclass(frozen=True)
class Walk:
    """A film of `walks` closed walks beside each other, of the seed wanted and those after it."""

    keys: int = 6  # images that a walk passes
    steps: int = 24  # frames from one to the next
    walks: int = 1
    fps: float = 24.0


def write_interpolation(source, out, walk=None, wanted=BEST, device="cpu"):
    """Write the film of a `Walk` to `out` (.gif or .mp4); returns the header of the weights."""
    walk = walk or Walk()
    check_film(Path(out), walk.fps)
    at_least(1, keys=walk.keys, steps=walk.steps, walks=walk.walks)
    model, header = load_generator(find_weights(source, wanted.kimg), device)
    label = class_of(header, wanted.label)
    seeds = [replace(wanted, seed=wanted.seed + i) for i in range(walk.walks)]
    films = [interpolation(model, walk.keys, walk.steps, each, label) for each in seeds]
    write_film(out, np.concatenate(films, axis=2), walk.fps)
    return header
