"""PatchGAN's field measured by which pixels reach a score; the U-Net's steps, skips and dropout."""

import pytest
import torch

from echogan.layers.patch import PatchCritic, field, normalisation
from echogan.layers.unet import UNet


@pytest.mark.parametrize("steps, pixels", [(1, 16), (2, 34), (3, 70)])
def test_a_score_sees_as_many_pixels_as_the_paper_says(steps, pixels):
    critic = PatchCritic(1, 4, steps, "none")
    x = torch.randn(1, 1, 160, 160, requires_grad=True)
    scores = critic(x)
    middle = scores.shape[-1] // 2
    (gradient,) = torch.autograd.grad(scores[0, 0, middle, middle], x)
    rows = gradient[0, 0].abs().sum(1).nonzero()
    assert int(rows[-1] - rows[0]) + 1 == pixels == field(steps)


def test_every_patch_has_its_score():
    assert PatchCritic(3, 4)(torch.zeros(2, 3, 128, 128)).shape == (2, 1, 14, 14)
    assert PatchCritic(2, 4, 1, "group")(torch.zeros(2, 2, 32, 32)).shape == (2, 1, 14, 14)


def test_groups_hold_two_channels_or_more():
    groups = [normalisation("group", channels).num_groups for channels in (4, 8, 48, 64, 256)]
    assert groups == [2, 4, 8, 32, 32]


@pytest.mark.parametrize("up", ["transposed", "resize"])
@pytest.mark.parametrize("resolution", [32, 64, 128])
def test_the_unet_goes_down_to_one_pixel_and_back(resolution, up):
    net, sizes = UNet(resolution, 3, 2, up=up), []
    for step in net.down:
        step.register_forward_hook(lambda module, args, out: sizes.append(out.shape[-1]))
    with torch.no_grad():
        images = net(torch.randn(2, 3, resolution, resolution))
    assert images.shape == (2, 1, resolution, resolution) and images.abs().max() <= 1
    assert sizes == [resolution >> k for k in range(1, len(sizes) + 1)] and sizes[-1] == 1


def test_the_skips_carry_what_the_bottom_cannot():
    """However many of the steps up are cut, beginning with the innermost, an image depends on its input through the rest."""
    net = UNet(32, 1, 4, norm="none").double()
    x = torch.randn(1, 1, 32, 32, dtype=torch.double, requires_grad=True)
    reached = []
    for step in net.up:
        step.register_forward_hook(lambda module, args, out: out * 0)
        reached.append(bool(torch.autograd.grad(net(x).sum(), x)[0].abs().max() > 0))
    assert reached == [True] * (len(net.up) - 1) + [False]


def test_a_step_up_sees_what_the_encoder_made_of_the_same_size():
    net, down, up = UNet(32, 1, 4, norm="none"), [], []
    for step in net.down:
        step.register_forward_hook(lambda module, args, out: down.append(out))
    for step in net.up[1:]:
        step.register_forward_pre_hook(lambda module, args: up.append(args[0]))
    with torch.no_grad():
        net(torch.randn(1, 1, 32, 32))
    for made, seen in zip(down[-2::-1], up, strict=True):
        assert torch.equal(seen[:, -made.shape[1] :], made.relu())


def test_dropout_follows_from_the_numbers_given():
    net = UNet(32, 1, 4, norm="instance")
    x, chance = torch.randn(2, 1, 32, 32), torch.rand(2, net.draws)
    assert net.draws == sum(c * side**2 for c, side in [(32, 2), (16, 4), (8, 8)])
    assert torch.equal(net(x, chance), net(x, chance))
    assert not torch.allclose(net(x, chance), net(x)) and not torch.allclose(net(x, chance), net(x, 1 - chance))


def test_half_of_the_activations_drop_out_and_the_rest_double():
    net, inputs = UNet(32, 1, 4, norm="none"), []
    net.up[1].register_forward_pre_hook(lambda module, args: inputs.append(args[0][:, : net.drops[0][0]]))
    x = torch.randn(64, 1, 32, 32)
    with torch.no_grad():
        net(x)
        net(x, torch.rand(64, net.draws))
    whole, dropped = inputs
    stay = dropped > 0
    torch.testing.assert_close(dropped[stay], 2 * whole[stay])
    assert stay.sum() / (whole > 0).sum() == pytest.approx(0.5, abs=0.05)
