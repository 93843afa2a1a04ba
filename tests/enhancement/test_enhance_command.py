"""A trained run enhances recordings through `echogan enhance`, and a run that is no enhancer is refused."""

import re
import shutil
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from echogan import models
from echogan.cli import main
from echogan.config import Settings
from echogan.contract import Architecture
from echogan.data.frames import save_index
from echogan.data.video import read_video
from echogan.engine import checkpoint
from echogan.engine.fit import fit
from echogan.enhancement.run import at_scale, load_enhancer
from echogan.errors import BadInput
from echogan.metrics.familiar import FEATURES, learn_range
from echogan.models import cyclegan
from echogan.sector import ECHONET
from tests.conftest import framed
from tests.data import dicoms
from tests.data.studies import beating, write_avi
from tests.enhancement.stand_ins import FAN, scan, write_png


@dataclass(frozen=True)
class Config:
    """How bright."""

    gain: float = 0.2
    resolution: int = 1024


class Brighter(Architecture):
    """x + strength g (x + 1), with g a trained weight; its sides must be multiples of 16, like those of a U-Net."""

    choices = ("strength",)

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.G = nn.ParameterList([nn.Parameter(torch.tensor(config.gain))])

    def translate(self, batch, strength=1.0):
        assert not any(side % 16 for side in batch["A"].shape[-2:])
        return batch["A"] + strength * self.G[0] * (batch["A"] + 1)


class Deaf(Brighter):
    """Knows no strength."""

    choices = ()


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A .safetensors file of `Brighter`."""
    known = {
        "brighter": SimpleNamespace(Config=Config, build=Brighter),
        "deaf": SimpleNamespace(Config=Config, build=Deaf),
    }
    monkeypatch.setattr(models, "load", known.__getitem__)
    for name, made in (("brighter", Brighter), ("deaf", Deaf)):
        origin = {"arch": name, "name": "test", "kimg": "1", "data": "test"}
        checkpoint.export(tmp_path / f"{name}.safetensors", made(Config()), origin)
    return tmp_path / "brighter.safetensors"


def test_an_enhancer_takes_any_size_and_strength(run):
    images = torch.rand(2, 1, 33, 47) * 1.5 - 1
    enhancer = load_enhancer(run)
    assert enhancer.name == "brighter/test" and len(enhancer.sha256) == 64
    assert torch.allclose(enhancer(images, 0.5), images + 0.1 * (images + 1), atol=1e-6)
    with pytest.raises(BadInput, match="no enhancer"):
        load_enhancer(run.with_name("deaf.safetensors"))


def test_larger_pictures_are_looked_at_as_small_as_those_of_training_and_keep_their_detail(run):
    coarse = F.interpolate(torch.rand(2, 1, 4, 5) - 1, (96, 120), mode="bicubic").clamp(-0.8, 0)
    images = coarse + 0.03 * torch.randn(coarse.shape)
    seen = []
    changed = at_scale(images, 60, lambda x: seen.append(x.shape[2:]) or x + 0.2 * (x + 1))
    assert seen == [(48, 60)]  # the shape stays
    detail, kept = ((x - F.avg_pool2d(x, 5, 1, 2))[..., 2:-2, 2:-2] for x in (images - coarse, changed - 1.2 * coarse))
    assert (
        changed - images - 0.2 * (coarse + 1)
    ).abs().mean() < 0.02  # what is coarse is made brighter as it was asked
    assert (kept - detail).abs().mean() < 0.2 * detail.abs().mean()  # and what is fine stays as it was
    assert load_enhancer(run).scale == 1024
    assert torch.equal(at_scale(images, 60, lambda x: x), images)


def test_the_way_back_of_a_cycle_comes_with_its_enhancer_and_fastcut_has_none(tmp_path):
    torch.manual_seed(0)
    images = torch.rand(2, 1, 30, 41) * 1.5 - 1
    for name, has in (("plain", True), ("fastcut", False)):
        model = cyclegan.build(cyclegan.CONFIGS[name].tiny()).eval()
        path = tmp_path / f"{name}.safetensors"
        checkpoint.export(path, model, {"arch": "cyclegan", "name": name, "kimg": "1", "data": "test"})
        enhancer = load_enhancer(path)
        assert bool(enhancer.back) == model.two_ways == has
        if enhancer.back:
            made = enhancer.back(images)
            assert made.shape == images.shape and not made.requires_grad and made.abs().max() <= 1
    with pytest.raises(BadInput, match="no way back"):
        model.returned({"image": images})


def test_the_command_says_what_it_did(run, tmp_path, capsys):
    source = write_avi(tmp_path / "in.avi", beating(10) // 2)
    words = ["enhance", source, tmp_path / "out.avi", "--run", run, "--device", "cpu", "--report", "none"]
    assert main([str(word) for word in words]) == 0
    line = capsys.readouterr().out
    assert (
        line.count("\n") == 1
        and "brighter/test" in line
        and re.search("flicker 1.(19|20) ", line)
        and "research use only" in line
    )
    before, after = read_video(source)[0].astype(float), read_video(tmp_path / "out.avi")[0]
    assert np.abs(after - 1.2 * before)[:, ECHONET.mask()].max() <= 0.51


def test_a_folder_with_a_broken_file_ends_with_1(run, tmp_path, capsys):
    write_avi(tmp_path / "in" / "good.avi", scan(3))
    (tmp_path / "in" / "bad.avi").write_bytes(b"nothing")
    (tmp_path / "in" / "film.mov").write_bytes(b"nothing")
    assert main(["enhance", str(tmp_path / "in"), str(tmp_path / "out"), "--run", str(run), "--report", "none"]) == 1
    said = capsys.readouterr()
    assert "1 recording enhanced" in said.out and "bad.avi does not decode" in said.err and "Traceback" not in said.err
    assert "left out: 1 .mov" in said.err
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["good.avi"]


def coloured():
    picture = cv2.cvtColor(scan(1)[0], cv2.COLOR_GRAY2BGR)
    picture[FAN.mask(), 2] = np.minimum(picture[FAN.mask(), 2].astype(int) + 30, 255)
    return picture


def test_colour_is_refused_with_its_threshold_and_forced_with_a_mark(run, tmp_path, capsys):
    source, out = write_png(tmp_path / "in.png", coloured()), tmp_path / "out.png"
    words = ["enhance", str(source), str(out), "--run", str(run), "--report", "none"]
    assert main(words) == 1 and not out.exists()
    assert "above 6 (Doppler, or a tint)" in capsys.readouterr().err
    assert main([*words, "--force"]) == 0
    told = re.search(r"marked at \((\d+), (\d+), (\d+), (\d+)\)", capsys.readouterr().err)
    x, y, width, height = map(int, told.groups())
    mark = np.zeros((120, 160), bool)
    mark[y : y + height, x : x + width] = True
    before, after = (cv2.imread(str(path), cv2.IMREAD_GRAYSCALE) for path in (source, out))
    assert after[mark].max() > 200 and not (mark & FAN.mask()).any()
    rest = ~mark & ~cv2.dilate(FAN.mask().astype(np.uint8), np.ones((9, 9))).astype(bool)
    assert np.array_equal(after[rest], before[rest])


def test_recordings_unlike_the_training_frames_are_refused(run, tmp_path, capsys):
    rng = np.random.default_rng(0)
    images = [cv2.GaussianBlur(beating(20, i)[i % 20], (0, 0), s) for i, s in enumerate(rng.uniform(0.05, 0.5, 40))]
    images = [(image * g).astype(np.uint8) for image, g in zip(images, rng.uniform(0.8, 1.0, 40))]
    rows = [{"file": f"{i}.png", "video": f"{i}", "patient": f"{i}", "split": "TRAIN"} for i in range(40)]
    for row, image in zip(rows, images):
        write_png(tmp_path / "frames" / "images" / row["file"], image)
    save_index(tmp_path / "frames", pd.DataFrame(rows), {"kind": "test"})
    write_avi(tmp_path / "like.avi", (beating(6, seed=50) * 0.9).astype(np.uint8))
    write_avi(tmp_path / "dark.avi", beating(6, seed=50) // 3)
    write_avi(tmp_path / "smooth.avi", np.stack([cv2.GaussianBlur(f, (0, 0), 2) for f in beating(6, seed=50)]))
    answers = {}
    for name in ("like", "dark", "smooth"):
        words = ["enhance", tmp_path / f"{name}.avi", tmp_path / f"{name}_out.avi", "--run", run, "--report", "none"]
        code = main([*map(str, words), "--training", str(tmp_path / "frames")])
        answers[name] = code, capsys.readouterr().err
    assert [code for code, _ in answers.values()] == [0, 1, 1]
    assert f"unlike the training pictures: {FEATURES[0]}" in answers["dark"][1] and "texture" in answers["smooth"][1]
    told = "refused are a mean chroma above 6 grey levels, colour in more than 1 % of the sector, and what lies outside"
    assert all(told in said for _, said in answers.values())


def test_a_run_remembers_the_range_of_its_training_pictures(tmp_path, capsys):
    """Its weights alone tell what they are for: no training frame is at hand when a recording comes."""
    frames = framed()
    frames.index["domain"] = ["A", "B"] * (len(frames) // 2)
    low = frames.split("TRAIN").domain("A")
    config = cyclegan.CONFIGS["demo"].tiny()
    folder = fit("cyclegan", "demo", frames, Settings(kimg=0.032, device="cpu"), config, tmp_path)
    known = load_enhancer(folder.path).known
    assert known == learn_range(low.images, ECHONET.resized(32).mask()) and known.images == len(low)
    assert folder.read()["range"] == known.told()
    alone = tmp_path / "alone.safetensors"
    shutil.copy(folder.weights("best"), alone)
    source, words = write_avi(tmp_path / "in.avi", beating(4)), ["--run", str(alone), "--report", "none"]
    assert main(["enhance", str(source), str(tmp_path / "out.avi"), *words]) == 1
    said = capsys.readouterr().err
    assert "is unlike the training pictures" in said and f"outside {known.words()}" in said
    assert not (tmp_path / "out.avi").exists()
    assert main(["enhance", str(source), str(tmp_path / "out.avi"), *words, "--force"]) == 0
    assert "forced, and marked at" in capsys.readouterr().err


def test_the_trust_report_of_frames_and_of_a_clip(run, tmp_path, capsys):
    rows = [{"file": f"{i}.png", "patient": f"{i}", "split": s} for i, s in enumerate(["TRAIN"] * 8 + ["TEST"] * 4)]
    for i, row in enumerate(rows):
        write_png(tmp_path / "frames" / "images" / row["file"], beating(1, i)[0] // 2)
    save_index(tmp_path / "frames", pd.DataFrame(rows), {"kind": "test"})
    words = ["trust", str(run), str(tmp_path / "frames"), str(tmp_path / "t.html"), "--device", "cpu"]
    assert main(words) == 0
    line = capsys.readouterr().out
    assert "lesions kept 1.2" in line and line.count("\n") == 1
    told = (tmp_path / "t.html").read_text()
    for words in (
        "4 frames of 4 patients, 112 x 112 px; shown: no patient twice. The run was trained at 1024 px. Suspicious",
        "plain filters make of 8 frames of TRAIN stays below it",
        "Strength 1: the share of the change that is applied",
        "Hardware: 1 thread",
    ):
        assert words in told, words
    source = write_avi(tmp_path / "in.avi", beating(6) // 2)
    assert main(["trust", str(run), str(source), str(tmp_path / "t.pdf"), "--n", "3"]) == 0
    assert main(["trust", str(run), str(source), str(tmp_path / "t.txt")]) == 1


@pytest.mark.parametrize("name", ["in.avi", "in.png", "in.dcm"])
def test_a_report_stands_beside_every_enhanced_recording(run, tmp_path, name):
    source = tmp_path / name
    if name == "in.avi":
        write_avi(source, scan(9))
    elif name == "in.png":
        write_png(source, scan(1)[0])
    else:
        dicoms.write(source, dicoms.scan(3), dicoms.region(0, 18, 319, 239), FrameTime=20.0)
    out = tmp_path / f"out{source.suffix}"
    assert main(["enhance", str(source), str(out), "--run", str(run), "--device", "cpu"]) == 0
    text = (tmp_path / "out_trust.html").read_text()
    assert "plain filters make of the same frames stays below it" in text and "Are lesions" not in text
    assert "no patient twice" not in text
    assert (name in text) is (name != "in.dcm") and ("Data: a DICOM, 3 of its frames" in text) is (name == "in.dcm")
    assert cv2.imread(str(tmp_path / "out_trust.png")) is not None
