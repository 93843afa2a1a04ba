"""How many processes work: those that the system gives us, and none is refused before the work."""

import os
import sys

import pytest

from echogan.data.cores import check_workers, cores
from echogan.data.phantom.study import write_echonet
from echogan.errors import BadInput
from echogan.preprocessing.export import export
from echogan.preprocessing.extract import extract
from echogan.preprocessing.workers import processes
from tests.data.studies import beating, write_avi


def test_a_job_that_was_given_two_processors_starts_two_processes(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5}, raising=False)
    assert cores() == processes(10_030) == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == processes(10_030) == 64


def test_windows_waits_for_61_processes_at_most(monkeypatch):
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    assert cores() == 61
    with pytest.raises(
        BadInput, match="62 workers cannot share the work; ask for at least 1, and at most 61 on Windows"
    ):
        check_workers(62)


@pytest.mark.parametrize("workers", [0, -1])
def test_no_workers_are_refused_before_anything_is_written(tmp_path, workers):
    avi = write_avi(tmp_path / "a.avi", beating(2))
    for work in (extract, export):
        with pytest.raises(BadInput, match=f"{workers} workers cannot share the work; ask for at least 1"):
            work(avi, tmp_path / "out", workers=workers)
    with pytest.raises(BadInput, match=f"{workers} workers cannot share the work; ask for at least 1"):
        write_echonet(tmp_path / "out", 3, workers=workers)
    assert [path.name for path in tmp_path.iterdir()] == ["a.avi"]
