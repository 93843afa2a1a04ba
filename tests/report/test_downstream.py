"""Tables and figures of the downstream experiment."""

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.stats import wilcoxon

from echogan.errors import BadInput
from echogan.metrics.embedding import principal_plane
from echogan.report import downstream, style

GAIN = {"real": 0.0, "synthetic": -0.05, "both": 0.03}


def measured():
    """Ten patients, two shares with one and two seeds, three training sets of known worth."""
    rng, rows = np.random.default_rng(0), []
    for share, seeds in ((0.1, 2), (1.0, 1)):
        for seed in range(seeds):
            for arm, gain in GAIN.items():
                for patient in range(10):
                    rows.append({
                        "share": share, "seed": seed, "arm": arm, "patient": f"p{patient}",
                        "Dice_left_ventricle": 0.85 + 0.005 * patient + gain + rng.normal(0, 0.002),
                        "HD95_left_ventricle": 4.0, "HD95_unit": "px", "EF": 50.0, "EF_masks": 50.0 + patient,
                        "EF_obtained": 53.0 + patient + rng.normal(), "views": "4CH", "kimg": 8.0, "size": 64,
                        "data": "synthetic phantom", "fingerprint": "f", "hardware": "a CPU",
                    })  # fmt: skip
    return pd.DataFrame(rows)


@pytest.fixture
def table():
    """The same, fresh for each test."""
    return measured()


def test_an_overview_has_a_column_for_each_training_set_and_marks_what_differs(table):
    wide = downstream.overview(table)
    assert list(wide) == ["real", "synthetic", "real + synthetic"]
    assert list(wide.index[:3]) == [
        ("10 %", name) for name in ("Dice_left_ventricle", "HD95_left_ventricle (px)", "EF_error")
    ]
    better, base = (wide.loc[("100 %", "Dice_left_ventricle"), arm] for arm in ("real + synthetic", "real"))
    assert better.startswith("0.90") and better.endswith("*") and not base.endswith("*")


def test_a_patient_counts_once_however_many_seeds(table):
    found = downstream.summary(table).set_index(["share", "arm", "measure"])
    row = found.loc[(0.1, "both", "Dice_left_ventricle")]
    part = table[table["share"] == 0.1].groupby(["arm", "patient"])["Dice_left_ventricle"].mean()
    assert row["n"] == 10 and row["mean"] == pytest.approx(part["both"].mean())
    assert row["p_against_real"] == pytest.approx(wilcoxon(part["both"], part["real"]).pvalue)
    assert np.isnan(found.loc[(0.1, "real", "Dice_left_ventricle"), "p_against_real"])
    assert found.loc[(1.0, "real", "EF_error"), "mean"] == pytest.approx(3, abs=1)


def test_distances_have_their_unit_and_the_size_of_the_frames_they_were_measured_on(table):
    assert "frame_px" not in downstream.summary(table)  # of a table from before it was told
    newer = table.assign(frame_px=np.where(table["seed"] == 0, 128, np.nan))  # one that was gone on with
    found = downstream.summary(newer).set_index("measure")
    units = {"Dice_left_ventricle": "", "HD95_left_ventricle": "px", "EF_error": "points"}
    assert (found["frame_px"] == 128).all() and found["unit"].groupby("measure").first().to_dict() == units
    assert ("10 %", "HD95_left_ventricle (px at 128 px)") in downstream.overview(newer).index
    assert ("10 %", "HD95_left_ventricle (mm)") in downstream.overview(newer.assign(HD95_unit="mm")).index
    captions = [downstream.boxes(one, 1.0).get_supxlabel().replace("\n", " ") for one in (newer, table)]
    assert ["measured on frames of 128 px" in words for words in captions] == [True, False]


def test_a_table_may_be_packed(table, tmp_path):
    for name in ("plain.csv", "packed.csv.gz"):
        table.to_csv(tmp_path / name, index=False)
    pd.testing.assert_frame_equal(downstream.read(tmp_path / "packed.csv.gz"), downstream.read(tmp_path / "plain.csv"))


def test_everything_is_drawn_and_says_where_it_comes_from(table, tmp_path):
    table.to_csv(tmp_path / "downstream.csv", index=False)
    files = downstream.write(tmp_path / "downstream.csv", tmp_path / "out")
    names = [path.name for path in files]
    assert names == [
        "dice_at_10_percent_boxes.png", "dice_at_100_percent_boxes.png", "dice_over_share.png",
        "ef_at_100_percent_bland_altman.png", "summary.csv",
    ]  # fmt: skip
    for path in files[:-1]:
        assert path.stat().st_size <= style.LIMIT and np.ptp(np.asarray(Image.open(path).convert("L"))) > 200
    assert len(pd.read_csv(files[-1])) == 2 * 3 * 3
    words = [
        text.get_text() for text in downstream.boxes(table, 0.1).findobj(lambda artist: hasattr(artist, "get_text"))
    ]
    told = " ".join(words).replace("\n", " ")
    for word in ("simulated, not echocardiograms", "TEST, 10 patients", "64 px", "a CPU", "p = 0.002", "2 seeds"):
        assert word in told, word


def test_one_share_without_ejection_fractions_has_one_figure(table, tmp_path):
    table = table[table["share"] == 1].drop(columns=["EF", "EF_masks", "EF_obtained"])
    table.to_csv(tmp_path / "downstream.csv", index=False)
    assert [path.name for path in downstream.write(tmp_path / "downstream.csv", tmp_path)] == [
        "dice_at_100_percent_boxes.png", "summary.csv"
    ]  # fmt: skip


def test_titles_call_no_simulated_patient_real_and_the_error_says_what_it_is_of(table):
    figures = [downstream.boxes(table, 0.1), downstream.learning_curves(table), downstream.agreement(table, 0.1)]
    for figure in figures:
        axes = " ".join(ax.get_xlabel() for ax in figure.axes)
        assert "real" not in figure.get_suptitle() + axes and "patients" in figure.get_suptitle() + axes
        assert "(simulated, not echocardiograms)" in figure.get_supxlabel().replace("\n", " ")
    two, one = (downstream.agreement(table, share).get_supxlabel().replace("\n", " ") for share in (0.1, 1.0))
    assert "mean absolute error, of the mean over seeds" in two and "over seeds" not in one


def test_a_training_set_without_ejection_fractions_is_named(table):
    table.loc[(table["arm"] == "both") & (table["patient"] != "p0"), "EF_obtained"] = np.nan
    figure = downstream.agreement(table, 1.0)
    assert [ax.get_title("left") for ax in figure.axes] == ["real (n = 10)", "synthetic (n = 10)"]
    assert "to measure by: real + synthetic" in figure.get_supxlabel().replace("\n", " ")
    assert downstream.measured(table.assign(EF_obtained=np.nan), 1.0) == []


def test_the_plane_shows_every_image(tmp_path):
    real, fake = np.random.default_rng(0).normal(size=(2, 40, 6))
    figure = downstream.plane(principal_plane(real, fake[:30]), 55.0, "synthetic phantom", "the segmenter")
    assert [len(dots.get_offsets()) for dots in figure.axes[0].collections] == [40, 30]
    assert "synthetic phantom (simulated, not echocardiograms)" in figure.get_supxlabel()


def test_tables_that_are_none_of_ours_are_refused(tmp_path):
    with pytest.raises(BadInput, match="is no table"):
        downstream.read(tmp_path / "downstream.csv")
    (tmp_path / "downstream.csv").write_text("share,arm\n1,real\n")
    with pytest.raises(BadInput, match="lacks seed, patient, data"):
        downstream.read(tmp_path / "downstream.csv")


def test_points_of_one_seed_are_open_where_others_have_more(table):
    figure = downstream.learning_curves(table)
    hollow = [line for line in figure.axes[0].lines if line.get_color() == "white"]
    assert len(hollow) == 3 and all(line.get_xdata() > 90 for line in hollow)
    assert "open: one seed" in figure.get_supxlabel().replace("\n", " ")
    assert "open" not in downstream.learning_curves(table[table["seed"] == 0]).get_supxlabel()


def test_what_is_no_patient_is_not_called_one(table):
    table["data"] = "HC18"
    for figure in (downstream.learning_curves(table), downstream.boxes(table, 1.0)):
        words = figure.get_suptitle() + figure.get_supxlabel() + figure.axes[0].get_xlabel()
        assert "exams" in words and "patients" not in words
    assert downstream.overview(table).index.names == ["exams", "measure"]


def test_a_training_set_without_values_of_a_structure_leaves_its_own_row_empty(table):
    table["Dice_left_atrium"] = table["Dice_left_ventricle"].where(table["arm"] == "both")
    for first in ("Dice_left_ventricle", "Dice_left_atrium"):
        ordered = table[[first, *(name for name in table if name != first)]]
        figure = downstream.boxes(ordered, 0.1)
        (atrium,) = (ax for ax in figure.axes if "atrium" in ax.get_title("left"))
        rows = [label.get_text() for label in atrium.get_yticklabels()]
        assert rows == ["real", "synthetic", "real + synthetic"]
        (dots,) = atrium.collections
        assert {rows[round(y)] for _, y in dots.get_offsets()} == {"real + synthetic"}
