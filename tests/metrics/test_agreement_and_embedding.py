"""Bland-Altman, Wilcoxon and the plane of features against formulas and counts by hand."""

import numpy as np
import pytest
import torch
from scipy.stats import wilcoxon

from echogan.errors import BadInput
from echogan.metrics.agreement import bland_altman, paired_p
from echogan.metrics.embedding import principal_plane, told_apart


def test_limits_hold_about_95_percent_of_normal_differences():
    rng = np.random.default_rng(0)
    reference = rng.normal(55, 10, 4000)
    found = bland_altman(reference + rng.normal(2, 3, 4000), reference)
    assert found.n == 4000 and found.bias == pytest.approx(2, abs=0.2)
    assert (found.low, found.high) == pytest.approx((2 - 1.96 * 3, 2 + 1.96 * 3), abs=0.3)


def test_unmeasured_patients_are_left_out_and_counted():
    found = bland_altman([50, np.nan, 60, 58], [51, 50, 58, np.nan])
    assert found.n == 2 and found.bias == 0.5 and found.mae == 1.5
    with pytest.raises(BadInput, match="two pairs or more, got 1"):
        bland_altman([1, np.nan], [2, 3])


def test_p_values_of_pairs():
    a = np.arange(10.0)
    gain = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, -10.0])
    assert paired_p(a + gain, a) == pytest.approx(wilcoxon(gain).pvalue)
    all_better = 2 / 2**8  # of the 2^8 ways to sign eight differences only two are as one-sided
    assert paired_p(a[:8] + gain[:8], a[:8]) == pytest.approx(all_better)
    assert paired_p(a, a) == 1 and np.isnan(paired_p(a[:5] + 1, a[:5]))


def test_the_plane_is_that_of_the_real_features():
    rng = np.random.default_rng(0)
    real = rng.normal(size=(300, 5)) * (10, 3, 1, 0.1, 0.1) + 7
    fake = rng.normal(size=(50, 5)) * (0.1, 0.1, 0.1, 50, 0.1) + 7
    found = principal_plane(real, fake)
    spectrum = np.sort(np.linalg.eigvalsh(np.cov(real.T)))[::-1]
    np.testing.assert_allclose(found.explained, 100 * spectrum[:2] / spectrum.sum())
    np.testing.assert_allclose(np.var(found.real.numpy(), axis=0, ddof=1), spectrum[:2])
    assert np.std(found.fake.numpy(), axis=0).max() < 5  # the fakes' own widest direction is none of the axes


def test_neighbours_are_named_where_the_features_are(monkeypatch):
    """As on a GPU: a tensor of the default device cannot be indexed by one of another."""
    arange = torch.arange
    monkeypatch.setattr(torch, "arange", lambda *words, device, **more: arange(*words, device=device, **more))
    assert told_apart(torch.zeros(4, 2), torch.ones(4, 2)) == 100


def test_clusters_are_told_apart_and_equal_sets_are_not():
    rng = np.random.default_rng(0)
    real, alike = rng.normal(size=(2, 400, 3))
    assert told_apart(real, alike + 20) == 100
    assert 42 < told_apart(real, alike) < 58
    assert told_apart(real, real + 1e-6) == 0  # copies: the nearest neighbour is always the other one
    with pytest.raises(BadInput, match="cannot share a plane"):
        told_apart(real, alike[:, :2])
