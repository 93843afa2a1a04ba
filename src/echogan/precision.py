"""How exactly numbers are computed where it must not be left to autocast, nor to what a GPU takes for float32."""

from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F


def by_hand(x):
    """No autocast on the device of x: types are chosen layer by layer."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def full(x):
    """x in float32 at least: what autocast made reduced would round, overflow or vanish in what comes of it."""
    return x if x.dtype == torch.float64 else x.float()


def scores(layer, x):
    """`layer` of x in float32 at least: differences of scores are small beside their level, so none is rounded."""
    with by_hand(x):
        return layer(full(x))


def mirrored(x, sides):
    """x (B, C, H, W) with its border mirrored by (left, right, above, below) pixels; CUDA's own has no deterministic gradient."""
    if not torch.are_deterministic_algorithms_enabled():
        return F.pad(x, sides, mode="reflect")
    for axis, before, after in ((3, *sides[:2]), (2, *sides[2:])):
        n = x.shape[axis]
        first, last = x.narrow(axis, 1, before), x.narrow(axis, n - 1 - after, after)
        x = torch.cat([first.flip(axis), x, last.flip(axis)], axis)
    return x


@contextmanager
def full_float32():
    """No TF32 inside: it would move features by a thousandth, and with them every distance."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False):
        yield
