import csv
import json
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from echogan import models
from echogan.config import RunFolder, Settings
from echogan.engine import checkpoint
from echogan.engine import fit as module
from echogan.engine.fit import fit, is_moment
from echogan.engine.loop import Engine
from echogan.errors import BadInput
from tests.conftest import framed

CONFIG = models.config_of("wgan", "demo").tiny()
SETTINGS = Settings(kimg=0.64, seed=5, device="cpu", row_kimg=0.064)


def train(frames, folder, settings=SETTINGS, config=CONFIG, callback=None, arch="wgan"):
    return fit(arch, "t", frames, settings, config, experiments=folder, callback=callback)


def rows(path):
    """A CSV without what the machine adds to it."""
    with open(path, newline="") as file:
        return [{k: v for k, v in row.items() if k not in ("seconds", "peak_MB")} for row in csv.DictReader(file)]


def tensors(path):
    """The bits of every tensor in a .safetensors file (its header's order varies from one writing to the next)."""
    return {key: tensor.numpy().tobytes() for key, tensor in load_file(path).items()}


def left_behind(run):
    """All that two equal runs must share: rows, pictures, weights."""
    pictures = {p.name: cv2.imread(str(p), -1).tobytes() for p in run.samples.glob("*.png")}
    weights = {p.name: tensors(p) for p in run.checkpoints.glob("*.safetensors")}
    return rows(run.losses), rows(run.metrics), pictures, weights


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing disturbed, judged as the others: without weights of an encoder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ECHOGAN_WEIGHTS", raising=False)
        return train(framed(), tmp_path_factory.mktemp("whole"))


@pytest.fixture
def again(whole, tmp_path):
    """A copy of it in `tmp_path`, to be spoilt."""
    shutil.copytree(whole.path, tmp_path / "wgan" / "t")
    return RunFolder.of("wgan", "t", tmp_path)


class Killed(Exception):
    pass


def dies_at(tick, monkeypatch):
    """Make the engine die in the middle of a tick, its parameters half updated."""
    whole = Engine.tick

    def dying(self, batch):
        if self.clock.tick == tick:
            self.update(next(iter(self.phases.values())), batch)
            raise Killed
        whole(self, batch)

    monkeypatch.setattr(Engine, "tick", dying)


def test_a_run_leaves_what_it_promises(frames, tmp_path):
    seen = []
    run = train(frames, tmp_path, callback=seen.append)
    assert run.path == tmp_path / "wgan" / "t"
    config = json.loads(run.config.read_text())
    assert config["data"]["kind"] == "test blobs" and config["data"]["images"] == {"TRAIN": 48, "VAL": 8, "TEST": 8}
    assert config["settings"]["seed"] == 5 and config["versions"]["torch"] == torch.__version__
    assert str(tmp_path) not in run.config.read_text()
    losses = rows(run.losses)
    assert [float(r["kimg"]) for r in losses] == pytest.approx(np.arange(1, 11) * 0.064)
    assert {"D", "G", "penalty", "real", "fake"} <= losses[0].keys()
    assert float(losses[-1]["epoch"]) == pytest.approx(640 / 48, rel=1e-5)
    assert {r["split"] for r in rows(run.metrics)} == {"VAL"}
    assert run.last.is_file() and run.weights("best").is_file() and run.weights("last").is_file()
    assert cv2.imread(str(run.sheet(1)), cv2.IMREAD_UNCHANGED).shape == (6 * 33 - 1, 6 * 33 - 1)
    assert len(seen) == 10 and seen[-1].kimg == seen[-1].of == pytest.approx(0.64)
    assert list(tmp_path.rglob("*partial*")) == []


def test_equal_seeds_give_equal_rows_pixels_and_weights_and_others_do_not(frames, tmp_path, whole):
    a = left_behind(whole)
    assert left_behind(train(frames, tmp_path / "b")) == a
    other = left_behind(train(frames, tmp_path / "c", replace(SETTINGS, seed=6)))
    assert other[0] != a[0] and other[2] != a[2]


@pytest.mark.parametrize("tick", [0, 3, 17, 33])
def test_killed_and_continued_equals_unbroken(frames, tmp_path, monkeypatch, whole, tick):
    monkeypatch.setattr(module, "SAVE_SECONDS", -1 if tick != 33 else 1e9)  # the last case dies before any checkpoint
    with monkeypatch.context() as patch, pytest.raises(Killed):
        dies_at(tick, patch)
        train(frames, tmp_path / "killed")
    assert left_behind(train(frames, tmp_path / "killed")) == left_behind(whole)


def test_killed_while_writing_keeps_the_checkpoint_before(frames, tmp_path, monkeypatch, whole):
    monkeypatch.setattr(module, "SAVE_SECONDS", -1)
    save, count = torch.save, []

    def full_disk(state, path):
        count.append(path)
        if len(count) == 4:
            path.write_bytes(b"half a checkpoint")
            raise OSError(28, "No space left on device")
        save(state, path)

    with (
        monkeypatch.context() as patch,
        pytest.raises(BadInput, match=r"last.pt: No space left on device; free some space"),
    ):
        patch.setattr(torch, "save", full_disk)
        train(frames, tmp_path / "killed")
    assert list(tmp_path.rglob("*partial*")) == []
    assert left_behind(train(frames, tmp_path / "killed")) == left_behind(whole)


def test_what_a_killed_program_left_half_written_is_removed(frames, tmp_path, again):
    left = again.checkpoints / ".last.pt.4711.partial.pt"
    left.write_bytes(b"half a state")
    train(frames, tmp_path)
    assert not left.exists() and again.last.is_file()


def test_a_longer_run_goes_on_from_a_shorter_one(frames, tmp_path, again):
    long = train(frames, tmp_path / "long", replace(SETTINGS, kimg=0.96))
    grown = train(frames, tmp_path, replace(SETTINGS, kimg=0.96))
    assert grown.path == again.path and rows(grown.losses) == rows(long.losses)
    assert tensors(grown.weights("last")) == tensors(long.weights("last"))
    assert json.loads(grown.config.read_text())["settings"]["kimg"] == 0.96


def test_a_finished_run_is_left_as_it_is(frames, tmp_path, again, whole):
    assert left_behind(train(frames, tmp_path)) == left_behind(whole)


def test_fewer_kimg_than_a_run_has_reached_are_refused(frames, tmp_path, again):
    before = again.config.read_bytes()
    with pytest.raises(BadInput, match=r"has been trained to 0\.64 kimg, which cannot be taken back to 0\.32; ask for"):
        train(frames, tmp_path, replace(SETTINGS, kimg=0.32))
    assert again.config.read_bytes() == before


def test_the_record_changes_only_where_something_is_trained_and_then_keeps_what_was(
    frames, tmp_path, again, monkeypatch
):
    before = again.config.read_bytes()
    monkeypatch.setattr("echogan.engine.describe.__version__", "99.0")
    monkeypatch.setattr("echogan.engine.describe.hardware", lambda device: "an A100")
    train(frames, tmp_path)
    assert again.config.read_bytes() == before
    old, new = json.loads(before), train(frames, tmp_path, replace(SETTINGS, kimg=0.7)).read()
    assert new["versions"] == {**old["versions"], "echogan": f"{old['versions']['echogan']}; then 99.0"}
    assert new["hardware"] == f"{old['hardware']}; then an A100" and new["settings"]["kimg"] == 0.7


@pytest.mark.parametrize(
    "settings, config, named",
    [
        (replace(SETTINGS, seed=6), CONFIG, "seed: 5 -> 6"),
        (SETTINGS, replace(CONFIG, lr=0.5), "lr: 0.001 -> 0.5"),
        (replace(SETTINGS, accumulate=2), CONFIG, "accumulate: 1 -> 2"),
    ],
)
def test_another_setting_is_refused_by_name(frames, tmp_path, again, whole, settings, config, named):
    with pytest.raises(BadInput, match=named):
        train(frames, tmp_path, settings, config)
    assert left_behind(again) == left_behind(whole)


def test_frames_smaller_than_what_is_made_are_refused_before_anything_is_written(frames, tmp_path):
    with pytest.raises(
        BadInput,
        match=r'have 32 px, fewer than the 64 .* --size 64, or --set resolution=32; .* change = "resolution=32"',
    ):
        train(frames, tmp_path, config=replace(CONFIG, resolution=64))
    assert not (tmp_path / "wgan").exists()


def test_other_data_are_refused(frames, tmp_path, again):
    frames.images[0] += 1
    with pytest.raises(BadInput, match="fingerprint"):
        train(frames, tmp_path)


def test_the_record_of_a_run_without_its_weights_is_made_again_but_not_replaced(frames, tmp_path, again, whole):
    """As in a checkout of this project, which holds the tables of its own runs."""
    shutil.rmtree(again.checkpoints)
    before = again.losses.read_bytes(), again.config.read_bytes()
    with pytest.raises(
        BadInput, match=r"record of another run .*seed: 5 -> 6.* under another name, or set ECHOGAN_EXPERIMENTS"
    ):
        train(frames, tmp_path, replace(SETTINGS, seed=6))
    assert (again.losses.read_bytes(), again.config.read_bytes()) == before
    assert left_behind(train(frames, tmp_path)) == left_behind(whole)


def test_a_run_killed_before_its_first_checkpoint_may_begin_otherwise(frames, tmp_path, again):
    again.last.unlink()
    train(frames, tmp_path, replace(SETTINGS, seed=6))
    assert json.loads(again.config.read_text())["settings"]["seed"] == 6


def test_a_run_that_was_taken_home_is_not_trained_over(frames, tmp_path, again):
    for file in (
        again.last,
        again.weights("last"),
        *again.checkpoints.glob("kimg_*"),
    ):  # as the archive leaves them out
        file.unlink()
    before = again.losses.read_text(), again.weights("best").read_bytes()
    with pytest.raises(BadInput, match=r"a run whose resume state .* is not here.*train under another name"):
        train(frames, tmp_path)
    assert (again.losses.read_text(), again.weights("best").read_bytes()) == before


@pytest.mark.parametrize("seconds", [0, 300])
def test_a_run_killed_in_its_last_reading_before_any_state_goes_on(frames, tmp_path, monkeypatch, whole, seconds):
    """Also where its one row took longer than what lies between states: a state follows the reading of a row."""
    look, short = module.Gallery.look, replace(SETTINGS, kimg=0.128)

    def killed(self, model, kimg):
        if kimg > 0.1:
            raise KeyboardInterrupt
        return look(self, model, kimg)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module.Gallery, "look", killed)
        train(frames, tmp_path, short)
    run = RunFolder.of("wgan", "t", tmp_path)
    assert float(rows(run.losses)[-1]["kimg"]) == pytest.approx(0.128) and not run.last.exists()
    if seconds:
        run.losses.write_text(f"kimg,epoch,seconds,D\n0.064,1,{seconds},1\n")
    train(frames, tmp_path, short)
    assert rows(run.losses) == rows(whole.losses)[:2] and run.last.is_file()


def test_a_long_run_whose_state_was_removed_is_not_trained_over(frames, tmp_path, again):
    again.last.unlink()
    again.weights("last").unlink()
    again.losses.write_text("kimg,epoch,seconds,D\n0.064,1,300,1\n0.128,2,600,1\n")  # a state followed the first row
    with pytest.raises(BadInput, match=r"a run whose resume state .* is not here"):
        train(frames, tmp_path)


def test_a_loss_that_is_not_a_number_stops_the_run_with_its_name(frames, tmp_path):
    with pytest.raises(BadInput, match=r"loss '\w+' is (nan|inf|-inf)"):
        train(frames, tmp_path, config=replace(CONFIG, lr=1e9))
    assert not (tmp_path / "wgan" / "t" / "checkpoints" / "last.pt").exists()


def test_a_gpu_that_is_not_there_is_an_error(frames, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    with pytest.raises(BadInput, match=r"torch sees no GPU.*in a notebook: a runtime with a GPU"):
        train(frames, tmp_path, replace(SETTINGS, device="cuda"))
    assert not (tmp_path / "wgan").exists()


def test_on_google_drive_whose_bin_fills_states_are_saved_more_seldom(tmp_path):
    assert module.save_seconds(tmp_path) == module.SAVE_SECONDS
    assert module.save_seconds("/content/drive/MyDrive/EchoGAN/experiments/wgan/t") >= 10 * module.SAVE_SECONDS


def test_a_broken_checkpoint_is_named(frames, tmp_path, again):
    again.last.write_bytes(b"not a checkpoint")
    with pytest.raises(BadInput, match=r"last.pt cannot be read"):
        train(frames, tmp_path)


def test_training_learns_the_blobs(frames, tmp_path):
    run = train(frames, tmp_path, replace(SETTINGS, kimg=6.4, row_kimg=0.64), replace(CONFIG, width=8, critic_width=8))
    swd = [float(r["SWD"]) for r in rows(run.metrics)]
    assert swd[-1] < swd[0] / 2


def test_moments_are_log_spaced_and_do_not_depend_on_the_end():
    hits = [images // 1000 for images in range(1000, 200_000, 1000) if is_moment(images, 1000)]
    assert hits == [1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192]
    assert [images / 1000 for images in range(300, 9000, 300) if is_moment(images, 300)] == [
        1.2,
        1.5,
        2.1,
        3.0,
        4.2,
        6.0,
        8.1,
    ]


def test_what_is_kept_to_sample_from_is_the_average(whole):
    state = checkpoint.load(whole.last, "cpu")
    for kept in (load_file(whole.weights("last")), load_file(whole.weights(1))):
        assert all(torch.equal(kept[f"G.{key}"], value) for key, value in state["shadow"]["G"].items())
        assert any(not torch.equal(value, state["model"][key]) for key, value in kept.items())
