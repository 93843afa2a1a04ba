"""A sweep runs what is left, tries again what failed, and survives its own death."""

import json
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from filelock import FileLock

from echogan.config import RunFolder
from echogan.contract import Clock
from echogan.data.frames import save_index
from echogan.data.images import write_png
from echogan.engine import checkpoint
from echogan.engine import sweep as module
from echogan.engine.sweep import Job, cluster, here, jobs_of, sweep
from echogan.errors import BadInput


class Scripted:
    """A handle that runs for `looks` looks and then leaves with `code`."""

    def __init__(self, job, code, looks=1, kimg=1.0):
        self.job, self.code, self.looks, self.kimg = job, code, looks, kimg
        self.log = job.run.path / "train.log"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.log.write_text("" if code == 0 else "bar 3%\nechogan: it went wrong\n")

    def poll(self):
        self.looks -= 1
        if self.looks > 0:
            return None
        if self.code == 0:
            finish(self.job)
        return self.code


def finish(job, saved=None, settings=None, fingerprint="of frames"):
    """Leave what a run leaves that has ended: its record, its last row, and a state of `saved` kimg, by default the row's."""
    for path in (job.run.losses, job.run.last):
        path.parent.mkdir(parents=True, exist_ok=True)
    job.run.losses.write_text(f"kimg,D\n{job.kimg},1\n")
    made = {"settings": settings or {}, "config": {"resolution": 64}, "data": {"fingerprint": fingerprint}}
    job.run.config.write_text(json.dumps(made))
    images = round(1000 * (job.kimg if saved is None else saved))
    checkpoint.save(job.run.last, {"clock": vars(Clock(images)), "model": {"weight": torch.ones(3)}})


@pytest.fixture
def read(monkeypatch):
    """Folders of frames are told apart by their names; returns those that were looked at."""
    seen = []
    monkeypatch.setattr(module, "_fingerprint", lambda data: seen.append(data) or f"of {data}")
    return seen


@pytest.fixture
def jobs(tmp_path, read):
    return jobs_of("wgan", ["gp", "lp", "r1"], "frames", 1.0, seeds=(0, 2), experiments=tmp_path)


def test_a_job_per_config_and_seed_with_the_command_a_person_would_type(jobs):
    assert [job.name for job in jobs] == [f"wgan/{n}{s}" for n in ("gp", "lp", "r1") for s in ("", "_seed2")]
    words = " ".join(jobs[3].words)
    assert words == "train wgan lp --data frames --kimg 1 --seed 2 --name lp_seed2"


def test_never_more_at_once_than_slots_and_each_device_alone(jobs):
    running, seen = [], []

    def launch(job, slot):
        assert slot not in [device for other, device in running if other.state == "running"]
        running.append((job, slot))
        return Scripted(job, 0, looks=2)

    sweep(jobs, launch, ["cuda:0", "cuda:1"], callback=lambda j: seen.append([x.state for x in j]), interval=0)
    assert {job.state for job in jobs} == {"done"} and {slot for _, slot in running} == {"cuda:0", "cuda:1"}
    assert max(states.count("running") for states in seen) == 2


def test_what_failed_is_tried_again_and_then_given_up_with_its_last_line(jobs):
    tries = []

    def launch(job, slot):
        tries.append(job.name)
        return Scripted(job, 1 if job.name == "wgan/lp" or tries.count("wgan/gp") == job.name.count("gp") == 1 else 0)

    sweep(jobs, launch, ["cpu"], retries=1, interval=0)
    by_name = {job.name: job for job in jobs}
    assert tries.count("wgan/gp") == 2 and by_name["wgan/gp"].state == "done"
    assert tries.count("wgan/lp") == 2 and by_name["wgan/lp"].state == "failed"
    assert by_name["wgan/lp"].reason == "echogan: it went wrong"
    assert [job.state for job in jobs].count("done") == 5


def test_finished_runs_are_left_alone_and_a_held_one_is_waited_for(jobs):
    finish(jobs[0])
    jobs[1].run.path.mkdir(parents=True)
    lock, started, looks = FileLock(jobs[1].run.path / ".lock"), [], []
    lock.acquire()

    def launch(job, slot):
        started.append(job.name)
        return Scripted(job, 0)

    def look(jobs):
        looks.append(jobs[1].state)
        if len(looks) == 10:
            finish(jobs[1])  # the other program is done
            lock.release()

    sweep(jobs, launch, ["cpu"], callback=look, interval=0)
    assert jobs[0].name not in started and jobs[1].name not in started and len(started) == 4
    assert "elsewhere" in looks and looks[-1] == "done"


def test_a_run_that_ended_between_its_last_row_and_its_weights_is_not_finished(jobs):
    """Killed there, or its loss no number: the weights are of a moment before, and TEST would read those."""
    assert not module.finished(jobs[0])  # nothing there, as where a checkout holds the tables alone
    finish(jobs[0], saved=0.9)
    assert jobs[0].reached == 1.0 and not module.finished(jobs[0])
    finish(jobs[0])
    assert module.finished(jobs[0])
    jobs[0].run.last.write_bytes(b"half a file")
    assert not module.finished(jobs[0])


def test_settings_of_training_reach_every_job_and_a_finished_run_that_had_others_is_its_commands_to_refuse(
    tmp_path, read
):
    def asked(**how):
        return jobs_of("wgan", ["gp", "lp"], "frames", 1.0, experiments=tmp_path, how=how)

    assert asked(accumulate=2, precision="auto")[0].words[-2:] == ["--accumulate", "2"]  # what is not usual is said
    for job in asked(accumulate=1):
        finish(job, settings={"accumulate": 1})
    (tmp_path / "wgan/lp/config.json").write_text("half a file")
    for how, left in (({}, ["lp"]), ({"accumulate": 1}, ["lp"]), ({"accumulate": 2}, ["gp", "lp"])):
        started, jobs = [], asked(**how)
        sweep(jobs, lambda job, slot: started.append(job) or Scripted(job, 1), ["cpu"], retries=0, interval=0)  # noqa: B023
        assert [job.run.path.name for job in jobs if job.state == "failed"] == left
        assert [job.run.path.name for job in started] == left


def test_a_run_of_other_frames_or_of_another_size_is_its_commands_to_refuse(tmp_path, read):
    def left(data, resolution=0):
        started = []
        jobs = jobs_of("wgan", ["gp", "lp"], data, 1.0, experiments=tmp_path, resolution=resolution)
        sweep(jobs, lambda job, slot: started.append(job) or Scripted(job, 1), ["cpu"], retries=0, interval=0)
        return [job.run.path.name for job in started]

    gp, _ = jobs_of("wgan", ["gp", "lp"], "frames", 1.0, experiments=tmp_path)
    finish(gp)
    assert left("frames") == left("frames", 64) == ["lp"] and set(read) == {
        Path("frames")
    }  # where a run claims to be done
    assert left("others") == left("frames", 128) == ["gp", "lp"]
    (gp.run.config).write_text("{}")  # of no known making
    assert left("frames") == ["gp", "lp"]


def test_frames_are_known_by_what_they_hold_wherever_they_lie(stored, frames, tmp_path):
    (job,) = jobs_of("wgan", ["gp"], stored, 1.0, experiments=tmp_path)
    finish(job, fingerprint=frames.fingerprint())
    assert module.finished(job)
    job.data = shutil.copytree(stored, tmp_path / "moved")
    assert module.finished(job)
    job.data = tmp_path / "nowhere"
    assert not module.finished(job)
    job.data = shutil.copytree(stored, tmp_path / "other")
    write_png(job.data / "images" / frames.index["file"][0], 255 - frames.images[0])
    assert not module.finished(job)


def test_there_is_always_a_slot_or_a_sentence(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert module.devices() == ["cpu"] and module.devices("cpu", 3) == ["cpu"] * 3
    for wanted in ("cuda", "cuda:1"):
        with pytest.raises(BadInput, match=f"device '{wanted}' was asked for, but torch sees no GPU"):
            module.devices(wanted)
    with pytest.raises(BadInput, match="beside must be 1 or more, got 0"):
        module.devices("cpu", 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert module.devices() == module.devices("cuda") == ["cuda:0", "cuda:1"] and module.devices("cuda:1") == ["cuda:1"]


def test_where_no_run_can_be_written_a_sweep_says_so(tmp_path):
    (tmp_path / "file").touch()
    jobs = jobs_of("wgan", ["gp"], "frames", 1.0, experiments=tmp_path / "file")
    with pytest.raises(BadInput, match=r"cannot write .*file.*wgan.*gp.*choose another folder"):
        sweep(jobs, here, ["cpu"], interval=0)


def test_a_cluster_without_submitit_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(BadInput, match=r"`uv pip install -c constraints.txt submitit` .*\.uv/bin/uv"):
        cluster(tmp_path)


# ------------------------------------------------------------------------------------------------ real processes


@pytest.fixture
def stored(frames, tmp_path):
    folder = tmp_path / "frames"
    for name, image in zip(frames.index["file"], frames.images):
        write_png(folder / "images" / name, image)
    save_index(folder, frames.index, frames.manifest)
    return folder


def tiny(name, data, kimg, experiments, *more):
    words = ("--device", "cpu", "--set", "resolution=32", "width=4", "critic_width=4", "ema_kimg=0.1", *more)
    return jobs_of("wgan", [name], data, kimg, more=words, experiments=experiments)[0]


@pytest.mark.slow
def test_submitit_with_one_job_that_raises_and_one_that_is_killed(stored, tmp_path, monkeypatch):
    monkeypatch.setenv("ECHOGAN_EXPERIMENTS", str(tmp_path / "experiments"))
    good, bad, killed = (tiny(n, stored, 0.5, None) for n in ("gp", "lp", "demo"))
    bad.words = [*bad.words[:-1], "nonsense=1"]
    submit, died = cluster(tmp_path / "jobs", "local", timeout_min=5), []

    def launch(job, slot):
        handle = submit(job, slot)
        if job is killed and not died:
            died.append(handle)
            handle.job._process.kill()
        return handle

    sweep([good, bad, killed], launch, ["0", "1", "2"], retries=1)
    assert (good.state, killed.state, bad.state) == ("done", "done", "failed") and killed.tries == 2
    assert bad.tries == 2


@pytest.mark.parametrize("visible, seen", [(None, "1"), ("2,5", "5"), ("GPU-ab, GPU-cd", "GPU-cd")])
def test_a_subprocess_sees_the_gpu_of_its_slot_among_those_that_are_visible(jobs, visible, seen, monkeypatch):
    started = []
    monkeypatch.setattr(module.subprocess, "Popen", lambda words, env, **more: started.append(env))
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    here(jobs[0], "cuda:1")
    assert [env["CUDA_VISIBLE_DEVICES"] for env in started] == [seen]


@pytest.mark.slow
def test_a_sweep_killed_and_started_again_ends_as_an_unbroken_one(stored, tmp_path):
    program = f"""
import sys
sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.engine.test_sweep import tiny
from echogan.engine.sweep import here, sweep
sweep([tiny(n, {str(stored)!r}, 2.0, None) for n in ("gp", "lp")], here, ["cpu"])
"""
    import os

    environment = {**os.environ, "ECHOGAN_EXPERIMENTS": str(tmp_path / "experiments")}
    first = subprocess.Popen([sys.executable, "-c", program], env=environment)
    run = RunFolder.of("wgan", "gp", tmp_path / "experiments")
    while not run.losses.is_file() and first.poll() is None:
        time.sleep(0.1)
    first.send_signal(signal.SIGKILL)
    first.wait()
    assert subprocess.run([sys.executable, "-c", program], env=environment, check=False).returncode == 0
    for name in ("gp", "lp"):
        job = tiny(name, stored, 2.0, tmp_path / "experiments")
        assert module.finished(job) and not module.held(job.run)


def test_a_real_subprocess_says_why_it_failed(tmp_path):
    job = Job("wgan/gp", RunFolder.of("wgan", "gp", tmp_path), ["train", "wgan", "gq", "--data", "x"], 1.0, Path("x"))
    sweep([job], here, ["cpu"], retries=0, interval=0.1)
    assert job.state == "failed" and "gp" in job.reason and job.reason.startswith("echogan:")
