"""What a trust report must see: hidden messages, painting, erasing, and nothing in an honest enhancer."""

import cv2
import numpy as np
import pytest

from echogan.enhancement import trust as checks
from echogan.enhancement.baselines import METHODS
from echogan.enhancement.lesions import TONES, planted, somewhere, survival
from echogan.enhancement.trust import CALM, Means, suspicion, threshold, trust, worst
from echogan.sector import ECHONET
from tests.data.studies import ED, ES, beating

MASK = ECHONET.mask()


@pytest.fixture(scope="module")
def images():
    return np.concatenate([beating(20, seed)[[ED, ES]] for seed in range(4)]) // 2


def brighter(images):
    return np.where(MASK, np.clip(np.rint(images * 1.2), 0, 255), images).astype(np.uint8)


def median(images):
    return METHODS["median"](images, MASK)


def paints(images):
    """One bright spot in every picture, as if every patient of training had had one."""
    lesion = somewhere(MASK, "bright", np.random.default_rng(0))
    return np.stack([planted(image, lesion) for image in images])


def hides(images):
    """A flat picture that carries its input in a pattern of one grey level."""
    return (100 + (images > 60)).astype(np.uint8)


def finds(images):
    return ((images > 100.5) * 120).astype(np.uint8)


def cavity(images):
    return ((images < 30) & MASK).astype(np.uint8)


def test_no_patient_is_shown_twice_before_all_were():
    scores, who = np.array([9.0, 8, 7, 3, 5]), ["a", "a", "b", "c", "b"]
    assert worst(scores, who).tolist() == [0, 2, 3, 1, 4]
    assert worst(scores).tolist() == [0, 1, 2, 4, 3]


def test_the_identity_is_beyond_doubt(images):
    row = trust(images, MASK, lambda x: x, Means(back=lambda x: x, segment=cavity), [(0, 1), (2, 3)]).row
    assert row["change"] == row["change_outside"] == row["idempotence"] == row["uncertainty"] == row["cycle"] == 0
    assert row["kept_bright"] == row["kept_dark_least"] == row["agreement"] == 1 and row["EF_change_abs"] == 0
    assert row["lost"] == 0


def test_pictures_whose_lesions_fade_are_counted(images):
    """Half of the contrast is gone in every second picture."""

    def forgets(x):
        faded = np.rint(0.5 * images + 0.5 * x).astype(np.uint8)
        return np.where((np.arange(len(x)) % 2 == 0)[:, None, None], faded, x)

    row = trust(images, MASK, forgets).row
    assert row["lost"] == pytest.approx(np.mean(np.arange(len(images)) % 2 == 0))
    assert row["kept_bright_least"] == pytest.approx(0.5, abs=0.05)


def test_a_gain_has_the_numbers_it_must_have(images):
    row = trust(images, MASK, brighter, Means(segment=lambda x: cavity(x * 1.0 / 1.2))).row
    assert row["change"] == pytest.approx(0.2 * images[:, MASK].mean(), rel=0.02)
    assert row["idempotence"] == pytest.approx(1.2, abs=0.05)  # a gain never comes to rest
    assert row["kept_bright"] == pytest.approx(1.2, abs=0.03) and row["uncertainty"] == 0


def test_what_leaves_the_sector_is_seen(images):
    def spills(x):
        y = x.copy()
        y[:, 0, 0] = 255
        return y

    assert trust(images, MASK, spills).row["change_outside"] == 255


def test_a_message_hidden_in_the_last_bit_is_lost_with_the_blur(images):
    patches = np.random.default_rng(0).integers(0, 2, (2, 112, 112)) * 120
    exact, blurred = checks.cycle(patches, hides(patches), finds)
    assert exact.mean() == 0 and blurred.mean() > 10
    _, honest = checks.cycle(images, images, lambda x: x)
    assert honest[:, MASK].mean() < 6  # what the blur itself does


def test_uncertainty_shows_what_depends_on_the_side_and_on_the_weights(images):
    left = np.arange(112) < 56

    def sided(x):
        return np.where(left, np.minimum(x + 20.0, 255), x).astype(np.uint8)

    both = MASK & MASK[:, ::-1]
    spread = checks.uncertainty(images, MASK, sided)
    assert spread[:, both].mean() == pytest.approx(10, abs=0.5) and spread[:, ~both].max() == 0
    alone, beside = (checks.uncertainty(images, MASK, brighter, others).mean() for others in ((), [median]))
    assert beside > alone == 0


def test_prevalence_follows_the_input_or_the_training_set(images):
    def of(enhance, tone, share):
        rows = checks.prevalence_shift(enhance, images, MASK)
        return next(r for r in rows if (r["tone"], r["planted"]) == (tone, share))

    for share in (0.0, 1.0):
        row = of(lambda x: x, "bright", share)
        assert row["input"] == row["enhanced"]
    assert of(lambda x: x, "bright", 1.0)["input"] > 0.6
    erased = of(lambda x: np.where(MASK, 60, 0).astype(np.uint8) + 0 * x, "bright", 1.0)
    assert erased["enhanced"] < 0.3 < 0.6 < erased["input"]
    assert erased["n"] * (erased["input"] - erased["enhanced"]) == pytest.approx(
        erased["only_input"] - erased["only_enhanced"]
    )
    assert erased["only_input"] > 0.3 * erased["n"]


def test_painting_and_erasing_are_flagged_at_a_threshold_of_other_methods_and_patients():
    """Threshold from one half of patients and methods; judged on the other half."""
    known, new = (np.concatenate([beating(20, s)[[ED]] for s in some]) for some in (range(12), range(12, 24)))
    honest = [suspicion(a, b, MASK) for f in CALM for a, b in zip(known, METHODS[f](known, MASK))]
    limit, rng = threshold(honest), np.random.default_rng(0)
    better = METHODS["NL-means"](new, MASK)
    assert np.mean([suspicion(a, b, MASK) > limit for a, b in zip(new, better)]) <= 0.1
    for tone in TONES:
        spots = [somewhere(MASK, tone, rng, image) for image in new]
        painted = [suspicion(a, planted(b, s), MASK) for a, b, s in zip(new, better, spots)]
        erased = [suspicion(planted(a, s), b, MASK) for a, b, s in zip(new, better, spots)]
        assert np.mean(np.array(painted + erased) > limit) >= 0.95
    row = trust(new[:4], MASK, paints, Means(limit=limit)).row
    assert row["flagged"] == 1 and row["suspicion_limit"] == limit


def test_what_a_gain_does_to_a_lesion_of_the_input_is_not_suspicious_but_its_loss_is(images):
    """A spot that becomes as much stronger as everything else was not painted; one that alone stays weak was erased."""
    lesion = somewhere(MASK, "dark", np.random.default_rng(0), images[0])
    ill, healthy = planted(images[0], lesion), images[0]
    (louder_ill, louder) = brighter(np.stack([ill, healthy]))
    assert suspicion(ill, louder_ill, MASK) < 5 < 10 < suspicion(ill, louder, MASK)


def test_the_filters_that_a_limit_comes_from_keep_small_lesions_and_a_median_does_not(images):
    small, mask = (
        np.stack([cv2.resize(image, (56, 56), interpolation=cv2.INTER_AREA) for image in images]),
        ECHONET.resized(56).mask(),
    )
    kept = {name: survival(lambda x, name=name: METHODS[name](x, mask), small, mask) for name in (*CALM, "median")}
    for tone in TONES:
        shares = {name: np.mean(kept[name][tone]) for name in kept}
        assert shares.pop("median") < 0.5 < 0.7 < min(shares.values())


def test_dark_lesions_are_planted_in_tissue_and_bright_ones_in_chambers(images):
    rng = np.random.default_rng(0)
    for image in images:
        local = cv2.GaussianBlur(image.astype(np.float32), (0, 0), 4)
        third, half = np.percentile(local[MASK], (60, 60))
        dark, bright = (somewhere(MASK, tone, rng, image) for tone in ("dark", "bright"))
        assert local[round(dark.y), round(dark.x)] >= third and local[round(bright.y), round(bright.x)] <= half
