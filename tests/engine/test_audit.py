"""The audit as a whole: copies among new images are counted, real patients who were never seen are not."""

import numpy as np
import pandas as pd
import pytest

from echogan.data.frames import COLUMNS, FrameSet
from echogan.engine import audit as module
from echogan.engine.audit import audit
from echogan.errors import BadInput
from echogan.metrics.copies import planted
from tests.metrics.patients import patients_of, speckle


def frames_of(images, split, name):
    rows = [
        {"file": f"{name}{i}.png", "video": f"{name}{i}", "patient": who, "split": split, "frame": i}
        for i, who in enumerate(f"{name}_{p}" for p in images[1])
    ]
    return FrameSet(images[0], pd.DataFrame(rows, columns=list(COLUMNS)), {"kind": "test speckle"})


def joined(*sets):
    index = pd.concat([s.index for s in sets], ignore_index=True)
    return FrameSet(np.concatenate([s.images for s in sets]), index, sets[0].manifest)


@pytest.fixture(scope="module")
def frames():
    """40 TRAIN patients and 30 each of VAL and TEST, two frames a patient."""
    sets = (("TRAIN", 40, 0), ("VAL", 30, 1), ("TEST", 30, 2))
    return joined(*(frames_of(patients_of(speckle(n, seed=seed), 2), split, split) for split, n, seed in sets))


@pytest.fixture(scope="module")
def found(frames):
    """30 new images and 10 changed copies, audited; with what progress told."""
    told = []
    fakes = np.concatenate([speckle(30, seed=5), planted(frames.images[:20:2], "changed")])
    return audit(fakes, frames, callback=lambda done, total: told.append((done, total))), fakes, told


def test_copies_are_counted_and_their_originals_shown(found, frames):
    answer, fakes, _ = found
    row = answer.row
    assert (row["n_fake"], row["n_training"], row["training_patients"], row["heldout_patients"]) == (40, 80, 40, 60)
    assert 25 <= row["flagged"] <= 35 and row["flagged_low"] < 25 < row["flagged_high"]
    assert (answer.fakes[30:] < answer.threshold).all()
    assert [p.training[1] for p in answer.worst] == sorted(answer.fakes)[: module.WORST]
    for pair in answer.worst:
        copied = next(i for i in range(30, 40) if (fakes[i] == pair.fake).all())
        assert (pair.training[0] == frames.images[2 * (copied - 30)]).all()
        assert pair.training[1] < answer.threshold < pair.heldout[1]


def test_every_number_stands_beside_what_real_images_reach(found):
    row = found[0].row
    assert row["false_flags_low"] < 5 < row["false_flags_high"] and row["false_flags"] <= 10
    assert row["AuthPct"] < row["floor_AuthPct"] and row["AuthPct"] <= 75
    assert row["C_T"] < -1 and row["distance_ratio"] == pytest.approx(1, abs=0.1)
    assert all(row[f"caught_{kind}"] == 100 for kind in ("exact", "cropped", "turned", "regraded", "changed"))


def test_progress_never_passes_its_end(found):
    told = found[2]
    assert [done for done, _ in told] == sorted(done for done, _ in told)
    assert all(done <= total for done, total in told)


def test_fakes_of_another_size_are_judged_all_the_same(frames, monkeypatch):
    monkeypatch.setattr(module, "PLANTED", 2)
    small = planted(frames.images[:40:2], "turned").reshape(20, 32, 2, 32, 2).mean((2, 4)).astype(np.uint8)
    assert audit(small, frames).row["flagged"] == 100


def test_who_is_on_both_sides_is_named(frames):
    leak = joined(frames, frames_of((frames.images[:1], np.array(["p0"])), "VAL", "TRAIN"))
    with pytest.raises(BadInput, match=r"1 patient is in both .* \(TRAIN_p0\)"):
        audit(speckle(20), leak)


def test_what_cannot_be_audited_is_refused(frames):
    train_only = frames.where(frames.index["split"] == "TRAIN")
    few = frames.where(np.arange(len(frames)) < 2 * 40 + 2 * 15)
    for fakes, training, words in (
        (speckle(19), frames, "20 images or more, got 19"),
        (speckle(20)[:, :, :40], frames, "40 x 64 pixels; make them square"),
        (np.full((20, 64, 64), 9, np.uint8), frames, "are flat"),
        (speckle(20), train_only, "no VAL and no TEST patients"),
        (speckle(20), few, "20 held-out patients or more, got 15"),
    ):
        with pytest.raises(BadInput, match=words):
            audit(fakes, training)
