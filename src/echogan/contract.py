"""What an architecture offers and the engine runs: phases, never loops.

An `Architecture` is an `nn.Module`: its *children* are what is trained, its *buffers* are what is remembered, and a tuple
of frozen `Phase` rows says whose parameters are updated, by which pure loss, when and how exactly. The engine alone
freezes, differentiates, reduces, steps, averages, counts, seeds and saves.

Rules for authors: state is a buffer or it does not exist; a loss is a mean over its rows; randomness comes only from
`batch.randn` and `batch.rand`; no Python branch on a tensor inside a loss; state changes only in a phase's `after`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf

import torch
from torch import Tensor, nn

from echogan.config import seed_of
from echogan.errors import BadInput, finite
from echogan.precision import full_float32

BLOCK = 64  # images of one draw of random numbers


class Batch(dict):
    """Rows `first::stride` of a global batch of `total` samples, and the random numbers that belong to those rows."""

    def __init__(self, data, total, first=0, stride=1, rng=None):
        super().__init__(data)
        self.total, self.first, self.stride = total, first, stride
        self.rng: torch.Generator | None = rng

    @property
    def device(self):
        """Where the rows live."""
        return next(iter(self.values())).device

    def _rows(self, draw, shape):
        # Drawn for every process and kept for this one, so any split of the batch sees the same numbers.
        assert self.rng is not None, "a batch draws only inside a phase or `sample`"
        numbers = draw((self.total, *shape), generator=self.rng, device=self.rng.device)
        return numbers[self.first :: self.stride].to(self.device)

    def randn(self, *shape):
        """Standard normal numbers, (rows, *shape)."""
        return self._rows(torch.randn, shape)

    def rand(self, *shape):
        """Uniform numbers in [0, 1), (rows, *shape)."""
        return self._rows(torch.rand, shape)

    def micro(self, k, n, share=1.0):
        """The k-th of n interleaved parts of the first `share` of the batch."""
        total = int(self.total * share)
        kept = len(range(self.first, total, self.stride))
        data = {name: rows[:kept][k::n] for name, rows in self.items()}
        return Batch(data, total, self.first + k * self.stride, self.stride * n, self.rng)


class Head(Batch):
    """The first rows of a block of `total`, with the random numbers that they have in the whole block."""

    def _rows(self, draw, shape):
        return super()._rows(draw, shape)[: len(self["index"])]


@dataclass(frozen=True)
class Rows:
    """A per-sample statistic: `after` receives it for the whole global batch, in order; all others arrive averaged."""

    of: Tensor


@dataclass(frozen=True)
class Phase:
    """One kind of update: whose parameters, by which loss, when, and how exactly."""

    name: str  # a column of losses.csv
    trains: str | None  # a child module; None: a reading or a rule, run without gradients
    loss: Callable[[Batch], tuple]  # pure -> (mean over rows, {statistic}); scalars are further columns
    after: Callable | None = None  # after(stats), the only place where state changes
    every: int = 1  # ticks
    lazy: bool = False  # a regulariser: loss x every, optimiser compensated (Karras 2020, appendix B)
    share: float = 1.0  # of the batch
    start: float = 0.0  # kimg; two stages of one run are two windows
    stop: float = inf
    precision: str = "auto"  # or "fp32"
    compile: bool = True  # False where the loss differentiates a gradient or walks a graph twice


@dataclass(frozen=True)
class Optim:
    """Optimiser of one child; betas are (beta1, beta2) of Adam, or (unused, alpha) of RMSprop."""

    lr: float
    betas: tuple = (0.0, 0.99)
    kind: str = "adam"  # adam | rmsprop
    eps: float = 1e-8


@dataclass(frozen=True)
class Average:
    """Exponential moving average of children: half-life in kimg, at most `rampup` x the images shown so far."""

    of: tuple
    kimg: float = 10.0
    rampup: float = 0.05


@dataclass
class Clock:
    """Everything that counts; integers only."""

    images: int = 0
    tick: int = 0
    count: dict = field(default_factory=dict)  # phase -> updates made
    last: dict = field(default_factory=dict)  # phase -> tick of its last update

    @property
    def kimg(self):
        """Thousands of real images shown."""
        return self.images / 1000

    def since(self, name):
        """Ticks since phase `name` last ran, counting the present one."""
        return self.tick - self.last.get(name, -1)


class Architecture(nn.Module):
    """Children are trained, buffers are remembered, both are checkpointed."""

    phases: tuple = ()  # of Phase, in order
    optim: dict = {}  # child -> Optim
    ema: Average | None = None
    exports: tuple = ("G",)  # children that `generate` needs: what a .safetensors file holds
    inputs: tuple = ("image",)  # columns of a batch, see `engine.feed`: image, label, mask, edge; or A and B, unpaired
    choices: tuple = ()  # what `generate` and `translate` may be told, beside the truncation, e.g. ("noise",)
    paired: bool = False  # whether `translate` aims at batch["image"] itself, so that SSIM and its like have a meaning
    compared: int = 1  # images of a batch in groups that a network compares, which no part of it may tear
    guests: tuple = ()  # frozen networks handed in; a tuple keeps them out of state_dict()

    def schedule(self, clock):
        """Yield the phases of this tick; each yield gives back that phase's statistics. Keep nothing between ticks."""
        for p in self.phases:
            if p.start <= clock.kimg < p.stop and clock.tick % p.every == 0:
                yield p.name

    def rate(self, child, kimg):
        """Factor on the learning rate of `child`."""
        return 1.0

    def generate(self, batch, truncation=1.0):
        """Images (rows, 1, H, W) in [-1, 1] from the batch's random numbers; `truncation` < 1 trades variety for typicality.

        A conditional architecture takes the classes from `batch["label"]` where that is given, else draws them.
        """
        raise BadInput(f"{type(self).__name__} makes no images from noise alone; it needs an input image")

    def sample(self, n, seed=0, truncation=1.0, label=None, **choices):
        """`n` images (n, 1, H, W) float in [-1, 1]; image i depends on (seed, i) and the weights, not on n or the device.

        `label`: the class of all of them, for a conditional architecture; `choices`: see there.
        """
        return torch.cat(list(self.samples(n, seed, truncation, label, **choices)))

    def samples(self, n, seed=0, truncation=1.0, label=None, **choices):
        """`sample` in blocks of 64, whose random numbers are drawn on the CPU: a longer series begins with the shorter one."""
        device = next(self.parameters()).device
        for first in range(0, n, BLOCK):
            rng = torch.Generator().manual_seed(seed_of(seed, "sample", first))
            rows = {"index": torch.arange(first, min(first + BLOCK, n), device=device)}
            if label is not None:
                rows["label"] = torch.full_like(rows["index"], label)
            yield self.drawn(Head(rows, BLOCK, rng=rng), truncation, **choices)

    def translate(self, batch) -> Tensor:
        """Images (rows, 1, H, W) in [-1, 1] made of the batch's inputs: a reconstruction, a mask or edges filled, A made B."""
        raise BadInput(f"{type(self).__name__} makes images from noise; it translates none")

    def makes(self, kimg) -> str:
        """What is judged at `kimg`: "generate" (images from noise) or "translate" (what it makes of the VAL inputs)."""
        return "generate"

    def panel(self, batch) -> tuple[tuple, tuple]:
        """(pictures to show before a translation: its inputs; those to show after it), each (rows, 1, H, W) in [-1, 1]."""
        return (), (batch["image"],)

    def drawn(self, batch, truncation=1.0, **choices):
        """`generate` in evaluation mode and without gradients."""
        self.check(choices)
        return self._evaluated(self.generate, batch, finite(truncation, "truncation"), **choices)

    def translated(self, batch, **choices):
        """`translate` in evaluation mode and without gradients."""
        self.check(choices)
        return self._evaluated(self.translate, batch, **choices)

    def panelled(self, batch):
        """`panel` in evaluation mode and without gradients."""
        return self._evaluated(self.panel, batch)

    @torch.no_grad()
    def _evaluated(self, function, *words, **choices):
        """Call `function` without gradients: batch norm by its running statistics, nothing drops out, float32 is float32."""
        mode = self.training
        self.eval()
        with full_float32():
            made = function(*words, **choices)
        self.train(mode)
        return made

    def check(self, choices):
        """A `BadInput` for a choice that is none of this architecture's; as a keyword it might be taken for something else."""
        if unknown := choices.keys() - set(self.choices):
            if "truncation" in unknown:
                raise BadInput(
                    "truncation is no choice for --set; it is told by --truncation, where images are made from noise"
                )
            taken = ", ".join(("truncation", *self.choices))
            raise BadInput(f"{type(self).__name__} has no choice {min(unknown)!r}; it has {taken}")
