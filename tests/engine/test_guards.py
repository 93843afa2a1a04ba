"""What stops a run, and what it leaves: locks, full disks, collapse, early stops, fp16 overflow."""

import json
import subprocess
import sys
import weakref
from dataclasses import replace

import numpy as np
import pytest
import torch
from filelock import Timeout

from echogan import models
from echogan.config import RunFolder, Settings
from echogan.contract import Architecture, Batch, Optim, Phase
from echogan.engine import checkpoint, gallery, watch
from echogan.engine import fit as module
from echogan.engine.feed import Feed
from echogan.engine.fit import fit
from echogan.engine.launch import forget_peak
from echogan.engine.lock import alone, held, refuse_trained
from echogan.engine.loop import Engine, Numerics
from echogan.errors import BadInput
from tests.engine.test_fit import CONFIG, SETTINGS, left_behind, rows, train


def test_two_programs_do_not_write_one_run(frames, tmp_path):
    run = RunFolder.of("wgan", "t", tmp_path)
    lock = f"from filelock import FileLock; lock = FileLock({str(run.path / '.lock')!r}); lock.acquire()"
    hold = f"{lock}; print('held', flush=True); import time; time.sleep(60)"
    run.path.mkdir(parents=True)
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(BadInput, match="is being trained by another program"):
            train(frames, tmp_path)
        other.kill()
    assert not run.config.exists()
    train(frames, tmp_path)  # the lock of a killed program is free


def test_a_folder_that_cannot_be_made_or_locked_is_named(frames, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    with pytest.raises(BadInput, match=r"cannot write .*file.*wgan.*t.*choose another folder"):
        train(frames, tmp_path / "file")
    (tmp_path / "wgan" / "t").mkdir(parents=True)
    run = RunFolder.of("wgan", "t", tmp_path)

    def refused(*words, **more):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("filelock.FileLock.acquire", refused)  # of a colleague's run
    for look in (refuse_trained, held):
        with pytest.raises(BadInput, match=r"cannot write .*wgan.*t: Permission denied"):
            look(run)


def test_what_training_itself_raises_is_not_taken_for_the_lock(tmp_path):
    for error in (OSError("of a driver"), Timeout("another lock")):
        with pytest.raises(type(error)) as raised, alone(RunFolder(tmp_path)):
            raise error
        assert raised.value is error
    assert not held(RunFolder(tmp_path))


def test_a_refused_run_leaves_no_record(frames, tmp_path):
    with pytest.raises(BadInput, match="VAL split has 1 picture without any difference"):
        train(frames.where(np.isin(np.arange(64), [*range(49), *range(56, 64)])), tmp_path)
    assert not RunFolder.of("wgan", "t", tmp_path).config.exists()


@pytest.mark.skipif(sys.platform == "win32", reason="file-size limits are POSIX")
def test_a_full_disk_leaves_the_checkpoint_before(tmp_path):
    import resource

    path, state = tmp_path / "last.pt", {"weights": torch.arange(1000.0)}
    checkpoint.save(path, state)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(BadInput, match=r"cannot write .*last.pt.*free some space"):
            checkpoint.save(path, {"weights": torch.zeros(100_000)})
        with pytest.raises(BadInput, match=r"cannot write .*best.safetensors"):
            checkpoint.export(tmp_path / "best.safetensors", models.load("wgan").build(CONFIG), {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    assert torch.equal(checkpoint.load(path, "cpu")["weights"], state["weights"])
    assert [p.name for p in tmp_path.iterdir()] == ["last.pt"]


def test_a_batch_larger_than_the_data_is_refused(frames, tmp_path):
    with pytest.raises(BadInput, match=r'64 is more than the 48 training frames; .*change = "batch=32"'):
        train(frames, tmp_path, config=replace(CONFIG, batch=64))


def test_out_of_memory_names_what_fits_and_that_is_accepted(frames, tmp_path, monkeypatch):
    def too_large(self, batch):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    with (
        monkeypatch.context() as patch,
        pytest.raises(BadInput, match=r"batch of 16 in 1 part does not.*--accumulate 2,.*in a notebook"),
    ):
        patch.setattr(Engine, "tick", too_large)
        train(frames, tmp_path)
    train(frames, tmp_path, replace(SETTINGS, accumulate=2, kimg=0.064))


@pytest.mark.parametrize(
    "dies, told",
    [
        (torch.OutOfMemoryError("Tried to allocate 2.00 GiB"), BadInput),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (BadInput("a loss is not a number"), BadInput),
    ],
)
def test_a_run_that_ends_early_gives_its_memory_back(frames, tmp_path, monkeypatch, dies, told):
    """Also while its traceback is kept, as a notebook does."""
    held = []

    def ending(self, batch):
        held.append(weakref.ref(self))
        held.append(weakref.ref(next(self.model.parameters())))
        raise dies

    with monkeypatch.context() as patch, pytest.raises(told) as kept:
        patch.setattr(Engine, "tick", ending)
        train(frames, tmp_path)
    assert kept.tb is not None and [ref() for ref in held] == [None, None]
    train(frames, tmp_path, replace(SETTINGS, kimg=0.064))


def test_a_model_that_does_not_fit_gets_the_same_sentence(frames, tmp_path, monkeypatch):
    def too_large(self, model, numerics):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

    monkeypatch.setattr(Engine, "__init__", too_large)
    with pytest.raises(BadInput, match=r"batch of 16 in 1 part does not.*--accumulate 2,.*in a notebook"):
        train(frames, tmp_path)


def test_the_peak_of_a_gpu_is_that_of_this_run(monkeypatch):
    counted = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", counted.append)
    for name in ("cpu", "cuda:1"):
        forget_peak(torch.device(name))
    assert counted == [torch.device("cuda:1")]


def scripted(values):
    """A reading that says what is given instead of looking."""

    class Scripted:
        chosen_by = "SWD"

        def __init__(self, train, val, encoder=None):
            pass

        def row(self, images):
            return {"SWD": values.pop(0)}

    return Scripted


def test_a_run_ends_when_its_readings_no_longer_improve(frames, tmp_path, monkeypatch):
    readings = [9.0, 5.0, 4.0, 6.0, 7.0, 8.0, 8.0, 8.0, 8.0, 8.0, 8.0]
    monkeypatch.setattr(gallery, "Reading", scripted(list(readings)))
    monkeypatch.setattr(module, "READ_ROWS", 1)
    patient = replace(SETTINGS, patience=0.19)
    run = train(frames, tmp_path, patient)
    kimg = [float(r["kimg"]) for r in rows(run.metrics)]
    best = kimg[int(np.argmin(watch.smoothed(readings[: len(kimg)])))]
    assert kimg[-1] - best >= 0.19 and kimg[-2] - best < 0.19 and kimg[-1] < 0.64
    before = left_behind(run)
    assert left_behind(train(frames, tmp_path, patient)) == before  # a run that ended stays ended
    monkeypatch.setattr(gallery, "Reading", scripted(readings[len(kimg) :]))
    train(frames, tmp_path, SETTINGS)
    assert float(rows(run.losses)[-1]["kimg"]) == pytest.approx(0.64)  # patience may be withdrawn


def test_a_collapse_stops_the_run_and_names_the_best_before(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "READ_ROWS", 1)
    fallen = iter([20.0, 20.0, 20.0, 0.1, 0.1, 0.1])
    monkeypatch.setattr(watch, "variety", lambda images: 20.0 if len(images) == 8 else next(fallen))
    monkeypatch.setattr(gallery, "Reading", scripted([5.0, 4.0, 3.0, 30.0, 30.0, 30.0]))
    with pytest.raises(BadInput, match=r"collapsed at 0.32 kimg.*best.safetensors is the best before"):
        train(frames, tmp_path)
    run = RunFolder.of("wgan", "t", tmp_path)
    assert checkpoint.load_weights(run.weights("best"))[1]["kimg"] == pytest.approx(0.128)


def test_the_untrained_network_is_the_best_of_nothing(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "READ_ROWS", 1)
    monkeypatch.setattr(gallery, "Reading", scripted([1.0, *[9.0] * 20]))
    run = train(frames, tmp_path)
    assert float(checkpoint.load_weights(run.weights("best"))[1]["kimg"]) > 0


def test_a_generator_that_had_no_turn_yet_is_the_best_of_nothing(frames, tmp_path, monkeypatch):
    """A schedule may train the critic alone for long: until then readings are of an untrained generator."""
    monkeypatch.setattr(module, "READ_ROWS", 1)
    monkeypatch.setattr(gallery, "Reading", scripted([float(n) for n in range(30)]))
    run = train(frames, tmp_path, config=replace(CONFIG, critic_steps=20))
    idle = [float(row["kimg"]) for row in rows(run.losses) if row["G_updates"] == "0"]
    best = float(checkpoint.load_weights(run.weights("best"))[1]["kimg"])
    assert len(idle) >= 2 and best == min(
        k for k in map(float, (row["kimg"] for row in rows(run.metrics))) if k > max(idle)
    )


def test_what_chooses_the_best_stays_as_the_run_began(frames, tmp_path, monkeypatch):
    run = train(frames, tmp_path)
    assert json.loads(run.config.read_text())["chosen_by"] == "SWD of the VAL readings"
    monkeypatch.setattr("echogan.encoders.available", lambda name: True)
    again = train(frames, tmp_path, replace(SETTINGS, kimg=0.7))
    assert json.loads(again.config.read_text())["chosen_by"] == "SWD of the VAL readings"


class Steep(Architecture):
    """One number, pulled down by a loss so steep that fp16 overflows at the initial scale."""

    def __init__(self):
        super().__init__()
        self.G = torch.nn.Linear(1, 1, bias=False)
        torch.nn.init.ones_(self.G.weight)
        self.optim = {"G": Optim(1e-3)}
        self.phases = (
            Phase("G", "G", lambda batch: (1000 * self.G(batch["image"].flatten(1)[:, :1]).square().mean(), {})),
        )


def test_fp16_leaves_out_an_update_that_overflows_and_goes_on_exactly():
    def run(ticks, engine=None):
        engine = engine or Engine(Steep(), Numerics(autocast=torch.float16))
        feed = Feed(np.full((8, 8, 8), 255, np.uint8), 8)
        for _ in range(ticks):
            engine.tick(feed.batch(engine.clock.images, 4))
        return engine

    begun = run(1)
    assert begun.model.G.weight.item() == 1 and begun.scalers["G"].get_scale() < 65536  # left out, scale halved
    whole = run(30)
    assert whole.model.G.weight.item() < 0.99 and np.isfinite(whole.read()["G"])
    half = run(12)
    resumed = Engine(Steep(), Numerics(autocast=torch.float16))
    resumed.restore(half.state())
    run(18, resumed)
    assert torch.equal(resumed.model.G.weight, whole.model.G.weight)
    assert resumed.scalers["G"].state_dict() == whole.scalers["G"].state_dict()


def test_fp16_that_overflows_at_every_scale_ends_the_run_instead_of_learning_nothing():
    endless = Steep()
    endless.phases = (Phase("G", "G", lambda batch: ((0 * endless.G.weight).sqrt().sum(), {})),)  # a slope of 0 * inf
    engine = Engine(endless, Numerics(autocast=torch.float16))
    feed = Feed(np.full((8, 8, 8), 255, np.uint8), 8)
    engine.tick(feed.batch(0, 4))
    assert engine.read().keys() == {"G"}  # once is no reason
    for _ in range(20):
        engine.tick(feed.batch(0, 4))
    with pytest.raises(BadInput, match=r"gradients of G are not numbers in fp16 .*--precision fp32 under another name"):
        engine.read()


class Remembers(Architecture):
    """A batch norm, and a number that follows the mean of what it is shown."""

    def __init__(self):
        super().__init__()
        self.G = torch.nn.BatchNorm1d(1)
        self.register_buffer("level", torch.zeros(()))
        self.optim = {"G": Optim(1e-3)}
        self.phases = (Phase("G", "G", self.loss, after=lambda stats: self.level.lerp_(stats["mean"], 0.1)),)

    def loss(self, batch):
        values = batch["image"].flatten(1)[:, :1]
        return self.G(values).square().mean(), {"mean": values.mean()}


@pytest.mark.parametrize("autocast", [None, torch.float16])
def test_what_overflows_in_fp16_is_not_remembered_either(autocast):
    def shown(*levels):
        engine = Engine(Remembers(), Numerics(autocast=autocast))
        for level in levels:
            engine.tick(Batch({"image": torch.tensor([[1.0], [level]])}, 2))
        return engine.model.state_dict()

    through, without = shown(2.0, np.inf, 3.0), shown(2.0, 3.0)
    same = all(torch.equal(through[key], without[key]) for key in ("G.running_mean", "G.running_var", "level"))
    assert same == (autocast is torch.float16) and without["level"] > 0


def test_a_state_without_loss_scales_is_taken_up_in_fp16():
    """A run of the CPU, or of a GPU that has bf16, goes on where there is none."""
    feed = Feed(np.full((8, 8, 8), 255, np.uint8), 8)
    begun = Engine(Steep())
    begun.tick(feed.batch(0, 4))
    for new in (torch.float16, None):
        engine = Engine(Steep(), Numerics(autocast=new))
        engine.restore(begun.state())
        assert engine.clock.tick == 1 and engine.model.G.weight.item() == begun.model.G.weight.item()
        begun = engine


def test_the_record_tells_every_precision_and_machine_a_run_was_on(frames, tmp_path, monkeypatch):
    train(frames, tmp_path, replace(SETTINGS, kimg=0.064))
    monkeypatch.setattr(module, "pick_precision", lambda name, device: torch.bfloat16)
    monkeypatch.setattr("echogan.engine.describe.hardware", lambda device: "an A100")
    for kimg in (0.128, 0.192):
        run = train(frames, tmp_path, replace(SETTINGS, kimg=kimg))
    assert run.read()["precision"] == "float32; then bfloat16"
    assert run.read()["hardware"].endswith("; then an A100") and run.read()["hardware"].count("then") == 1


@pytest.mark.slow
def test_compiled_phases_train_like_eager_ones(frames, tmp_path):
    eager = fit("wgan", "e", frames, Settings(0.32, device="cpu", row_kimg=0.064), CONFIG, tmp_path)
    compiled = fit("wgan", "c", frames, Settings(0.32, device="cpu", row_kimg=0.064, compile=True), CONFIG, tmp_path)
    for a, b in zip(rows(eager.losses), rows(compiled.losses)):
        assert float(a["D"]) == pytest.approx(float(b["D"]), rel=0.05, abs=0.05)
    assert checkpoint.load_weights(compiled.weights("last"))[0].sample(2).shape == (2, 1, 32, 32)
