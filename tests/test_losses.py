"""Losses against closed forms: on a linear critic D(x) = w.x every slope is |w|."""

import pytest
import torch

from echogan import losses

W = torch.full((1, 1, 3, 3), 2.0 / 3)  # |w| = 2


def critic(x):
    return (x * W).sum((1, 2, 3))


def images(n=5, seed=0):
    return torch.randn(n, 1, 3, 3, generator=torch.Generator().manual_seed(seed))


def test_the_two_sides_of_the_wasserstein_game():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([-1.0, 0.0])
    assert losses.wasserstein_critic(real, fake).item() == pytest.approx(-2.5)
    assert losses.wasserstein_generator(fake).item() == pytest.approx(0.5)


def test_penalties_of_a_linear_critic():
    x = images().requires_grad_()
    slopes = losses.slope(critic(x), x)
    assert slopes.tolist() == pytest.approx([4.0] * 5)
    assert losses.gradient_penalty(slopes).item() == pytest.approx((2 - 1) ** 2)
    assert losses.lipschitz_penalty(slopes).item() == pytest.approx(1.0)
    assert losses.lipschitz_penalty(slopes / 16).item() == 0
    assert losses.gradient_penalty(slopes / 16).item() == pytest.approx(0.25)
    assert losses.zero_centred_penalty(slopes).item() == pytest.approx(2.0)


def test_the_penalty_differentiates_a_second_time():
    w = W.double().clone().requires_grad_()

    def penalty(w):
        x = images().double().requires_grad_()
        return losses.gradient_penalty(losses.slope(((x * w).sum((1, 2, 3))) ** 2, x))

    assert torch.autograd.gradcheck(penalty, (w,))


def test_points_between_lie_on_the_lines():
    real, fake, u = images(seed=1), images(seed=2), torch.rand(5, 1, 1, 1)
    points = losses.between(real, fake, u)
    assert points.requires_grad and torch.allclose((points - fake) / (real - fake), u.expand_as(real), atol=1e-4)


def test_the_hinge_pushes_only_what_lies_within_its_margins():
    real, fake = torch.tensor([2.0, 0.5, -1.0]), torch.tensor([-3.0, 0.0, 1.0])
    assert losses.hinge_discriminator(real, fake).item() == pytest.approx((0 + 0.5 + 2) / 3 + (0 + 1 + 2) / 3)
    assert losses.hinge_generator(fake).item() == pytest.approx(2 / 3)
    real.requires_grad_(), fake.requires_grad_()
    losses.hinge_discriminator(real, fake).backward()
    assert real.grad.tolist() == pytest.approx([0, -1 / 3, -1 / 3])
    assert fake.grad.tolist() == pytest.approx([0, 1 / 3, 1 / 3])


def test_least_squares_are_met_at_one_and_nought():
    real, fake = torch.tensor([1.0, 3.0]), torch.tensor([0.0, 2.0])
    assert losses.least_squares_discriminator(real, fake).item() == pytest.approx(2 + 2)
    assert losses.least_squares_generator(fake).item() == pytest.approx(1)


def test_commitment_moves_the_tokens_and_the_book_its_codes():
    z, e = torch.tensor([1.0, 2.0], requires_grad=True), torch.tensor([0.0, 4.0], requires_grad=True)
    for loss, moved, still in ((losses.commitment, z, e), (losses.codebook, e, z)):
        value = loss(z, e)
        assert value.item() == pytest.approx(2.5)
        (gradient,) = torch.autograd.grad(value, moved)
        torch.testing.assert_close(gradient, (moved - still).detach())
        assert torch.autograd.grad(loss(z, e), still, allow_unused=True) == (None,)


def test_surprise_is_the_cross_entropy_of_pixels_by_operators_that_cuda_has_deterministic():
    scores, ids = torch.randn(2, 5, 7, 6, requires_grad=True), torch.randint(5, (2, 7, 6))
    expected = torch.nn.functional.cross_entropy(scores, ids, reduction="none")
    with torch.profiler.profile() as seen:
        loss = losses.surprise(scores, ids)
        (gradient,) = torch.autograd.grad(loss.square().sum(), scores)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient, torch.autograd.grad(expected.square().sum(), scores)[0])
    assert not [event.key for event in seen.key_averages() if "nll_loss2d" in event.key]


def test_the_adaptive_weight_is_a_quotient_of_lengths_with_bounds():
    pull, push = torch.tensor([[3.0, 4.0]]), torch.tensor([[0.0, 2.0]])
    assert losses.adaptive_weight(pull, push).item() == pytest.approx(5 / 2.0001)
    assert losses.adaptive_weight(pull, 0 * push).item() == pytest.approx(1e4)
    assert losses.adaptive_weight(0 * pull, 0 * push).item() == 0


# ------------------------------------------------------------------------------------------------ of translations


def texture(n=2, size=40, seed=0):
    return torch.rand(n, 1, size, size, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def all_of(x):
    return torch.ones_like(x, dtype=torch.bool)


def test_least_squares_are_zero_where_scores_are_as_wanted():
    ones, zeros = torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3)
    assert losses.least_squares_discriminator(ones, zeros).item() == losses.least_squares_generator(ones).item() == 0
    assert losses.least_squares_discriminator(zeros, 2 * ones).item() == pytest.approx(1 + 4)


def test_dissimilarity_is_one_minus_a_local_correlation():
    from scipy.ndimage import gaussian_filter

    x, y = texture(1), 0.5 * texture(1) + 0.4 * texture(1, seed=1)
    words = dict(sigma=1.5, truncate=8 / 3, mode="mirror")  # a window of 9 pixels
    p, q = (v - gaussian_filter(v, **words) for v in (x[0, 0].numpy(), y[0, 0].numpy()))
    pp, qq, pq = (gaussian_filter(v, **words) for v in (p * p, q * q, p * q))
    expected = 1 - ((pq + 0.0018) / ((pp * qq) ** 0.5 + 0.0018)).mean()
    assert losses.dissimilarity(x, y, all_of(x)).item() == pytest.approx(expected, abs=0.01)
    for other in (x + 0.3, 0.5 * x):  # brighter, flatter
        assert losses.dissimilarity(other, x, all_of(x)).item() == pytest.approx(0, abs=0.01)
    assert losses.dissimilarity(-x, x, all_of(x)).item() > 1.5


@pytest.mark.parametrize("half", [torch.float16, torch.bfloat16])
def test_dissimilarity_has_gradients_in_half_precision_also_where_images_are_dark(half):
    """Where nothing varies fp16 has no number for the product of two variances, and the root of 0 has no slope."""
    x = torch.full((2, 1, 40, 40), -1.0)
    x[..., 10:30, 10:30] = texture(2, 20)
    y = (0.9 * x).requires_grad_()
    exact = torch.autograd.grad(losses.dissimilarity(y, x, all_of(x)), y)[0]
    with torch.autocast("cpu", half):
        loss = losses.dissimilarity(y, x, all_of(x))
    torch.testing.assert_close(torch.autograd.grad(2.0**16 * loss, y)[0] / 2**16, exact)


def test_relighting_sees_a_shadow_but_neither_gain_nor_what_lies_outside():
    x, inside = texture(), torch.zeros(2, 1, 40, 40, dtype=torch.bool)
    inside[..., 5:35, 5:35] = True
    assert losses.relighting(x + 0.2, x, inside).item() == pytest.approx(0, abs=1e-5)
    shadow = x - 0.5 * (torch.arange(40) > 20)
    assert (
        0.15 < losses.relighting(shadow, x, inside).item() < 0.3
    )  # half the pixels 1/4 below, the others above the mean
    assert losses.relighting(torch.where(inside, x, x + 1), x, inside).item() == pytest.approx(0, abs=1e-5)


def test_contrastive_is_the_cross_entropy_of_the_own_place():
    q, k = torch.randn(2, 5, 3), torch.randn(2, 5, 3)
    cosine = torch.nn.functional.cosine_similarity(q[:, :, None], k[:, None], dim=3)
    expected = torch.nn.functional.cross_entropy((cosine / 0.07).flatten(0, 1), torch.arange(5).repeat(2))
    assert losses.contrastive(q, k).item() == pytest.approx(expected.item(), rel=1e-5)
    q.requires_grad_(), k.requires_grad_()
    losses.contrastive(q, k).backward()
    assert q.grad.abs().sum() > 0 and k.grad is None  # the input is the goal, not what is moved
    same = torch.eye(5)[None]
    assert losses.contrastive(same, same).item() < 1e-4 < losses.contrastive(same, same.flip(1)).item()


def test_disagreement_is_the_divergence_of_two_segmentations_inside():
    x, y, inside = torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8), torch.zeros(2, 1, 8, 8, dtype=torch.bool)
    inside[..., :4] = True
    p, q = y.softmax(1)[..., :4], x.softmax(1)[..., :4]
    assert losses.disagreement(x, y, inside).item() == pytest.approx((p * (p / q).log()).sum(1).mean().item(), rel=1e-5)
    assert losses.disagreement(x, x, inside).item() == pytest.approx(0, abs=1e-6)


def test_a_mean_over_nothing_is_zero():
    assert losses.mean_inside(torch.ones(2, 1, 3, 3), torch.zeros(2, 1, 3, 3, dtype=torch.bool)).tolist() == [0, 0]
