"""Configs at equal images shown: at which kimg, in which order, who is left out of it, and how figures name the shorter ones."""

import json

import numpy as np
import pandas as pd
import pytest

from echogan.report import across, heatmap, ladder, lines, readme, style, violin
from echogan.report.run import labels
from echogan.report.runs import read_run, read_runs
from tests.report.conftest import slim, write_run

LISTED = {"wgan": ("W1", "gp", "lp")}


def ended(folder, kimg):
    """Cut the readings of a run beyond `kimg`."""
    path = folder / "metrics_csv/metrics.csv"
    table = pd.read_csv(path)
    table[table["kimg"] <= kimg].to_csv(path, index=False)
    return folder


@pytest.fixture
def experiments(tmp_path):
    """WGAN W1, gp under two seeds, and lp that is better than both where it ended, at half of their kimg."""
    for k, (name, final, published) in enumerate(
        [("W1", 40, True), ("gp", 20, False), ("gp_seed1", 30, False), ("lp", 10, False)]
    ):
        slim(write_run(tmp_path, "wgan", name, seed=k, final=final, published=published), ("SWD",))
    seed = tmp_path / "wgan/gp_seed1/config.json"
    seed.write_text(seed.read_text().replace('"seed": 0', '"seed": 1'))
    kimg = read_run(tmp_path / "wgan/lp").metrics["kimg"].to_numpy()
    ended(tmp_path / "wgan/lp", kimg[len(kimg) // 2])
    return tmp_path


def at(run, kimg):
    """The reading of a run's own table at `kimg`."""
    return run.metrics.loc[run.metrics["kimg"] == kimg, "SWD"].item()


def test_configs_are_read_where_all_of_them_were_shown_as_many_images(experiments):
    runs = {run.name: run for run in read_runs(experiments)}
    (((_, made, data), pairs),) = ladder.groups(list(runs.values())).items()
    kimg = ladder.shared([curve for _, curve in pairs])
    assert kimg == runs["lp"].metrics["kimg"].max() < runs["gp"].metrics["kimg"].max()
    rows = {run.listed: values for run, values in ladder.ranked(pairs, kimg)}
    assert rows == {
        "lp": [at(runs["lp"], kimg)],
        "gp": [at(runs["gp"], kimg), at(runs["gp_seed1"], kimg)],
        "W1": [at(runs["W1"], kimg)],
    }
    medians = [np.median(values) for values in rows.values()]
    assert medians == sorted(medians) and made == "from noise" and data == runs["lp"].data["fingerprint"]


def test_one_of_many_that_ended_early_holds_back_no_other(experiments):
    curves = [curve for _, curve in next(iter(ladder.groups(read_runs(experiments)).values()))]
    short = min(curves, key=lambda curve: curve.kimg.max())
    others = [curve for curve in curves if curve is not short]
    assert ladder.shared(others * 3 + [short]) == others[0].kimg.max()  # 1 of 10
    assert ladder.shared(others * 2 + [short]) == short.kimg.max()  # 1 of 7


def test_the_table_says_where_by_what_and_of_how_many_seeds(experiments):
    page = readme.tables(read_runs(experiments), LISTED)
    (line,) = page.partition("### At equal images shown")[2].split("\n\n")[1].splitlines()[2:]
    kimg = read_run(experiments / "wgan/lp").metrics["kimg"].max()
    assert f"| {kimg:g} | SWD, VAL |" in line
    assert "`gp` " in line and " (2)" in line and "`W1`† " in line and "(1)" not in line


def test_a_run_read_in_two_stages_stands_in_both_rows(tmp_path):
    for k, name in enumerate(("grid16", "grid32")):
        path = slim(write_run(tmp_path, "vqgan", name, seed=k), ("SWD",)) / "metrics_csv/metrics.csv"
        table = pd.read_csv(path)
        table["stage"] = np.where(table.index < len(table) // 2, "translate", "generate")
        table.to_csv(path, index=False)
    ends = table.groupby("stage")["kimg"].max()
    rows = {row["made"]: row["at kimg"] for row in ladder.rows(read_runs(tmp_path))}
    assert rows == {"from images": f"{ends['translate']:.3g}", "from noise": f"{ends['generate']:.3g}"}


def test_one_config_alone_has_nothing_beside_it(experiments):
    assert list(ladder.rows(read_runs(experiments, "wgan", "lp"))) == []


def test_figures_name_the_kimg_of_a_run_that_ended_before_the_others(experiments):
    runs = read_runs(experiments)
    kimg = read_run(experiments / "wgan/lp").metrics["kimg"].max()
    assert [*labels(runs).values()] == ["W1†", "gp", "gp_seed1", f"lp · {kimg:.3g} kimg"]
    for figure in (heatmap.figure(runs), violin.strip.figure(runs, "SWD")):
        ticks = [label.get_text() for ax in figure.axes for label in ax.get_yticklabels()]
        assert any(f"lp · {kimg:.3g} kimg" in tick for tick in ticks) and "W1†" in ticks


def test_a_config_on_other_data_is_named_and_is_not_the_best(experiments):
    path = experiments / "wgan/lp/config.json"
    path.write_text(path.read_text().replace("0123456789abcdef", "fedcba9876543210"))
    runs = read_runs(experiments)
    assert [run.name for run in across.best_runs(runs, "SWD")] == ["gp"]
    words = " ".join(heatmap.figure(runs).get_supxlabel().split())
    assert "Trained on 2 different data sets: compare with care (lp: other data than the rest)" in words
    assert "different data" not in heatmap.figure([run for run in runs if run.name != "lp"]).get_supxlabel()


def test_a_config_that_was_asked_for_fewer_images_is_not_the_best_and_one_that_stopped_itself_may_be(experiments):
    assert [run.name for run in across.best_runs(read_runs(experiments), "SWD")] == ["lp"]
    path = experiments / "wgan/lp/config.json"
    record = json.loads(path.read_text())
    record["settings"]["kimg"] *= 0.5
    path.write_text(json.dumps(record))
    assert [run.name for run in across.best_runs(read_runs(experiments), "SWD")] == ["gp"]
    assert [run.name for run in across.best_runs(read_runs(experiments, "wgan", "lp"), "SWD")] == ["lp"]


def test_lines_and_radars_leave_out_what_was_shown_fewer_images_and_say_so(experiments):
    path = experiments / "wgan/lp/config.json"
    record = json.loads(path.read_text())
    record["settings"]["kimg"] *= 0.5
    path.write_text(json.dumps(record))
    runs = read_runs(experiments)
    figure = lines.figure(runs, "SWD")
    assert "Left out: 1 config that was shown fewer images" in " ".join(figure.get_supxlabel().split())
    names = [text.get_text() for text in figure.axes[0].texts]
    assert "gp" in names and "W1†" in names and "lp" not in names
    assert list(style.looks_of(runs))[-1].name == "lp"
    assert "Left out" not in lines.figure([run for run in runs if run.name == "lp"], "SWD").get_supxlabel()
