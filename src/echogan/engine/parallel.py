"""Several processes that train one model: torchrun starts them, this file joins them, and one flat all-reduce per phase.

Process r owns the rows r::world of every global batch, so any number of processes computes the same update. Not
`DistributedDataParallel`: its reducer does not see the several forwards and the differentiated gradients of a GAN's phase.
"""

import os
from contextlib import contextmanager
from itertools import count
from math import gcd

import torch
import torch.distributed as dist
from torch import nn

from echogan.engine.launch import pick_device
from echogan.errors import BadInput

# What torchrun tells each process. A cluster may set some of it for programs that are to train by themselves.
TORCHRUN = {"WORLD_SIZE", "RANK", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT"}


def world():
    """Processes that train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank():
    """The number of this process, 0 .. world - 1; process 0 alone writes files."""
    return dist.get_rank() if dist.is_initialized() else 0


def wait():
    """Until every process has come here."""
    if world() > 1:
        dist.barrier()


def agreed(verdict):
    """What the first process decides, for all of them; the others wait for it."""
    said = [verdict]
    if world() > 1:
        dist.broadcast_object_list(said)
    return said[0]


@contextmanager
def joined(device_name="auto"):
    """Join the other processes of a `torchrun` for the time of a block; yields the device name of this process."""
    if not TORCHRUN <= os.environ.keys() or dist.is_initialized():
        yield device_name
        return
    if device_name != "cpu" and torch.cuda.is_available():
        device_name = f"cuda:{os.environ['LOCAL_RANK']}"
        _join_on(pick_device(device_name))
    else:
        dist.init_process_group("gloo")
    try:
        yield device_name
    finally:
        dist.destroy_process_group()


def _join_on(gpu):
    """Join on one GPU: barriers and words of NCCL go by the present device, else that of every process would be the first."""
    torch.cuda.set_device(gpu)
    if dist.is_nccl_available():
        dist.init_process_group("nccl", device_id=gpu)
    else:  # Windows
        dist.init_process_group("gloo")


def shareable(model, batch, accumulate):
    """`model`, fit for the present number of processes; a `BadInput` where it or the batch cannot be shared out."""
    _check_parts(model, batch, accumulate)
    if world() == 1 or not any(isinstance(m, nn.modules.batchnorm._BatchNorm) for m in model.modules()):
        return model
    if next(model.parameters()).device.type != "cuda":
        raise BadInput(
            "this config uses batch norm, which several processes share on CUDA only; train it with one process"
        )
    return nn.SyncBatchNorm.convert_sync_batchnorm(model)


def _check_parts(model, batch, accumulate):
    """A `BadInput` where the batch, or a phase's share of it, has no equal parts, which are averaged as if they were."""
    if not (whose := _uneven(model, batch, accumulate)):
        return
    if fits := [parts for parts in range(1, batch + 1) if not _uneven(model, batch, parts)]:
        wise = min((parts for parts in fits if parts > accumulate), default=fits[-1])  # more parts need no more memory
        remedy = f"use --accumulate {wise}, in a notebook accumulate = {wise}"
    else:
        wise = next(larger for larger in count(batch + 1) if not _uneven(model, larger, accumulate))
        remedy = f'use --set batch={wise}; in a notebook: change = "batch={wise}"'
    raise BadInput(
        f"a batch of {batch}{whose[0]} does not divide among {world()} processes x {accumulate} micro-batches; {remedy}"
    )


def _uneven(model, batch, accumulate):
    """In words, what has no equal parts of one image or more: the batch, or the share of it that a phase takes."""
    parts, whole = world() * accumulate, gcd(batch, model.compared)
    rows = [
        ("", batch, 1),
        *((f", of which {p.name} takes {int(batch * p.share)},", int(batch * p.share), 1) for p in model.phases),
        (f", of which {whole} at a time are compared,", batch, whole),
    ]
    return [words for words, n, of in rows if n < 1 or n % (parts * of)]


def interleave(parts):
    """Rows k::n of n parts, side by side again: n x (rows, ...) -> (n * rows, ...)."""
    return torch.stack(parts, 1).flatten(0, 1)


def everyone(rows):
    """The rows of all processes in global order."""
    if world() == 1:
        return rows
    parts = [torch.empty_like(rows) for _ in range(world())]
    dist.all_gather(parts, rows.contiguous())
    return interleave(parts)


def all_mean(tensors):
    """Replace every tensor by its mean over all processes, in one collective."""
    if not tensors:
        return
    flat = torch.cat([t.reshape(-1) for t in tensors])
    dist.all_reduce(flat)
    for tensor, piece in zip(tensors, flat.div_(world()).split([t.numel() for t in tensors])):
        tensor.copy_(piece.view_as(tensor))
