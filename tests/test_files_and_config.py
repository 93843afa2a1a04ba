import os
import sys
from dataclasses import dataclass
from functools import partialmethod
from pathlib import Path

import pytest

from echogan import config
from echogan.config import RunFolder, Settings, changed, config_of_run, differences, folder, home, installing
from echogan.errors import BadInput, nearest
from echogan.files import atomic, atomic_folder, read_json, write_json, write_text


@dataclass(frozen=True)
class Example:
    lr: float = 0.1
    steps: int = 5
    warm: bool = False
    bound: str = "gp"
    batch: int = 4
    shift: float = 1.0


def test_settings_are_read_as_their_types():
    assert changed(Example(), ["lr=1e-3", "steps=2", "warm=true", "bound=r1"]) == Example(1e-3, 2, True, "r1")
    assert changed(Example(), ["steps=0", "shift=-1", "lr=0"]) == Example(0.0, 0, shift=-1.0)


@pytest.mark.parametrize(
    "pair, said",
    [
        ("steeps=2", "did you mean 'steps'"),
        ("steps=two", "must be an int, got 'two'$"),
        ("steps=2,", "steps must be an int, got '2,'; settings have spaces between them, no commas"),
        ("lr=x", "lr must be a float"),
        ("warm=yes", "true or false"),
        ("lr", "key=value"),
        ("batch=0", "batch must be 1 or more, got 0"),
        ("steps=-1", "steps must be 0 or more, got -1"),
        ("lr=-0.1", "lr must be 0 or more, got -0.1"),
        ("lr=nan", "lr must be 0 or more, got nan"),
    ],
)
def test_wrong_settings_are_named(pair, said):
    with pytest.raises(BadInput, match=said):
        changed(Example(), [pair])


@pytest.mark.parametrize(
    "wrong, said",
    [
        ({"accumulate": 0}, "accumulate must be 1 or more, got 0"),
        ({"seed": -1}, "seed must be 0 or more, got -1"),
        ({"patience": -0.5}, "patience must be 0 or more, got -0.5"),
        ({"row_kimg": 0.0004}, "row_kimg must be 0.001 or more, got 0.0004"),
        ({"row_kimg": -1.0}, "row_kimg must be"),
    ],
)
def test_numbers_that_no_run_can_be_trained_with_are_named(wrong, said):
    with pytest.raises(BadInput, match=said):
        Settings(**wrong)
    assert Settings(accumulate=1, seed=0, row_kimg=0.001).patience == 0


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"n": 1})
    with pytest.raises(RuntimeError), atomic(path) as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert read_json(path) == {"n": 1} and list(tmp_path.iterdir()) == [path]


def test_what_is_flushed_to_disk_is_open_for_writing(tmp_path, monkeypatch):
    """Windows flushes no other file; writing nothing to one that is open for reading alone fails everywhere."""
    flushed = []
    monkeypatch.setattr(os, "fsync", lambda number: flushed.append(os.write(number, b"")))
    write_text(tmp_path / "a.txt", "whole")
    assert flushed == [0] and (tmp_path / "a.txt").read_text() == "whole"


def test_text_has_the_same_bytes_on_every_system(tmp_path, monkeypatch):
    monkeypatch.setattr("os.linesep", "\r\n")
    monkeypatch.setattr(Path, "write_text", partialmethod(_as_windows, Path.write_text))
    write_text(tmp_path / "a.csv", "kimg\n1\n")
    assert (tmp_path / "a.csv").read_bytes() == b"kimg\n1\n"


def _as_windows(path, write, text, encoding=None, newline=None):
    """`Path.write_text` where a line ends in two characters unless it is told otherwise."""
    return write(path, text, encoding=encoding, newline="\r\n" if newline is None else newline)


def test_a_full_disk_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match=r"cannot write .*b.json: No space left on device; free some space"):
        with atomic(tmp_path / "b.json"):
            raise OSError(28, "No space left on device")
    assert list(tmp_path.iterdir()) == []


def test_folders_come_whole_and_never_replace_what_is_there(tmp_path):
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "f") as folder:
        (folder / "x").touch()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []
    with atomic_folder(tmp_path / "f") as folder:
        (folder / "x").touch()
    with pytest.raises(BadInput, match="exists and is not empty"), atomic_folder(tmp_path / "f"):
        pass
    assert (tmp_path / "f" / "x").exists()


@pytest.mark.skipif(sys.platform == "win32", reason="links ask for rights there")
def test_what_no_folder_can_replace_is_refused_before_the_work(tmp_path, monkeypatch):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    monkeypatch.chdir(tmp_path / "real")
    for path, said in (
        (tmp_path / "link", "link is a link, which no folder can replace"),
        (Path(), "is the current folder or a disk"),
        (tmp_path / "real", "is the current folder or a disk"),
    ):
        with pytest.raises(BadInput, match=said), atomic_folder(path):
            raise AssertionError("the work began")
    monkeypatch.setattr(os.path, "ismount", lambda path: True)
    (tmp_path / "disk").mkdir()
    with pytest.raises(BadInput, match="is the current folder or a disk"), atomic_folder(tmp_path / "disk"):
        raise AssertionError("the work began")
    with pytest.raises(BadInput, match="disk is a folder; name a file in it"), atomic(tmp_path / "disk"):
        raise AssertionError("the work began")


def test_broken_json_is_named(tmp_path):
    (tmp_path / "c.json").write_text("{")
    with pytest.raises(BadInput, match=r"c.json is not valid JSON"):
        read_json(tmp_path / "c.json")
    with pytest.raises(BadInput, match=r"d.json is missing"):
        read_json(tmp_path / "d.json")


def test_runs_are_found_by_path_or_name(tmp_path):
    run = RunFolder.of("wgan", "demo", tmp_path)
    write_json(run.config, {"arch": "wgan"})
    assert RunFolder.find("wgan/demo", tmp_path).path == RunFolder.find(run.path).path == run.path
    with pytest.raises(BadInput, match="is not a run"):
        RunFolder.find("wgan/nothing", tmp_path)


def test_differences_and_suggestions():
    assert differences({"a": 1, "b": 2}, {"a": 1, "b": 3}) == ["b: 2 -> 3"]
    assert nearest("dmeo", ["demo", "gp"]) == "; did you mean 'demo'?"
    assert nearest("zzz", ["demo", "gp"]) == "; choose from demo, gp"


def test_results_follow_experiments_that_were_moved(tmp_path, monkeypatch):
    monkeypatch.delenv("ECHOGAN_RESULTS")
    assert folder("results") == tmp_path / "experiments" / "results"  # as tests/conftest.py moves them
    monkeypatch.delenv("ECHOGAN_EXPERIMENTS")
    assert folder("results") == home() / "results"


def test_what_installs_a_package_is_there_and_keeps_the_versions_of_a_checkout(tmp_path, monkeypatch):
    """`make` leaves an environment without pip, and a uv that is on no PATH."""
    monkeypatch.setattr(config, "home", lambda: tmp_path)
    monkeypatch.chdir(tmp_path)
    for pip, told in ((object(), "pip install x y"), (None, "uv pip install x y")):
        monkeypatch.setattr(config, "find_spec", lambda name, pip=pip: pip)
        assert installing("x y") == told
    (tmp_path / "constraints.txt").touch()
    write_text(tmp_path / ".uv" / "bin" / "uv", "")
    for found, uv in (("/bin/uv", "uv"), (None, Path(".uv/bin/uv"))):
        monkeypatch.setattr(config.shutil, "which", lambda name, found=found: found)
        assert installing("x") == f"{uv} pip install -c constraints.txt x"
        assert installing("x", "--reinstall") == f"{uv} pip install --reinstall -c constraints.txt x"


def test_the_config_of_a_run_is_known_by_its_name():
    assert [config_of_run(name) for name in ("r1", "r1_seed2", "VQ1_seed0_5367", "mine_0")] == [
        "r1",
        "r1",
        "VQ1",
        "mine_0",
    ]
