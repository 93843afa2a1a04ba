"""The engine on games whose answers are known."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from echogan import models
from echogan.contract import Architecture, Average, Batch, Optim, Phase, Rows
from echogan.engine.loop import Engine, Numerics


class Point(nn.Module):
    """One number."""

    def __init__(self, at=0.0):
        super().__init__()
        self.x = nn.Parameter(torch.tensor([float(at)], dtype=torch.double))


class Game(Architecture):
    """A child G that walks toward 2 by (x - 2)^2, half of it called a regulariser."""

    def __init__(self, every=1, lazy=False, **optim):
        super().__init__()
        self.G = Point()
        self.optim = {"G": Optim(**{"lr": 0.01, "betas": (0.0, 0.99), **optim})}
        self.phases = (
            Phase("main", "G", lambda b: ((self.G.x - 1).square().mean(), {})),
            Phase("reg", "G", lambda b: ((self.G.x - 3).square().mean(), {}), every=every, lazy=lazy),
        )


def batch(n=4):
    return Batch({"image": torch.zeros(n, 1, 2, 2)}, n)


def play(model, ticks, **numerics):
    engine = Engine(model, Numerics(**numerics))
    for _ in range(ticks):
        engine.tick(batch())
    return engine


def test_lazy_regularisers_keep_the_minimum_where_it_was():
    everywhere = play(Game(), 800).model.G.x.item()
    lazy = play(Game(every=16, lazy=True), 4000).model.G.x.item()
    rare = play(Game(every=16), 4000).model.G.x.item()
    assert everywhere == pytest.approx(2.0, abs=0.05)
    assert lazy == pytest.approx(2.0, abs=0.15)
    assert abs(rare - 2.0) > 0.5


def test_lazy_rates_follow_the_published_formula():
    group = Engine(Game(every=16, lazy=True)).optimisers["G"].param_groups[0]
    assert group["lr"] == pytest.approx(0.01 * 16 / 17, rel=1e-12)
    assert group["betas"] == pytest.approx((0.0, 0.99 ** (16 / 17)), rel=1e-12)


def test_the_average_follows_its_closed_form():
    model = Game()
    model.ema = Average(("G",), kimg=0.008, rampup=1e9)
    model.optim = {"G": Optim(lr=0.0)}
    engine = Engine(model)
    model.G.x.data.fill_(1.0)
    for _ in range(6):
        engine.tick(batch(4))
    assert engine.shadow["G"].x.item() == pytest.approx(1 - 0.5 ** (6 * 4 / 8), rel=1e-9)
    with engine.averaged() as averaged:
        assert averaged.G.x.item() != 1.0
    assert model.G.x.item() == 1.0


def test_the_average_of_batch_norm_statistics_goes_with_that_of_the_weights():
    class Normed(Architecture):
        def __init__(self):
            super().__init__()
            self.G = torch.nn.BatchNorm1d(1)
            self.optim, self.ema = {"G": Optim(lr=0.0)}, Average(("G",), kimg=0.008, rampup=1e9)
            self.phases = (Phase("G", "G", lambda batch: (self.G.weight.sum(), {})),)

    engine = Engine(Normed())
    engine.model.G.running_mean.fill_(1.0)
    engine.model.G.num_batches_tracked.fill_(7)
    for _ in range(3):
        engine.tick(batch(4))
    assert engine.shadow["G"].running_mean.item() == pytest.approx(1 - 0.5 ** (3 * 4 / 8), rel=1e-6)
    assert engine.shadow["G"].num_batches_tracked.item() == 7


def test_only_the_trained_child_has_gradients_and_frozen_parameters_stay_frozen():
    class Two(Architecture):
        def __init__(self):
            super().__init__()
            self.G, self.D = Point(1), Point(1)
            self.D.held = nn.Parameter(torch.ones(1), requires_grad=False)
            self.optim = {"G": Optim(0.1), "D": Optim(0.1)}
            self.phases = (Phase("G", "G", self.both), Phase("D", "D", self.both))
            self.seen = []

        def both(self, b):
            self.seen.append((self.G.x.requires_grad, self.D.x.requires_grad, self.D.held.requires_grad))
            return (self.G.x * self.D.x).mean(), {}

    engine = play(Two(), 2)
    assert engine.model.seen == [(True, False, False), (False, True, False)] * 2


def test_statistics_are_averaged_and_rows_keep_their_order():
    got = []

    class Reads(Architecture):
        def __init__(self):
            super().__init__()
            self.G = Point()
            self.phases = (Phase("read", None, self.read, after=lambda s: got.append(s)),)

        def read(self, b):
            return None, {"mean": b["value"].mean(), "rows": Rows(b["value"])}

    engine = Engine(Reads(), Numerics(accumulate=2))
    engine.tick(Batch({"value": torch.arange(8.0)}, 8))
    assert got[0]["mean"].item() == 3.5 and got[0]["rows"].tolist() == list(range(8))
    assert engine.read() == {"mean": 3.5} and engine.read() == {}


@pytest.mark.parametrize("parts", [2, 4])
def test_micro_batches_see_the_random_numbers_of_the_whole(parts):
    whole = Batch({"image": torch.zeros(8, 1)}, 8, rng=torch.Generator().manual_seed(1)).randn(3)
    for k in range(parts):
        piece = Batch({"image": torch.zeros(8, 1)}, 8, rng=torch.Generator().manual_seed(1)).micro(k, parts)
        assert torch.equal(piece.randn(3), whole[k::parts])


def test_a_share_of_the_batch_is_its_first_rows():
    b = Batch({"image": torch.arange(8)}, 8).micro(0, 1, share=0.5)
    assert b["image"].tolist() == [0, 1, 2, 3] and b.total == 4


@pytest.mark.parametrize(
    "arch, names",
    [
        ("cyclegan", ["G.AB", "G.BA", "D.A", "D.B"]),
        ("wgan", ["G", "D"]),
    ],
)
def test_what_is_compiled_is_what_is_called(monkeypatch, arch, names):
    """A pair of generators and a dict of judges are never called themselves."""
    compiled = []
    monkeypatch.setattr(nn.Module, "compile", lambda module: compiled.append(module))
    model = models.load(arch).build(models.config_of(arch, "demo").tiny())
    Engine(model, Numerics(compile=True))
    assert [name for name, module in model.named_modules() if module in compiled] == names


class Seen(torch.autograd.Function):
    """The identity, which notes on both ways whether a convolution may be computed in TF32."""

    notes: list = []

    @staticmethod
    def forward(ctx, x):
        Seen.notes.append(torch.backends.cudnn.allow_tf32)
        return x.clone()

    @staticmethod
    def backward(ctx, g):
        Seen.notes.append(torch.backends.cudnn.allow_tf32)
        return g


@pytest.mark.parametrize("autocast, fast", [(torch.bfloat16, [True, True, False, False]), (None, [False] * 4)])
def test_what_is_to_be_float32_is_that_on_both_ways(monkeypatch, autocast, fast):
    monkeypatch.setattr(Seen, "notes", [])
    model = Game()
    model.phases = tuple(
        Phase(name, "G", lambda batch: (Seen.apply(model.G.x).sum(), {}), precision=name) for name in ("auto", "fp32")
    )
    play(model, 1, autocast=autocast)
    assert Seen.notes == fast and torch.backends.cudnn.allow_tf32


def test_images_are_made_in_float32():
    model = Game()
    model.generate = lambda batch, truncation: torch.full((2, 1), float(torch.backends.cudnn.allow_tf32))
    assert model.sample(2).sum() == 0


def test_windows_and_intervals_of_phases():
    model = Game(every=3)
    model.phases = (model.phases[0], replace(model.phases[1], start=0.008, stop=0.024))
    engine = play(model, 9)  # 4 images a tick: the window covers ticks 2 .. 5, of which 3 is a third tick
    assert engine.clock.count == {"main": 9, "reg": 1}


class Pulled(Architecture):
    """A child G that every row pulls by its own value."""

    def __init__(self):
        super().__init__()
        self.G, self.optim = Point(), {"G": Optim(0.1)}
        self.phases = (Phase("G", "G", lambda b: ((self.G.x * b["value"]).mean(), {})),)


@pytest.mark.parametrize("parts", [1, 2, 4])
def test_micro_batches_add_up_to_the_update_of_the_whole(parts):
    model = Pulled()  # the last part alone would pull the other way
    Engine(model, Numerics(accumulate=parts)).tick(Batch({"value": torch.tensor([5.0, -1, 3, -2, 5, -1, 3, -2])}, 8))
    assert model.G.x.item() == pytest.approx(-0.1, rel=1e-6)


def test_the_rate_of_the_architecture_is_that_of_the_step():
    model = Game()
    model.rate = lambda child, kimg: float(kimg < 0.008)
    assert play(model, 9).model.G.x.item() == play(Game(), 2).model.G.x.item() != 0
