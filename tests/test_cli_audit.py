"""`echogan audit` as a user types it: one line, one object, one picture, one sentence when it fails."""

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from echogan.cli import main
from echogan.data.frames import COLUMNS, save_index
from echogan.data.images import write_png
from echogan.metrics.copies import planted
from tests.metrics.patients import speckle


def run(*words):
    return main([str(word) for word in words])


def write_frames(folder, images, splits):
    rows = [
        {"file": f"{s}{i}.png", "video": f"{s}{i}", "patient": f"{s}{i}", "split": s, "frame": 0}
        for i, s in enumerate(splits)
    ]
    for row, image in zip(rows, images):
        write_png(folder / "images" / row["file"], image)
    save_index(folder, pd.DataFrame(rows, columns=list(COLUMNS)), {"kind": "test speckle"})
    return folder


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Frames of 30 TRAIN and 24 VAL patients, and pictures: 15 new ones and 5 changed copies."""
    root, images = tmp_path_factory.mktemp("audit"), speckle(54)
    write_frames(root / "frames", images, ["TRAIN"] * 30 + ["VAL"] * 24)
    write_frames(root / "train_only", images[:30], ["TRAIN"] * 30)
    for i, image in enumerate(np.concatenate([speckle(15, seed=5), planted(images[:5], "changed")])):
        write_png(root / "fakes" / f"{i}.png", image)
    return root


def test_one_line_and_a_picture(folders, capsys, tmp_path):
    out = tmp_path / "worst.png"
    assert run("audit", folders / "fakes", "--training", folders / "frames", "--out", out, "--device", "cpu") == 0
    line = capsys.readouterr().out
    assert line.count("\n") == 1 and "% (" in line and "of 20 images" in line and "worst.png" in line
    assert "of 24 unseen patients" in line and "exact 100 %, changed 100 %" in line
    picture = np.asarray(Image.open(out).convert("L"))
    assert picture.shape[0] > picture.shape[1] > 500 and np.ptp(picture) > 200


def test_one_object_with_held_out_frames_of_another_folder(folders, capsys, monkeypatch):
    monkeypatch.setattr("echogan.engine.audit.PLANTED", 2)
    words = ("--training", folders / "train_only", "--heldout", folders / "frames", "--json", "--device", "cpu")
    assert run("audit", folders / "fakes", *words) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["n_fake"] == 20 and row["heldout_patients"] == 24 and 25 <= row["flagged"] <= 45


def test_failures_are_one_sentence(folders, capsys, tmp_path):
    for words, sentence in (
        (("--training", folders / "train_only"), "no VAL and no TEST patients"),
        (("--training", tmp_path / "nowhere"), "not a folder of frames"),
        (("--training", folders / "frames", "--n", 5), "20 images or more, got 5"),
        (("--training", folders / "frames", "--out", tmp_path / "a.bmp"), "neither .png nor .pdf"),
        (("--training", folders / "frames", "--truncation", 0.5, "--keep"), "audit.csv tells a truncation of 0.5"),
    ):
        assert run("audit", folders / "fakes", *words, "--device", "cpu") == 1
        err = capsys.readouterr().err
        assert sentence in err and "Traceback" not in err
    assert run("audit", folders / "fakes") == 2
    assert not list(tmp_path.iterdir())
