"""The phantom in every layout and CAMUS into frames, as a user types it."""

import pytest

from echogan.cli import main
from echogan.data.frames import load_frames


def run(*words):
    return main([str(word) for word in words])


def test_camus_from_nothing_to_frames(tmp_path, capsys):
    root = tmp_path / "study"
    assert run("phantom", root, "--layout", "camus-hdf5", "--patients", 3, "--seed", 4, "--workers", 1) == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert run("camus", root, tmp_path / "frames", "--size", 128) == 0
    out = capsys.readouterr().out
    assert "12 frames of 3 patients in" in out and out.count("\n") == 1
    frames = load_frames(tmp_path / "frames")
    assert frames.images.shape == (12, 128, 128) and frames.kind == "synthetic phantom"
    assert run("camus", root, tmp_path / "subset", "--subset", "--size", 128) == 0
    assert (tmp_path / "subset" / "hdf5" / "anno_train_4CH_FD.hdf5").is_file()
    capsys.readouterr()
    assert run("camus", root, tmp_path / "low", "--size", 64, "--low", "Poor+Medium") == 0
    assert "in domain A" in capsys.readouterr().out
    assert set(load_frames(tmp_path / "low").domain("A").index["quality"]) <= {"Poor", "Medium"}


@pytest.mark.slow
def test_the_release_layout(tmp_path):
    words = ("--layout", "camus-nifti", "--patients", 3, "--workers", 1)
    assert run("phantom", tmp_path / "study", *words) == 0
    assert run("camus", tmp_path / "study", tmp_path / "frames", "--size", 64, "--every") == 0
    assert len(load_frames(tmp_path / "frames")) > 12 * 5


def test_quality_from_nothing_to_domains(tmp_path, capsys):
    words = ("--layout", "quality", "--patients", 6, "--frames", 1, "--workers", 1)
    assert run("phantom", tmp_path / "study", *words) == 0
    assert run("domains", tmp_path / "study", tmp_path / "frames", "--size", 64) == 0
    assert "6 frames of 6 patients" in (out := capsys.readouterr().out) and "3 in domain A, 3 in domain B" in out
    assert load_frames(tmp_path / "frames").masks.shape == (6, 64, 64)


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("phantom", "out", "--layout", "camus-nifti", "--frames", "9"), 1, "--frames does not apply to camus-nifti"),
        (("phantom", "out", "--layout", "quality", "--patients", "5"), 1, "at least 6"),
        (("phantom", "out", "--layout", "camus"), 2, "camus-hdf5"),
        (("camus", "nowhere", "out"), 1, "nowhere is missing"),
        (("camus", "nowhere", "out", "--low", "Bad"), 1, "low cannot be 'Bad'"),
        (("domains", "nowhere", "out"), 1, "has no folder trainA"),
    ],
)
def test_wrong_use_is_one_sentence(words, code, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*words) == code
    output = capsys.readouterr()
    assert said in output.out + output.err and "Traceback" not in output.err
    assert list(tmp_path.iterdir()) == []
