"""Metrics of features against closed forms and loops."""

import numpy as np
import pytest
import torch

from echogan.errors import BadInput
from echogan.metrics.frechet import frechet, frechet_infinity
from echogan.metrics.kernel import kernel_distance
from echogan.metrics.manifold import manifold
from echogan.metrics.variety import inception_score, vendi


def normal(n, d=8, seed=0, shift=0.0, scale=1.0):
    return torch.from_numpy(np.random.default_rng(seed).normal(shift, scale, (n, d)))


def correlated(n, seed, mixing):
    return normal(n, len(mixing), seed) @ torch.from_numpy(mixing)


# ------------------------------------------------------------------------------------------------ Frechet


def closed_form(x, y):
    """Dowson and Landau 1982 with numpy's eigenvalues of the product of covariances."""
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = np.sqrt(np.maximum(np.linalg.eigvals(s @ t).real, 0)).sum()
    return ((x.mean(0) - y.mean(0)) ** 2).sum() + np.trace(s) + np.trace(t) - 2 * root


@pytest.mark.parametrize(("n", "m", "d"), [(40, 40, 8), (40, 70, 8), (9, 60, 20), (12, 9, 30)])
def test_frechet_is_its_closed_form_for_more_and_for_fewer_images_than_dimensions(n, m, d):
    x, y = normal(n, d), normal(m, d, seed=1, shift=0.5, scale=2)
    assert frechet(x, y).value == pytest.approx(closed_form(x.numpy(), y.numpy()), rel=1e-6)
    assert frechet(y, x).value == pytest.approx(frechet(x, y).value, rel=1e-9)


def test_frechet_of_two_gaussians_reaches_the_distance_of_their_parameters():
    # covariances diag(1, 4, 9) and diag(4, 4, 1) commute: sum (s - t)^2 + |m|^2
    x = normal(40_000, 3) * torch.tensor([1.0, 2, 3])
    y = normal(40_000, 3, seed=1) * torch.tensor([2.0, 2, 1]) + torch.tensor([0, 3.0, 0])
    estimate = frechet(x, y)
    assert abs(estimate.value - (1 + 0 + 4 + 9)) < 4 * estimate.error < 0.6


@pytest.mark.parametrize(("n", "d"), [(50, 8), (20, 64)])
def test_identical_sets_in_any_order_are_at_distance_zero(n, d):
    x = normal(n, d)
    assert frechet(x, x.flip(0)).value == pytest.approx(0, abs=1e-9)


def test_its_error_is_the_deviation_over_fresh_samples():
    mixing = np.random.default_rng(5).normal(size=(6, 6))
    pairs = [(correlated(300, 2 * i, mixing), correlated(300, 2 * i + 1, np.eye(6)) + 1) for i in range(60)]
    found = [frechet(x, y) for x, y in pairs]
    assert np.mean([f.error for f in found]) == pytest.approx(np.std([f.value for f in found]), rel=0.25)


def test_frames_of_one_patient_count_once_in_the_error():
    x, y = normal(200), normal(100, seed=1, shift=1)
    alone = frechet(normal(200, seed=3), y).error
    four = frechet(normal(200, seed=3), y.repeat(4, 1), groups=np.tile(np.arange(100), 4)).error
    assert four == pytest.approx(alone, rel=0.05)
    assert frechet(x, y.repeat(4, 1)).error < 0.8 * alone
    x, of = normal(200, seed=3), np.tile(np.arange(100), 4)
    assert kernel_distance(x, y.repeat(4, 1), groups=of).error == pytest.approx(kernel_distance(x, y).error, rel=0.1)
    assert kernel_distance(x, y.repeat(4, 1)).error < 0.7 * kernel_distance(x, y).error
    grouped, single = manifold(x, y.repeat(4, 1), of), manifold(x, y.repeat(4, 1))
    assert all(single[name].error < 0.6 * grouped[name].error for name in ("recall", "coverage"))


def test_extrapolation_removes_the_bias_of_small_samples_and_warns_where_it_cannot():
    values = [frechet_infinity(normal(400, 10, i), normal(400, 10, i + 50)) for i in range(8)]
    biased = np.mean([frechet(normal(400, 10, i), normal(400, 10, i + 50)).value for i in range(8)])
    assert abs(np.mean([v for v, _ in values])) < 0.25 * biased
    assert values[0][1] == ""
    assert "fewer than the 500 dimensions" in frechet_infinity(normal(60, 500), normal(60, 500, 1))[1]


# ------------------------------------------------------------------------------------------------ kernel


def test_kernel_distance_is_its_double_loop():
    x, y = normal(9, 5).numpy(), normal(7, 5, seed=1, shift=1).numpy()

    def k(a, b):
        return (a @ b / 5 + 1) ** 3

    within_x = np.mean([k(a, b) for i, a in enumerate(x) for j, b in enumerate(x) if i != j])
    within_y = np.mean([k(a, b) for i, a in enumerate(y) for j, b in enumerate(y) if i != j])
    expected = within_x + within_y - 2 * np.mean([k(a, b) for a in x for b in y])
    assert kernel_distance(x, y).value == pytest.approx(expected, rel=1e-12)


def test_kernel_distance_is_unbiased_and_its_error_is_the_deviation_over_fresh_samples():
    found = [kernel_distance(normal(60, 6, 2 * i), normal(60, 6, 2 * i + 1)) for i in range(60)]
    values = np.array([f.value for f in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(60)
    far = [kernel_distance(normal(80, 6, 2 * i), normal(80, 6, 2 * i + 1, shift=1)) for i in range(60)]
    assert np.mean([f.error for f in far]) == pytest.approx(np.std([f.value for f in far]), rel=0.25)


def test_blocks_do_not_change_the_kernel_distance(monkeypatch):
    x, y = normal(50), normal(41, seed=1)
    whole = kernel_distance(x, y)
    monkeypatch.setattr("echogan.metrics.kernel.BLOCK", 7)
    assert kernel_distance(x, y) == pytest.approx(whole, rel=1e-9)


# ------------------------------------------------------------------------------------------------ neighbours


def loop(x, y, k, kk):
    def nearest(s, count):
        return [np.sort([np.linalg.norm(a - b) for j, b in enumerate(s) if j != i])[count - 1] for i, a in enumerate(s)]

    d = np.array([[np.linalg.norm(a - b) for b in y] for a in x])
    narrow, own, wide = nearest(y, k), nearest(x, k), nearest(y, kk)
    return {
        "precision": np.mean([(row <= narrow).any() for row in d]),
        "recall": np.mean([(column <= own).any() for column in d.T]),
        "density": np.mean([(row <= wide).sum() / kk for row in d]),
        "coverage": np.mean([column.min() <= w for column, w in zip(d.T, wide)]),
    }


def test_precision_recall_density_and_coverage_are_their_loops(monkeypatch):
    monkeypatch.setattr("echogan.metrics.manifold.BLOCK", 16)
    x, y = normal(45, 3, shift=0.7), normal(38, 3, seed=1)
    found = manifold(x, y)
    expected = loop(x.numpy(), y.numpy(), 3, 5)
    assert {name: share.value for name, share in found.items()} == pytest.approx(expected)
    p = found["precision"].value
    assert found["precision"].error == pytest.approx(np.sqrt(p * (1 - p) / 44))


def test_identical_sets_are_precise_and_covered_and_disjoint_sets_are_not():
    x = normal(40)
    same, apart = manifold(x, x), manifold(x, x + 100)
    assert [same[name].value for name in ("precision", "recall", "coverage")] == [1, 1, 1]
    assert [apart[name].value for name in ("precision", "recall", "density", "coverage")] == [0, 0, 0, 0]


def test_a_collapsed_set_is_precise_but_covers_little():
    real = normal(200, seed=1)
    found = manifold(real[:1].repeat(50, 1), real)
    assert found["precision"].value == 1 and found["coverage"].value < 0.2 and found["recall"].value < 0.05


# ------------------------------------------------------------------------------------------------ variety


@pytest.mark.parametrize("n", [3, 12])
def test_vendi_counts_orthogonal_features_and_alike_ones_once(n):
    assert vendi(torch.eye(12)[:n] * 7) == pytest.approx(n)
    assert vendi(torch.eye(12)[:n].repeat(5, 1)) == pytest.approx(n)
    assert vendi(torch.ones(n, 4)) == pytest.approx(1)


def test_vendi_of_two_unequal_kinds_is_the_exponential_of_their_entropy():
    features = torch.cat([torch.eye(2)[:1].repeat(3, 1), torch.eye(2)[1:].repeat(1, 1)])
    assert vendi(features) == pytest.approx(np.exp(-(0.75 * np.log(0.75) + 0.25 * np.log(0.25))))


def test_inception_score_is_one_for_equal_answers_and_the_number_of_classes_for_sure_and_even_ones():
    sure = torch.eye(5).repeat(20, 1) * 100
    assert inception_score(sure, splits=4).value == pytest.approx(5)
    assert inception_score(torch.ones(40, 5), splits=4) == pytest.approx((1, 0), abs=1e-9)
    logits = normal(30, 4)
    p = np.exp(logits.numpy()) / np.exp(logits.numpy()).sum(1, keepdims=True)
    expected = np.exp(np.mean((p * np.log(p / p.mean(0))).sum(1)))
    assert inception_score(logits, splits=1).value == pytest.approx(expected)


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    ("metric", "least"),
    [(frechet, 2), (frechet_infinity, 8), (kernel_distance, 2), (manifold, 7)],
)
def test_too_few_images_and_features_that_are_not_numbers_are_refused(metric, least):
    enough = normal(30)
    with pytest.raises(BadInput, match=f"at least {least} images, got {least - 1}"):
        metric(enough[: least - 1], enough)
    with pytest.raises(BadInput, match="at least"):
        metric(enough, enough[: least - 1])
    broken = enough.clone()
    broken[3, 2] = float("nan")
    for sides in ((broken, enough), (enough, broken)):
        with pytest.raises(BadInput, match="not numbers"):
            metric(*sides)
    with pytest.raises(BadInput, match="one encoder"):
        metric(enough, normal(30, 9))


def test_sets_without_any_variety_are_named():
    with pytest.raises(BadInput, match="real images that differ"):
        manifold(normal(20), torch.ones(20, 8))
    with pytest.raises(BadInput, match="not all 0"):
        vendi(torch.zeros(5, 3))
    with pytest.raises(BadInput, match="at least 20"):
        inception_score(normal(19))
