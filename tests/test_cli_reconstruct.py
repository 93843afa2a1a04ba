"""`echogan reconstruct`, and `train` and `evaluate` of a run with two stages, in process."""

import json

import pytest

from echogan import models
from echogan.cli import main
from echogan.data.frames import save_index
from echogan.data.images import read_png, write_png
from echogan.engine import checkpoint
from tests.conftest import blobs, framed

TINY = "resolution=32 grid=4 codes=16 dim=4 width=2 critic_width=2 prior_width=16 depth=1 start=0.016 prior_start=0.032 batch=4"


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture
def frames(tmp_path):
    """A folder of frames."""
    frames = framed(32, 16, 24)
    for name, image in zip(frames.index["file"], frames.images):
        write_png(tmp_path / "frames/images" / name, image)
    save_index(tmp_path / "frames", frames.index, frames.manifest)
    return tmp_path / "frames"


@pytest.fixture
def weights(tmp_path):
    """Untrained weights of a VQGAN."""
    model = models.load("vqgan").build(models.config_of("vqgan", "demo").tiny())
    origin = {"arch": "vqgan", "name": "demo", "kimg": "3", "data": "test blobs"}
    checkpoint.export(tmp_path / "w.safetensors", model, origin)
    return tmp_path / "w.safetensors"


def test_a_run_reconstructs_generates_and_is_judged_by_both(frames, tmp_path, capsys):
    words = ("--data", frames, "--kimg", 0.048, "--device", "cpu", "--set", *TINY.split())
    assert run("train", "vqgan", "demo", *words) == 0
    assert "lpips asked for, but its weights are not on this machine" in capsys.readouterr().err
    assert run("reconstruct", "vqgan/demo", frames, tmp_path / "out", "--split", "test") == 0
    out = capsys.readouterr().out
    assert "24 images by vqgan/demo at 0.04" in out and "trained on test blobs: SSIM" in out
    assert len(list((tmp_path / "out").glob("*.png"))) == 24

    assert run("sample", "vqgan/demo", tmp_path / "sheet.png", "--n", 4, "--set", "temperature=0.9", "top_k=5") == 0
    capsys.readouterr()
    assert run("evaluate", "vqgan/demo", "--reference", frames, "--json") == 0
    made = json.loads(capsys.readouterr().out)
    assert run("evaluate", "vqgan/demo", "--reference", frames, "--stage", "translate", "--keep") == 0
    words = capsys.readouterr().out
    assert made["paired"] == "diversity" and made["stage"] == "generate"
    assert "JPEG2000_SSIM" in words and "24 pairs of an image and the frame it should be" in words


def test_one_picture_is_enough(weights, tmp_path, capsys):
    write_png(tmp_path / "heart.png", blobs(1, 48)[0])
    assert run("reconstruct", weights, tmp_path / "heart.png", tmp_path / "sheet.png") == 0
    assert capsys.readouterr().out.startswith("1 image by vqgan/demo")
    assert read_png(tmp_path / "sheet.png").shape[0] == 32


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("vqgan/none", "frames", "out"), "vqgan/none is not a run"),
        (("w.safetensors", "nowhere", "out"), "nowhere"),
        (("w.safetensors", "frames", "frames"), "exists and is not empty"),
        (("w.safetensors", "frames", "out", "--split", "best"), "no BEST split"),
        (("w.safetensors", "frames", "out", "--set", "noise"), "--set wants key=value"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(frames, weights, tmp_path, capsys, monkeypatch, words, said):
    monkeypatch.chdir(tmp_path)
    assert run("reconstruct", *words) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()
