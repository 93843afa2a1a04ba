"""Standard errors against what fresh samples do."""

import numpy as np
import pytest
import torch

from echogan.metrics.estimate import half_sample_error, halves, influence_error, mean, share


def test_the_error_of_a_mean_is_the_textbooks():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=50))
    assert mean(values) == pytest.approx((float(values.mean()), float(values.std()) / 50**0.5))


def test_repeated_observations_of_one_group_say_no_more_than_one():
    values = torch.from_numpy(np.random.default_rng(0).normal(size=40))
    repeated = mean(values.repeat_interleave(5), groups=np.repeat(np.arange(40), 5))
    assert repeated == pytest.approx(mean(values))


def test_one_group_alone_says_nothing_of_the_error():
    assert np.isnan(influence_error(torch.ones(4), groups=["p"] * 4))
    values, two = torch.arange(20.0), ["p", "q"] * 10
    for groups in ((["p"] * 20, None), (None, ["p"] * 20), (two, ["p"] * 20)):
        assert np.isnan(half_sample_error(lambda a, b: float(a.max() - b.max()), values, values, groups=groups))
    assert half_sample_error(lambda a: float(a.mean()), values, groups=(two,)) > 0


def test_halves_are_halves_and_never_divide_a_group():
    groups = np.repeat(["a", "b", "c", "d"], 3)
    drawn = halves(12, draws=50, groups=groups).view(50, 4, 3)
    assert (drawn.sum(2) % 3 == 0).all() and (drawn.sum((1, 2)) == 6).all()
    assert len({tuple(row.flatten().tolist()) for row in drawn}) == 6  # of 4 groups, any 2


def test_the_error_from_halves_is_that_of_fresh_samples():
    def difference(a, b):
        return float(a.mean() - b.mean())

    rng = np.random.default_rng(1)
    found = [
        half_sample_error(difference, *(torch.from_numpy(rng.normal(size=n)) for n in (60, 90)), draws=60)
        for _ in range(20)
    ]
    assert np.mean(found) == pytest.approx(np.sqrt(1 / 60 + 1 / 90), rel=0.1)
    assert np.isnan(half_sample_error(difference, torch.ones(4), torch.ones(40)))


@pytest.mark.parametrize("p", [0.005, 0.02, 0.5, 0.995])
def test_the_interval_of_a_share_holds_the_truth_even_where_all_agree(p):
    draws = torch.from_numpy(np.random.default_rng(0).random((1000, 100)) < p)
    held = [abs(found.value - p) <= 1.96 * found.error for found in map(share, draws)]
    assert np.mean(held) > 0.93


def test_a_share_of_none_counts_groups_and_is_never_certain():
    none = torch.zeros(40, dtype=torch.bool)
    alone, of_four = share(none), share(none, np.repeat(np.arange(4), 10))
    assert alone.value == 0 and alone.error == pytest.approx((2 / 44 * 42 / 44 / 44) ** 0.5)
    assert of_four.error == pytest.approx((2 / 8 * 6 / 8 / 8) ** 0.5)
    assert share(~none).error == pytest.approx(alone.error)
