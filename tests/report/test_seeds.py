"""Runs that differ in their seed alone."""

import json

import numpy as np
import pytest

from echogan.errors import BadInput
from echogan.report import lines, seeds, style
from echogan.report.draw import plan
from echogan.report.runs import read_runs
from tests.report.conftest import slim, write_run


def repeat(root, name, seed, final=20, **changes):
    folder = write_run(root, "wgan", name, seed=seed, final=final)
    config = json.loads((folder / "config.json").read_text())
    config["settings"] |= {"seed": seed, **changes}
    (folder / "config.json").write_text(json.dumps(config))
    slim(folder, ("FID", "SWD"))
    return folder


@pytest.fixture
def runs(tmp_path):
    for seed in range(3):
        repeat(tmp_path, f"gp_seed{seed}" if seed else "gp", seed, final=20 + 10 * seed)
    repeat(tmp_path, "r1", 0)
    repeat(tmp_path, "gp_seed7", 7, kimg=210)  # trained longer: no repeat
    return read_runs(tmp_path)


def test_repeats_share_all_but_the_seed_and_the_lowest_stands_for_them(runs):
    assert {run.name for run in seeds.firsts(runs)} == {"gp", "r1", "gp_seed7"}
    assert [[run.name for run in group] for group in seeds.repeated(runs)] == [["gp", "gp_seed1", "gp_seed2"]]


def test_the_figure_shows_the_best_reading_of_every_seed(runs):
    fig = seeds.figure(runs, "FID")
    dots, median = fig.axes[0].lines
    wanted = [run.metrics["FID"].min() for run in seeds.repeated(runs)[0]]
    assert np.allclose(dots.get_xdata(), wanted)
    assert np.allclose(median.get_xdata(), np.median(wanted))


def test_a_config_has_the_colour_of_the_other_figures(runs):
    dots = seeds.figure(runs, "FID").axes[0].lines[0]
    line = lines.figure(seeds.firsts(runs), "FID").axes[0].lines[0]
    assert dots.get_color() == line.get_color()
    renamed = [run for run in runs if run.name == "r1"] + [run for run in runs if run.name != "r1"]
    assert seeds.figure(renamed, "FID").axes[0].lines[0].get_color() == style.looks(2)[1].color


def test_a_seed_that_was_read_on_reconstructions_alone_is_no_dot_beside_images_from_noise(runs):
    for run in runs:
        run.metrics["stage"] = "translate" if run.name == "gp_seed1" else "generate"
    figure = seeds.figure(runs, "FID")
    wanted = [run.metrics["FID"].min() for run in runs if run.name in ("gp", "gp_seed2")]
    assert np.allclose(figure.axes[0].lines[0].get_xdata(), wanted)
    caption = figure.get_supxlabel().replace("\n", " ")
    assert "Left out: gp_seed1, read on images made of images alone" in caption


def test_configs_of_one_seed_have_no_such_figure(runs):
    with pytest.raises(BadInput, match="more than one seed"):
        seeds.figure([run for run in runs if run.name == "r1"], "FID")


def test_the_report_draws_one_line_per_config_and_the_seeds_apart(runs, tmp_path):
    names = {path.name for path, _ in plan(runs, tmp_path)}
    assert "wgan_best_FID_of_every_seed.png" in names
    assert "wgan_gp_losses_over_kimg.png" in names and "wgan_gp_seed1_losses_over_kimg.png" not in names
