"""`echogan segmenter`, `dice`, `share` and `downstream` as a user types them."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch

from echogan.cli import main
from echogan.data.frames import COLUMNS, save_index
from echogan.data.images import write_png
from tests.downstream.hearts import hearts, written


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Real and synthetic drawn hearts."""
    root = tmp_path_factory.mktemp("downstream")
    written(hearts(16, 2, 6), root / "real")
    written(hearts(16, 1, 1, seed=3, name="s"), root / "syn" / "100_0")
    return root


def test_train_a_segmenter_and_ask_for_its_dice(folders, capsys, tmp_path):
    words = ("--kimg", 0.064, "--resolution", 32, "--device", "cpu")
    assert run("segmenter", folders / "real", "--name", "a", *words) == 0
    assert "segmenter/a trained to 0.064 kimg" in capsys.readouterr().out
    assert run("dice", "segmenter/a", folders / "real", "--device", "cpu", "--out", tmp_path / "dice.csv") == 0
    table = pd.read_csv(tmp_path / "dice.csv").set_index("structure")
    assert list(table.index) == ["left ventricle", "myocardium", "left atrium"] and (table["patients"] == 6).all()
    line = capsys.readouterr().out
    assert line.startswith("Dice of 12 TEST frames of") and set(table["split"]) == {"TEST"}
    assert f"(drawn hearts): left ventricle {table.loc['left ventricle', 'Dice']:.3f}" in line
    assert (
        run("plane", "segmenter/a", folders / "real", folders / "syn/100_0", tmp_path / "plane.png", "--device", "cpu")
        == 0
    )
    assert "50 = indistinguishable" in capsys.readouterr().out and (tmp_path / "plane.png").stat().st_size > 5000
    assert run("dice", "segmenter/a", folders / "real", "--split", "val", "--device", "cpu") == 0
    assert "Dice of 4 VAL frames of" in capsys.readouterr().out
    assert run("dice", "segmenter/a", folders / "real", "--split", "TEST") == run("plane", "--split", "TEST") == 2
    capsys.readouterr()
    assert run("dice", "segmenter/b", folders / "real") == 1
    assert "segmenter/b is not a run" in capsys.readouterr().err


def test_a_share_of_the_patients(folders, capsys, tmp_path):
    assert run("share", folders / "real", tmp_path / "quarter", "--percent", 25) == 0
    assert "22 frames" not in capsys.readouterr().err and len(pd.read_csv(tmp_path / "quarter" / "index.csv")) == 2 * (
        4 + 1 + 6
    )
    assert run("share", folders / "real", tmp_path / "none", "--percent", 0) == 1
    assert "above 0" in capsys.readouterr().err and not (tmp_path / "none").exists()


def test_the_experiment_with_prepared_synthetic_frames(folders, capsys, tmp_path):
    words = ("--shares", "100:1", "--arms", "real", "synthetic", "--kimg", 0.064, "--resolution", 32, "--device", "cpu")
    template = folders / "syn" / "{share}_{seed}"
    assert run("downstream", folders / "real", tmp_path / "out", "--synthetic", template, "--no-ef", *words) == 0
    assert "2 segmenters tested on 6 patients; 2 files in" in capsys.readouterr().out
    assert set(pd.read_csv(tmp_path / "out" / "downstream.csv")["arm"]) == {"real", "synthetic"}


def test_failures_are_one_sentence(folders, capsys, tmp_path):
    for words, sentence in (
        ((), "need --synthetic FOLDER"),
        (("--arms", "real", "--shares", "ten"), "percent:seeds, such as 10:3, got 'ten'"),
        (("--arms", "rael"), "no training set is called 'rael'"),
        (("--synthetic", tmp_path / "{share}", "--arms", "synthetic", "--resolution", 32), "is not a folder of frames"),
        (
            ("--synthetic", "syn/{percent}_{seed}"),
            "{percent}_{seed}' is no pattern of folders; write {share} and {seed}",
        ),
        (("--synthetic", "syn/{share"), "'syn/{share' is no pattern of folders"),
        (("--synthetic", "syn/{}"), "'syn/{}' is no pattern of folders"),
        (("--arms", "real", "--shares", "10:3", "100:0"), "seeds of 100 % must be 1 or more, got 0"),
        (("--arms", "real", "--shares"), "no segmenter to train; give one of --shares and one of --arms at least"),
    ):
        assert run("downstream", folders / "real", tmp_path / "out", *words) == 1
        err = capsys.readouterr().err
        assert sentence in err and "Traceback" not in err
    assert not list(tmp_path.iterdir())


def of_patients(path, patients, seed, side=4):
    """A folder of four pictures of each patient, who are alike in everything but a little noise."""
    rng, each = np.random.default_rng(seed), 4
    images = np.repeat(rng.integers(60, 190, (patients, 4, 4)), each, axis=0)
    images += rng.integers(-9, 10, images.shape)
    names = [f"s{seed}_{i}.png" for i in range(len(images))]
    for name, image in zip(names, images):
        write_png(path / "images" / name, np.kron(image, np.ones((side // 4, side // 4))).astype(np.uint8))
    index = pd.DataFrame({"file": names, "patient": [f"s{seed}_{i // each}" for i in range(len(names))]})
    save_index(path, index.assign(split="TEST").reindex(columns=list(COLUMNS)), {"kind": "drawn"})
    return path


@pytest.mark.parametrize("side", [4, 8])
def test_patients_of_one_distribution_are_not_told_apart_by_several_frames_or_size(tmp_path, monkeypatch, capsys, side):
    model = SimpleNamespace(config=SimpleNamespace(resolution=4))
    monkeypatch.setattr("echogan.downstream.masks.load_segmenter", lambda *_: model)
    monkeypatch.setattr("echogan.downstream.masks.features", lambda _, images: torch.tensor(images).flatten(1).float())
    drawn = []
    monkeypatch.setattr("echogan.report.style.save", lambda figure, out: drawn.append(figure))
    real, made = of_patients(tmp_path / "real", 60, 0, side), of_patients(tmp_path / "made", 40, 1)
    assert run("plane", "unet", real, made, tmp_path / "plane.png", "--device", "cpu") == 0
    told = int(capsys.readouterr().out.partition(" %")[0].split()[-1])
    assert 30 < told < 70  # such sets give 49 with a standard deviation of 7, over 300 seeds
    caption = drawn[0].get_supxlabel().replace("\n", " ")
    assert "n: 40 real, 40 synthetic images, one per patient." in caption
