"""The table of enhancers, on pictures whose truth is known."""

from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest

from echogan.cli import main
from echogan.cli.enhance import _rested
from echogan.config import Settings
from echogan.data.frames import COLUMNS, FrameSet, save_index
from echogan.data.images import write_png
from echogan.enhancement.baselines import METHODS
from echogan.enhancement.judge import Case, case_of, method_of, rate, resting
from echogan.enhancement.measures import gcnr
from echogan.enhancement.supervised import Config, load_supervised, train_supervised
from echogan.enhancement.table import GOAL, MEASURES, legend, named_in, printed, rows_of, winners
from echogan.errors import BadInput
from echogan.sector import ECHONET
from tests.data.studies import ED, ES, beating, ventricle
from tests.enhancement.stand_ins import gain

LABELS = {"outside": 0, "left ventricle": 1, "myocardium": 2, "inside": 4}
Y, X = np.mgrid[:112, :112]


def mask_at(frame):
    """Label ids of `beating` at an instant: the cavity, and a ring of muscle around it."""
    a, b = ventricle(frame)
    r = np.hypot((X - 62) / a, (Y - 50) / b)
    return np.where(r < 1, 1, np.where(r < 1.6, 2, 4)).astype(np.uint8) * ECHONET.mask()


def find_dark(images):
    """A segmenter by hand: the cavity is what is dark around its centre."""
    found = np.zeros_like(images)
    for image, mask in zip(images, found):
        smooth = cv2.medianBlur(image, 5)
        level = smooth[ECHONET.mask()].mean() / 2
        labels = cv2.connectedComponents(((smooth < level) & ECHONET.mask()).astype(np.uint8))[1]
        mask[labels == labels[50, 62]] = 1
    return found


@pytest.fixture(scope="module")
def case():
    """Five patients at end diastole and end systole: the low pictures are darker, noisier and blurred."""
    truth = np.concatenate([beating(20, seed)[[ED, ES]] for seed in range(5)])
    noise = np.random.default_rng(0).normal(0, 12, truth.shape)
    low = np.stack([cv2.GaussianBlur(image, (0, 0), 1.2) for image in truth]) * 0.5 + noise + 10
    low = (np.clip(low, 0, 255) * ECHONET.mask()).astype(np.uint8)
    good = np.concatenate([beating(20, seed)[[ED, ES]] for seed in range(20, 25)])
    masks = np.stack([mask_at(ED), mask_at(ES)] * 5)
    patients, phases = np.repeat(np.arange(5), 2).astype(str), np.array(["diastole", "systole"] * 5)
    return Case(low, truth, good, patients, phases, masks, LABELS, "test", clips=(beating(12) // 2,))


@pytest.fixture(scope="module")
def table(case):
    methods = {name: METHODS[name] for name in ("identity", "median")}
    methods |= {"gain": method_of(gain), "oracle": lambda images, mask: case.truth[: len(images)]}
    return rate(case, methods, segment=find_dark)


def test_the_truth_is_perfect_and_its_method_wins(table):
    row = table[GOAL]
    assert (row["PSNR"].value, row["MAE"].value) == (100, 0) and row["SSIM"].value == pytest.approx(1)
    assert row["Dice"].value > 0.9 and row["EF_error"].value < 6 and "ms" not in row
    best = winners(table)
    assert {best[m] for m in ("PSNR", "SSIM", "MAE", "PSNR_aligned", "edges")} == {"oracle"}


def test_a_gain_wins_brightness_only(table):
    plain, bright = table["identity"], table["gain"]
    assert bright["PSNR"].value > plain["PSNR"].value + 1
    assert bright["PSNR_aligned"].value == pytest.approx(plain["PSNR_aligned"].value, abs=0.3)
    assert bright["gCNR"].value == pytest.approx(plain["gCNR"].value, abs=0.02)
    assert bright["kept_dark"].value == pytest.approx(1.2, abs=0.05)
    assert bright["KS_A"].value > 0.3 > 0.1 > bright["KS_A_aligned"].value
    assert bright["jitter"].value == pytest.approx(1.2, abs=0.02)


def test_identity_changes_nothing(table):
    row = table["identity"]
    assert row["KS_A"].value == row["KS_B"].value == 0 and row["jitter"].value == row["shake"].value == 1
    assert row["kept_bright"].value == row["kept_dark"].value == 1
    assert {winners(table)[name] for name in ("KS_A", "Dice_gain", "kept_dark")}.isdisjoint({"identity"})  # no merit
    assert table["median"]["kept_bright"].value < 1 < table["median"]["gCNR"].value / row["gCNR"].value


def test_errors_count_patients_not_pictures(case, table):
    values = np.array(
        [np.abs(a[case.sector].astype(float) - b[case.sector]).mean() for a, b in zip(case.low, case.truth)]
    )
    of_patient = values.reshape(5, 2).mean(1)
    assert table["identity"]["MAE"].value == pytest.approx(values.mean())
    assert table["identity"]["MAE"].error == pytest.approx(of_patient.std(ddof=1) / np.sqrt(5))


def test_a_table_tells_how_many_pictures_the_measures_of_regions_rest_on(case):
    cut = case.masks.copy()
    cut[[0, 1, 2]] = 0  # the first patient, and one picture of the second, without regions
    cut[4][cut[4] == LABELS["left ventricle"]] = 0
    some = replace(case, masks=cut)
    assert {name: where.tolist().count(True) for name, where in resting(some).items()} == {
        "CNR and gCNR": 6, "KS_A": 7, "KS_B": 6,
    }  # fmt: skip
    assert "which leaves CNR and gCNR on 6 of 10 pictures (4 of 5 patients), KS_A on 7 of 10" in _rested(some)
    assert _rested(replace(case, masks=None)) == ""
    one, other = (np.indices((20, 20)).sum(0) % 2 == parity for parity in (0, 1))
    assert gcnr(np.random.default_rng(0).integers(0, 256, (20, 20)), one, other) > 0.3 and "0.4" in MEASURES["gCNR"][1]


def test_the_table_prints_what_wins_in_bold(table):
    text = printed(table, ("PSNR", "gCNR"))
    lines = text.split("\n")
    assert lines[0] == "| | identity | median | gain | oracle | truth |" and len(lines) == 4
    assert all(line.count("**") == 2 for line in lines[2:]) and "±" in lines[2]
    assert set(named_in(table)) <= MEASURES.keys() and "gCNR: 1 - overlap" in legend(table)
    rows = pd.DataFrame(rows_of(table))
    assert list(rows["method"]) == list(table) and {"PSNR", "PSNR_error"} <= set(rows)


def test_dice_and_ejection_fraction_are_compared_with_those_of_the_input(case, table):
    found = {name: find_dark(pictures) == 1 for name, pictures in (("identity", case.low), ("oracle", case.truth))}
    drawn = case.masks == 1
    overlap = {name: 2 * (m & drawn).sum((1, 2)) / (m.sum((1, 2)) + drawn.sum((1, 2))) for name, m in found.items()}
    gain = (overlap["oracle"] - overlap["identity"]).mean()
    assert gain > 0 and table["oracle"]["Dice_gain"].value == pytest.approx(gain, rel=1e-6)
    assert table["identity"]["Dice_gain"].value == table["identity"]["EF_shift"].value == 0
    shift = table["oracle"]["EF_bias"].value - table["identity"]["EF_bias"].value
    assert table["oracle"]["EF_shift"].value == pytest.approx(shift)


def paired_frames():
    rng = np.random.default_rng(0)
    splits = ["TRAIN"] * 32 + ["VAL"] * 8 + ["TEST"] * 6
    truth = (rng.integers(60, 180, (46, 1, 1)) * ECHONET.resized(32).mask()).astype(np.uint8)
    low = (truth // 2).astype(np.uint8)
    rows = [{"file": f"{i}.png", "patient": f"{i}", "split": s, "domain": "A"} for i, s in enumerate(splits)]
    index = pd.DataFrame(rows).reindex(columns=[*COLUMNS, "domain"])
    return FrameSet(low, index, {"kind": "test"}), truth


def test_the_supervised_rival_learns_pairs_and_is_a_method(tmp_path):
    frames, truth = paired_frames()
    config = Config(width=8, levels=2, resolution=32, batch=8)
    run = train_supervised(
        frames, truth, settings=Settings(kimg=1.6, device="cpu", row_kimg=0.8), config=config, experiments=tmp_path
    )
    assert run.path == tmp_path / "supervised" / "unet"
    enhancer = load_supervised(run.path)
    test, mask = frames.images[40:], ECHONET.resized(32).mask()
    better = method_of(enhancer)(test, mask)
    error, before = (np.abs(x[:, mask].astype(int) - truth[40:][:, mask]).mean() for x in (better, test))
    assert error < 0.5 * before
    assert np.array_equal(better[:, ~mask], test[:, ~mask])


def test_the_truth_must_be_that_of_the_low_rows():
    frames, truth = paired_frames()
    frames.index.loc[43:, "domain"] = "B"
    assert case_of(frames, truth[40:43]).low.shape == (3, 32, 32)
    with pytest.raises(BadInput, match="do not belong to 3 low ones of TEST"):
        case_of(frames, truth)


def test_one_command_prints_the_table(tmp_path, capsys):
    frames, truth = paired_frames()
    frames.index.loc[frames.index.index % 2 == 1, "domain"] = "B"
    for file, image, other in zip(frames.index["file"], frames.images, truth):
        write_png(tmp_path / "f" / "images" / file, image)
        write_png(tmp_path / "f" / "truth" / file, other)
    save_index(tmp_path / "f", frames.index, frames.manifest)
    words = ["rate", str(tmp_path / "f"), "--methods", "median", "fitted gain", "--out", str(tmp_path / "t.csv")]
    assert main([*words, "--encoder", "random", "--device", "cpu"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("| | identity | median | fitted gain | truth |")
    assert "3 low-quality pictures of 3 patients at 32 px" in text and "encoder random" in text
    assert list(pd.read_csv(tmp_path / "t.csv")["method"]) == ["identity", "median", "fitted gain", "truth"]
    assert (tmp_path / "t.md").read_text() == text
    assert main([*words[:2], "--methods", "median", "--size", "16", "--encoder", "random", "--device", "cpu"]) == 0
    assert "3 low-quality pictures of 3 patients at 16 px" in capsys.readouterr().out
    assert main(["rate", str(tmp_path / "f"), "--methods", "medium"]) == 1
    assert "did you mean 'median'" in capsys.readouterr().err
