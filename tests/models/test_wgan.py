"""WGAN: its schedule against the nested loops it stands for, and a critic that starts alive."""

from dataclasses import replace

import pytest
import torch

from echogan.contract import Clock
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
