import numpy as np
import pytest

from echogan.engine import watch


def test_best_is_chosen_by_a_rolling_median():
    readings = [90, 40, 30, 5, 28, 26, 25]  # the 5 is luck
    assert watch.smoothed(readings) == [90, 65, 40, 30, 28, 26, 26]
    assert [watch.improved(readings[: i + 1]) for i in range(len(readings))] == [True] * 7
    worse = [*readings, 60, 70]
    assert not watch.improved(worse) and not watch.improved([*worse, 1])


def test_a_bad_reading_that_leaves_the_median_as_it_was_is_not_the_best():
    readings = [0.135, 0.127, 0.125, 0.206]
    assert watch.smoothed(readings)[-1] == watch.smoothed(readings)[-2]  # a tie
    assert watch.improved(readings[:-1]) and not watch.improved(readings)


def test_rows_that_were_kept_and_the_untrained_network_choose_nothing_beside_others():
    untrained, first, second = ({"kimg": kimg, "variety": "0.5"} for kimg in ("0", "0.016", "4"))
    kept, other = {"kimg": "4", "split": "TEST"}, {"kimg": "4", "variety": "1", "stage": "translate"}
    assert watch.counted([untrained, first, second, kept, other]) == [first, second]
    assert watch.counted([untrained, first, second], idle=0.016) == [second]
    assert watch.counted([untrained, first, kept], idle=0.016) == [first] and watch.counted([untrained]) == [untrained]
    assert watch.counted([first, other], "translate") == [other] and watch.counted([kept]) == []


def test_the_weights_kept_in_the_end_are_those_of_the_last_reading_that_was_the_best():
    readings = [1.06, 0.56, 0.682, 0.344, 0.381, 0.391, 0.458, 0.384, 0.377, 0.395, 0.344, 0.353]
    assert watch.chosen(readings) == 11  # not the single lowest, at 3
    for values in (readings, [5, 4], [4, 5], [float("nan"), 3, 2, 7, 1]):
        kept = [i for i in range(len(values)) if watch.improved(values[: i + 1])]
        assert watch.chosen(values) == (kept[-1] if kept else None)
    assert watch.chosen([]) is None and watch.chosen([-0.1, -0.2, -0.2, -0.2]) == 3  # a kernel distance may be negative


def test_an_early_stop_counts_from_the_best_smoothed_reading():
    kimg, readings = [0, 10, 20, 30, 40], [9, 5, 4, 6, 7]
    assert watch.smoothed(readings) == [9, 7, 5, 5, 6]  # best at 20
    assert watch.stalled(kimg, readings, 20) and not watch.stalled(kimg, readings, 21)
    assert not watch.stalled(kimg, readings, 0) and not watch.stalled([], [], 5)


def test_readings_that_are_not_numbers_neither_improve_nor_stop_a_run():
    nan = float("nan")
    assert not watch.improved([nan, nan]) and not watch.stalled([0, 10, 20], [nan] * 3, 5)
    assert watch.improved([9, 5, 4]) and not watch.improved([9, 5, nan])
    assert watch.stalled([0, 10, 20, 30], [5, nan, nan, nan], 30)


def test_variety_is_the_mean_deviation_of_pixels():
    images = np.stack([np.full((4, 4), grey, np.uint8) for grey in (10, 20, 30)])
    assert watch.variety(images) == pytest.approx(np.std([10, 20, 30]))
    assert watch.variety(images[:1].repeat(5, 0)) == 0


@pytest.mark.parametrize(
    "varieties, verdict",
    [
        ([0.0, 0.01, 0.02, 0.02], False),  # not yet begun
        ([0.0, 0.5, 0.9, 0.05], False),  # one bad reading
        ([0.0, 0.5, 0.05, 0.05, 0.02], True),
        ([0.0, 0.5, 0.05, 0.3, 0.02, 0.02], False),
        ([0.6], False),
    ],
)
def test_collapse_is_variety_that_was_there_and_is_gone(varieties, verdict):
    assert watch.collapsed(varieties) is verdict
