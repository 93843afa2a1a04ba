"""The table of TEST rows."""

import pandas as pd
import pytest

from echogan.report import held_out, html
from echogan.report.html import run_page
from echogan.report.runs import read_run
from tests.report.conftest import slim, write_run


@pytest.fixture
def runs(tmp_path):
    folders = [write_run(tmp_path, "wgan", name, seed=k, final=20) for k, name in enumerate(("gp", "r1", "lp"))]
    folders = [slim(folder, ("KID",)) for folder in folders]
    for folder, kid in zip(folders[:2], (0.2, 0.1)):
        path = folder / "metrics_csv/metrics.csv"
        table = pd.read_csv(path)
        row = table.iloc[[-1]].assign(split="TEST", KID=kid, KID_error=0.01, floor_KID=0.002, n_real=787, n_fake=787)
        pd.concat([table, row]).to_csv(path, index=False)
    return [read_run(folder) for folder in folders]


def test_one_line_per_judged_run_best_first_and_the_floor_last(runs):
    table = held_out.table(runs)
    assert list(table.index) == ["r1", "gp", "real vs real"]
    assert table.loc["r1", "KID"] == "0.1 ± 0.02" and table.loc["real vs real", "KID"] == "0.002"


def test_a_run_without_a_kid_comes_after_those_that_have_one(runs):
    without, judged = runs[0], runs[1]
    without.metrics["KID"] = float("nan")
    for order in ([without, judged], [judged, without]):
        assert list(held_out.table(order).index) == ["r1", "gp", "real vs real"]


def test_the_caption_names_split_counts_and_encoder(runs):
    for run in runs:
        run.metrics["size"] = 64.0
    words = held_out.caption(runs)
    assert "synthetic phantom (simulated, not echocardiograms), TEST, 787 images from noise against 787 real" in words
    assert "real, 64 px; encoder Inception-2015; hardware 2 x CPU; " in words
    runs[0].metrics["hardware"] = "a GPU"
    assert "hardware 2 x CPU, a GPU; " in held_out.caption(runs)


@pytest.mark.parametrize("stage", ["generate", "translate"])
def test_likeness_is_of_true_pairs_alone_and_lpips_of_random_ones_has_a_name_of_its_own(runs, stage):
    runs = runs[:2]
    for run, paired in zip(runs, ("reconstruction", "diversity")):
        run.metrics = run.metrics.assign(
            stage=stage, paired=paired, SSIM=0.3, LPIPS=0.2, LPIPS_error=0.01, floor_LPIPS=0.1
        )
    likeness = held_out.table(runs, ("SSIM", "LPIPS"), stage)
    assert likeness.loc["gp", "SSIM"] == "0.3" and likeness.loc["r1", "SSIM"] == likeness.loc["r1", "LPIPS"] == "–"
    shown = held_out.table(runs[1:], stage=stage)
    assert not {"SSIM", "LPIPS"} & set(shown)
    if stage == "generate":
        assert list(shown[held_out.VARIETY]) == ["0.2 ± 0.02", "0.1"]


def test_runs_on_several_data_sets_stand_apart_each_set_with_its_own_floor(runs):
    runs[1].config["data"] = {**runs[1].data, "kind": "HC18", "fingerprint": "feedfacecafe"}
    runs[1].metrics["floor_KID"] = 0.009
    table = held_out.table(runs)
    phantom = f"{runs[0].kind} {runs[0].data['fingerprint'][:8]}"
    told = ["gp, " + phantom, "real vs real, " + phantom, "r1, HC18 feedface", "real vs real, HC18 feedface"]
    assert list(table.index) == told
    assert list(table["KID"]) == ["0.2 ± 0.02", "0.002", "0.1 ± 0.02", "0.009"]
    assert "Trained on 2 different data sets: compare with care" in held_out.caption(runs)
    assert "different data sets" not in held_out.caption(runs[:1])
    assert html._ranking(runs).count("compare with care (r1: other data than the rest)") == 1


def test_without_test_rows_the_table_is_empty(runs):
    assert held_out.table([runs[2]]).empty


def test_the_page_of_a_run_shows_it_and_curves_leave_it_out(runs, monkeypatch):
    monkeypatch.setattr(html, "_figures", lambda pictures: "")
    assert "on TEST" in run_page(runs[1]) and "on TEST" not in run_page(runs[2])
    assert "TEST" not in set(runs[1].curve("KID").rows["split"])


def test_images_made_of_images_have_rows_and_columns_of_their_own(runs):
    made, other = runs[:2]
    made.metrics = made.metrics.assign(stage="translate", paired="reconstruction", SSIM=0.7, JPEG2000_SSIM=0.6)
    assert held_out.stages([made, other]) == ["generate", "translate"]
    table = held_out.table([made, other], stage="translate")
    assert list(table.index) == ["gp", "real vs real"] and list(table.loc["gp", ["SSIM", "JPEG2000_SSIM"]]) == [
        "0.7",
        "0.6",
    ]
    assert list(held_out.table([made, other]).index) == ["r1", "real vs real"]
    assert "787 images made of the held-out ones" in held_out.caption([made], "translate")
    assert "no run was judged on TEST yet" in held_out.caption([made], "generate")
    assert "JPEG2000_SSIM" in run_page(made)


def test_the_caption_says_which_intervals_hold_the_spheres_fixed(runs):
    assert "± 95 % interval over patients; of precision, density and coverage" in held_out.caption(runs)
    assert held_out.caption(runs).endswith("too narrow there")


def test_the_latest_row_is_the_last_of_the_file_and_not_that_of_the_most_images(runs):
    path = runs[0].folder / "metrics_csv/metrics.csv"
    table = pd.read_csv(path)
    again = table.iloc[[-1]].assign(kimg=160, KID=0.05)
    pd.concat([table, again]).to_csv(path, index=False)
    run = read_run(runs[0].folder)
    found = held_out.latest(run)
    assert (found["kimg"], found["KID"]) == (160, 0.05) and "line" not in found
    assert (run.metrics["kimg"].diff().dropna() >= 0).all() and "line" not in run.losses
