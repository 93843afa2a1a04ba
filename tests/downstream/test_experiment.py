"""Shares of patients, training sets, cells that are run once, and numbers of patients."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from echogan.data.frames import load_frames
from echogan.downstream import experiment as module
from echogan.downstream.experiment import Plan, experiment, judged, training_set
from echogan.downstream.patients import ejection_fractions, scored
from echogan.downstream.segmenter import Config
from echogan.downstream.share import share_of, write_share
from echogan.errors import BadInput
from echogan.metrics.segmentation import dice
from tests.downstream.conftest import SMALL
from tests.downstream.hearts import LABELS, hearts, written

CONFIG = Config(LABELS, **SMALL)
QUICK = {name: value for name, value in SMALL.items() if name != "resolution"}


def patients(frames, split):
    return set(frames.index.loc[frames.index["split"] == split, "patient"])


# ------------------------------------------------------------------------------------------------ patients


def test_ejection_fractions_of_the_drawn_truth():
    frames = hearts(2, 1, 10, size=128)
    table = ejection_fractions(frames.masks, frames)
    truth = frames.index.groupby("patient")["EF"].first()
    assert len(table) == 13 and (table["views"] == "4CH").all()
    assert np.abs(table.set_index("patient")["EF"] - truth).max() < 4  # whole pixels of a narrow cavity


def test_both_views_make_one_biplane_volume_in_mL():
    frames = hearts(2, 1, 1, size=128)
    both = module.FrameSet(
        np.concatenate([frames.images] * 2),
        pd.concat([frames.index, frames.index.assign(view="2CH")], ignore_index=True),
        frames.manifest, np.concatenate([frames.masks] * 2), frames.labels,
    )  # fmt: skip
    one, two = ejection_fractions(frames.masks, frames), ejection_fractions(both.masks, both)
    assert (two["views"] == "2CH+4CH").all()
    pd.testing.assert_frame_equal(
        one.drop(columns="views"), two.drop(columns="views")
    )  # equal planes: a solid of revolution
    both.index["spacing_mm"] = 2.0
    np.testing.assert_allclose(ejection_fractions(both.masks, both)["EDV"], 8 * two["EDV"])


def test_masks_that_show_no_ventricle_have_no_ejection_fraction():
    frames = hearts(1, 1, 3)
    masks = frames.masks.copy()
    masks[-1][masks[-1] == 1] = 2
    table = ejection_fractions(masks, frames)
    assert table["EF"].isna().tolist() == [False] * 4 + [True] and table["EDV"].notna().all()


def test_patients_without_a_pair_are_refused_by_name():
    frames = hearts(1, 1, 1)
    with pytest.raises(BadInput, match="patient p0 has no pair of end diastole and end systole"):
        ejection_fractions(frames.masks[::2], frames.where(frames.index["phase"] == "diastole"))


def test_scores_are_means_over_a_patients_pictures():
    frames = hearts(1, 1, 2)
    masks = frames.masks.copy()
    masks[0][masks[0] == 1] = 2
    table = scored(masks, frames).set_index("patient")
    assert table.loc["p0", "Dice_left_ventricle"] == 0.5 and (table.loc["p1":, "Dice_left_ventricle"] == 1).all()


# ------------------------------------------------------------------------------------------------ shares, training sets


def test_shares_are_nested_and_leave_test_whole():
    frames = hearts(40, 10, 6)
    parts = [share_of(frames, share, 3) for share in (0.05, 0.1, 0.5, 1.0)]
    assert [len(patients(part, "TRAIN")) for part in parts] == [2, 4, 20, 40]
    assert [len(patients(part, "VAL")) for part in parts] == [1, 1, 5, 10]
    for small, large in zip(parts, parts[1:]):
        assert patients(small, "TRAIN") < patients(large, "TRAIN") and patients(small, "TEST") == patients(
            frames, "TEST"
        )
    assert patients(parts[1], "TRAIN") != patients(share_of(frames, 0.1, 4), "TRAIN")
    with pytest.raises(BadInput, match="above 0 and is at most 1"):
        share_of(frames, 10)


def test_a_share_on_disk_is_the_share(tmp_path):
    frames = hearts(10, 2, 2)
    part = write_share(written(frames, tmp_path / "all"), tmp_path / "half", 0.5)
    read, expected = load_frames(tmp_path / "half"), share_of(frames, 0.5)
    assert read.fingerprint() == part.fingerprint() == expected.fingerprint() and read.manifest["share"] == 0.5


def test_real_and_synthetic_are_shown_equally_often():
    real, synthetic = hearts(6, 2, 2), hearts(15, 1, 1, seed=5, name="s")
    both = training_set(real, synthetic, real.split("VAL"), CONFIG)
    train = both.split("TRAIN")
    assert train.index["file"].str.startswith("p").mean() == 0.5 and train.index["file"].nunique() == 12 + 30
    assert both.split("VAL").index["file"].str.startswith("p").all() and patients(both, "TEST") == set()
    alone = training_set(None, synthetic, real.split("VAL"), CONFIG)
    assert alone.split("TRAIN").index["file"].str.startswith("s").all() and len(alone.split("TRAIN")) == 30


def test_a_training_set_is_brought_to_one_resolution():
    real, synthetic = hearts(3, 1, 1, size=64), hearts(3, 1, 1, size=128, name="s")
    real.index["spacing_mm"] = 1.5
    both = training_set(real, synthetic, real.split("VAL"), CONFIG)
    assert both.images.shape == both.masks.shape == (14, 32, 32)
    assert set(np.unique(both.masks)) == set(LABELS.values())
    assert both.index["spacing_mm"].dropna().unique().tolist() == [3.0]


# ------------------------------------------------------------------------------------------------ cells


@pytest.fixture
def plan():
    """Two training sets at two shares, as quick as may be."""
    return Plan({0.5: 1, 1.0: 1}, ("real", "both"), kimg=0.064, resolution=32, device="cpu", config=QUICK)


@pytest.fixture
def synthesize(tmp_path):
    """A stand-in for a generator: other drawn hearts; remembers what was asked for."""
    folder = written(hearts(12, 1, 1, seed=7, name="s"), tmp_path / "synthetic")

    def made(share, seed):
        made.asked.append((share, seed))
        return folder

    made.asked = []
    return made


def test_every_cell_adds_its_patients_once(tmp_path, plan, synthesize, monkeypatch):
    frames, out, heard = hearts(12, 4, 6), tmp_path / "out", []
    table = experiment(frames, synthesize, out, plan, lambda *words: heard.append(words))
    assert len(table) == 4 * 6 and synthesize.asked == [(0.5, 0), (1.0, 0)]
    assert heard[-1] == (4, 4, (1.0, 0, "both"))
    assert set(table["patient"]) == patients(frames, "TEST")
    told = table.groupby(["share", "arm"])[["patients_real", "images_real", "images_synthetic"]].first()
    assert told.loc[(0.5, "both")].tolist() == [6, 12, 24] and told.loc[(1.0, "real")].tolist() == [12, 24, 0]
    assert table["Dice_left_ventricle"].between(0, 1).all() and table["EF_masks"].notna().all()
    left = {path.name for path in (out / "segmenter").glob("*/checkpoints/*")}
    assert left == {"best.safetensors"}
    pd.testing.assert_frame_equal(pd.read_csv(out / "downstream.csv"), table, check_dtype=False)

    monkeypatch.setattr(module, "train_segmenter", None)  # whatever would train again fails
    again = experiment(frames, synthesize, out, plan)
    pd.testing.assert_frame_equal(again, table, check_dtype=False)


def test_a_stopped_experiment_goes_on_with_the_next_cell(tmp_path, plan, synthesize):
    frames, out = hearts(12, 4, 6, name="0"), tmp_path / "out"  # exams of HC18 are numbers with leading zeros

    def stop(done, *_):
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        experiment(frames, synthesize, out, plan, stop)
    assert len(pd.read_csv(out / "downstream.csv")) == 2 * 6
    table = experiment(frames, synthesize, out, plan)
    assert (
        len(table) == 4 * 6
        and set(table["patient"]) == patients(frames, "TEST")
        and synthesize.asked == [(0.5, 0), (1.0, 0)]
    )
    with pytest.raises(BadInput, match=r"was made with kimg 0.064, not 0.128"):
        experiment(frames, synthesize, out, Plan(kimg=0.128, resolution=32))


def test_a_share_with_more_decimals_than_the_numbers_is_done_once(tmp_path, plan, synthesize, monkeypatch):
    frames, odd = hearts(12, 4, 6), replace(plan, seeds={0.46875: 1}, arms=("real",))
    table = experiment(frames, synthesize, tmp_path / "out", odd)
    assert set(pd.read_csv(tmp_path / "out" / "downstream.csv")["share"]) == {0.46875}
    monkeypatch.setattr(module, "train_segmenter", None)  # whatever would train again fails
    assert len(experiment(frames, synthesize, tmp_path / "out", odd)) == len(table) == 6


def test_a_cell_that_was_killed_before_its_rows_were_written_is_judged_again(tmp_path, plan, synthesize, monkeypatch):
    frames, one, written_text = hearts(12, 4, 6), replace(plan, seeds={0.5: 1}, arms=("real",)), module.write_text

    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "write_text", killed)
    with pytest.raises(KeyboardInterrupt):
        experiment(frames, synthesize, tmp_path / "out", one)
    monkeypatch.setattr(module, "write_text", written_text)
    assert len(experiment(frames, synthesize, tmp_path / "out", one)) == 6
    assert {path.name for path in (tmp_path / "out" / "segmenter").glob("*/checkpoints/*")} == {"best.safetensors"}


def test_what_cannot_be_run_is_refused(tmp_path, plan, synthesize):
    with pytest.raises(BadInput, match="no training set is called 'reel'; did you mean 'real'"):
        Plan(arms=("reel",))
    with pytest.raises(BadInput, match="above 0 and is at most 1"):
        Plan({5: 1})
    other = hearts(4, 1, 1)
    other.labels = {**LABELS, "right ventricle": 5}
    with pytest.raises(BadInput, match=r"the labels of .*synthetic are not those of the real frames"):
        experiment(other, synthesize, tmp_path / "out", Plan(arms=("synthetic",), resolution=32))


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"drawn": {"split": "TEST"}}, "fills masks of TEST patients"),
        (
            {"drawn": {"split": "TRAIN"}, "source_fingerprint": "another"},
            "fills masks of other frames than this share's",
        ),
    ],
)
def test_synthetic_images_of_patients_who_judge_are_refused(tmp_path, told, why):
    frames, folder = hearts(12, 4, 6), tmp_path / "synthetic"
    made = hearts(12, 1, 1, seed=7, name="s")
    made.manifest.update(told)
    with pytest.raises(BadInput, match=why):
        experiment(frames, lambda *_: written(made, folder), tmp_path / "out", Plan({1.0: 1}, ("both",), resolution=32))
    made.manifest.update({"drawn": {"split": "TRAIN"}, "source_fingerprint": share_of(frames, 0.5).fingerprint()})
    plan = Plan({0.5: 1}, ("both",), kimg=0.064, resolution=32, device="cpu", config=QUICK)
    table = experiment(frames, lambda *_: written(made, folder), tmp_path / "out", plan)
    assert set(table["synthetic"]) == {made.fingerprint()}
    with pytest.raises(BadInput, match="was made with segmenter"):
        experiment(frames, lambda *_: folder, tmp_path / "out", replace(plan, config={**QUICK, "lr": 0.5}))


def test_frames_without_pairs_are_judged_without_ejection_fractions(segmenter):
    test = hearts(1, 1, 4).split("TEST")
    ends = test.where(test.index["phase"] == "diastole")
    with pytest.raises(BadInput, match="or leave ejection fractions out"):
        judged(segmenter, ends)
    rows = judged(segmenter, ends, ef=False)
    masks = module.segment(segmenter, ends.images)
    assert not any(name.startswith("EF") for name in rows) and (rows["HD95_unit"] == "px").all()
    assert (rows["frame_px"] == 32).all()
    np.testing.assert_allclose(rows["Dice_left_ventricle"], dice(masks == 1, ends.masks == 1))
