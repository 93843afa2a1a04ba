"""Frozen feature networks: their weights, what each does to an image, and how to get them.

An `Encoder` names everything that its numbers depend on, so that a distance can say what it was measured with.
"""

import importlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from echogan.encoders import inception, lite0, random, weights
from echogan.errors import BadInput, nearest
from echogan.precision import full_float32

NETWORKS = {
    "inception2015": inception.Inception,
    "inception2015_halfpixel": inception.HalfPixelInception,
    "inception2015_clean": inception.CleanInception,
    "lite0": lite0.Lite0,
    "random": random.Random,
}


@dataclass(frozen=True)
class Encoder:
    """A frozen network from uint8 images (N, H, W) to features (N, dim)."""

    name: str
    dim: int
    sha256: str  # content hash of its weights
    preprocessing: str
    network: Callable  # uint8 tensor (n, H, W) on the device -> float tensor (n, dim)
    device: torch.device
    batch: int = 32

    @torch.no_grad()
    def __call__(self, images, callback=None):
        """float32 (N, dim) on `device`, of a uint8 array or tensor (N, H, W); progress goes to `callback(done, total)`."""
        images = _checked(images)
        features = torch.empty(len(images), self.dim, device=self.device)
        for start in range(0, len(images), self.batch):
            part = slice(start, start + self.batch)
            with full_float32():
                found = self.network(images[part].to(self.device))
            features[part] = self._fitting(found, len(images[part]))
            if callback:
                callback(min(start + self.batch, len(images)), len(images))
        if not features.isfinite().all():
            raise BadInput(f"the encoder {self.name} gives features that are not numbers; its weights are at fault")
        return features

    def _fitting(self, found, n):
        if not isinstance(found, torch.Tensor) or found.shape != (n, self.dim):
            shape = tuple(getattr(found, "shape", ()))
            raise BadInput(
                f"the encoder {self.name} gave {shape or type(found).__name__} for {n} images, not ({n}, {self.dim})"
            )
        return found


def find(name, device="cpu", trust_code=False):
    """The encoder of a name in `NETWORKS`, e.g. "inception2015" or "lite0", or a user's own by "module:Class".

    The class of a user is imported, which runs its code: only with `trust_code`. It is made without arguments, has a
    `dim`, and maps a uint8 tensor (n, H, W) to float (n, dim).
    """
    device = torch.device(device)
    if ":" in name:
        return _of_user(name, device, trust_code)
    if name not in NETWORKS:
        raise BadInput(f"there is no encoder {name!r}{nearest(name, NETWORKS)}, or give your own as module:Class")
    network = NETWORKS[name]
    tensors = weights.tensors(network.weights) if network.weights else random.kernels()
    sha = weights.KNOWN[network.weights].sha256 if network.weights else weights.content_hash(tensors)
    return Encoder(name, network.dim, sha, network.preprocessing, network(tensors, device), device, _batch(device))


def available(name):
    """Whether the weights of a built-in encoder are on this machine."""
    return name in NETWORKS and (not NETWORKS[name].weights or weights.locate(NETWORKS[name].weights) is not None)


def _of_user(name, device, trust_code):
    module, _, attribute = name.partition(":")
    if not trust_code:
        raise BadInput(f"{name} is code of your own, which would be run; allow it with --trust-code")
    try:
        made = getattr(importlib.import_module(module), attribute)()
        dim = int(made.dim)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise BadInput(
            f"{name} is no encoder ({error}); it must be a class without arguments, with a `dim`, in a module on PYTHONPATH"
        ) from error
    sha = ""
    if isinstance(made, torch.nn.Module):
        made = made.to(device).eval()
        sha = weights.content_hash({k: v.float() for k, v in made.state_dict().items()})
    return Encoder(attribute, dim, sha, getattr(made, "preprocessing", "its own"), made, device, _batch(device))


def _batch(device):
    return 128 if device.type == "cuda" else 32


def _checked(images):
    """uint8 (N, H, W) as a tensor, or what is wrong with it."""
    images = torch.from_numpy(np.ascontiguousarray(images)) if isinstance(images, np.ndarray) else images
    if images.dtype != torch.uint8 or images.ndim != 3 or not images.numel():
        raise BadInput(
            f"an encoder takes grey images uint8 (N, H, W), not {str(images.dtype).removeprefix('torch.')} {tuple(images.shape)}"
        )
    return images
