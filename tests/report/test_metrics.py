"""Directions, bands, radar ranges and formats of the metrics table."""

import numpy as np
import pytest

from echogan.errors import BadInput
from echogan.report.metrics import METRICS, best, half_interval, leading, ranges, short, written

HIGH = {"precision", "recall", "density", "coverage", "SSIM", "MS_SSIM", "PSNR"}


def test_high_is_better_exactly_where_it_is():
    assert {name for name, metric in METRICS.items() if metric.better == "higher"} == HIGH


@pytest.mark.parametrize("metric", METRICS.values(), ids=METRICS)
def test_outward_is_better_on_every_spoke(metric):
    values = np.linspace(metric.worst, metric.best, 7)
    assert (np.diff(metric.outward(values)) > 0).all()
    assert metric.outward(metric.worst) == 0 and metric.outward(metric.best) == pytest.approx(1)
    if metric.better != "floor":
        assert (metric.better == "higher") == (metric.best > metric.worst)


@pytest.mark.parametrize("metric", [m for m in METRICS.values() if m.bands], ids=lambda m: m.name)
def test_the_five_classes_run_from_excellent_to_very_low(metric):
    assert len(metric.bands) == 4 and list(metric.bands) == sorted(metric.bands, reverse=metric.better == "higher")


def test_the_limits_are_the_original_studys():
    assert METRICS["FID"].bands == (25, 50, 150, 200)
    assert METRICS["SSIM"].bands_for("reconstruction") == (0.9, 0.75, 0.6, 0.4)
    assert METRICS["JSD_root"].bands == (0.05, 0.1, 0.2, 0.5)


def test_our_jsd_limits_are_the_studys_squared_into_bits():
    # a Jensen-Shannon distance of sqrt(ln 2) nats is the largest there is, and one bit
    assert METRICS["JSD"].bands == pytest.approx([d**2 / np.log(2) for d in METRICS["JSD_root"].bands])


def test_jsd_is_no_decibel_and_only_decibels_are():
    assert METRICS["JSD"].unit == "bit"
    assert {name for name, metric in METRICS.items() if metric.unit == "dB"} == {"PSNR", "spectrum_dB"}


@pytest.mark.parametrize("name", ["SSIM", "PSNR", "LPIPS"])
@pytest.mark.parametrize("paired", ["nearest", "diversity", "random", ""])
def test_without_a_true_pair_neither_bands_nor_a_direction(name, paired):
    assert METRICS[name].bands_for(paired) == () and METRICS[name].goal(paired) == "floor"
    assert METRICS[name].goal("reconstruction") == METRICS[name].better


def test_best_is_lowest_highest_or_nearest_the_floor():
    values = [3.0, np.nan, 1.0, 2.2]
    assert best(values, "lower") == 2
    assert best(values, "higher") == 0
    assert best(values, "floor", 2.0) == 3
    assert best(values, "floor") is None and best([np.nan], "lower") is None


def test_fid_ranks_where_half_measured_it_else_what_was_measured():
    assert leading([{"FID", "SWD"}, {"SWD"}]) == "FID"
    assert leading([{"FID", "SWD"}, {"SWD"}], share=1) == "SWD"
    assert leading([{"JSD", "spectrum_dB"}]) == "spectrum_dB"
    with pytest.raises(BadInput, match="reading of any metric"):
        leading([set()])


def test_numbers_are_written_short_and_whole():
    assert [written(v) for v in (9.1668, 0.0028, 1234.5, np.nan)] == ["9.17", "0.0028", "1,234", "–"]
    assert [short(v) for v in (0.00851, 11.36, -0.0021, 0.1, 1234)] == [".0085", "11.4", "-.0021", ".1", "1,234"]


def test_a_share_of_none_or_all_has_no_interval_whatever_was_recorded():
    row = {"precision": 0.0, "precision_error": 0.0, "recall": 0.0, "recall_error": 0.007, "KID": 0.0, "KID_error": 0.1}
    assert np.isnan(half_interval(row, "precision")) and np.isnan(half_interval(row, "recall"))
    assert half_interval(row, "KID") == pytest.approx(0.196) and np.isnan(half_interval(row, "FID"))


def test_ranges_are_told_from_worst_to_best():
    assert ranges(["SWD", "precision"]) == "SWD 120 to 2 grey levels, precision 0 to 1; logarithmic but for precision"
