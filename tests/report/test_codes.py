"""Figures of codes, and that reconstructions are never drawn as if they were made from noise."""

import numpy as np
import pandas as pd
import pytest

from echogan.errors import BadInput
from echogan.report import across, codes, heatmap, lines
from echogan.report.draw import draw
from echogan.report.run import together, waits
from echogan.report.runs import read_run
from tests.report.conftest import slim, write_run


def add_columns(path, **columns):
    table = pd.read_csv(path).assign(**columns)
    table.to_csv(path, index=False)


@pytest.fixture
def experiments(tmp_path):
    """One VQGAN that reconstructs, then generates, and one that only reconstructs, nearer to real images."""
    for k, name in enumerate(("grid16", "VQ1")):
        folder = write_run(tmp_path / "runs", "vqgan", name, seed=k, final=20 - 15 * k, paired="reconstruction")
        slim(folder, ("SWD", "JSD", "SSIM"))
        n = len(pd.read_csv(folder / "metrics_csv/metrics.csv"))
        stage = np.where(np.arange(n) < n // 2, "translate", "translate" if k else "generate")
        metrics = pd.read_csv(folder / "metrics_csv/metrics.csv")
        metrics = metrics.assign(stage=stage, floor_of="TRAIN", encoder_sha256="0f" * 32)
        metrics.loc[metrics.stage == "generate", "SSIM"] = np.nan
        metrics.to_csv(folder / "metrics_csv/metrics.csv", index=False)
        usage = np.linspace(0.2, 0.95, 200)
        usage[150:] = np.nan  # from there the prior learns
        prior = np.where(np.isnan(usage), 5.0, np.nan)
        add_columns(folder / "metrics_csv/losses.csv", usage=usage, perplexity=400 * usage, prior=prior)
    return tmp_path / "runs"


def runs_of(experiments):
    return [read_run(experiments / "vqgan" / name) for name in ("grid16", "VQ1")]


def test_columns_of_words_are_no_problem(experiments):
    assert [run.problems for run in runs_of(experiments)] == [[], []]


def test_the_table_of_codes_tells_their_use_and_whether_the_discriminator_was_ever_fooled(experiments):
    both, only = runs_of(experiments)
    both.config["config"].update(grid=16, codes=1024)
    gap = np.linspace(2.0, 0.5, len(both.losses))
    gap[:20] = np.nan  # before its start
    both.losses = both.losses.assign(real=gap - 1, fake=-1.0)
    table = codes.table([both, only])
    assert list(table.index) == [both.label, only.label] and table.loc[both.label, "bits"] == 16 * 16 * 10
    np.testing.assert_allclose(table["in use"], both.losses["usage"].dropna().iloc[-1])
    np.testing.assert_allclose(table.loc[both.label, "real - fake"], 0.5)
    np.testing.assert_allclose(table.loc[only.label, "real - fake"], (only.losses["real"] - only.losses["fake"]).min())


def test_distances_are_those_of_images_from_noise_and_pairs_those_of_reconstructions(experiments):
    both, only = runs_of(experiments)
    assert set(both.curve("SWD").rows["stage"]) == {"generate"} and both.curve("SSIM").stage == "translate"
    assert together([both, only], "SWD")[1] is None and both.curve("SWD").stage == "generate"
    assert all(together([both, only], "SSIM")) and together([only], "SWD")[0].stage == "translate"


def test_who_only_reconstructs_wins_no_comparison_with_who_generates(experiments):
    both, only = runs_of(experiments)
    assert only.curve("SWD").best()["SWD"] < both.curve("SWD").best()["SWD"]
    assert across.best_runs([both, only], "SWD") == [both]
    assert [run.name for run, *_ in lines.drawable([both, only], "SWD")] == ["grid16"]
    names, values, *_ = heatmap.table([both, only])
    assert np.isnan(values[1, names.index("SWD")]) and np.isfinite(values[:, names.index("SSIM")]).all()
    assert "of images made of images" in lines.meaning(only.curve("SWD"))
    assert "made of" not in lines.meaning(only.curve("SWD"), both.curve("SWD"))


def test_what_ends_with_its_stage_has_not_diverged(experiments):
    losses = runs_of(experiments)[0].losses
    assert waits(losses, "usage") and not waits(losses.drop(columns="prior"), "usage")


def test_use_of_the_codebook_is_drawn_with_its_limits(experiments, tmp_path):
    run = runs_of(experiments)[0]
    run.config["config"]["codes"] = 512
    left, right = codes.usage(run).axes
    np.testing.assert_allclose(left.lines[0].get_ydata(), run.losses["usage"].dropna())
    assert right.lines[1].get_ydata()[0] == 512 and "at most 512" in right.get_title(loc="left")
    drawn = draw(experiments, tmp_path / "results", "vqgan", "grid16")
    assert not drawn.problems and any(file.name == "codes_in_use_over_kimg.png" for file in drawn.files)


def test_a_run_without_codes_is_refused(study):
    with pytest.raises(BadInput, match="wgan/W1 has no codes"):
        codes.usage(read_run(study / "wgan/W1"))


def test_a_panel_has_a_row_for_each_name_and_pairs_its_columns():
    images = np.random.default_rng(0).integers(0, 255, (3, 8, 8), np.uint8)
    figure = codes.panel({"original": images, "again": 255 - images}, "title", "caption")
    shown = [np.asarray(ax.images[0].get_array()) for ax in figure.axes]
    assert np.array_equal(shown, [*images, *(255 - images)])
    assert [ax.get_ylabel() for ax in figure.axes[::3]] == ["original", "again"]
    with pytest.raises(BadInput, match="2, 3"):
        codes.panel({"a": images, "b": images[:2]}, "title", "caption")


def test_a_map_shows_each_token_in_the_colour_of_its_code():
    book = np.random.default_rng(0).normal(size=(5, 4))
    tokens = np.random.default_rng(1).integers(0, 5, (2, 3, 3))
    figure = codes.maps(np.zeros((2, 8, 8), np.uint8), tokens, book, "title", "caption")
    shown = np.asarray(figure.axes[2].images[0].get_array())
    np.testing.assert_allclose(shown, codes.of_codes(book)[tokens[0]])


def test_codes_near_to_each_other_look_alike():
    angle = np.linspace(0, 3, 50)
    colours = codes.of_codes(np.stack([angle, np.sin(angle), np.zeros(50)], 1))
    assert np.abs(np.diff(colours[:, 0])).max() < 0.05 and colours.min() == 0 and colours.max() == 1
    assert codes.of_codes(np.array([[0.0], [1.0]])).shape == (2, 3)
