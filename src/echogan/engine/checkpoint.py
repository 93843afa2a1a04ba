"""What a run keeps: `last.pt` to go on from, and .safetensors files to generate images from. No pickled code, ever."""

import json
import pickle
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from echogan import models
from echogan.contract import Clock
from echogan.errors import BadInput, first_line
from echogan.files import atomic

KEPT = 12  # log-spaced weights of a run


def save(path, state):
    """Write a resume state, whole or not at all."""
    with atomic(path) as temporary, disk_errors():
        torch.save(state, temporary)


def load(path, device, mmap=False):
    """Read a resume state; tensors, numbers and strings only. `mmap`: tensors are left on disk until they are looked at."""
    try:
        return torch.load(path, map_location=device, weights_only=True, mmap=mmap)
    except (RuntimeError, EOFError, pickle.UnpicklingError, OSError) as error:
        raise BadInput(f"{path} cannot be read ({first_line(error)}); remove its run and train it again") from error


def reached(path):
    """kimg of a resume state; 0 where there is none that a run could go on from."""
    try:
        return Clock(**load(path, "cpu", mmap=True)["clock"]).kimg
    except BadInput:
        return 0.0


def export(path, model, origin):
    """Write the children that sampling needs; the header holds what builds them again, and `origin`: {word: word}."""
    tensors = {
        f"{child}.{key}": value.detach().cpu().contiguous()
        for child in model.exports
        for key, value in getattr(model, child).state_dict().items()
    }
    header = {**origin, "config": json.dumps(asdict(model.config))}
    with atomic(path) as temporary, disk_errors():
        save_file(tensors, temporary, metadata=header)


def load_weights(path, device="cpu", module=None):
    """(model in eval mode, header) of a .safetensors file written by `export`; its origin and config.

    `module`: the one that must have made it, where that is none of `models`.
    """
    header, tensors = read_weights(path, device)
    if module and models.key(module) != header["arch"]:
        raise BadInput(f"{path} holds a {header['arch']}, not a {models.key(module)}; give a run of that")
    module = module or models.load(header["arch"])
    config = json.loads(header["config"])
    model = module.build(module.Config(**config)).to(device).eval()
    try:
        _, unknown = model.load_state_dict(tensors, strict=False)
    except RuntimeError as error:  # a tensor of another shape
        words = " ".join(str(error).split()).partition(": ")[2].rstrip(".")
        raise BadInput(
            f"{path} does not fit the config in its header ({words}); take a file as training wrote it"
        ) from error
    lacking = [k for c in model.exports for k in getattr(model, c).state_dict() if f"{c}.{k}" not in tensors]
    if unknown or lacking:
        raise BadInput(f"{path} does not fit {header['arch']}: {(unknown + lacking)[0]} is not where it should be")
    return model, {**header, "config": config, "kimg": float(header["kimg"])}


def read_weights(path, device="cpu"):
    """(header, {key: tensor}) of a .safetensors file written by `export`, as they stand in it: strings, and its precision."""
    try:
        with safe_open(path, "pt", device=str(device)) as file:
            header = dict(sorted((file.metadata() or {}).items()))  # its own order differs from call to call
            tensors = {key: file.get_tensor(key) for key in file.keys()}
    except (SafetensorError, OSError) as error:
        raise BadInput(f"{path} is not a readable .safetensors file ({first_line(error)})") from error
    if not {"arch", "config", "kimg", "data"} <= header.keys():
        raise BadInput(f"{path} was not written by EchoGAN: its header names no architecture")
    return header, tensors


def thin(folder):
    """Keep `KEPT` of the kimg_<n>.safetensors of a run: powers of two before those between them, late before early."""
    moments = sorted(kept_moments(folder).items(), key=lambda moment: (moment[0].bit_count() == 1, moment[0]))
    for _, path in moments[:-KEPT]:
        path.unlink()


def kept_moments(folder):
    """{kimg: path} of the weights of a run that are still there, ascending."""
    return {int(p.stem.removeprefix("kimg_")): p for p in sorted(Path(folder).glob("kimg_*.safetensors"))}


@contextmanager
def disk_errors():
    """Writers in C++ and Rust say RuntimeError and SafetensorError of a full disk: nothing else fails in writing tensors."""
    try:
        yield
    except (RuntimeError, SafetensorError) as error:
        raise OSError(first_line(error)) from error
