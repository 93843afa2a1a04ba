"""StyleGAN2-ADA: penalties against finite differences, the laws of p and of the average, truncation, classes."""

from dataclasses import replace
from math import inf

import pytest
import torch

from echogan.contract import Batch
from echogan.engine.checkpoint import export
from echogan.engine.loop import Engine
from echogan.errors import BadInput
from echogan.losses import path_lengths, slope
from echogan.models.stylegan2_ada import CONFIGS, StyleGAN2ADA
from tests.test_contract import DoubleBatch

TINY = 1e-9  # a step that carries no leaky ReLU over its kink, where the gradient of a penalty jumps


def tiny(name="gamma01", **changes):
    torch.manual_seed(0)
    return StyleGAN2ADA(replace(CONFIGS[name].tiny(), **changes))


def seeded(seed):
    return torch.Generator().manual_seed(seed)


def batch_of(n=4, seed=0, size=32, **more):
    torch.manual_seed(seed)
    data = {"image": torch.rand(n, 1, size, size) * 2 - 1, **more}
    return Batch(data, n, rng=seeded(seed))


def test_the_published_table_is_the_studys():
    known = {name: (c.gamma, c.target, c.augment, c.lr, c.batch) for name, c in CONFIGS.items() if c.published}
    assert known == {
        "E1": (32, 0.7, "bgc", 0.002, 32),
        "E2": (32, 0.6, "bgc", 0.006, 32),
        "E3": (32, 0.6, "bgc", 0.002, 16),
        "E4": (8, 0.6, "bgc", 0.002, 32),
        "E6": (32, 0.6, "bgc", 0.001, 32),
        "E7": (32, 0.85, "bgc", 0.002, 32),
        "E8": (32, 0.5, "bgc", 0.002, 32),
        "E9": (32, 0.6, "none", 0.002, 32),
    }
    assert all((c.base, c.mapping, c.resolution) == (32768, 8, 128) for c in CONFIGS.values() if c.published)


@pytest.mark.parametrize(
    "change",
    [
        *({"resolution": 96}, {"augment": "sectr"}, {"loss": "hinge"}, {"base": 16}, {"widest": 0}, {"latent": 0}),
        *({"mapping": 0}, {"ada_kimg": 0.0}),
    ],
)
def test_settings_no_network_can_have_are_named(change):
    with pytest.raises(BadInput, match=next(iter(change))):
        tiny(**change)


def test_a_noise_that_there_is_not_is_named():
    with pytest.raises(BadInput, match="no noise 'foo'; choose from constant, random"):
        tiny().sample(1, noise="foo")


def test_no_penalty_is_no_phase():
    engine = Engine(tiny(r1_every=0))
    assert "Dreg" not in engine.phases and engine.optimisers["D"].param_groups[0]["lr"] == engine.model.config.lr
    assert tiny("noaug", ada_kimg=0.0).config.ada_kimg == 0  # nobody asks


def test_compact_is_compact(tmp_path):
    model = StyleGAN2ADA(CONFIGS["compact"])
    assert sum(p.numel() for p in model.G.parameters()) <= 6e6
    export(tmp_path / "w.safetensors", model.half(), {"arch": "stylegan2_ada", "kimg": "0"})
    assert (tmp_path / "w.safetensors").stat().st_size <= 12e6


def test_the_slope_of_scores_is_that_of_finite_differences():
    model = tiny().double()
    image = torch.rand(4, 1, 32, 32, dtype=torch.double) * 2 - 1
    x = image.clone().requires_grad_()
    directions = torch.randn(5, *image.shape, dtype=torch.double)
    (gradient,) = torch.autograd.grad(model.D(x).sum(), x)
    for v in directions:
        difference = (model.D(image + TINY * v).sum() - model.D(image - TINY * v).sum()) / (2 * TINY)
        torch.testing.assert_close((gradient * v).sum(), difference, rtol=1e-4, atol=1e-9)
    torch.testing.assert_close(slope(model.D(x), x), gradient.square().sum((1, 2, 3)))


@pytest.mark.parametrize("phase", ["Dreg", "Greg"])
def test_gradients_of_penalties_are_those_of_finite_differences(phase):
    """Along one random direction in the space of all parameters, through augmentation, mixing and noise."""
    model = tiny("bgc").double()
    model.augment.p.fill_(0.8)
    model.length.fill_(1.0)
    child, loss = (model.D, model.flatten) if phase == "Dreg" else (model.G, model.straighten)
    image = torch.rand(4, 1, 32, 32, dtype=torch.double) * 2 - 1
    parameters = list(child.parameters())

    def value():
        return loss(DoubleBatch({"image": image}, 4, rng=seeded(3)))[0]

    gradients = torch.autograd.grad(value(), parameters, allow_unused=True)
    direction, h = [torch.randn_like(p) for p in parameters], TINY
    slope_along = sum((g * v).sum() for g, v in zip(gradients, direction) if g is not None)

    def moved(by):
        with torch.no_grad():
            for p, v in zip(parameters, direction):
                p.add_(by * v)

    moved(h)
    above = value().detach()
    moved(-2 * h)
    torch.testing.assert_close(slope_along, (above - value().detach()) / (2 * h), rtol=1e-3, atol=1e-9)


def test_path_lengths_are_norms_of_the_transposed_jacobian():
    G = tiny().double().G
    ws = torch.randn(1, G.layers, G.w_mean.numel(), dtype=torch.double, requires_grad=True)
    grain, noise = torch.randn(1, len(G.grain), dtype=torch.double), torch.randn(1, 1, 32, 32, dtype=torch.double)
    lengths = path_lengths(G(ws, grain), ws, noise)
    h, square = 1e-5, 0.0
    torch.manual_seed(1)
    layer = 3
    for k in range(G.w_mean.numel()):  # one latent of the layers, component by component
        step = torch.zeros_like(ws)
        step[0, layer, k] = h
        with torch.no_grad():
            change = ((G(ws + step, grain) - G(ws - step, grain)) * noise).sum() / (2 * h) / 32
        square += change.item() ** 2
    (gradient,) = torch.autograd.grad((G(ws, grain) * noise).sum() / 32, ws)
    assert gradient[0, layer].square().sum().item() == pytest.approx(square, rel=1e-5)
    assert lengths.item() == pytest.approx(gradient.square().sum(2).mean().sqrt().item(), rel=1e-9)


def test_p_follows_the_sign_of_real_scores():
    model = tiny(target=0.6, ada_kimg=1.6, batch=16)  # 16 images, 4 ticks: steps of 0.04

    def ticks(*signs):
        for sign in signs:
            model.listen({"sign": torch.tensor(sign)})
        model.turn({})
        return pytest.approx(model.augment.p.item(), abs=1e-6)

    assert ticks(0.9, 0.9, 0.9, 0.9) == 0.04
    assert ticks(1.0, 1.0, 0.3, 0.3) == 0.08  # the mean of the four decides: 0.65
    assert ticks(0.5, 0.5, 0.5, 0.7) == 0.04  # 0.55
    assert ticks(0, 0, 0, 0) == ticks(0, 0, 0, 0) == 0  # never below 0
    for _ in range(30):
        ticks(1.0, 1.0, 1.0, 1.0)
    assert ticks(1.0, 1.0, 1.0, 1.0) == 1  # never above 1


def test_everything_that_is_judged_is_augmented():
    model = tiny("bgc")
    for loss in (model.fool, model.discriminate, model.flatten):
        values = []
        for p in (0.0, 1.0):
            model.augment.p.fill_(p)
            values.append(loss(batch_of())[0].item())
        assert values[0] != pytest.approx(values[1], rel=1e-4), loss.__name__


def test_p_is_saved_and_its_column_is_written():
    engine = Engine(tiny(ada_kimg=0.1))
    for _ in range(9):
        engine.tick(batch_of())
    p = engine.model.augment.p.item()
    assert p > 0 and 0 <= engine.read()["p"] <= p
    fresh = Engine(tiny())
    fresh.restore(engine.state())
    assert fresh.model.augment.p.item() == p and torch.equal(fresh.model.surplus, engine.model.surplus)


def test_phases_run_when_the_paper_says():
    engine = Engine(tiny())
    for _ in range(33):
        engine.tick(batch_of())
    assert engine.clock.count == {"Gmain": 33, "Greg": 9, "Dmain": 33, "Dreg": 3, "ada": 9}
    assert engine.optimisers["G"].param_groups[0]["base"] == pytest.approx(0.0025 * 4 / 5)
    assert engine.optimisers["D"].param_groups[0]["betas"][1] == pytest.approx(0.99 ** (16 / 17))


def test_the_average_ramps_up_in_ours_and_not_in_the_study():
    ours, study = (StyleGAN2ADA(CONFIGS[n].tiny()).ema for n in ("gamma01", "E4"))
    assert (ours.kimg, ours.rampup) == (10, 0.05) and (study.kimg, study.rampup) == (10, inf)
    engine = Engine(tiny("E4"))
    before = engine.shadow["G"].const.clone()
    engine.tick(batch_of())
    weight = 1 - 0.5 ** (4 / 10_000)
    expected = torch.lerp(before, engine.model.G.const.detach(), weight)
    torch.testing.assert_close(engine.shadow["G"].const, expected)


def test_truncation_pulls_latents_to_their_mean():
    model = tiny().eval()
    model.G.w_mean.normal_()
    mean = model.G(model.G.w_mean.expand(1, model.G.layers, -1), model.G.grain[None]).clamp(-1, 1)

    def images(psi):
        return model.generate(batch_of(), psi, noise="constant")

    torch.testing.assert_close(images(0.0), mean.expand(4, -1, -1, -1))
    assert images(0.5).var(0).mean() < images(1.0).var(0).mean()


def test_constant_noise_repeats_and_random_noise_does_not():
    model = tiny()
    for name, p in model.G.named_parameters():
        if name.endswith("strength"):
            p.data.fill_(1.0)
    z = torch.zeros(2, 1, 32, 32)
    first, second = (model.generate(Batch({"image": z}, 2, rng=seeded(s)), 0.0, "constant") for s in (1, 2))
    assert torch.equal(first, second)
    first, second = (model.generate(batch_of(2, seed), 0.0) for seed in (1, 2))
    assert not torch.equal(first, second)


def test_mixing_takes_a_second_latent_from_some_layer_on():
    model = tiny(mixing=0.5)
    ws = model.latents(batch_of(400))
    first = (ws == ws[:, :1]).all(2)
    borders = first.sum(1)
    assert (first[:, 0]).all() and all(row[: int(n)].all() for row, n in zip(first, borders))
    assert set(borders.tolist()) == set(range(1, model.G.layers + 1))
    assert (borders < model.G.layers).float().mean().item() == pytest.approx(0.5, abs=0.1)
    plain = tiny(mixing=0.0).latents(batch_of())
    assert (plain == plain[:, :1]).all()


def test_a_class_can_be_asked_for_or_is_drawn_by_its_share():
    model = tiny("phase", classes=3)
    labels = torch.tensor([2, 2, 2, 0])
    assert model.inputs == ("image", "label") and tiny().inputs == ("image",)
    assert torch.equal(model.some_label(batch_of(label=labels)), labels)
    model.G.class_share.copy_(torch.tensor([0.1, 0.0, 0.9]))
    drawn = model.some_label(batch_of(2000)).bincount(minlength=3) / 2000
    assert drawn[1] == 0 and drawn[0].item() == pytest.approx(0.1, abs=0.03)


def test_a_conditional_model_learns_how_common_its_classes_are():
    engine = Engine(tiny("phase", classes=3))
    moved = {n: p.detach().clone() for n, p in engine.model.named_parameters()}
    for _ in range(4):
        engine.tick(batch_of(label=torch.tensor([0, 0, 2, 2])))
    share = engine.model.G.class_share
    assert share[1] < share[0] == share[2] and share.sum().item() == pytest.approx(1)
    assert [n for n, p in engine.model.named_parameters() if torch.equal(p, moved[n])] == []


def test_pairs_are_judged_with_both_penalties():
    model = tiny("r3", gamma=2.0)
    one, two = model.steepness(batch_of()["image"], batch_of()), model.flatten(batch_of())[0]
    fake = model.steepness(model.fake(batch_of())[0], batch_of())
    torch.testing.assert_close(two, 2.0 * (one + fake))
