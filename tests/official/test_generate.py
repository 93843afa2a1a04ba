"""Images drawn by the official code, of a snapshot that was looked through first."""

import hashlib
from dataclasses import replace

import cv2
import numpy as np
import pytest

from echogan.cli import main
from echogan.errors import BadInput
from echogan.official import repository
from echogan.official.generate import generate
from tests.official import writer
from tests.official.test_convert import model

STAND_IN = """
import argparse, cv2, numpy as np
parser = argparse.ArgumentParser()
for name in ("outdir", "network", "seeds", "trunc", "noise-mode"):
    parser.add_argument("--" + name, required=True)
args = parser.parse_args()
first, last = map(int, args.seeds.split("-"))
for seed in range(first, last + 1):
    assert float(args.trunc) == 0.7, "truncation is not 0.7"
    cv2.imwrite(f"{args.outdir}/seed{seed:04d}.png", np.full((8, 8), seed, np.uint8))
"""


@pytest.fixture
def clone(tmp_path, monkeypatch):
    place = tmp_path / "clone"
    place.mkdir()
    (place / "train.py").write_text("pass")
    (place / "generate.py").write_text(STAND_IN)
    known = replace(repository.KNOWN[0], train=hashlib.sha256(b"pass").hexdigest(), needs=())
    monkeypatch.setattr(repository, "KNOWN", (known, *repository.KNOWN[1:]))
    bare = tmp_path / "bare.py"
    bare.write_text("import runpy, sys\ndel sys.argv[0]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n")
    monkeypatch.setattr(repository, "LAUNCHER", bare)
    return place


def test_a_folder_or_a_sheet_of_its_seeds(clone, tmp_path, capsys):
    source = writer.write_snapshot(tmp_path / "net.pkl", model())
    words = [
        "official",
        "generate",
        source,
        tmp_path / "out",
        "--n",
        3,
        "--seed",
        5,
        "--truncation",
        0.7,
        "--device",
        "cpu",
    ]
    assert main([str(word) for word in [*words, "--code", clone]]) == 0
    found = [cv2.imread(str(tmp_path / "out" / f"img_0000{i}.png"), 0)[0, 0] for i in range(3)]
    assert found == [5, 6, 7] and "3 images of net.pkl" in capsys.readouterr().out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["bare.py", "clone", "net.pkl", "out"]  # no log is left
    generate(source, tmp_path / "sheet.png", 4, 1, 0.7, "cpu", clone)
    assert np.array_equal(np.unique(cv2.imread(str(tmp_path / "sheet.png"), 0)), [0, 1, 2, 3, 4])


def test_what_is_hostile_or_fails_makes_nothing(clone, tmp_path):
    (tmp_path / "evil.pkl").write_bytes(b"cos\nsystem\n(X\x04\0\0\0harmtR.")
    with pytest.raises(BadInput, match=r"nothing of it was run: it names os\.system"):
        generate(tmp_path / "evil.pkl", tmp_path / "out", 4, 0, 0.7, "cpu", clone)
    source = writer.write_snapshot(tmp_path / "net.pkl", model())
    with pytest.raises(BadInput, match=r"generate.py of the official code .* failed in itself.*truncation is not 0.7"):
        generate(source, tmp_path / "out", 4, 0, 1.0, "cpu", clone)
    assert not (tmp_path / "out").exists() and (tmp_path / "out_official.log").is_file()
