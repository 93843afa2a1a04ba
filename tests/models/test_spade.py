"""SPADE: what the mask decides and what the noise, weights of rare labels, LabelMix, and the equation of the modulation."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from echogan.contract import Batch
from echogan.engine.loop import Engine
from echogan.errors import BadInput
from echogan.layers.spade import Modulation, Segmenter
from echogan.layers.spectral import SpectralConv
from echogan.losses import feature_matching, labelled, normal_divergence
from echogan.models.spade import CONFIGS, SPADE


def tiny(name="oasis", **changes):
    torch.manual_seed(0)
    return SPADE(replace(CONFIGS[name].tiny(), **changes))


def batch_of(n=4, seed=0, size=32, labels=5):
    draw = torch.Generator().manual_seed(seed)
    image = torch.rand(n, 1, size, size, generator=draw) * 2 - 1
    coarse = torch.randint(labels, (n, 8, 8), generator=draw, dtype=torch.uint8)
    mask = coarse.repeat_interleave(size // 8, 1).repeat_interleave(size // 8, 2)
    return Batch({"image": image, "mask": mask}, n, rng=torch.Generator().manual_seed(seed))


def again(batch, seed):
    batch.rng = torch.Generator().manual_seed(seed)
    return batch


# ------------------------------------------------------------------------------------------------ layers


def test_a_spectral_convolution_has_the_gain_that_singular_values_say_also_at_rest():
    torch.manual_seed(0)
    conv = SpectralConv(3, 5)
    with torch.no_grad():
        conv.weight.mul_(7)
    for _ in range(100):
        conv(torch.zeros(1, 3, 4, 4))
    top = torch.linalg.svdvals(conv.weight.flatten(1))[0]
    assert conv.sigma().item() == pytest.approx(top.item(), rel=1e-4)
    start = conv.eval().u.clone()
    conv(torch.zeros(1, 3, 4, 4))
    conv.u.mul_(-0.5)  # an average of start vectors may be of any length or sign
    assert conv.sigma().item() == pytest.approx(top.item(), rel=1e-4) and torch.equal(conv.u, -0.5 * start)


def test_modulation_is_one_plus_gain_times_x_plus_shift():
    plan = replace(CONFIGS["oasis"], hidden=6)
    layer, x, maps = Modulation(3, plan), torch.randn(2, 3, 8, 8), torch.rand(2, 6, 8, 8)
    both = F.conv2d(maps, layer.both.weight, layer.both.bias, padding=1)
    torch.testing.assert_close(layer(x, maps), (1 + both[:, :3]) * x + both[:, 3:])


def test_a_segmenter_names_every_pixel_and_fake():
    assert Segmenter(64, 5, 4)(torch.zeros(2, 1, 64, 64)).shape == (2, 6, 64, 64)


# ------------------------------------------------------------------------------------------------ losses


def test_labelled_is_the_weighted_cross_entropy_per_pixel():
    scores, ids, weight = torch.randn(2, 3, 4, 4), torch.randint(3, (2, 4, 4)), torch.tensor([0.5, 0.0, 4.0])
    logs = scores.log_softmax(1)
    each = [-weight[ids[b, y, x]] * logs[b, ids[b, y, x], y, x] for b in range(2) for y in range(4) for x in range(4)]
    torch.testing.assert_close(labelled(scores, ids, weight), torch.stack(each).mean())


def test_matching_and_divergence_against_their_formulas():
    a, b = torch.randn(2, 3, 4, 4), torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(feature_matching([[a, a], [b]], [[b, a], [b]]), (a - b).abs().mean() / 2)
    mean, spread = torch.randn(5, 7), torch.rand(5, 7) + 0.1
    known = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, spread), torch.distributions.Normal(0, 1)
    )
    torch.testing.assert_close(normal_divergence(mean, 2 * spread.log()), known.sum(1).mean())


# ------------------------------------------------------------------------------------------------ mask and noise


def test_one_mask_gives_many_images_by_noise_alone():
    for name, many in (("oasis", True), ("smooth", True), ("patches", True), ("still", False), ("S1", False)):
        model, batch = tiny(name), batch_of()
        first, second = (model.translated(again(batch, seed)) for seed in (0, 1))
        assert torch.equal(first, second) != many, name


def test_the_image_follows_the_mask():
    model, batch = tiny("still"), batch_of()
    before = model.translated(batch)
    batch["mask"][:, :8, :8] = (batch["mask"][:, :8, :8] + 1) % 5
    after = model.translated(batch)
    assert (after - before)[:, :, :8, :8].abs().mean() > (after - before)[:, :, 24:, 24:].abs().mean()


def test_a_style_is_that_of_the_real_image_in_training_and_drawn_afterwards():
    model, batch = tiny("style"), batch_of()
    dark = Batch({**batch, "image": -batch["image"]}, 4, rng=torch.Generator())
    images = [model.fake(again(b, 0))[0] for b in (batch, dark)]
    assert not torch.equal(*images)
    assert torch.equal(*(model.translated(again(b, 0)) for b in (batch, dark)))


def test_the_published_row_has_one_image_for_a_mask_and_no_guest():
    c = CONFIGS["S1"]
    assert (c.noise, c.grain, c.critic, c.width, c.critic_width, c.batch, c.resolution) == (
        0, False, "patches", 48, 48, 4, 256,
    )  # fmt: skip
    assert (c.lr, c.critic_lr, c.hold + c.fade) == (1e-4, 4e-4, 48)  # 30 epochs of 1,600 images
    model = SPADE(replace(c.tiny(), hold=32.0, fade=16.0))
    assert [model.rate("G", kimg) for kimg in (0, 32, 40, 48, 90)] == [1, 1, 0.5, 0, 0]


# ------------------------------------------------------------------------------------------------ segments


def test_weights_are_the_inverse_share_of_labels_and_zero_of_an_absent_one():
    model, batch = tiny(), batch_of()
    batch["mask"] = torch.zeros(4, 32, 32, dtype=torch.uint8)
    batch["mask"][:, :8] = 1
    batch["mask"][:, 8:10, :16] = 3
    model.weigh(model.count(batch)[1])
    shares = torch.tensor([1 - 0.25 - 1 / 32, 0.25, 1 / 32])
    torch.testing.assert_close(model.weight[[0, 1, 3]], 1 / (3 * shares))
    assert model.weight[2] == model.weight[4] == 0
    assert torch.isfinite(model.name(batch)[0])
    torch.testing.assert_close(
        (model.weight[[0, 1, 3]] * shares).sum(), torch.tensor(1.0)
    )  # pixels count one on average


def test_unbalanced_pixels_count_alike():
    model = tiny("unbalanced")
    model.weigh(model.count(batch_of())[1])
    assert torch.equal(model.weight, torch.ones(5))


def test_labelmix_takes_whole_structures_from_either_image():
    model, batch = tiny(), batch_of()
    seen = []
    model.D.register_forward_hook(lambda module, given, out: seen.append(given[0]))
    real, fake = torch.ones(4, 1, 32, 32), torch.zeros(4, 1, 32, 32)
    model.inconsistency(batch, (real, torch.zeros(4, 6, 32, 32)), (fake, torch.zeros(4, 6, 32, 32)))
    (mixed,) = seen
    for image, mask in zip(mixed[:, 0], batch["mask"]):
        assert all(len(image[mask == label].unique()) <= 1 for label in range(5))
    assert 0 < mixed.mean() < 1


def test_a_discriminator_that_scores_each_pixel_alone_is_consistent():
    model, batch = tiny(), batch_of()
    model.D = torch.nn.Conv2d(1, 6, 1)
    images = batch["image"], -batch["image"]
    torch.testing.assert_close(
        model.inconsistency(batch, *((x, model.D(x)) for x in images)), torch.tensor(0.0), atol=1e-10, rtol=0
    )


def test_a_few_steps_teach_the_discriminator_its_labels():
    model, batch = tiny(critic_width=4, critic_lr=3e-3, mix=0.0), batch_of()
    batch["image"] = batch["mask"][:, None].float() / 2 - 1  # grey levels tell labels
    engine = Engine(model)
    engine.update(engine.phases["census"], batch)
    losses = [engine.update(engine.phases["D"], batch)["real"].item() for _ in range(40)]
    assert max(losses[-3:]) < 0.8 * losses[0]


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "change, said",
    [({"critic": "patch"}, "patches"), ({"norm": "group"}, "norm"), ({"resolution": 48}, "power of two"),
     ({"style": 0.1, "noise": 0}, "noise=64"), ({"kernel": 4}, "kernel must be odd"),
     ({"critic": "patches", "steps": 0}, "steps must be 1 or more, got 0"),
     ({"critic": "patches", "scales": 0}, "scales must be 1 or more, got 0"),
     ({"critic": "patches", "scales": 6}, "6 scales leave nothing of 32 px")],
)  # fmt: skip
def test_a_setting_that_cannot_be_is_named(change, said):
    with pytest.raises(BadInput, match=said):
        SPADE(replace(CONFIGS["oasis"].tiny(), **change))
