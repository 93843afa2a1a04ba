"""Generators of any size, without a checkerboard; the pool against the published loop; what judges see."""

import random

import pytest
import torch

from echogan.layers.judges import PatchJudge, UNetJudge, cutmix, sampled
from echogan.layers.patch import field
from echogan.layers.translation import Pool, Translator
from echogan.precision import mirrored


def noise(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def everywhere(x):
    return torch.ones_like(x, dtype=torch.bool)


# ------------------------------------------------------------------------------------------------ generators


@pytest.mark.parametrize("size", [(8, 8), (37, 50), (112, 112), (61, 24)])
@pytest.mark.parametrize("up", ["resize", "transposed"])
def test_what_comes_out_is_as_large_as_what_goes_in(size, up):
    x = noise(2, 1, *size)
    assert Translator(2, 1, up)(x, everywhere(x)).shape == x.shape


@pytest.mark.parametrize("sides", [(0, 3, 0, 1), (3, 3, 3, 3), (2, 0, 1, 4)])
def test_a_border_is_mirrored_alike_where_gradients_must_be_deterministic(sides):
    x = torch.randn(2, 3, 11, 13, dtype=torch.float64, requires_grad=True)
    usual = torch.nn.functional.pad(x, sides, mode="reflect")
    weight = torch.randn_like(usual)
    (wanted,) = torch.autograd.grad((usual * weight).sum(), x)
    torch.use_deterministic_algorithms(True)
    try:
        mine = mirrored(x, sides)
    finally:
        torch.use_deterministic_algorithms(False)
    (gradient,) = torch.autograd.grad((mine * weight).sum(), x)
    assert torch.equal(mine, usual) and mine.grad_fn.name() == "CatBackward0"
    torch.testing.assert_close(gradient, wanted)


def test_strength_turns_the_change_up_and_down():
    x, net = noise(2, 1, 20, 28), Translator(2, 1)
    change = net(x, everywhere(x)) - x
    assert change.abs().max() > 1e-3
    assert torch.equal(net(x, everywhere(x), 0.0), x)
    torch.testing.assert_close(net(x, everywhere(x), 0.5) - x, change / 2, rtol=1e-4, atol=1e-6)


def test_only_what_is_inside_changes():
    x, net = noise(1, 1, 20, 20), Translator(2, 1)
    inside = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    inside[..., 5:12, 3:15] = True
    assert (
        torch.equal((net(x, inside) != x) & ~inside, torch.zeros_like(inside)) and (net(x, inside) != x)[inside].any()
    )


def peak(net, period, seed=0):
    """Power of the change at `period` pixels across and down, over the mean of the frequencies around it."""
    x = 0.05 * noise(4, 1, 64, 64, seed=seed)
    power = torch.fft.fft2(net.change(x).detach()[:, 0]).abs().square().mean(0)
    at = 64 // period
    ring = [power[0, at + k] + power[at + k, 0] for k in (-3, -2, 2, 3)]
    return ((power[0, at] + power[at, 0]) / torch.stack(ring).mean()).item()


def stepped(net, steps=5):
    """After some steps towards brighter noise, a goal without any pattern of its own."""
    optimiser = torch.optim.Adam(net.parameters(), 1e-3)
    for k in range(steps):
        x = noise(4, 1, 32, 32, seed=k)
        (net.change(x) - 0.5 * x - 0.3).abs().mean().backward()
        optimiser.step()
        optimiser.zero_grad()
    return net


@pytest.mark.parametrize("period", [2, 4])
def test_no_checkerboard_but_where_convolutions_are_transposed(period):
    def of(up, after):
        torch.manual_seed(1)
        nets = [Translator(8, 1, up) for _ in range(4)]
        return sum(peak(stepped(net) if after else net, period) for net in nets) / 4

    for after in (False, True):
        assert of("resize", after) < 2.0, "a bin of noise scatters about 1"
    assert of("transposed", False) > 5.0


# ------------------------------------------------------------------------------------------------ the pool


def published(size, fresh, choose, place):
    """The image buffer of Zhu 2017, one image at a time."""
    kept, shown = [], []
    for k, image in enumerate(fresh):
        if len(kept) < size:
            kept.append(image)
            shown.append(image)
        elif choose[k] < 0.5:
            at = int(place[k] * size)
            shown.append(kept[at])
            kept[at] = image
        else:
            shown.append(image)
    return shown


def test_one_image_at_a_time_it_is_the_published_buffer():
    rng, pool = random.Random(0), Pool(5, 1, 1, 2)
    place, choose = ([rng.random() for _ in range(60)] for _ in range(2))
    shown = []
    for k in range(60):
        pool.turn(torch.full((1, 1, 2, 2), float(k)), torch.tensor([[place[k], choose[k]]]))
        shown.append(int(pool.shown[0, 0, 0, 0]))
    assert shown == published(5, range(60), choose, place)


def test_rows_of_a_batch_never_meet_and_half_of_what_is_shown_is_old():
    pool, old = Pool(50, 4, 1, 1), 0
    for k in range(400):
        fresh = torch.arange(4 * k, 4 * k + 4).view(4, 1, 1, 1).float()
        pool.turn(fresh, torch.rand(4, 2, generator=torch.Generator().manual_seed(k)))
        assert torch.equal(pool.shown.flatten() % 4, torch.arange(4.0))
        assert len(set(pool.images.flatten().tolist())) == 48 or k < 12
        old += (pool.shown != fresh).sum().item()
    assert old / 1600 == pytest.approx(0.5, abs=0.05)


def test_without_places_it_shows_what_is_new():
    pool = Pool(0, 2, 1, 1)
    pool.turn(torch.ones(2, 1, 1, 1), torch.zeros(2, 2))
    assert torch.equal(pool.shown, torch.ones(2, 1, 1, 1))


# ------------------------------------------------------------------------------------------------ judges


@pytest.mark.parametrize("steps, pixels", [(3, 70), (4, 142), (2, 34)])
def test_a_patch_is_as_large_as_its_name_says(steps, pixels):
    assert field(steps) == pixels
    judge = PatchJudge(2, steps)
    for norm in [m for m in judge.modules() if isinstance(m, torch.nn.InstanceNorm2d)]:
        norm.forward = lambda x: x  # statistics of the whole image carry a trace of every pixel
    x = noise(1, 1, 256, 256).requires_grad_()
    scores = judge(x).maps[0]
    middle = scores.shape[2] // 2
    scores[0, 0, middle, middle].backward()
    rows, columns = (x.grad[0, 0].abs().sum(axis).nonzero() for axis in (1, 0))
    assert rows.max() - rows.min() + 1 == columns.max() - columns.min() + 1 == pixels


def test_the_judge_of_the_seed_gives_a_map_of_16_pixels_less_its_borders():
    assert PatchJudge(2, 4)(noise(1, 1, 256, 256)).maps[0].shape == (1, 1, 14, 14)  # 16 with padding as TensorFlow's


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_unet_scores_the_image_and_every_pixel(steps):
    verdict = UNetJudge(4, steps, classes=3)(noise(2, 1, 32, 32))
    assert [m.shape for m in verdict.maps] == [(2, 1, 1, 1), (2, 1, 32, 32)] and verdict.classes.shape == (2, 3)


def test_a_pixel_score_depends_on_its_place():
    x = noise(1, 1, 32, 32).requires_grad_()
    judge = UNetJudge(4, 2)
    judge(x).maps[1][0, 0, 4, 20].backward()
    assert x.grad[0, 0, 4, 20].abs() > 10 * x.grad[0, 0].abs().median()


def test_cutmix_rectangles_have_the_area_they_are_drawn_with():
    masks = cutmix(torch.tensor([[0.25, 0.5, 0.5], [0.01, 0.5, 0.25], [1.0, 0.0, 0.0]]), (40, 40))
    assert masks.mean((1, 2, 3)).tolist() == pytest.approx(
        [0.25, 0.01, 0.25], abs=0.005
    )  # the last is cut at the border
    rows, columns = masks[1, 0].nonzero().float().mean(0).tolist()
    assert (rows, columns) == pytest.approx((9.5, 19.5))


def test_places_are_taken_from_inside_first_and_alike_for_equal_numbers():
    features = torch.arange(64.0).view(1, 1, 8, 8)
    inside = torch.zeros(1, 1, 16, 16, dtype=torch.bool)
    inside[..., :4, :4] = True  # the first 2 x 2 features
    numbers = torch.rand(1, 64, generator=torch.Generator().manual_seed(0))
    four = sampled(features, inside, numbers, 4)
    assert sorted(four.flatten().tolist()) == [0, 1, 8, 9]
    assert torch.equal(sampled(2 * features, inside, numbers, 9), 2 * sampled(features, inside, numbers, 9))
