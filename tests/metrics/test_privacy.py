"""Rates, thresholds and scores of copying, against loops and against what they must be when nothing is copied."""

import numpy as np
import pytest
from scipy.stats import binomtest

from echogan.errors import BadInput
from echogan.metrics import copies, privacy
from echogan.metrics.registration import Gallery
from tests.metrics.patients import speckle


@pytest.mark.parametrize(("k", "n"), [(0, 30), (3, 30), (30, 30), (96, 1900)])
def test_the_interval_is_that_of_clopper_and_pearson(k, n):
    share, expected = privacy.Share(k, n), binomtest(k, n).proportion_ci(method="exact")
    assert (share.low, share.high) == pytest.approx((expected.low, expected.high), abs=1e-9)
    assert share.columns("x") == {"x": 100 * k / n, "x_low": 100 * share.low, "x_high": 100 * share.high}


def test_one_frame_of_every_patient_chosen_by_the_seed():
    patients = np.repeat([f"p{i}" for i in range(50)], 4)
    chosen = privacy.one_each(patients, 1)
    assert sorted(patients[chosen]) == sorted(set(patients)) and (np.diff(chosen) > 0).all()
    assert set(chosen % 4) == {0, 1, 2, 3}
    assert (chosen == privacy.one_each(patients, 1)).all() and (chosen != privacy.one_each(patients, 2)).any()


def test_a_fold_of_near_patients_is_judged_by_the_others_alone():
    fold = np.random.default_rng(0).permutation(200) % privacy.FOLDS
    near = np.where(fold == 0, 0, 100) + np.arange(200) / 1000
    assert privacy.false_flags(near).k == 20  # 9 by a threshold that knows them
    assert privacy.false_flags(np.arange(20.0)).k == 1  # nearer than all others; none by its own


def test_patients_on_both_sides_are_listed():
    privacy.refuse_shared(["a", "b"], ["c"])
    with pytest.raises(BadInput, match=r"2 patients are in both .* \(b, c\); split by patient"):
        privacy.refuse_shared(list("abc"), list("bcde"))
    with pytest.raises(BadInput, match="and 2 more"):
        privacy.refuse_shared(list("abcdefg"), list("abcdefg"))


def test_the_threshold_flags_at_most_a_twentieth_of_further_patients():
    distances = np.random.default_rng(0).permutation(np.arange(1, 1901))
    assert privacy.threshold(distances) == 95  # 94 of 1,900 below it, and a further one with probability 95 / 1901
    assert privacy.threshold(np.arange(20)) == 0  # nothing below: with 20 patients only a nearer one than all is a copy
    with pytest.raises(BadInput, match="20 held-out patients or more, got 19"):
        privacy.threshold(np.arange(19))


def test_false_flags_of_fresh_patients_are_a_twentieth_whatever_the_distribution():
    rng, rates = np.random.default_rng(0), []
    for _ in range(400):
        draw = rng.lognormal(size=500)
        rates.append((draw[100:] < privacy.threshold(draw[:100])).mean())
    assert np.mean(rates) == pytest.approx(5 / 101, abs=4 * np.std(rates) / 20)


@pytest.mark.parametrize("n", [20, 200, 1900])
def test_measured_false_flags_never_use_a_patients_own_distance(n):
    distances = np.random.default_rng(1).normal(size=n)
    share = privacy.false_flags(distances)
    assert share.n == n and abs(share.value - 0.05) <= max(0.01, 2 / n)
    # one patient who is nearer than everyone else raises the count by at most itself
    outlier = np.append(distances, distances.min() - 5)
    assert abs(privacy.false_flags(outlier).k - share.k) <= 0.02 * n + 1


def test_authentic_is_farther_than_the_training_frame_from_its_neighbour():
    assert privacy.authentic(np.array([0.1, 0.5, 0.3]), np.array([0.2, 0.4, 0.3])) == privacy.Share(1, 3)


def by_loops(fakes, heldout):
    """Z_U by counting all pairs."""
    u = sum((q > p) + 0.5 * (q == p) for q in fakes for p in heldout)
    n, m = len(heldout), len(fakes)
    return (u - n * m / 2) / np.sqrt(n * m * (n + m + 1) / 12)


def test_the_score_of_copying_counts_pairs_cell_by_cell():
    rng = np.random.default_rng(0)
    fakes, heldout = rng.normal(size=90).round(1), rng.normal(0.3, size=50).round(1)
    assert privacy.data_copying(fakes, heldout) == pytest.approx(by_loops(fakes, heldout))
    cells, others = np.arange(90) % 3, np.repeat([0, 1, 2], (30, 15, 5))
    scores = [by_loops(fakes[cells == c], heldout[others == c]) for c in range(3)]
    assert privacy.data_copying(fakes, heldout, cells, others) == pytest.approx(np.dot(scores, (30, 15, 5)) / 50)
    cells[cells == 2] = 1
    cells[-1] = 2  # a cell of one image says nothing
    scores = [by_loops(fakes[cells == c], heldout[others == c]) for c in range(2)]
    assert privacy.data_copying(fakes, heldout, cells, others) == pytest.approx(np.dot(scores, (30, 15)) / 45)
    assert np.isnan(privacy.data_copying(fakes[:5], heldout))


def test_the_score_is_standard_normal_without_copying_and_negative_with():
    rng = np.random.default_rng(0)
    null = [privacy.data_copying(rng.normal(size=60), rng.normal(size=40)) for _ in range(300)]
    assert np.mean(null) == pytest.approx(0, abs=0.25) and np.std(null) == pytest.approx(1, abs=0.2)
    assert privacy.data_copying(rng.normal(-3, size=60), rng.normal(size=40)) < -5
    assert privacy.data_copying(rng.normal(3, size=60), rng.normal(size=40)) > 5


def test_cells_part_what_looks_different():
    dark, bright = (np.random.default_rng(i).integers(low, low + 40, (30, 16, 16)) for i, low in enumerate((0, 200)))
    training = np.concatenate([dark, bright]).astype(np.uint8)
    (found,) = privacy.cells(training, training, k=2)
    assert len(set(found[:30])) == len(set(found[30:])) == 1 and found[0] != found[-1]


def test_planted_copies_among_new_patients_are_found_and_the_new_patients_are_not():
    training, unseen = speckle(80), speckle(60, seed=1)
    gallery = Gallery.of(training)
    limit = privacy.threshold(gallery.nearest(unseen).distance)
    planted = [copies.planted(training[::4], kind) for kind in copies.KINDS]
    distance = gallery.nearest(np.concatenate([*planted, speckle(60, seed=2)])).distance
    assert (distance[:-60] < limit).all()
    assert (distance[-60:] < limit).mean() < 0.2


@pytest.mark.slow
def test_with_1900_patients_false_flags_are_five_percent_and_changed_copies_are_caught():
    training, patients = speckle(400), 1900
    gallery = Gallery.of(training)
    seen = gallery.nearest(speckle(patients, seed=1)).distance
    limit, measured = privacy.threshold(seen), privacy.false_flags(seen)
    assert measured.value == pytest.approx(0.05, abs=0.01)
    fresh = gallery.nearest(speckle(patients, seed=2)).distance
    assert (fresh < limit).mean() == pytest.approx(0.05, abs=0.02)  # two standard errors of both samples
    for kind in copies.KINDS:
        caught = privacy.Share(int((gallery.nearest(copies.planted(training, kind)).distance < limit).sum()), 400)
        assert caught.low >= (0.99 if kind == "exact" else 0.95), kind
