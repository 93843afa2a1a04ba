"""Folders in every state that a run may leave them in: what is whole is read, what is missing is named."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echogan.errors import BadInput
from echogan.report import progress
from echogan.report.draw import draw
from echogan.report.html import write_pages
from echogan.report.runs import read_run, read_runs
from tests.report.conftest import write_run


def metrics_csv(folder):
    return folder / "metrics_csv/metrics.csv"


def test_a_healthy_run_is_read_whole_without_problems(run_folder):
    run = read_run(run_folder)
    assert (run.arch, run.name, run.kind, run.resolution) == ("wgan", "demo", "synthetic phantom", 64)
    assert run.problems == []
    assert len(run.losses) == 200 and run.loss_names == ["D", "G", "penalty", "real", "fake"]
    assert list(run.sheets) == [0, 3, 30, 200]


def test_a_run_that_was_moved_keeps_its_architecture(run_folder, tmp_path):
    moved = shutil.copytree(run_folder, tmp_path / "Downloads/demo_ab12")
    assert (read_run(moved).arch, read_run(moved).title) == ("wgan", "WGAN demo_ab12")
    (moved / "config.json").write_text("{}")
    assert read_run(moved).arch == "Downloads"


@pytest.fixture
def segmenter(run_folder):
    """A segmenter's run beside that of an architecture: its readings are overlaps, its sheet 12 pictures in 3 columns each."""
    folder = write_run(run_folder.parents[1], "segmenter", "unet")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "chosen_by": "error"}))
    table = pd.read_csv(metrics_csv(folder))[["kimg", "epoch", "seconds", "split", "n_real"]]
    table.assign(n_fake=None, error=0.1, Dice_left_ventricle=0.9, variety=1.0).to_csv(metrics_csv(folder), index=False)
    cells = np.kron(np.tile([[10, 20, 30]], (6, 2)), np.ones((64, 64))).astype(np.uint8)
    for sheet in (folder / "generated_samples").glob("*.png"):
        Image.fromarray(cells).save(sheet)
    return folder


def test_a_segmenter_is_no_architecture_beside_the_others(segmenter):
    experiments = segmenter.parents[1]
    write_run(experiments, "newcomer", "first")  # an architecture of one's own is
    runs = read_runs(experiments)
    assert [run.arch for run in runs] == ["newcomer", "wgan"] and not any(run.problems for run in runs)


@pytest.mark.parametrize("drawn_by", [draw, write_pages])
def test_a_segmenter_that_is_asked_for_is_drawn_without_complaint(segmenter, tmp_path, drawn_by):
    drawn = drawn_by(segmenter.parents[1], tmp_path / "results", "segmenter", "unet")
    assert drawn.problems == [] and {path.parent for path in drawn.files} == {tmp_path / "results/segmenter/unet"}


def test_the_sheet_of_a_segmenter_is_told_apart(segmenter, tmp_path):
    for folder in (segmenter, shutil.copytree(segmenter, tmp_path / "Downloads/unet_ab12")):
        figure = progress.figure(read_run(folder))
        assert "fixed VAL frames" in figure.get_supxlabel() and "latents" not in figure.get_supxlabel()
        heads = {ax.get_title(): ax.images[0].get_array().max() for ax in figure.axes if ax.get_title()}
        moments = {f"{kimg} kimg": 30 for kimg in (0, 3, 30, 200)}
        assert heads == {"image": 10, "mask": 20, **moments}


def test_values_are_those_of_the_file_to_the_last_digit(run_folder):
    run, raw = read_run(run_folder), pd.read_csv(metrics_csv(run_folder))
    for name in ("FID", "KID", "SWD", "SSIM", "PSNR"):
        np.testing.assert_array_equal(run.curve(name).value, raw[name])


def test_readings_from_before_tables_told_the_stage_stay_in_the_curve(run_folder):
    """As in a run that an older version began."""
    table = pd.read_csv(metrics_csv(run_folder))
    whole = len(read_run(run_folder).curve("SWD").value)
    late = np.arange(len(table)) >= len(table) // 2
    table.assign(stage=np.where(late, "generate", None)).to_csv(metrics_csv(run_folder), index=False)
    assert len(read_run(run_folder).curve("SWD").value) == whole
    table.assign(stage=np.where(late, "generate", "translate")).to_csv(metrics_csv(run_folder), index=False)
    assert len(read_run(run_folder).curve("SWD").value) == late.sum()


def test_the_untrained_network_is_never_the_best(run_folder):
    table = pd.read_csv(metrics_csv(run_folder))
    table.loc[table["kimg"] == 0, ["FID", "SWD"]] = 0.0
    table.to_csv(metrics_csv(run_folder), index=False)
    curve = read_run(run_folder).curve("FID")
    assert curve.best()["kimg"] > 0 and curve.best()["FID"] == table.loc[table["kimg"] > 0, "FID"].min()
    assert curve.best(until=0)["kimg"] == 0


def test_a_generator_that_had_no_turn_yet_counts_as_untrained(run_folder):
    table = pd.read_csv(metrics_csv(run_folder))
    late = table["kimg"].iloc[3]
    losses = pd.DataFrame({"kimg": table["kimg"], "D": 1.0, "G_updates": (table["kimg"] > late).astype(int)})
    losses.to_csv(run_folder / "metrics_csv/losses.csv", index=False)
    table.loc[table["kimg"] <= late, "FID"] = 0.0
    table.to_csv(metrics_csv(run_folder), index=False)
    curve = read_run(run_folder).curve("FID")
    assert curve.best()["kimg"] > late and curve.chosen()["kimg"] > late and curve.best(until=late)["kimg"] <= late


def test_a_row_that_was_kept_from_outside_the_training_ranks_nothing(run_folder):
    """It may be of other images, or of another n."""
    table = pd.read_csv(metrics_csv(run_folder)).assign(variety=1.0)
    before = read_run(run_folder).curve("FID").best()["FID"]
    kept = table.tail(1).assign(FID=0.0, variety=np.nan)
    pd.concat([table, kept]).to_csv(metrics_csv(run_folder), index=False)
    run = read_run(run_folder)
    assert run.curve("FID").best()["FID"] == before and len(run.readings) == len(table) == len(run.metrics) - 1


def test_unknown_columns_are_kept(run_folder):
    table = pd.read_csv(metrics_csv(run_folder)).assign(Vendi=7.25)
    table.to_csv(metrics_csv(run_folder), index=False)
    assert (read_run(run_folder).metrics["Vendi"] == 7.25).all()


def test_configs_come_in_the_order_a_person_counts(study):
    assert [run.name for run in read_runs(study, "wgan")][:3] == ["W1", "W2", "W3"]


@pytest.mark.parametrize("cut", [1, 5, 60])
def test_a_half_written_last_line_is_left_out_and_named(run_folder, cut):
    path = metrics_csv(run_folder)
    path.write_text(path.read_text()[:-cut])
    run = read_run(run_folder)
    assert len(run.metrics) == 24
    assert run.problems == ["wgan/demo: metrics.csv: the last line is cut off and left out"]


def test_a_line_broken_in_the_middle_is_left_out_and_named(run_folder):
    path = metrics_csv(run_folder)
    lines = path.read_text().splitlines()
    lines[5] = lines[5][:20]
    path.write_text("\n".join(lines) + "\n")
    run = read_run(run_folder)
    assert len(run.metrics) == 24 and "1 broken line(s)" in run.problems[0]


def test_missing_columns_are_named_and_the_rest_is_drawn(run_folder, tmp_path):
    pd.read_csv(metrics_csv(run_folder))[["kimg", "SWD"]].to_csv(metrics_csv(run_folder), index=False)
    drawn = draw(run_folder.parents[1], tmp_path / "results", "wgan", "demo")
    assert drawn.problems[0] == "wgan/demo: metrics.csv lacks the column seconds, split, n_real, n_fake"
    assert "SWD_over_kimg.png" in {path.name for path in drawn.files}


def test_without_kimg_the_table_is_empty_and_the_column_named(run_folder):
    pd.read_csv(metrics_csv(run_folder)).drop(columns="kimg").to_csv(metrics_csv(run_folder), index=False)
    run = read_run(run_folder)
    assert run.measured == [] and "lacks the column kimg" in run.problems[0]


@pytest.mark.parametrize("rows", [0, 1])
def test_a_run_that_has_just_started_draws_what_there_is(run_folder, tmp_path, rows):
    for name in ("losses.csv", "metrics.csv"):
        path = run_folder / "metrics_csv" / name
        path.write_text("".join(path.read_text().splitlines(keepends=True)[: rows + 1]))
    drawn = draw(run_folder.parents[1], tmp_path / "results", "wgan", "demo")
    names = {path.name for path in drawn.files}
    assert "samples_through_training.png" in names
    assert ("FID_over_kimg.png" in names) == (rows == 1)
    assert bool(drawn.problems) == (rows == 0)


def test_losses_that_end_as_no_number_are_named_with_the_moment(study):
    run = next(run for run in read_runs(study, "wgan") if run.name == "gp10")
    assert run.problems == [f"wgan/gp10: losses.csv: {name} is not a number after 119.799 kimg" for name in ("D", "G")]


def test_text_among_numbers_and_infinities_count_as_missing(run_folder):
    table = pd.read_csv(metrics_csv(run_folder)).astype({"FID": object})
    table.loc[3, "FID"], table.loc[4, "FID"] = "oops", "inf"
    table.to_csv(metrics_csv(run_folder), index=False)
    run = read_run(run_folder)
    assert np.isnan(run.curve("FID").value[3:5]).all()
    assert "FID has values that are not numbers" in run.problems[0]


@pytest.mark.parametrize("text", ["", "{", "[1]"])
def test_a_broken_config_is_named_and_the_rest_is_read(run_folder, text):
    (run_folder / "config.json").write_text(text)
    run = read_run(run_folder)
    assert len(run.metrics) == 25 and "config.json" in run.problems[0]


def test_no_run_at_all_is_one_sentence(tmp_path):
    drawn = draw(tmp_path, tmp_path / "results")
    assert drawn.files == [] and len(drawn.problems) == 1 and "echogan train" in drawn.problems[0]
    with pytest.raises(BadInput, match="not a folder"):
        read_runs(tmp_path / "nowhere")


def test_a_broken_grid_is_named_and_the_others_are_drawn(run_folder):
    (run_folder / "generated_samples/kimg_000030.png").write_bytes(b"\x89PNG half")
    run = read_run(run_folder)
    assert sum(len(ax.images) for ax in progress.figure(run).axes) == 3 * 7
    assert run.problems == ["wgan/demo: kimg_000030.png is not a readable picture"]


def test_readings_of_val_make_the_curve_and_test_never_mixes_in(run_folder):
    table = pd.read_csv(metrics_csv(run_folder))
    final = table.iloc[[-1]].assign(split="TEST", FID=0.001)
    pd.concat([table, final]).to_csv(metrics_csv(run_folder), index=False)
    curve = read_run(run_folder).curve("FID")
    assert set(curve.rows["split"]) == {"VAL"} and curve.finite.min() > 1


def test_a_curve_holds_readings_of_one_encoder_and_one_pairing(run_folder):
    table = pd.read_csv(metrics_csv(run_folder))
    other = table.iloc[::5].assign(encoder="tiny", paired="nearest", FID=9999.0, SSIM=0.99)
    pd.concat([table, other]).to_csv(metrics_csv(run_folder), index=False)
    run = read_run(run_folder)
    assert run.curve("FID").finite.max() < 9999
    assert run.curve("SSIM").paired == "nearest" and len(run.curve("SSIM").rows) == 5


def test_failed_readings_break_the_line_but_a_coarser_grid_does_not(run_folder):
    table = pd.read_csv(metrics_csv(run_folder))
    table.loc[5:8, "FID"] = np.nan
    table.loc[table.index % 5 != 0, "KID"] = np.nan
    table.to_csv(metrics_csv(run_folder), index=False)
    run = read_run(run_folder)
    assert np.isnan(run.curve("FID").value).sum() == 4
    assert np.isfinite(run.curve("KID").value).all() and len(run.curve("KID").rows) == 5
