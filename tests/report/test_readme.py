"""The tables of results/README.md: who is chosen, what stands beside it, what was not run, what around them is kept."""

import pandas as pd
import pytest

from echogan.errors import BadInput
from echogan.report import readme
from echogan.report.runs import read_run, read_runs
from tests.report.conftest import slim, write_run

LISTED = {"wgan": ("W1", "W2", "gp", "lp", "demo"), "cyclegan": ("C1", "plain")}


def judged(folder, **columns):
    """Append a TEST row to a run, of the weights that VAL chose."""
    path = folder / "metrics_csv/metrics.csv"
    table = pd.read_csv(path)
    columns["kimg"] = read_run(folder).curve("SWD").chosen()["kimg"]
    row = table.iloc[[-1]].assign(split="TEST", n_real=787, n_fake=787, seconds=None, **columns)
    pd.concat([table, row]).to_csv(path, index=False)


@pytest.fixture
def experiments(tmp_path):
    """WGAN W1, gp (two seeds) and demo; VAL says gp, TEST would say W1."""
    root = tmp_path / "experiments"
    finals = {"W1": (40, True, 0.01), "gp": (20, False, 0.2), "gp_seed1": (30, False, 0.3), "demo": (5, False, 0.001)}
    for k, (name, (final, published, kid)) in enumerate(finals.items()):
        folder = slim(write_run(root, "wgan", name, seed=k, final=final, published=published), ("KID", "SWD"))
        judged(folder, KID=kid, KID_error=0.01, floor_KID=0.002, images_per_s=52.0, hardware="1 thread of a test")
    seed = root / "wgan/gp_seed1/config.json"
    seed.write_text(seed.read_text().replace('"seed": 0', '"seed": 1'))
    return root


def rows_of(page, heading):
    """The rows of the first table after a heading, as lists of cells."""
    part = page.partition(heading)[2].split("\n\n")[1]
    return [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in part.splitlines()[2:]]


def test_val_chooses_test_reports_and_the_published_setting_stands_beside_it(experiments):
    page = readme.tables(read_runs(experiments), LISTED)
    best, published = page.splitlines()[4:6]
    assert "WGAN `gp` |" in best and "0.2 ± 0.0196 (0.002)" in best
    assert "WGAN `W1`†" in published and "0.01 ± 0.0196 (0.002)" in published


def test_price_names_speed_machine_memory_and_every_seed(experiments):
    path = experiments / "wgan/gp_seed1/metrics_csv/metrics.csv"  # another seed of one config takes as much
    pd.read_csv(path).assign(peak_MB=[*range(400, 425), None]).to_csv(path, index=False)
    row, published = rows_of(readme.tables(read_runs(experiments), LISTED), "### Price")
    assert published[-2] == "–"
    assert row[-3:] == ["52 (2 seeds) on 1 thread of a test", "424 MB", "0.2, 0.3 (2 of 2)"]
    assert row[1] == "2.00 M" and row[4] == "50 min"


def test_the_audit_of_a_run_is_shown(experiments):
    audit = experiments / "wgan/gp/metrics_csv/audit.csv"
    audit.write_text("kimg,flagged,false_flags\n200,9.5,5.1\n200,1.5,5.0\n")
    assert "| 1.5 % (5.0 %) |" in readme.tables(read_runs(experiments), LISTED)
    audit.rename(experiments / "wgan/gp_seed1/metrics_csv/audit.csv")
    assert "| 1.5 % (5.0 %), `gp_seed1` |" in readme.tables(read_runs(experiments), LISTED)


def test_what_was_not_run_is_listed_and_the_demo_is_no_evidence(experiments):
    page = readme.tables(read_runs(experiments), LISTED)
    assert page.endswith("### Not run\n\n* wgan: W2, lp\n* cyclegan: C1, plain") and "demo" not in page


def test_runs_on_other_data_are_named_and_not_ranked(experiments):
    other = experiments / "wgan/gp/config.json"
    other.write_text(other.read_text().replace("0123456789abcdef", "fedcba9876543210"))
    page = readme.tables(read_runs(experiments), LISTED)
    assert "not ranked: wgan/gp." in page and "WGAN `gp` " not in page


def test_fid_against_all_frames_has_a_table_of_its_own_and_is_no_reading(experiments):
    before = read_run(experiments / "wgan/gp").curve("SWD").value
    path = experiments / "wgan/gp/metrics_csv/metrics.csv"
    table = pd.read_csv(path)
    row = table.iloc[[-1]].assign(split="ALL", n_real=40120, n_fake=50000, FID=9.9, SWD=0.1)
    pd.concat([table, row]).to_csv(path, index=False)
    run = read_run(experiments / "wgan/gp")
    assert (run.curve("SWD").value == before).all()
    page = readme.tables([run], LISTED)
    (found,) = rows_of(page, "### As the published FID was measured")
    assert found[2:4] == ["50,000 against 40,120", "9.9"]
    beneath = page.partition("### As the published FID was measured")[2].split("\n\n")[2]
    assert "± of FID counts images" in beneath  # their files name no patient
    assert "counts images" not in readme.tables([read_run(experiments / "wgan/W1")], LISTED)


def test_drift_is_last_by_best_rolling_median(experiments):
    path = experiments / "wgan/gp/metrics_csv/metrics.csv"
    table = pd.read_csv(path)
    table["SWD"] = [99, 30, 20, 10, 10, 10, *[12] * 18, 12, 1]  # the last row is of TEST
    table.to_csv(path, index=False)
    rows = {row[0]: row for row in rows_of(readme.tables(read_runs(experiments), LISTED), "### Every run")}
    assert rows["wgan/gp ‡"][2:4] == ["SWD 10 · 12 · 12", "1.20"] and rows["wgan/gp ‡"][-1] == "1 ×"


def test_what_stands_around_the_tables_is_kept(experiments, tmp_path):
    runs = read_runs(experiments)
    page = readme.write(runs, tmp_path, LISTED)
    assert page.read_text().startswith("# results/")
    page.write_text("Before.\n" + page.read_text() + "Because.\n")
    text = readme.write(runs[:1], tmp_path, LISTED).read_text()
    assert text.startswith("Before.\n#") and text.endswith("and why\nBecause.\n") and "`gp`" not in text
    page.write_text("no marks")
    with pytest.raises(BadInput, match="lacks the marks"):
        readme.write(runs, tmp_path, LISTED)


def test_without_runs_everything_is_listed_as_not_run():
    page = readme.tables([], LISTED)
    assert "No run yet." in page and "* wgan: W1, W2, gp, lp" in page


def test_a_row_that_test_read_at_other_weights_than_val_chose_is_marked(experiments):
    assert "‡ TEST" not in readme.tables(read_runs(experiments), LISTED)
    path = experiments / "wgan/W1/metrics_csv/metrics.csv"
    table = pd.read_csv(path)
    table.loc[table["split"] == "VAL", "SWD"] = range(10, 35)
    table.to_csv(path, index=False)
    page = readme.tables(read_runs(experiments), LISTED)
    assert "WGAN `W1`† ‡ |" in page and "| wgan/W1† ‡ |" in page and "wgan/gp ‡" not in page
    assert " (8.33)." in page.partition("in place of the bracketed one: wgan/W1 at ")[2].splitlines()[0]


def test_the_list_of_readings_of_test_counts_where_it_is_longer_than_the_rows_kept(experiments):
    listed = experiments / "wgan/gp/metrics_csv/test_reads.csv"
    listed.write_text("time,kimg,stage,weights\n" + "2025-01-01T10:00:00,200,generate,ab12\n" * 3)
    rows = {row[0]: row[-1] for row in rows_of(readme.tables(read_runs(experiments), LISTED), "### Every run")}
    assert rows["wgan/gp"] == "3 ×" and rows["wgan/gp_seed1"] == "1 ×"


def test_speed_is_a_range_over_seeds_of_one_machine(experiments):
    path = experiments / "wgan/gp_seed1/metrics_csv/metrics.csv"
    pd.read_csv(path).replace({"images_per_s": {52.0: 104.0}}).to_csv(path, index=False)
    row, _ = rows_of(readme.tables(read_runs(experiments), LISTED), "### Price")
    assert row[6] == "52–104 (2 seeds) on 1 thread of a test"


def test_the_last_audit_and_the_last_reading_of_all_frames_are_shown_whatever_their_moment(experiments):
    audit = experiments / "wgan/gp/metrics_csv/audit.csv"
    audit.write_text("kimg,flagged,false_flags\n200,9.5,5.1\n160,1.5,5.0\n")
    for kimg, fid in ((200, 9.0), (160, 7.0)):
        judged(experiments / "wgan/gp", FID=fid)
        path = experiments / "wgan/gp/metrics_csv/metrics.csv"
        table = pd.read_csv(path)
        table.loc[table.index[-1], ["split", "kimg"]] = "ALL", kimg
        table.to_csv(path, index=False)
    page = readme.tables(read_runs(experiments), LISTED)
    assert "1.5 % (5.0 %)" in page and "9.5 %" not in page
    ((_, _, _, fid, _),) = rows_of(page, "### As the published FID was measured")
    assert fid == "7"


def test_the_note_says_which_intervals_hold_the_spheres_fixed():
    assert "of precision, density and coverage the spheres around real images are held fixed" in readme.NOTE
