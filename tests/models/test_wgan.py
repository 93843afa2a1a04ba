"""WGAN: its schedule against the nested loops it stands for, and a critic that starts alive."""

from dataclasses import replace

import pytest
import torch

from echogan.contract import Batch, Clock
from echogan.engine.loop import Engine
from echogan.errors import BadInput
from echogan.layers.dcgan import Critic
from echogan.models.wgan import CONFIGS, WGAN


def nested_loops(ticks):
    """Ticks at which the generator learns: the loops of Arjovsky's code, 100 critic updates for the first 25 and every 500th."""
    done, tick, turns = 0, 0, []
    while True:
        for _ in range(100 if done < 25 or done % 500 == 0 else 5):
            tick += 1
        if tick > ticks:
            return turns
        turns.append(tick - 1)
        done += 1


def test_the_schedule_is_the_nested_loops_of_2017():
    model, clock, turns = WGAN(CONFIGS["W1"].tiny()), Clock(), []
    for _ in range(12_000):
        for name in model.schedule(clock):
            clock.count[name] = clock.count.get(name, 0) + 1
            clock.last[name] = clock.tick
            if name == "G":
                turns.append(clock.tick)
        clock.tick += 1
    assert turns == nested_loops(12_000) and len(turns) > 1_500
    assert clock.count["clip"] == clock.count["D"] == 12_000


@pytest.mark.parametrize("resolution", [32, 128])
def test_activations_keep_their_size_where_no_layer_rescales_them(resolution):
    torch.manual_seed(0)
    x = torch.randn(16, 1, resolution, resolution)
    size = x.square().mean()
    for layer in Critic(resolution, 16).net[:-1]:
        x = layer(x)
        if isinstance(layer, torch.nn.LeakyReLU):
            assert 0.4 < x.square().mean() / size < 1.3  # zero padding takes a little at every edge


@pytest.mark.parametrize("norm, biased", [("batch", False), ("none", True), ("spectral", True)])
def test_a_critic_without_batch_norm_has_biases_but_none_on_its_score(norm, biased):
    convolutions = [layer for layer in Critic(32, 8, norm).net if isinstance(layer, torch.nn.Conv2d)]
    assert [layer.bias is not None for layer in convolutions] == [biased] * 3 + [False]
    assert all((layer.bias == 0).all() for layer in convolutions[:-1] if biased)


WRONG = [
    ({"bound": "foo"}, "there is no bound 'foo'"),
    ({"norm": "spektral"}, "did you mean 'spectral'"),
    ({"generator_norm": "instance"}, "there is no generator_norm 'instance'"),
    ({"kind": "sgd"}, "there is no kind 'sgd'"),
    ({"resolution": 48}, "resolution must be 8, 16, 32"),
    ({"bound": "spectral"}, "set both, or neither"),
    ({"norm": "spectral"}, "set both, or neither"),
]


@pytest.mark.parametrize("change, why", WRONG, ids=lambda value: "-".join(value) if isinstance(value, dict) else "")
def test_settings_that_would_train_something_else_are_refused(change, why):
    with pytest.raises(BadInput, match=why):
        WGAN(replace(CONFIGS["r1"].tiny(), **change))


def test_a_spectral_critic_keeps_its_bound_where_others_are_reduced():
    critic, x = Critic(32, 8, "spectral").eval(), torch.randn(4, 1, 32, 32)
    with torch.autocast("cpu", torch.bfloat16):
        reduced = critic(x)
        assert not torch.equal(critic.net(x).flatten(), reduced)
    assert torch.equal(critic(x), reduced)


class Slope(torch.nn.Module):
    """|grad D| = 1/2 everywhere, of 32 x 32 pixels."""

    def forward(self, x):
        return 0.5 * x.flatten(1).sum(1) / 32


@pytest.mark.parametrize("name, value", [("gp", 0.25), ("lp", 0.0), ("r1", 0.125)])
def test_each_config_has_the_penalty_of_its_name(name, value):
    model = WGAN(CONFIGS[name].tiny())
    model.D = Slope()
    batch = Batch({"image": torch.rand(4, 1, 32, 32)}, 4, rng=torch.Generator().manual_seed(0))
    penalty = next(p for p in model.phases if p.name == "penalty").loss(batch)[0]
    assert penalty.item() == pytest.approx(model.config.weight * value, rel=1e-4)


def test_clipping_leaves_no_weight_beyond_its_range():
    engine = Engine(WGAN(CONFIGS["W1"].tiny()))
    for p in engine.model.D.parameters():
        p.data.normal_()
    engine.update(engine.phases["clip"], Batch({"image": torch.zeros(2, 1, 32, 32)}, 2))
    assert max(p.abs().max() for p in engine.model.D.parameters()) == torch.tensor(0.01)
