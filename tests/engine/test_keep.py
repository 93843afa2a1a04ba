"""Rows that are kept in the tables of a run from outside its training: of `evaluate` and `audit`."""

import csv
from types import SimpleNamespace

import pytest

from echogan.cli import main
from echogan.config import folder
from echogan.data.frames import save_index
from echogan.data.images import write_png
from echogan.engine import audit, judge
from echogan.engine.lock import alone
from echogan.errors import BadInput
from tests.conftest import framed
from tests.engine.test_fit import train


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
