"""The command line as a user types it, in process: one line out, one sentence when it fails, the right exit code."""

import os
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError
from types import SimpleNamespace

import cv2
import numpy as np
import pandas as pd
import pytest

from echogan import cli
from echogan.cli import COMMANDS, main
from echogan.cli.train import choices_of
from echogan.config import folder
from echogan.data.frames import load_frames
from echogan.errors import BadInput
from echogan.files import read_json, write_json
from echogan.models import wgan


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A phantom study of ten patients and its frames, made by the commands themselves."""
    root = tmp_path_factory.mktemp("study")
    assert run("phantom", root / "study", "--patients", 10, "--seed", 1, "--workers", 1) == 0
    assert run("extract", root / "study", root / "frames", "--workers", 1) == 0
    return root


def train(study, *more):
    tiny = ("--set", "resolution=32", "width=4", "critic_width=4", "ema_kimg=0.1")
    return run("train", "wgan", "demo", "--data", study / "frames", "--kimg", 0.1, "--device", "cpu", *more, *tiny)


def test_from_nothing_to_frames(study, capsys):
    frames = load_frames(study / "frames")
    assert frames.kind == "synthetic phantom" and frames.images.shape == (40, 128, 128)
    assert frames.index["split"].value_counts().to_dict() == {"TRAIN": 32, "VAL": 4, "TEST": 4}
    assert set(frames.index["phase"]) == {"first", "systole", "diastole", "last"}
    per_patient = frames.index.groupby("patient")["split"].nunique()
    assert (per_patient == 1).all() and len(per_patient) == 10
    assert frames.images[:, :5].max() == 0 and frames.images.mean() > 10


def test_train_sample_report(study, capsys, tmp_path):
    assert train(study) == 0
    out = capsys.readouterr()
    assert out.out.count("\n") == 1 and "wgan/demo trained to 0.1 kimg" in out.out and "SWD" in out.err
    assert run("sample", "wgan/demo", tmp_path / "sheet.png", "--n", 9) == 0
    assert "trained on synthetic phantom" in capsys.readouterr().out
    assert cv2.imread(str(tmp_path / "sheet.png"), 0).shape == (3 * 33 - 1, 3 * 33 - 1)
    assert run("sample", "wgan/demo", tmp_path / "images", "--n", 3, "--kimg", 7) == 0
    assert "at 0.112 kimg" in capsys.readouterr().out  # the nearest kept moment
    assert sorted(p.name for p in (tmp_path / "images").iterdir()) == [
        *(f"img_0000{i}.png" for i in range(3)),
        "manifest.json",
    ]
    assert run("interpolate", "wgan/demo", tmp_path / "walk.gif", "--keys", 2, "--steps", 3) == 0
    assert "6 frames of wgan/demo" in capsys.readouterr().out and (tmp_path / "walk.gif").stat().st_size > 500
    assert run("sample", "wgan/demo", tmp_path / "no.png", "--set", "noise=constant") == 1
    assert "WGAN has no choice 'noise'; it has truncation" in capsys.readouterr().err
    assert run("report", "wgan/demo") == 0
    drawn = list((folder("results") / "wgan" / "demo").glob("*.png"))
    assert len(drawn) >= 3 and all(np.ptp(cv2.imread(str(p), 0)) > 100 for p in drawn)


def test_a_run_that_ended_early_says_how_far_it_came(study, capsys, monkeypatch):
    monkeypatch.setattr("echogan.engine.watch.stalled", lambda kimg, readings, patience: len(kimg) > 0 and kimg[-1] > 0)
    assert train(study) == 0
    (kimg,) = re.findall(r"wgan/demo trained to (\S+) kimg", capsys.readouterr().out)
    assert 0 < float(kimg) < 0.1


def test_a_sweep_trains_what_is_left_and_names_what_failed(study, capsys, monkeypatch):
    started = []

    tiny = {name: config.tiny() for name, config in wgan.CONFIGS.items()}
    monkeypatch.setattr(wgan, "CONFIGS", tiny)

    def instead(job, slot):
        """In place of a subprocess: the same words, in this one."""
        started.append(job.name)
        words = [*job.words, "--device", slot]
        (job.run.path / "train.log").parent.mkdir(parents=True, exist_ok=True)
        (job.run.path / "train.log").write_text("it went wrong")
        code = run(*words) if "lp" not in job.name else 1
        return SimpleNamespace(poll=lambda: code, log=job.run.path / "train.log")

    monkeypatch.setattr("echogan.engine.sweep.here", instead)
    words = ("sweep", "wgan", "--data", study / "frames", "--kimg", 0.1, "--device", "cpu", "--retries", 0)
    assert run(*words, "--configs", "gp", "lp") == 1
    out = capsys.readouterr()
    assert "1 of 2 runs of wgan at 0.1 kimg" in out.out and "wgan/lp failed: it went wrong" in out.err
    assert run(*words, "--configs", "gp") == 0 and started == ["wgan/gp", "wgan/lp"]  # gp is done already
    assert run(*words, "--configs", "gq") == 1 and "'gq'" in capsys.readouterr().err
    assert "wgan/gq" not in started  # it stops before any job


def test_a_sweep_given_again_with_another_setting_is_refused_as_its_runs_are(study, capsys, monkeypatch):
    def instead(job, slot):
        """In place of a subprocess: the same words in this one, and what they say in its log."""
        capsys.readouterr()
        code = run(*job.words, "--device", slot, "--set", "resolution=32", "width=4", "critic_width=4", "batch=16")
        job.run.path.mkdir(parents=True, exist_ok=True)
        (job.run.path / "train.log").write_text(capsys.readouterr().err)
        return SimpleNamespace(poll=lambda: code, log=job.run.path / "train.log")

    monkeypatch.setattr("echogan.engine.sweep.here", instead)
    words = ("sweep", "wgan", "--data", study / "frames", "--kimg", 0.05, "--device", "cpu", "--retries", 0)
    assert run(*words, "--configs", "gp", "--accumulate", 2, "--precision", "fp32") == 0
    settings = read_json(folder("experiments") / "wgan/gp/config.json")["settings"]
    assert (settings["accumulate"], settings["precision"]) == (2, "fp32")
    assert run(*words, "--configs", "gp") == 1
    assert "made otherwise (precision: 'fp32' -> 'auto'; accumulate: 2 -> 1)" in capsys.readouterr().err


def test_what_a_loss_lacks_is_said_before_training_begins(study, capsys, monkeypatch):
    def refuse(*words, **more):
        raise BadInput("nothing was trained")

    monkeypatch.setattr("echogan.engine.fit.fit", refuse)
    words = ("--data", study / "frames", "--device", "cpu", "--small")
    for arch, config in (("vqgan", "grid16"), ("pix2pix", "lpips")):
        assert run("train", arch, config, *words) == 1
        said = capsys.readouterr().err
        lacking = "lpips asked for, but its weights are not on this machine"
        assert 0 <= said.find(lacking) < said.find("nothing was trained")


def test_a_sweep_leaves_out_what_needs_a_segmenter_or_passes_one_on(tmp_path, capsys, monkeypatch):
    swept = []
    monkeypatch.setattr("echogan.engine.sweep.sweep", lambda jobs, *more, **others: swept.append(jobs) or jobs)
    words = ("sweep", "cyclegan", "--data", tmp_path, "--device", "cpu")
    assert run(*words) == 0 and "segment: left out, as it weighs" in capsys.readouterr().err
    weights = tmp_path / "unet.safetensors"
    assert run(*words, "--segmenter", weights) == 0 and capsys.readouterr().err == ""
    assert (
        run(*words, "--segmenter", "segmenter/none") == 1 and "segmenter/none is not a run" in capsys.readouterr().err
    )
    without, given = ({job.name.partition("/")[2]: job.words for job in jobs} for jobs in swept)
    assert given.keys() - without.keys() == {"segment"}
    assert {name for name, told in given.items() if "--segmenter" in told} == {"segment"}
    assert given["segment"][-2:] == ["--segmenter", str(weights)]


def test_demo_is_the_whole_study_and_says_where_to_look(capsys):
    assert run("demo", "--kimg", 0.05, "--patients", 8, "--device", "cpu") == 0
    out = capsys.readouterr().out
    assert (
        "8 patients of the synthetic phantom" in out
        and "of the tracings in" in out
        and "32 frames of 8" in out
        and "Look at" in out
    )
    run_folder = folder("experiments") / "wgan" / "demo"
    left = {p.name for p in run_folder.iterdir()} - {".lock"}
    assert left == {"config.json", "checkpoints", "generated_samples", "metrics_csv"}
    assert list((folder("results") / "wgan" / "demo").glob("*.png"))


def test_another_demo_has_a_name_of_its_own(monkeypatch, capsys):
    """As one of another seed is refused under the name of the first."""
    trained, drawn = [], []

    def train(arch, config, frames, kimg, seed, device, name):
        trained.append((config, seed, name))
        write_json(folder("experiments") / arch / name / "config.json", {})

    for stage, instead in (("phantom", print), ("extract", print), ("train", train), ("drawn_of", drawn.append)):
        monkeypatch.setattr(f"echogan.cli.start.{stage}", instead)
    assert run("demo") == 0 and run("demo", "--seed", 1, "--name", "second") == 0
    assert trained == [("demo", 0, "demo"), ("demo", 1, "second")] and drawn == ["wgan/demo", "wgan/second"]
    said = capsys.readouterr().out
    assert "wgan/second/generated_samples" in said and "wgan/second (figures)" in said


def test_report_as_a_page(study, capsys):
    assert train(study) == 0 and run("report", "wgan/demo", "--html") == 0
    (page,) = folder("results").rglob("*.html")
    text = page.read_text()
    assert "synthetic phantom" in text and "data:image/png" in text
    assert "://" not in re.sub(r"xmlns=\S+", "", text)  # no base64 has a colon


def test_report_draws_what_there_is_names_the_rest_and_says_so_by_its_exit_code(study, capsys):
    assert train(study) == 0 and run("report", "wgan/demo") == 0
    (folder("experiments") / "wgan/demo/metrics_csv/losses.csv").unlink()
    capsys.readouterr()
    assert run("report", "wgan/demo") == 1
    output = capsys.readouterr()
    assert "losses.csv" in output.err and "figures in" in output.out


def test_training_again_continues_and_refuses_another_seed_by_name(study, capsys):
    assert train(study) == 0
    before = (folder("experiments") / "wgan/demo/metrics_csv/losses.csv").read_text()
    assert train(study) == 0
    assert (folder("experiments") / "wgan/demo/metrics_csv/losses.csv").read_text() == before
    capsys.readouterr()
    assert train(study, "--seed", 1) == 1
    assert "seed: 0 -> 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words, code, said",
    [
        (("train", "wgan", "dmeo", "--data", "x"), 1, "wgan has no config 'dmeo'; did you mean 'demo'?"),
        (("train", "wgna", "demo", "--data", "x"), 1, "no architecture 'wgna'; did you mean 'wgan'?"),
        (("train", "wgan", "demo", "--data", "x"), 1, "x is not a folder of frames"),
        (("train", "wgan", "demo", "--data", "x", "--set", "weigth=1"), 1, "did you mean 'weight'?"),
        (("train", "wgan"), 2, "CONFIG"),
        (("sample", "wgan/none", "out"), 1, "wgan/none is not a run"),
        (("sample", "none.safetensors", "out"), 1, "none.safetensors is not a readable .safetensors file"),
        (("extract", "nowhere", "out"), 1, "nowhere"),
        (("phantom", "out", "--patients", "1"), 1, "3"),
        (("report",), 1, "train a run first"),
        (("fly",), 2, "no command 'fly'"),
        (("trian", "--help"), 2, "did you mean 'train'?"),
    ],
)
def test_wrong_use_is_one_sentence(words, code, said, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run(*words) == code
    output = capsys.readouterr()
    text = re.sub(r"\s+", " ", re.sub(r"[│─╭╮╰╯]", " ", output.out + output.err))
    assert said in text and "Traceback" not in text
    assert list(tmp_path.iterdir()) == []


def test_a_choice_that_reads_as_a_number_is_one():
    words = ["top_k=3", "temperature=1e-1", "truncation=-0.5", "noise=constant"]
    assert list(choices_of(words).values()) == [3.0, 0.1, -0.5, "constant"]


def test_frames_with_a_broken_index_are_named(study, capsys, tmp_path):
    index = pd.read_csv(study / "frames" / "index.csv")
    for name, wrong, said in (
        ("a", index.drop(columns="split"), "lacks split"),
        ("b", index.assign(split="train"), "upper case"),
    ):
        broken = tmp_path / name
        broken.mkdir()
        (broken / "manifest.json").write_text("{}")
        wrong.to_csv(broken / "index.csv", index=False)
        assert run("train", "wgan", "demo", "--data", broken) == 1
        assert said in capsys.readouterr().err


def test_every_command_has_help(capsys):
    assert run("--help") == 0
    commands = re.search(r"\{(.*?)\}", capsys.readouterr().out)[1].split(",")
    assert set(commands) == set(COMMANDS)
    for command in commands:
        assert run(command, "--help") == 0
        assert command in capsys.readouterr().out


@pytest.mark.parametrize(
    "words", ["sample", "interpolate", "synthesize", "reconstruct", "showcase", "latent mix", "latent nearest"]
)
def test_commands_that_draw_say_why_they_do_not_take_the_gpu_by_themselves(words, capsys):
    assert run(*words.split(), "--help") == 0
    told = re.sub(r"[\s│]+", " ", capsys.readouterr().out)
    assert "on cpu equal calls give equal pixels, auto or cuda is faster (default: cpu)" in told


@pytest.mark.parametrize("autocast, told", [(None, "fp32"), ("bfloat16", "bf16,"), ("float16", "fp16 with loss")])
def test_doctor_names_the_precision_that_training_will_use(monkeypatch, autocast, told):
    import torch

    from echogan import doctor

    chosen = autocast and getattr(torch, autocast)
    monkeypatch.setattr("echogan.engine.launch.pick_precision", lambda name, device: chosen)
    assert next(doctor._precision()).state.startswith(told)


def test_doctors_remedies_keep_the_pinned_versions(monkeypatch):
    from echogan import doctor

    monkeypatch.setitem(sys.modules, "torchvision", None)
    monkeypatch.setattr(doctor, "version", missing)
    for finding in (*doctor._torchvision(), *doctor._packages()):
        assert re.search(r"uv pip install .*-c \S*constraints\.txt ", finding.remedy), finding


def missing(name):
    raise PackageNotFoundError(name)


def test_doctor_ends_where_torch_lacks_a_library(tmp_path):
    """An OSError, as of libcudart missing; `echogan.encoders` imports torch too."""
    (tmp_path / "torch.py").write_text("raise OSError('libcudart.so.13: cannot open shared object file')")
    answer = subprocess.run(
        [sys.executable, "-c", "from echogan.doctor import examine; print(*examine(), sep='\\n')"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
    )
    assert answer.returncode == 0, answer.stderr
    assert "about='torch', state='does not import (libcudart.so.13" in answer.stdout and "about='disk'" in answer.stdout


def test_doctor_names_a_disk_that_is_not_there(monkeypatch):
    """Where Windows has no drive Z, not even the root of Z:\\runs exists."""
    from echogan import doctor

    monkeypatch.setattr("pathlib.Path.exists", lambda path: False)
    (finding,) = doctor._disk()
    assert "no such disk" in finding.state and "ECHOGAN_EXPERIMENTS" in finding.remedy


@pytest.mark.parametrize("error", [subprocess.TimeoutExpired("nvidia-smi", 20), PermissionError("no access")])
def test_doctor_does_without_a_driver_that_does_not_answer(error, monkeypatch):
    from echogan import doctor

    def stuck(*words, **how):
        raise error

    monkeypatch.setattr("shutil.which", lambda name: name)
    monkeypatch.setattr("subprocess.run", stuck)
    assert doctor._driver() == ""


def test_doctor_names_what_it_finds(capsys, monkeypatch, tmp_path):
    assert run("doctor") == 0
    out = capsys.readouterr().out
    assert "torch " in out and "torchvision" in out and "precision" in out and "GiB free" in out
    monkeypatch.setenv("ECHOGAN_WEIGHTS", str(tmp_path))
    run("doctor")
    assert "echogan weights --install inception2015" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words, said",
    [
        (["train", "wgan", "demo"], "the same command goes on from what it has kept"),
        (["official", "train", "E1"], "the same command goes on from what it has kept"),
        (["official", "generate", "E1.pkl"], "nothing half written is left, so the same command may be given again"),
        (["export", "IN", "OUT"], "nothing half written is left, so the same command may be given again"),
        (["enhance", "IN", "OUT"], "what is written is whole, and of a folder the same command makes the rest"),
    ],
)
def test_an_interrupt_promises_what_the_command_keeps(words, said, capsys, monkeypatch):
    def interrupted(**settings):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli.app, "cli", interrupted)
    assert main(words) == 1 and capsys.readouterr().err == f"echogan: interrupted; {said}\n"
