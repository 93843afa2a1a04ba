"""The official `network-snapshot-<kimg>.pkl` as tensors and constructor arguments; its source code is left unread.

An official snapshot holds each network as the text of its module, a class name and the object's state. Here the text is
dropped, the state kept: parameters and buffers under the names PyTorch gives them, and the arguments of the constructor.
"""

import io
import re
from dataclasses import dataclass
from pathlib import Path

import torch

from echogan.errors import BadInput
from echogan.official import pickles
from echogan.official.pickles import NUMBER, Refused

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of PyTorch's older file format, in which each tensor is wrapped
DTYPES = {
    ("torch", "FloatStorage"): torch.float32,
    ("torch", "HalfStorage"): torch.float16,
    ("torch", "DoubleStorage"): torch.float64,
    ("torch", "LongStorage"): torch.int64,
    ("torch", "IntStorage"): torch.int32,
    ("torch", "ByteStorage"): torch.uint8,
    ("torch", "BoolStorage"): torch.bool,
}
DIMENSIONS = 8  # of a tensor, at most
OTHER_FAMILIES = {"dnnlib.tflib": "a TensorFlow snapshot; convert it with legacy.py of the official code first"}


@dataclass
class Network:
    """One network or part of one: class name, constructor arguments, tensors, parts."""

    kind: str
    arguments: dict
    own: dict  # name -> tensor
    parts: dict  # name -> Network

    def tensors(self, prefix="", seen=None):
        """Yield (dotted name, tensor) of everything inside; a part that is inside twice is refused."""
        seen = set() if seen is None else seen
        if id(self) in seen or prefix.count(".") > 8:
            raise Refused("one part of a network is inside it twice")
        seen.add(id(self))
        yield from ((f"{prefix}{name}", tensor) for name, tensor in self.own.items())
        for name, part in self.parts.items():
            yield from part.tensors(f"{prefix}{name}.", seen)


def read_snapshot(path):
    """{"G": Network, "D": ..., "G_ema": ..., "training_set_kwargs": dict} of a .pkl; nothing of it is run.

    A file that asks for anything beyond tensors, numbers, words and constructor arguments is refused with the reason.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror or error}; give a network-snapshot-*.pkl") from error
    try:
        found = pickles.read(io.BytesIO(data), _names(Budget(len(data))))
        if type(found) is not dict or not isinstance(found.get("G_ema"), Network):
            raise Refused("it holds no averaged generator, G_ema")
        return found
    except Refused as error:
        known = (hint for word, hint in OTHER_FAMILIES.items() if f"names {word}." in str(error))
        reason = next(known, "it is no snapshot of the official StyleGAN2-ADA in PyTorch, or was tampered with")
        raise BadInput(f"{path} is refused and nothing of it was run: {error}; {reason}") from error


def moment(path):
    """The kimg in the name of an official snapshot; None in any other name."""
    found = re.search(r"network-snapshot-(\d+)\.pkl$", str(path))
    return int(found[1]) if found else None


# ------------------------------------------------------------------------------------------------ what stands in


class Budget:
    """What may be copied of a file in all: as many bytes and entries as it is long, as a snapshot hands on each once.

    Else every five bytes could ask for one more copy of something long that was remembered.
    """

    def __init__(self, size):
        self.left = size

    def take(self, n):
        """Pay for n bytes or entries."""
        self.left -= n
        if self.left < 0:
            raise Refused("it hands on the same bytes over and over")


def _network(meta, budget):
    if type(meta) is not dict or meta.get("type") != "class" or type(meta.get("state")) is not dict:
        raise Refused("a network in it has no class or no state")
    if type(meta.get("class_name")) is not str:  # what is nested may take exponential time to be written out
        raise Refused("a network in it has no name")
    state = meta["state"]
    filled = [_dictionary(state, key) for key in ("_parameters", "_buffers", "_modules")]
    budget.take(sum(map(len, filled)))
    parameters, buffers, parts = filled
    tensors = {**parameters, **buffers}
    own = {name: value for name, value in tensors.items() if value is not None}
    if not all(isinstance(v, torch.Tensor) for v in own.values()) or not all(map(_is_network, parts.values())):
        raise Refused("a network in it holds what is neither tensor nor network")
    return Network(meta["class_name"], _dictionary(state, "_init_kwargs"), own, parts)


def _is_network(part):
    return isinstance(part, Network)


def _dictionary(state, key):
    value = state.get(key, {})
    if type(value) is not dict:
        raise Refused(f"{key} of a network in it is not a dictionary")
    return value


def _tensor(storage, offset, size, stride, *_):
    """A view of a storage (1-D tensor), which must hold all of it: sizes in a file may claim anything."""
    whole = isinstance(storage, torch.Tensor) and all(type(n) is int and n >= 0 for n in (offset, *size, *stride))
    if not whole or len(size) != len(stride) or len(size) > DIMENSIONS:
        raise Refused("a tensor in it has no storage or no shape")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride))
    count = 1
    for n in size:
        count *= n
    if count and (last >= len(storage) or count > len(storage)):
        raise Refused("a tensor in it is larger than its storage")
    return storage.as_strided(size, stride, offset) if count else storage.new_zeros(0)


def _parameter(tensor, *_):
    if not isinstance(tensor, torch.Tensor):
        raise Refused("a parameter in it is no tensor")
    return tensor


def _storage(data, budget):
    """The 1-D tensor that PyTorch's older file format wraps: four pickles, a list of keys, a length, the numbers."""
    if type(data) is not bytes:
        raise Refused("a storage in it is not made of bytes")
    budget.take(len(data))
    stream = io.BytesIO(data)
    if (pickles.read(stream, {}), pickles.read(stream, {})) != (MAGIC, PROTOCOL):
        raise Refused("a storage in it is in a format that PyTorch does not write")
    system = pickles.read(stream, {})
    if type(system) is not dict or system.get("little_endian") is not True:
        raise Refused("it was written on a big-endian machine")
    dtype = pickles.read(stream, DTYPES, _dtype)
    pickles.read(stream, {})
    count = int.from_bytes(stream.read(8), "little")
    numbers = memoryview(data)[stream.tell() :]
    if not isinstance(dtype, torch.dtype) or count * dtype.itemsize != len(numbers):
        raise Refused("a storage in it is cut short")
    return torch.frombuffer(bytearray(numbers), dtype=dtype) if count else torch.empty(0, dtype=dtype)


def _dtype(identifier):
    if type(identifier) is not tuple or len(identifier) < 2 or identifier[0] != "storage":
        raise Refused("a storage in it refers to another file")
    return identifier[1]


def _empty(*arguments):
    if arguments:
        raise Refused("a dictionary in it is made in an unknown way")
    return {}


def _members(values, budget):
    if type(values) is not list or not all(type(value) is str for value in values):
        raise Refused("a set in it holds other things than words")
    budget.take(len(values))
    return set(values)


def _number(*_):
    return NUMBER


def _names(budget):
    """What stands in for each name that a file may mention."""
    return {
        ("torch_utils.persistence", "_reconstruct_persistent_obj"): lambda meta: _network(meta, budget),
        ("torch._utils", "_rebuild_tensor_v2"): _tensor,
        ("torch._utils", "_rebuild_parameter"): _parameter,
        ("torch.storage", "_load_from_bytes"): lambda data: _storage(data, budget),
        ("collections", "OrderedDict"): _empty,
        ("dnnlib.util", "EasyDict"): _empty,
        ("builtins", "set"): lambda values: _members(values, budget),
        ("numpy", "dtype"): _number,
        ("numpy.core.multiarray", "scalar"): _number,
        ("numpy._core.multiarray", "scalar"): _number,
    }
