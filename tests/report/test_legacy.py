"""The original study's CSV dialects, as seen in its repository, in miniature."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from echogan.report import across, heatmap, html, lines, losses
from echogan.report.draw import plan
from echogan.report.runs import read_run, read_runs
from tests.report.conftest import slim, write_run

MEDGAN = """epoch,loss_G,loss_D,FID,KID,JSD,SSIM,PSNR,LPIPS
1,0.5,-0.9,,,,,,
5,0.6,-0.8,155.8847,0.139747694,0.512739862,0.354,12.5,0.369
10,0.7,-0.7,63.46796125,0.005722554,0.457259368,0.391,13.7,0.315
11,0.8,-0.6,,,,,,
,,,,,,,,
MIN,,,63.46796125,0.005722554,0.457259368,0.354,12.5,0.315
FILA,,,11,11,11,6,6,11
promedio ,0.58,-0.54,109.6,0.07,0.48,0.37,13.1,0.34
,,,,,,,,
,,,1070,990,655,110,145,200
"""
STYLE = """epoch,G_loss,D_loss,FID,KID,JSD,SSIM,PSNR,LPIPS,kimg_acu,kimg,carpeta
0.0008,0.78,1.80,279.6045737,0.80,0.13,0.109,5.9,0.79,0.032,0.032,00000-gamma8
0.1005,3.28,1.24,,,,,,,4.032,4.032,00000-gamma8
3.1920,0.94,1.39,9.166787859,0.0023,0.0137,0.38,12.9,0.40,128.064,0.032,00001-gamma8-resumecustom
,,,,,,,,,,,
min,0.78,1.24,9.166787859,0.0023,0.0137,0.109,5.9,0.40,,,
,,,200,212,154,2,2,264,,,
"""
STYLE_LOSSES = """epoch,G_loss,D_loss,kimg_acu,kimg,run_id,,,,
0.0008,0.78,1.80,0.032,0.032,00000-gamma8,,,,
0.1005,3.28,1.24,4.032,4.032,00000-gamma8,,,,
"""
VQ_LOSSES = """epoch,rec_loss,perceptual_loss,q_loss,g_loss,gen_loss,disc_loss
1,0.09,0.037,1.3,1.99,1.7,0.12
2,0.05,0.016,0.07,2.3,0.27,0.04
"""
VQ_FID = "epoch,fid\n1,200.5983931\n2,164.1282287\n5,139.47\n"


@pytest.fixture
def theirs(tmp_path):
    """experiments/ of the original study with one config of each dialect."""
    texts = {
        "medgan/M2": {"metrics_medganM2.csv": MEDGAN},
        "wgan/W6": {"metrics_wganW6.csv": MEDGAN},
        "stylegan2_ada/E4": {"Metrics_StyleE4.csv": STYLE, "losses_StyleE4.csv": STYLE_LOSSES},
        "vqgan/VQ6": {"loss_history_vq6.csv": VQ_LOSSES, "metrics_history_disvq6.csv": VQ_FID},
    }
    for folder, tables in texts.items():
        (tmp_path / folder / "metrics_csv").mkdir(parents=True)
        for name, text in tables.items():
            (tmp_path / folder / "metrics_csv" / name).write_text(text)
    samples = tmp_path / "stylegan2_ada/E4/generated_samples"
    samples.mkdir()
    (samples / "generate00001_000016.png").touch()
    return tmp_path


def test_all_four_dialects_are_read_and_labelled_as_theirs(theirs):
    runs = read_runs(theirs)
    assert [run.arch for run in runs] == ["medgan", "stylegan2_ada", "vqgan", "wgan"]
    assert {run.study for run in runs} == {"original study"}
    assert {run.kind for run in runs} == {"EchoNet-Dynamic"}
    assert all("(original study)" in run.title for run in runs) and not any(run.problems for run in runs)


def test_footers_and_empty_columns_are_no_data(theirs):
    medgan, style = read_run(theirs / "medgan/M2"), read_run(theirs / "stylegan2_ada/E4")
    assert len(medgan.metrics) == 4 and medgan.curve("FID").finite.tolist() == [155.8847, 63.46796125]
    assert len(style.losses) == 2 and style.loss_names == ["G_loss", "D_loss"]
    assert style.curve("FID").best()["FID"] == 9.166787859


def test_vqgan_fid_is_the_csvs_and_not_a_third_of_it(theirs):
    assert read_run(theirs / "vqgan/VQ6").curve("FID").finite.tolist() == [200.5983931, 164.1282287, 139.47]


def test_their_jsd_is_a_root_and_never_shares_an_axis_with_ours(theirs):
    run = read_run(theirs / "medgan/M2")
    assert "JSD" not in run.measured
    assert run.curve("JSD_root").finite.tolist() == [0.512739862, 0.457259368]


def test_epochs_and_sessions_become_kimg_of_images_shown(theirs):
    np.testing.assert_allclose(read_run(theirs / "medgan/M2").curve("FID").kimg, [5 * 40.12, 10 * 40.12])
    style = read_run(theirs / "stylegan2_ada/E4")
    assert style.metrics["kimg"].tolist() == [0.032, 4.032, 128.064]
    assert list(style.sheets) == [144]  # session 00001 began at 128 kimg, its sample is of 16 kimg within it


def test_pairs_drawn_at_random_are_not_judged(theirs):
    curve = read_run(theirs / "medgan/M2").curve("SSIM")
    assert curve.paired == "random" and curve.best() is None


def test_a_missing_file_is_named(theirs):
    (theirs / "vqgan/VQ6/metrics_csv/metrics_history_disvq6.csv").unlink()
    run = read_run(theirs / "vqgan/VQ6")
    assert run.problems == ["vqgan/VQ6: metrics_history_disvq*.csv is missing"] and len(run.losses) == 2


def test_their_figures_say_whose_numbers_they_are(theirs):
    run = read_run(theirs / "medgan/M2")
    for figure in (lines.figure([run], "FID"), losses.figure(run), heatmap.figure([run])):
        assert "original study" in figure.get_suptitle() and "EchoNet-Dynamic" in figure.get_supxlabel()
    assert "TRAIN" in lines.figure([run], "FID").get_supxlabel()


@pytest.fixture
def both(theirs):
    """Two of theirs and two of ours of one architecture, one by the same name."""
    shutil.copytree(theirs / "wgan/W6", theirs / "original/W5")
    shutil.move(theirs / "wgan/W6", theirs / "original/W6")
    for name, published in (("W6", True), ("gp", False)):
        slim(write_run(theirs, "wgan", name, published=published), ("FID", "SWD"))
    return [run for run in read_runs(theirs) if run.arch == "wgan"]


def test_theirs_and_ours_are_told_apart_and_share_no_figure(both, tmp_path):
    assert [run.label for run in both] == ["W5 (original study)", "W6 (original study)", "W6†", "gp"]
    assert "original study" not in lines.heading(both, "FID") and "original study" in lines.heading(both[:2], "FID")
    paths = [path.relative_to(tmp_path).as_posix() for path, _ in plan(both, tmp_path)]
    assert len(set(paths)) == len(paths)
    assert "wgan/line_graph/wgan_FID_over_kimg.png" in paths
    assert "wgan/line_graph/wgan_original_study_FID_over_kimg.png" in paths
    assert len({html.page_of(run, tmp_path) for run in both}) == 4


def test_ours_are_ranked_among_ours_however_many_theirs_are(both):
    more = [*both, replace(both[0], name="W7")]  # without a fingerprint, and most of them
    assert [run.label for run in across.best_runs(more, "FID")] in (["W6†"], ["gp"])
    (theirs, ours), _ = across._pair(more, "FID")
    assert [[run.label for run in side.values] for side in (theirs, ours)] == [["W6†"], ["gp"]]


def test_the_study_page_has_a_ranking_of_theirs_and_one_of_ours(both, monkeypatch):
    monkeypatch.setattr(html, "_figures", lambda pictures: "")
    page = html.study_page(both)
    theirs, ours = page[page.index("<h2>WGAN (original study)</h2>") :].split("<h2>WGAN</h2>")
    assert "W6 (original study)" in theirs and "gp" not in theirs
    assert "W6†" in ours and "W6 (original study)" not in ours and "W6_original_study/index.html" in theirs


def test_reading_leaves_their_files_alone(theirs):
    path = theirs / "medgan/M2/metrics_csv/metrics_medganM2.csv"
    read_run(theirs / "medgan/M2")
    assert path.read_text() == MEDGAN
    assert pd.read_csv(path, nrows=3)["FID"].iloc[2] == 63.46796125
