"""How exactly numbers are computed where it must not be left to autocast, nor to what a GPU takes for float32."""

from contextlib import contextmanager, nullcontext

import torch


def by_hand(x):
    """No autocast on the device of x: types are chosen layer by layer."""
    kind = x.device.type
    return torch.autocast(kind, enabled=False) if torch.amp.is_autocast_available(kind) else nullcontext()


def full(x):
    """x in float32 at least: what autocast made reduced would round, overflow or vanish in what comes of it."""
    return x if x.dtype == torch.float64 else x.float()


@contextmanager
def full_float32():
    """No TF32 inside: it would move features by a thousandth, and with them every distance."""
    cudnn = torch.backends.cudnn
    with cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False):
        yield
