"""Weights to pass on: half the bytes, where the images stay what they were."""

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from safetensors.torch import save_file

from echogan.engine.checkpoint import disk_errors, load_weights, read_weights
from echogan.engine.sampling import Wanted, find_weights, generated
from echogan.engine.translating import inputs_of, translated
from echogan.errors import BadInput
from echogan.files import atomic, read_json

LOOKED_AT = 64  # images that are compared
EQUAL = 1  # grey level of 255 by which a pixel may differ


@dataclass(frozen=True)
class Compact:
    """What compacting did: the header of the weights, whether they were halved, and the largest difference of a pixel."""

    header: dict
    halved: bool
    worst: int  # grey levels


def compact(source, out, frames=None, kimg=None):
    """Write the weights of a run to `out` (.safetensors), in half precision where no pixel of 64 images tells.

    Of what makes images of images, those of `frames` (a `FrameSet`) are compared. Where a pixel changes by more than one
    grey level of 255, the numbers stay as they are. The header keeps its words and gains the precision, the hash of the
    weights it was made of, and the fingerprint of the data they were trained on.
    """
    if not str(out).endswith(".safetensors"):
        raise BadInput(f"{out} does not end in .safetensors; name it so, as `echogan sample` knows weights by it")
    path = find_weights(source, kimg)
    header, tensors = read_weights(path)
    whole = _images(path, frames)
    halves = {key: value.half() if _many(value) else value for key, value in tensors.items()}
    origin = {**header, **_origin(path)}
    with atomic(out) as temporary:
        _write(temporary, halves, {**origin, "precision": "float16"})
        worst = int((_images(temporary, frames).int() - whole.int()).abs().max())
        if worst > EQUAL:
            _write(temporary, tensors, {**origin, "precision": "float32"})
    return Compact(header, worst <= EQUAL, worst)


def _write(path, tensors, header):
    with disk_errors():
        save_file(tensors, path, metadata=header)


def _many(value):
    """Whether a tensor is worth halving; single numbers, such as what a prior knows of its codebook, stay exact."""
    return value.dtype == torch.float32 and value.ndim > 0


def _images(path, frames):
    model, header = load_weights(path)
    if model.makes(float(header["kimg"])) == "generate":
        return generated(model, LOOKED_AT)
    if frames is None:
        raise BadInput(f"{header['arch']}/{header['name']} makes images of images; say which to compare: --data FRAMES")
    frames = frames.domain("A") if "A" in model.inputs else frames
    some = frames.where(np.arange(len(frames)) < LOOKED_AT)
    return translated(model, inputs_of(model, some), Wanted())


def _origin(path):
    """The hash of the original weights, and the fingerprint of its run's data where the run is there."""
    known = {"made_of_sha256": hashlib.sha256(path.read_bytes()).hexdigest()}
    config = path.resolve().parents[1] / "config.json"
    if config.is_file():
        known["fingerprint"] = str(read_json(config).get("data", {}).get("fingerprint", ""))
    return known
