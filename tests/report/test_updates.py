"""Counts of updates: one panel for all, and a network that had no turn is not a network that failed."""

import numpy as np
import pandas as pd
import pytest

from echogan.report import losses
from echogan.report.runs import read_run


def with_counts(folder, generator_stops=False, lose=""):
    """Add D_updates and G_updates to a run's losses.csv; the generator has no turn, or a loss is lost, at the end."""
    path = folder / "metrics_csv" / "losses.csv"
    table = pd.read_csv(path)
    rows = np.arange(1, len(table) + 1)
    last = len(table) - 20
    table["D_updates"], table["G_updates"] = 25 * rows, 10 * (rows.clip(max=last) if generator_stops else rows)
    if generator_stops or lose:
        table.loc[last:, "G" if generator_stops else lose] = np.nan
    table.to_csv(path, index=False)
    return read_run(folder)


def test_counts_share_one_panel_and_are_drawn_as_logged(run_folder):
    run = with_counts(run_folder, generator_stops=True)
    (ax,) = [ax for ax in losses.figure(run).axes if ax.get_title(loc="left") == "updates"]
    drawn = {line.get_label(): line.get_ydata() for line in ax.lines}
    assert drawn.keys() == {"D", "G"}
    np.testing.assert_array_equal(drawn["D"], run.losses["D_updates"])
    np.testing.assert_array_equal(drawn["G"], run.losses["G_updates"])


@pytest.mark.parametrize("stops, lose, failed", [(True, "", False), (False, "G", True)])
def test_waiting_for_a_turn_is_no_failure(run_folder, stops, lose, failed):
    run = with_counts(run_folder, stops, lose)
    assert any("G is not a number" in problem for problem in run.problems) == failed
    words = [text.get_text() for ax in losses.figure(run).axes for text in ax.texts]
    assert any("G: no number" in text for text in words) == failed
