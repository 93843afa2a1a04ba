"""`echogan export` as a user types it."""

import pandas as pd
import pytest

from echogan.cli import main
from tests.data.dicoms import annotated, region, scan, write


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture
def clinic(tmp_path):
    (tmp_path / "clinic").mkdir()
    for i in range(2):
        tags = {"PatientID": "4711", "PatientName": "DOE^JANE", "FrameTime": 20.0}
        box = {**region(0, 0, 319, 239), "PhysicalDeltaY": 0.02}
        write(tmp_path / "clinic" / f"DOE_{i}.dcm", annotated(scan(8, seed=i)), box, **tags)
    return tmp_path / "clinic"


def test_export_then_extract(clinic, tmp_path, capsys):
    assert run("export", clinic, tmp_path / "out", "--key", tmp_path / "key.csv", "--workers", 1) == 0
    said = capsys.readouterr()
    assert said.out.count("\n") == 1 and "2 recordings of 1 patients" in said.out
    assert "outside the sector of 2" in said.out and "DOE" not in said.out
    assert set(pd.read_csv(tmp_path / "key.csv")["name"]) == {"P0001_01", "P0001_02"}
    assert run("extract", tmp_path / "out", tmp_path / "frames", "--workers", 1) == 0
    assert "8 frames of 2 recordings" in capsys.readouterr().out


def test_png_frames_and_what_was_skipped(clinic, tmp_path, capsys):
    (clinic / "broken.dcm").write_bytes((clinic / "DOE_0.dcm").read_bytes()[:5000])
    assert run("export", clinic, tmp_path / "out", "--layout", "png", "--workers", 1) == 0
    said = capsys.readouterr()
    assert "skipped broken.dcm: " in said.err and "(png layout" in said.out
    assert len(list((tmp_path / "out").rglob("*.png"))) == 16


def test_what_fails_is_one_sentence(tmp_path, capsys):
    assert run("export", tmp_path / "gone", tmp_path / "out") == 1
    assert f"echogan: {tmp_path / 'gone'} is missing" in capsys.readouterr().err
    assert run("export", tmp_path, tmp_path / "out", "--layout", "nifti") == 2
