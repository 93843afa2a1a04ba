"""Memory and time that a training of each architecture takes on three sizes of card: an estimate, from counted work.

Counted, on the meta device (no numbers are computed, so this takes seconds): the floating-point operations of every phase of a
config at full size, forward and backward, and the bytes that its graph keeps for the backward pass.

    memory = 20 bytes per parameter (weights, gradient, two moments, average) + graph of the largest phase + 0.7 GB of CUDA,
             of the graph what grows with the batch: the weights in it are among the 20 bytes
    time   = operations of a thousand images / (peak of the card's matrix units x 15 %)

15 % is about what the official StyleGAN2-ADA reached: 11 of 65 TFLOP/s on a T4, 23 of 125 on a V100, 45 of 312 on an
A100. The graph is counted in fp32: under fp16 or bf16 it is smaller.
Every phase is counted at its `every`; a schedule of its own (critic steps, MedGAN's rule) gives other shares. Guests (LPIPS, a
segmenter) are not counted: a segmenter adds a twentieth to the operations of cyclegan `segment`, a tenth to its graph.

    python benchmarks/budget.py
"""

import numpy as np
import torch
from common import conclude, header
from torch.autograd.graph import saved_tensors_hooks
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from echogan import models
from echogan.contract import Batch
from echogan.engine.feed import Feed, Unpaired

SHOWN = {  # the config of each that README.md sends a reader to
    "stylegan2_ada": "r3",
    "medgan": "nobn",
    "wgan": "r1",
    "vqgan": "grid16",
    "pix2pix": "edges",
    "cyclegan": "segment",
    "spade": "patches",
}
CARDS = {
    "T4 (15 GB)": (15, 65e12),
    "RTX 3090 (24 GB)": (24, 71e12),
    "A100 (80 GB)": (80, 312e12),
}  # GB, peak in half precision
REACHED, PER_PARAMETER, CONTEXT = 0.15, 20, 0.7e9
COUNTED = 4  # images of the counted batch


class Operations(TorchDispatchMode):
    """Adds up the floating-point operations of what runs inside; unlike torch's own counter, of gradients of gradients too."""

    total = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        count = flop_registry.get(func._overloadpacket)
        self.total += count(*args, **(kwargs or {}), out_val=out) if count else 0
        return out


def columns(model, n):
    """A feed of noise with the columns that a model asks for."""
    size, rng = model.config.resolution, np.random.default_rng(0)
    images = rng.integers(0, 256, (n, size, size), np.uint8)
    if "A" in model.inputs:
        return Unpaired(A=Feed(images, size), B=Feed(images, size))
    labels = getattr(model.config, "labels", 4)
    known = {"label": images[:, 0, 0] % 2, "mask": images % labels, "edge": 255 * (images > 250)}
    return Feed(images, size, **{name: known[name] for name in model.inputs if name != "image"})


def count(arch, name):
    """(config, parameters, operations per image, bytes of the graph per image) of a config at full size."""
    config = models.config_of(arch, name)
    with torch.device("meta"):
        model = models.load(arch).build(config)
    work, few = counted(model, COUNTED)
    _, many = counted(model, 2 * COUNTED)
    graph = max((more - less) / COUNTED for less, more in zip(few, many))  # weights are as many in both
    return config, sum(p.numel() for p in model.parameters()), work / COUNTED, graph


def counted(model, n):
    """(operations, bytes of the graph of each phase) of an update of every phase on `n` images."""
    real, device = columns(model, n).batch(0, n), next(model.parameters()).device
    batch = Batch({key: rows.to(device) for key, rows in real.items()}, n, rng=torch.Generator())
    work, graphs = 0.0, []
    for phase in (p for p in model.phases if p.trains):
        operations, kept = one_phase(phase, batch.micro(0, 1, phase.share))
        work += operations / phase.every
        graphs.append(kept)
    return work, graphs


def one_phase(phase, part):
    """(operations, bytes kept for the backward pass) of a phase on the images of `part`."""
    kept = {}

    def keep(tensor):
        storage = tensor.untyped_storage()
        kept[storage._cdata] = storage.nbytes()
        return tensor

    with Operations() as operations, saved_tensors_hooks(keep, lambda tensor: tensor):
        phase.loss(part)[0].backward()
    return operations.total, sum(kept.values())


def fits(share):
    """What to add where a batch takes more than the card has."""
    return f", `--accumulate {2 ** int(np.ceil(np.log2(share)))}`" if share > 1 else ""


def estimated():
    """The table as Markdown."""
    header()
    print(
        "| architecture, config | px | batch | parameters | GFLOP an image | memory | "
        + " | ".join(f"a kimg on {card}" for card in CARDS)
        + " |"
    )
    print("|---|--:|--:|--:|--:|--:|" + "--:|" * len(CARDS))
    for arch, name in SHOWN.items():
        config, parameters, work, graph = count(arch, name)
        memory = PER_PARAMETER * parameters + config.batch * graph + CONTEXT
        times = [f"{1000 * work / peak / REACHED:.1f} s{fits(memory / gb / 1e9)}" for gb, peak in CARDS.values()]
        print(
            f"| {arch} {name} | {config.resolution} | {config.batch} | {parameters / 1e6:.1f} M | {work / 1e9:.0f} | "
            f"{memory / 1e9:.1f} GB | {' | '.join(times)} |"
        )


if __name__ == "__main__":
    conclude(estimated)
