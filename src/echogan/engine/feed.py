"""The training frames as one uint8 tensor on the device, and batches cut from it without a sampler's state."""

import numpy as np
import torch
import torch.nn.functional as F

from echogan.contract import Batch


def to_signed(images):
    """uint8 (N, H, W) -> float (N, 1, H, W) in [-1, 1]."""
    return images[:, None].float() / 127.5 - 1


def to_grey(images):
    """float (N, 1, H, W) in [-1, 1] -> uint8 (N, H, W)."""
    return ((images[:, 0].float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def resized(images, size, device="cpu", block=1024):
    """uint8 array (N, H, W) -> uint8 tensor (N, size, size) on the device, anti-aliased bilinear where the size differs."""
    parts = []
    for start in range(0, len(images), block):
        part = torch.from_numpy(np.ascontiguousarray(images[start : start + block])).to(device)
        if part.shape[-1] != size:
            part = F.interpolate(part[:, None].float(), (size, size), mode="bilinear", antialias=True)
            part = part[:, 0].round().clamp(0, 255).to(torch.uint8)
        parts.append(part)
    return torch.cat(parts)


class Feed:
    """Image number i of a run is entry i mod N of the shuffle keyed by (seed, epoch i // N): any moment can be taken up."""

    def __init__(self, images, resolution, device="cpu", seed=0):
        self.images = resized(images, resolution, device)
        self.seed, self._epoch, self._order = seed, -1, np.arange(0)

    def __len__(self):
        return len(self.images)

    def order(self, epoch):
        """The shuffle of one epoch, int64 (N,)."""
        if epoch != self._epoch:
            self._epoch, self._order = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self))
        return self._order

    def entries(self, first, n):
        """Where images first .. first + n - 1 of the run stand in the set."""
        numbers = np.arange(first, first + n)
        epochs = numbers // len(self)
        return np.concatenate([self.order(e)[numbers[epochs == e] % len(self)] for e in np.unique(epochs)])

    def batch(self, first, total, rank=0, world=1):
        """The rows of this process of the global batch that begins at image `first`."""
        rows = torch.from_numpy(self.entries(first, total)[rank::world]).to(self.images.device)
        return Batch({"image": to_signed(self.images[rows])}, total, rank, world)
