"""Images and films from weights: what is asked for is what comes, and a film is a closed, smooth walk."""

import zipfile

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from echogan import models
from echogan.contract import Architecture
from echogan.data.film import write_film
from echogan.data.video import read_video
from echogan.engine.checkpoint import export
from echogan.engine.sampling import (
    Walk,
    Wanted,
    class_of,
    generated,
    interpolation,
    slerp,
    write_interpolation,
    write_samples,
)
from echogan.engine.source import read_pictures
from echogan.errors import BadInput


@pytest.fixture
def model():
    torch.manual_seed(0)
    model = models.load("wgan").build(models.config_of("wgan", "demo").tiny())
    with torch.no_grad():
        for p in model.G.parameters():
            p.mul_(10)  # an untrained generator's images are all grey
    return model


@pytest.fixture
def weights(model, tmp_path):
    export(tmp_path / "w.safetensors", model, {"arch": "wgan", "name": "demo", "kimg": "3", "data": "test blobs"})
    return tmp_path / "w.safetensors"


class Positions(Architecture):
    """Shows its latents as the picture, and a second draw beside them."""

    choices = ("noise",)

    def __init__(self):
        super().__init__()
        self.G = torch.nn.Linear(1, 1)

    def generate(self, batch, truncation=1.0, noise="random"):
        latent, grain = batch.randn(16), batch.randn(16)
        return torch.cat([latent, grain], 1).reshape(-1, 1, 2, 16).tanh()


def test_slerp_keeps_the_length_and_passes_the_keys():
    a, b = torch.randn(2, 5, 64, generator=torch.Generator().manual_seed(0)).unbind()
    a, b = a / a.norm(dim=1, keepdim=True), b / b.norm(dim=1, keepdim=True)
    for t in (0.0, 0.3, 1.0):
        torch.testing.assert_close(slerp(a, b, torch.full((5,), t)).norm(dim=1), torch.ones(5))
    torch.testing.assert_close(slerp(a, b, torch.zeros(5)), a)
    torch.testing.assert_close(slerp(a, b, torch.ones(5)), b)


def test_an_interpolation_is_closed_smooth_and_still_in_everything_but_the_latents():
    frames = interpolation(Positions(), keys=3, steps=40).astype(int)
    assert frames.shape == (120, 2, 16)
    latent, grain = frames[:, 0], frames[:, 1]
    assert np.ptp(grain, axis=0).max() == 0 and np.ptp(latent, axis=0).max() > 50
    steps = np.abs(latent - np.roll(latent, -1, axis=0)).max()  # the last frame is next to the first
    assert steps < 20


def test_blocks_of_a_film_belong_together(model):
    """120 frames are two blocks; the same walk in larger steps shows the same pictures."""
    fine, coarse = interpolation(model, 3, 40), interpolation(model, 3, 10)
    assert np.abs(fine[::4].astype(int) - coarse).max() <= 1


@pytest.mark.parametrize("name", ["walk.gif", "walk.mp4"])
def test_films_are_read_back(weights, tmp_path, name):
    header = write_interpolation(weights, tmp_path / name, Walk(keys=2, steps=6, fps=10))
    assert header["data"] == "test blobs"
    if name.endswith("gif"):
        film = Image.open(tmp_path / name)
        assert film.n_frames == 12 and film.size == (32, 32) and film.info["duration"] == 100
    else:
        frames, fps = read_video(tmp_path / name)
        assert frames.shape == (12, 32, 32) and fps == 10


def test_another_kind_of_film_is_refused_and_nothing_written(weights, tmp_path):
    with pytest.raises(BadInput, match=r"name it .gif or .mp4"):
        write_interpolation(weights, tmp_path / "walk.webm", Walk(2, 2))
    assert not list(tmp_path.glob("*walk*"))


def test_a_folder_of_samples_says_how_it_was_made(weights, tmp_path, model):
    write_samples(weights, tmp_path / "out", 5, Wanted(seed=3, truncation=0.5))
    manifest = (tmp_path / "out" / "manifest.json").read_text()
    assert '"seed": 3' in manifest and '"truncation": 0.5' in manifest and '"weights_sha256"' in manifest
    images = np.stack([cv2.imread(str(tmp_path / "out" / f"img_{i:05d}.png"), 0) for i in range(5)])
    expected = generated(model, 5, Wanted(seed=3, truncation=0.5)).numpy()
    assert np.array_equal(images, expected)
    assert images.astype(float).std(0).mean() < generated(model, 5, Wanted(seed=3)).numpy().astype(float).std(0).mean()


def test_a_zip_holds_what_the_folder_would_and_equal_calls_give_equal_bytes(weights, tmp_path):
    for name in ("out", "out.zip", "again.zip"):
        write_samples(weights, tmp_path / name, 5, Wanted(seed=3))
    with zipfile.ZipFile(tmp_path / "out.zip") as packed:
        held = {name: packed.read(name) for name in packed.namelist()}
    assert held == {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} and len(held) == 6
    assert (tmp_path / "out.zip").read_bytes() == (tmp_path / "again.zip").read_bytes()
    assert np.array_equal(read_pictures(tmp_path / "out.zip")[0], read_pictures(tmp_path / "out")[0])
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".")) == []


def test_an_out_that_is_named_like_another_kind_of_file_is_refused(weights, tmp_path):
    with pytest.raises(BadInput, match=r"walk\.gif would be a folder with the name of a file"):
        write_samples(weights, tmp_path / "walk.gif", 5)
    assert not (tmp_path / "walk.gif").exists()


def test_a_choice_an_architecture_does_not_have_is_named(model):
    with pytest.raises(BadInput, match="no choice 'noise'; it has truncation"):
        generated(model, 2, Wanted(choices={"noise": "constant"}))
    assert generated(Positions(), 2, Wanted(choices={"noise": "constant"})).shape == (2, 2, 16)


@pytest.mark.parametrize("choices", [{"truncation": 0.5}, {"n": 3.0}, {"seed": 1.0}])
def test_a_word_that_is_taken_is_no_choice(model, weights, tmp_path, choices):
    wanted = Wanted(choices=choices)
    for make in (
        lambda: generated(model, 2, wanted),
        lambda: interpolation(model, 2, 2, wanted),
        lambda: write_samples(weights, tmp_path / "out", 2, wanted),
    ):
        with pytest.raises(BadInput, match=r"truncation is no choice.*--truncation|has no choice"):
            make()


@pytest.mark.parametrize("truncation", [float("nan"), float("inf"), -float("inf")])
def test_a_truncation_is_a_number(weights, tmp_path, truncation):
    with pytest.raises(BadInput, match="truncation is a number such as"):
        write_samples(weights, tmp_path / "out", 2, Wanted(truncation=truncation))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("walk", "said"),
    [
        (Walk(keys=0), "keys must be 1 or more, got 0"),
        (Walk(steps=0), "steps must be 1 or more, got 0"),
        (Walk(walks=-1), "walks must be 1 or more, got -1"),
        (Walk(fps=0.0), "frames per second, got 0"),
        (Walk(fps=float("nan")), "frames per second, got nan"),
    ],
)
@pytest.mark.parametrize("name", ["walk.gif", "walk.mp4"])
def test_a_film_of_nothing_is_refused(weights, tmp_path, walk, said, name):
    with pytest.raises(BadInput, match=said):
        write_interpolation(weights, tmp_path / name, walk)
    assert not list(tmp_path.glob("*walk*"))


def test_a_walk_or_film_without_frames_is_refused(model, tmp_path):
    for keys, steps in ((0, 3), (3, 0)):
        with pytest.raises(BadInput, match="must be 1 or more, got 0"):
            interpolation(model, keys, steps)
    with pytest.raises(BadInput, match="a film without frames"):
        write_film(tmp_path / "film.gif", np.zeros((0, 8, 8), np.uint8))


def test_an_out_that_cannot_be_is_refused_before_anything_is_made(weights, tmp_path, monkeypatch):
    for name in ("sheet.png", "walk.gif", "full"):
        (tmp_path / name).mkdir()
    (tmp_path / "full/file").touch()
    monkeypatch.setattr("echogan.engine.sampling.load_generator", lambda *_: pytest.fail("weights were read"))
    for out, said in (("sheet.png", "is a folder"), ("full", "is not empty"), ("full/file/out", "file is a file")):
        with pytest.raises(BadInput, match=said):
            write_samples(weights, tmp_path / out)
    for out, said in (
        ("walk.gif", "is a folder"),
        ("walk.webm", "name it .gif or .mp4"),
        ("full/file/a.gif", "a file"),
    ):
        with pytest.raises(BadInput, match=said):
            write_interpolation(weights, tmp_path / out)


def test_classes_are_asked_for_by_name():
    header = {"arch": "stylegan2_ada", "name": "phase", "classes": '["diastole", "systole"]'}
    assert class_of(header, "systole") == 1 and class_of(header, "") is None
    with pytest.raises(BadInput, match=r"it has diastole, systole. has no class 'sistole'; did you mean 'systole'"):
        class_of(header, "sistole")
    with pytest.raises(BadInput, match="trained without conditions"):
        class_of({"arch": "wgan", "name": "gp"}, "systole")
