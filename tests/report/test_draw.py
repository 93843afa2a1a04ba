"""The whole floor at once: files, names, sizes, pages, and what it may import."""

import hashlib
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest
from PIL import Image

from echogan.report import beside, progress, style
from echogan.report.draw import draw, plan
from echogan.report.html import run_page, study_page, write_pages
from echogan.report.runs import read_run, read_runs
from tests.report.conftest import slim


@pytest.fixture(scope="module")
def drawn(small_study, tmp_path_factory):
    results = tmp_path_factory.mktemp("results")
    steps = []
    report = draw(small_study, results, callback=lambda done, total, path: steps.append((done, total)))
    assert steps[-1][0] == steps[-1][1] == len(steps)
    return results, report


def test_names_say_what_they_show_and_where(drawn):
    results, report = drawn
    names = {str(path.relative_to(results)) for path in report.files}
    for name in (
        "wgan/losses/wgan_W1_losses_over_kimg.png",
        "wgan/line_graph/wgan_FID_over_kimg.png",
        "wgan/violin/wgan_FID_readings_by_config.png",
        "wgan/radar/wgan_metrics_at_best_FID.png",
        "wgan/heatmap/wgan_best_reading_of_every_metric.png",
        "wgan/samples/wgan_W1_samples_through_training.gif",
        "wgan/samples/wgan_samples_of_every_config.png",
        "medgan/line_graph/medgan_SWD_over_kimg.png",
        "medgan/heatmap/medgan_best_reading_of_every_metric.png",
        "all_architectures/best_config_of_each_architecture.png",
        "all_architectures/as_published_beside_ours.png",
        "all_architectures/best_reading_against_training_time.png",
    ):
        assert name in names
    assert len([name for name in names if name.startswith("wgan/losses/")]) == 2
    assert not any(name.startswith(("medgan/radar/", "medgan/violin/")) for name in names)  # one run has none beside it


def test_no_two_files_are_the_same(drawn):
    _, report = drawn
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest() for path in report.files]
    assert len(set(hashes)) == len(hashes) == len(set(report.files))


def test_files_keep_to_their_size_and_nothing_half_written_stays(drawn):
    results, report = drawn
    for path in report.files:
        assert path.stat().st_size <= (1_000_000 if path.suffix == ".gif" else 120_000), path
        Image.open(path).verify()
    assert sorted(path for path in results.rglob("*") if path.is_file()) == sorted(report.files)


def test_problems_name_every_fault_of_the_fixture_and_no_other(drawn):
    _, report = drawn
    assert report.problems == [
        "medgan/M1: generated_samples has no grid",
        "wgan/gp10: metrics.csv: the last line is cut off and left out",
        "wgan/gp10: losses.csv: D is not a number after 119.799 kimg",
        "wgan/gp10: losses.csv: G is not a number after 119.799 kimg",
    ]


def test_one_run_is_drawn_into_its_own_folder(run_folder, tmp_path):
    report = draw(run_folder.parents[1], tmp_path / "results", "wgan", "demo")
    folder = tmp_path / "results/wgan/demo"
    assert {path.parent for path in report.files} == {folder} and report.problems == []
    names = {path.name for path in report.files}
    assert {"losses_over_kimg.png", "FID_over_kimg.png", "samples_through_training.png"} <= names


def test_one_config_by_two_codes_is_drawn_beside_each_other_and_counts_once(study, tmp_path):
    root = tmp_path / "experiments"
    for arch in ("stylegan2_ada", "stylegan2_ada_official"):
        run = slim(shutil.copytree(study / "wgan/W1", root / arch / "E4"), ("SWD",))
        losses = pd.read_csv(run / "metrics_csv/losses.csv").rename(columns={"D": "Dmain", "G": "Gmain"})
        losses[losses["kimg"] <= (200 if arch == "stylegan2_ada" else 50)].to_csv(run / "metrics_csv/losses.csv")
    theirs, own = beside.pairs(read_runs(root))[0]
    assert (theirs.arch, own.arch) == ("stylegan2_ada_official", "stylegan2_ada")
    top, other, bottom = beside.figure(theirs, own).axes
    for ax in (top, other, bottom):
        assert len(ax.lines) == 2 and all(line.get_xdata().max() <= 51 for line in ax.lines)
    names = [str(path.relative_to(tmp_path)) for path, _ in plan(read_runs(root), tmp_path)]
    assert "stylegan2_ada_official/beside_ours/stylegan2_ada_official_E4_and_ours_over_kimg.png" in names
    assert not any(name.startswith("all_architectures") for name in names)
    own.config["config"]["lr"] = 0.5
    assert beside.pairs([theirs, own]) == []


def test_equal_runs_give_equal_bytes(run_folder):
    one, two = (style.png(figure.figure(read_run(run_folder))) for figure in (progress, progress))
    assert one == two


def test_a_run_page_stands_alone(small_study):
    run = read_runs(small_study, "wgan", "gp10")[0]
    page = run_page(run)
    sources = re.findall(r'(?:src|href)="([^"]{0,30})', page)
    assert len(sources) > 5 and all(source.startswith("data:image/") for source in sources)
    assert "<script" not in page and "://" not in page and "@import" not in page
    for part in (
        "synthetic phantom",
        "not results on echocardiograms",
        "0123456789abcdef",
        "1,234,567",
        "D is not a number",
    ):
        assert part in page


def test_pages_escape_what_they_quote(run_folder):
    run = read_runs(run_folder.parents[1])[0]
    run.config["config"]["note"] = "<b>&"
    run.metrics, run.losses, run.sheets = run.metrics[:0], run.losses[:0], {}
    page = run_page(run)
    assert "&lt;b&gt;&amp;" in page and "<b>&<" not in page and "No reading yet" in page


def test_the_study_page_ranks_configs_best_first(small_study):
    page = study_page(read_runs(small_study, "wgan"))
    assert page.index("W1†</td>") < page.index("gp10</td>") and 'name="viewport"' in page


def test_pages_of_nothing_are_one_sentence(tmp_path):
    report = write_pages(tmp_path, tmp_path / "results")
    assert report.files == [] and "echogan train" in report.problems[0]


def test_the_report_needs_nothing_that_trains():
    code = "import sys, echogan.report.draw, echogan.report.html; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    for name in (
        "torch",
        "torchvision",
        "matplotlib.pyplot",
        "cv2",
        "echogan.models",
        "echogan.metrics",
    ):
        assert name not in loaded
    engine = {name for name in loaded if name.startswith("echogan.engine.")}
    assert engine == {"echogan.engine.watch"}  # the rule that chooses weights, pure functions of columns
