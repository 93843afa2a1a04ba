"""The cards: fresh in the repository, true to the CSVs they are of, and honest where nothing was measured."""

import re
from pathlib import Path

import pandas as pd
import pytest

from echogan.cli import main
from echogan.config import shipped
from echogan.errors import BadInput
from echogan.report.cards import beside_papers, data_card, model_card, write_cards
from echogan.report.runs import read_runs

ROOT = Path(__file__).parents[2]
STALE = "run `echogan report --cards`"


@pytest.fixture(scope="module")
def runs():
    return read_runs(ROOT / "experiments")


@pytest.fixture(scope="module")
def model(runs):
    return model_card(runs, shipped().values())


def lines(text, start):
    return [line for line in text.splitlines() if line.startswith(f"| {start}")]


def test_the_committed_cards_are_fresh(runs, model):
    reported = pd.read_csv(ROOT / "publications" / "reported.csv", keep_default_na=False)
    pages = {
        "MODEL_CARD.md": model,
        "DATA_CARD.md": data_card(runs),
        "publications/reported.md": beside_papers(runs, reported),
    }
    assert [name for name, text in pages.items() if text != (ROOT / name).read_text(encoding="utf-8")] == [], STALE


def test_the_numbers_are_those_of_the_latest_test_row(model):
    table = pd.read_csv(ROOT / "experiments" / "medgan" / "nobn" / "metrics_csv" / "metrics.csv")
    row = table[table["split"] == "TEST"].iloc[-1]
    (line,) = lines(model, "MedGAN nobn | 40 | ")[:1]
    assert f"| {row['FID']:.3g} ± {1.96 * row['FID_error']:.2g} | {row['KID']:.3g} ± " in line


def test_the_floor_stands_once_and_last(model):
    section = model.partition("### Images from noise")[2].partition("###")[0]
    rows = [line for line in section.splitlines() if line.startswith("| ")]
    assert [row.startswith("| real vs real") for row in rows] == [False] * (len(rows) - 1) + [True]


def test_what_was_not_run_or_not_read_is_said_to_be_so(runs):
    reported = [
        ("a", "Table 1", "pix2pix", "P1", "FID", 32.15, "x", ""),
        ("a", "b", "wgan", "lp", "FID", 9.0, "x", "why"),
    ]
    columns = ["source", "where", "arch", "config", "metric", "value", "of", "remark"]
    known = [run for run in runs if (run.arch, run.name) == ("wgan", "lp")]
    known[0].metrics = known[0].readings  # as if TEST was never read
    text = beside_papers(known, pd.DataFrame(reported, columns=columns))
    assert lines(text, "pix2pix P1")[0].endswith("| not run |  |")
    assert "run, not read on TEST | synthetic phantom, 64 px, 40 kimg |" in lines(text, "WGAN lp")[0]


def test_every_card_says_what_it_is_not(runs, model):
    data = data_card(runs)
    assert "Not a medical device" in model and "**Trained on: synthetic phantom.**" in model
    assert "nothing here is evidence about real echocardiograms" in " ".join(model.split())
    assert "No recording, frame or mask of a patient is part of this repository" in data
    assert not re.search(r"\$\w", model + data), "a placeholder was left"


def test_the_command_writes_them_beside_results(tmp_path, capsys, monkeypatch):
    for name in ("config.json", "metrics_csv/metrics.csv", "metrics_csv/losses.csv"):
        copy = tmp_path / "experiments" / "wgan" / "r1" / name
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes((ROOT / "experiments" / "wgan" / "r1" / name).read_bytes())
    monkeypatch.setattr("echogan.cli.report.home", lambda: tmp_path)  # the table of papers stays as it is
    assert main(["report", "--cards"]) == 0
    assert "MODEL_CARD.md" in capsys.readouterr().out and (tmp_path / "DATA_CARD.md").is_file()
    assert lines((tmp_path / "MODEL_CARD.md").read_text(encoding="utf-8"), "WGAN r1 | 40 |")
    assert main(["report", "wgan/r1", "--cards"]) == 1
    assert "leave wgan/r1 out" in capsys.readouterr().err


def test_without_a_run_there_is_no_card(tmp_path):
    (tmp_path / "experiments").mkdir()
    with pytest.raises(BadInput, match="no run to write a card of"):
        write_cards(tmp_path / "experiments", tmp_path)
    assert not (tmp_path / "MODEL_CARD.md").exists()
