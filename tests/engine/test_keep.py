"""Rows that are kept in the tables of a run from outside its training: of `evaluate` and `audit`."""

import csv
import hashlib
from dataclasses import replace
from datetime import datetime
from types import SimpleNamespace

import pytest

from echogan.cli import main
from echogan.config import RunFolder, folder
from echogan.data.frames import save_index
from echogan.data.images import write_png
from echogan.engine import audit, judge, once
from echogan.engine import fit as module
from echogan.engine.checkpoint import load_weights
from echogan.engine.lock import alone
from echogan.errors import BadInput
from tests.conftest import framed
from tests.engine.test_fit import SETTINGS, Killed, dies_at, left_behind, train


def run(*words):
    return main([str(word) for word in words])


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A folder of frames, 16 of TEST."""
    place, frames = tmp_path_factory.mktemp("stored"), framed(48, 8, 16)
    for name, image in zip(frames.index["file"], frames.images):
        write_png(place / "images" / name, image)
    save_index(place, frames.index, frames.manifest)
    return place


@pytest.fixture
def trained():
    """A tiny run where the command line finds it, as wgan/t."""
    return train(framed(48, 8, 16), folder("experiments"))


def test_nothing_is_kept_in_a_run_while_it_trains(trained, stored, capsys, monkeypatch):
    """Training holds the tables in memory: its next row would not fit the header that another program made."""
    before = trained.metrics.read_bytes()
    found = SimpleNamespace(known={"kimg": 0.64}, row={"flagged": 0.0})
    with alone(trained):
        for what, row in ((judge, {"kimg": 0.64, "split": "TEST", "FD_lite0": 9.0}), (audit, found)):
            with pytest.raises(BadInput, match=r"wgan.t is being trained by another program; wait .* leave --keep out"):
                what.keep("wgan/t", row)
            monkeypatch.setattr(what, what.__name__.split(".")[-1], lambda *words, **more: pytest.fail("read already"))
        for words in (("evaluate", "wgan/t", "--reference", stored), ("audit", "wgan/t", "--training", stored)):
            assert run(*words, "--keep") == 1
            assert "is being trained by another program" in capsys.readouterr().err
    assert trained.metrics.read_bytes() == before and not trained.audit.exists()


def test_what_is_kept_after_training_leaves_its_rows_alone(trained):
    before = rows(trained.metrics)
    judge.keep("wgan/t", {"arch": "wgan", "kimg": 0.64, "split": "TEST", "FD_lite0": 9.0})
    *same, new = rows(trained.metrics)
    assert new["FD_lite0"] == "9" and [{**row, "FD_lite0": ""} for row in before] == same


def test_every_reading_of_test_is_counted_whoever_makes_it(trained, stored, tmp_path, monkeypatch):
    weights = trained.weights("best")
    for source in ("wgan/t", weights):
        assert run("evaluate", source, "--reference", stored, "--device", "cpu") == 0
    copy = tmp_path / "elsewhere.safetensors"
    copy.write_bytes(weights.read_bytes())
    judge.judge(copy, stored)  # of no run, so nobody's count
    judge.judge("wgan/t", stored, "TRAIN")
    first, second = once.readings(trained)
    assert {**first, "time": ""} == {**second, "time": ""} and first["stage"] == "generate"
    assert first["weights"] == hashlib.sha256(weights.read_bytes()).hexdigest()[:16]
    assert first["kimg"] == f"{load_weights(weights)[1]['kimg']:g}"
    assert datetime.fromisoformat(first["time"]).utcoffset().total_seconds() == 0
    train(framed(48, 8, 16), folder("experiments"), replace(SETTINGS, kimg=0.7))
    trained.last.unlink()
    train(framed(48, 8, 16), folder("experiments"))  # anew
    assert once.readings(trained) == [first, second]


def test_a_run_that_others_alone_may_write_to_is_judged_and_says_that_nothing_counted_it(trained, stored, monkeypatch):
    def denied(weights, known):
        raise BadInput("cannot write test_reads.csv: Permission denied")

    monkeypatch.setattr(once, "count", denied)
    row = judge.judge("wgan/t", stored)
    assert row["SWD"] > 0
    assert "this reading of TEST is not on record: cannot write test_reads.csv" in " ".join(judge.cautions(row))


def test_what_is_no_run_is_refused_before_test_is_read(trained, stored, capsys, monkeypatch):
    monkeypatch.setattr(judge, "judge", lambda *words, **more: pytest.fail("read already"))
    for source in (trained.weights("best"), stored / "images"):
        assert run("evaluate", source, "--reference", stored, "--keep", "--device", "cpu") == 1
        assert "is not a run" in capsys.readouterr().err


def test_a_row_of_truncated_images_is_not_kept_as_if_they_were_whole(trained, stored, capsys, monkeypatch):
    before = trained.metrics.read_bytes()
    words = ("evaluate", "wgan/t", "--reference", stored, "--device", "cpu", "--truncation", 0.5)
    with monkeypatch.context() as patch:
        patch.setattr(judge, "judge", lambda *words, **more: pytest.fail("read already"))
        assert run(*words, "--keep") == 1
    assert "no column of metrics.csv tells a truncation of 0.5" in capsys.readouterr().err
    assert trained.metrics.read_bytes() == before and run(*words) == 0


def test_a_row_of_test_outlives_a_resume_from_before_its_moment(trained, tmp_path, monkeypatch):
    """Its weights are kept too. Where a run begins anew they are not its own."""
    monkeypatch.setattr(module, "SAVE_SECONDS", -1)
    with monkeypatch.context() as patch, pytest.raises(Killed):
        dies_at(17, patch)
        train(framed(48, 8, 16), tmp_path)
    again = RunFolder.of("wgan", "t", tmp_path)
    judge.keep(again.path, {"kimg": 0.64, "split": "TEST", "SWD": 9.0})
    train(framed(48, 8, 16), tmp_path)
    own = [row for row in rows(again.metrics) if row["split"] != "TEST"]
    assert [row["SWD"] for row in rows(again.metrics) if row["split"] == "TEST"] == ["9"]
    assert left_behind(again)[2:] == left_behind(trained)[2:]
    assert [row["SWD"] for row in own] == [row["SWD"] for row in rows(trained.metrics)]
    again.last.unlink()
    train(framed(48, 8, 16), tmp_path)
    assert {row["split"] for row in rows(again.metrics)} == {"VAL"}
