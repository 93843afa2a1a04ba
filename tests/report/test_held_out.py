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
    words = held_out.caption(runs)
    assert "synthetic phantom, TEST, 787 images from noise against 787 real" in words and "Inception-2015" in words


def test_without_test_rows_the_table_is_empty(runs):
    assert held_out.table([runs[2]]).empty


def test_the_page_of_a_run_shows_it_and_curves_leave_it_out(runs, monkeypatch):
    monkeypatch.setattr(html, "_figures", lambda pictures: "")
    assert "on TEST" in run_page(runs[1]) and "on TEST" not in run_page(runs[2])
    assert "TEST" not in set(runs[1].curve("KID").rows["split"])


def test_images_made_of_images_have_rows_and_columns_of_their_own(runs):
    made, other = runs[:2]
    made.metrics = made.metrics.assign(stage="translate", SSIM=0.7, JPEG2000_SSIM=0.6)
    assert held_out.stages([made, other]) == ["generate", "translate"]
    table = held_out.table([made, other], stage="translate")
    assert list(table.index) == ["gp", "real vs real"] and table.loc["gp", "JPEG2000_SSIM"] == "0.6"
    assert list(held_out.table([made, other]).index) == ["r1", "real vs real"]
    assert "787 images made of the held-out ones" in held_out.caption([made], "translate")
    assert "no run was judged on TEST yet" in held_out.caption([made], "generate")
    assert "JPEG2000_SSIM" in run_page(made)
