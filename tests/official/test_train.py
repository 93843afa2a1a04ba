"""The official training driven from here: its command line, its log, its snapshots in our folder of a run."""

import hashlib
import json
import math
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from echogan.cli import main
from echogan.config import RunFolder
from echogan.data.frames import save_index
from echogan.data.images import write_png
from echogan.engine import judge
from echogan.engine.checkpoint import kept_moments, load_weights
from echogan.engine.source import read_pictures
from echogan.errors import BadInput
from echogan.models.stylegan2_ada import CONFIGS
from echogan.official import log, repository
from echogan.official.repository import KNOWN, find_repository
from echogan.official.train import ARCH, PUBLISHED, Session, Wish, beyond_options, options, planned, train
from echogan.report.runs import read_run
from tests.official import writer
from tests.official.test_convert import model

NVLABS, DVSCHULTZ = KNOWN
CPU = torch.device("cpu")
SMALL = Wish(kimg=4, snap=1, device="cpu", size=32)


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder that plays the clone of the fork: its train.py is the stand-in, which is known by its content."""
    place = tmp_path / "clone"
    place.mkdir()
    shutil.copy(Path(__file__).with_name("stand_in.py"), place / "train.py")
    writer.write_snapshot(place / "snapshot.pkl", model())
    digest = hashlib.sha256((place / "train.py").read_bytes()).hexdigest()
    monkeypatch.setattr(repository, "KNOWN", (NVLABS, replace(DVSCHULTZ, train=digest, needs=())))
    bare = tmp_path / "bare.py"  # seconds faster than ours, which imports torch
    bare.write_text("import runpy, sys\ndel sys.argv[0]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n")
    monkeypatch.setattr(repository, "LAUNCHER", bare)
    return place


def told(run, session, what):
    """What the stand-in printed in a session of its `words` or `settings`."""
    said = (run.path / "official" / f"session_{session:02d}.log").read_text().splitlines()
    return json.loads(next(line for line in said if line.startswith(what)).removeprefix(what))


def scripted(monkeypatch, *readings):
    """Readings that say this instead of looking."""
    values = iter(readings)
    monkeypatch.setattr("echogan.engine.gallery.Reading.row", lambda self, images: {"SWD": next(values)})


def table(run, name):
    return pd.read_csv(run.path / "metrics_csv" / name)


# ------------------------------------------------------------------------------------------------ the log

MORE = "cpumem 4.10   gpumem 8.60  "
RECORDED = f"""
Training options:
Output directory:   /some where/00003-mydata-11gb-gpu-gamma8-batch32-target0.6
Training for 25000 kimg...

tick 0     kimg 0.0      time 22s          sec/tick 3.6     sec/kimg 451.51  maintenance 18.1   {MORE} augment 0.500
tick 1     kimg 4.0      time 5m 33s       sec/tick 300.1   sec/kimg 75.03   maintenance 11.2   {MORE} augment 0.012
Evaluating metrics...
{{"results": {{"fid50k_full": 9.17}}, "metric": "fid50k_full", "snapshot_pkl": "network-snapshot-000764.pkl"}}
tick 625   kimg 2500.0   time 1d 02h 03m   sec/tick 300.1   sec/kimg 75.03   maintenance 0.0    {MORE} augment 0.612
Exiting...
"""


def test_a_recorded_log_is_read_by_its_labels():
    lines = RECORDED.splitlines()
    assert list(filter(None, map(log.tick, lines))) == [(0, 0.0, 0.5), (1, 4.0, 0.012), (625, 2500.0, 0.612)]
    assert list(filter(None, map(log.output_folder, lines))) == [
        "/some where/00003-mydata-11gb-gpu-gamma8-batch32-target0.6"
    ]


def test_rows_of_stats_wait_for_their_end_and_leave_out_what_had_no_turn(tmp_path):
    row = '{"Progress/kimg": {"num": 1, "mean": 4.0, "std": 0}, "Loss/D/reg": {"num": 0, "mean": NaN, "std": NaN}}'
    (tmp_path / "stats.jsonl").write_text(f'{row}\n{row}\n{{"Progress/ki')
    first, _ = log.rows(tmp_path / "stats.jsonl")
    assert first["kimg"] == 4.0 and math.isnan(first["Dreg"]) and math.isnan(first["Gmain"])
    assert len(log.rows(tmp_path / "stats.jsonl", 1)) == 1 and log.rows(tmp_path / "nothing.jsonl") == []


# ------------------------------------------------------------------------------------------------ the command line


def test_every_published_config_has_its_own_words_for_the_fork():
    assert PUBLISHED == ("E1", "E2", "E3", "E4", "E6", "E7", "E8", "E9")
    words = {name: " ".join(options(name, Wish(), DVSCHULTZ, torch.device("cuda"))) for name in PUBLISHED}
    assert len(set(words.values())) == len(PUBLISHED)
    assert words["E4"] == (
        "--cfg=11gb-gpu --gamma=8 --batch=32 --mirror=0 --aug=ada --target=0.6 --augpipe=bgc --lrate=0.002 "
        "--gpus=1 --seed=0 --snap=10 --metrics=none"
    )
    assert "--batch=16" in words["E3"] and "--lrate=0.006" in words["E2"] and "--target=0.85" in words["E7"]
    assert "--aug=noaug" in words["E9"] and "target" not in words["E9"]


def test_the_first_code_has_another_table_and_no_learning_rate():
    words = options("E4", Wish(), NVLABS, CPU)
    assert words[0] == "--cfg=stylegan2" and "--fp32=1" in words and not any("lrate" in word for word in words)
    with pytest.raises(BadInput, match=r"E2 has a learning rate of 0.006.*clone the fork"):
        options("E2", Wish(), NVLABS, CPU)
    with pytest.raises(BadInput, match="gamma01 is no config of the study"):
        options("gamma01", Wish(), DVSCHULTZ, CPU)


def test_the_cpu_tier_is_that_of_our_own_runs():
    tier, ours = planned("E4", Wish(small=True)), CONFIGS["E4"].small()
    assert tier == ours
    words = options("E4", Wish(small=True), DVSCHULTZ, CPU)
    assert f"--batch={ours.batch}" in words and f"--gamma={ours.gamma:g}" in words
    told = beyond_options(tier, small=True)
    assert told["D_kwargs"] == {"channel_base": ours.base, "channel_max": ours.widest}
    assert told["G_kwargs"]["w_dim"] == ours.latent and told["ada_kimg"] == 100


# ------------------------------------------------------------------------------------------------ a run


def test_a_run_leaves_what_a_native_one_leaves(clone, frames):
    seen = []
    run = train("E4", frames, SMALL, clone, callback=seen.append)
    assert run == RunFolder.of(ARCH, "E4")
    losses, metrics = table(run, "losses.csv"), table(run, "metrics.csv")
    assert list(losses["kimg"]) == [0.032, 4] and list(losses["Gmain"]) == [0.532, 4.5]
    assert losses["Dreg"].isna().all() and list(losses["epoch"].round(2)) == [0.67, 83.33]
    assert list(metrics["kimg"]) == [0.032, 4] and metrics["SWD"].notna().all() and (metrics["split"] == "VAL").all()
    assert list(kept_moments(run.checkpoints)) == [0, 4] and run.weights("best").is_file()
    assert sorted(p.name for p in run.samples.iterdir()) == [f"kimg_00000{k}.png" for k in (0, 4)]
    assert [p.kimg for p in seen] == [0.032, 4] and seen[-1].sheet.shape == (6 * 33 - 1, 6 * 33 - 1)
    record = read_run(run.path)  # by the report, beside our own
    assert not record.problems and "SWD" in record.measured and record.published and "official" in record.family
    made, header = load_weights(run.weights("last"))
    assert torch.equal(made.G.w_mean, model().G.w_mean) and header["name"] == "E4" and header["data"] == "test blobs"


def test_it_trains_on_the_train_split_alone(clone, frames, tmp_path):
    session = Session("E4", frames, SMALL, find_repository(clone), RunFolder.of(ARCH, "E4"))
    pictures, stills = read_pictures(session.dataset())
    assert np.array_equal(pictures, frames.split("TRAIN").images)
    assert {still.split for still in stills} == {"TRAIN"} and len(stills) == 48


def test_the_same_call_goes_on_from_the_last_snapshot(clone, frames):
    run = train("E4", frames, SMALL, clone)
    before = run.losses.read_text()
    assert train("E4", frames, SMALL, clone) == run and run.losses.read_text() == before  # nothing is left to do
    train("E4", frames, replace(SMALL, kimg=8), clone)
    assert list(table(run, "losses.csv")["kimg"]) == [0.032, 4, 4.032, 8]
    assert table(run, "losses.csv")["seconds"].is_monotonic_increasing
    words = told(run, 1, "words")
    assert words["kimg"] == "4" and words["resume"].endswith("network-snapshot-000004.pkl")


def test_a_run_goes_on_where_experiments_is_a_relative_folder(clone, frames, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ECHOGAN_EXPERIMENTS", "runs")
    train("E4", frames, SMALL, clone)
    run = train("E4", frames, replace(SMALL, kimg=8), clone)
    assert table(run, "losses.csv")["kimg"].max() == 8 and Path(told(run, 1, "words")["resume"]).is_absolute()


@pytest.mark.parametrize("device, seen", [("cuda", "2,5"), ("cuda:0", "2"), ("cuda:1", "5"), ("cpu", "")])
def test_the_script_sees_the_gpu_that_was_asked_for(clone, device, seen, monkeypatch):
    started = []
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    monkeypatch.setattr(repository.subprocess, "Popen", lambda words, env, **more: started.append(env))
    repository._started(find_repository(clone), ["train.py"], torch.device(device), None)
    assert [env["CUDA_VISIBLE_DEVICES"] for env in started] == [seen]


def test_several_gpus_and_one_of_them_by_number_are_refused(clone, frames, monkeypatch):
    monkeypatch.setattr("echogan.official.train.pick_device", torch.device)
    with pytest.raises(BadInput, match=r"cuda:1 is one GPU, and 2 were asked for; .*--device cuda"):
        train("E4", frames, replace(SMALL, gpus=2, device="cuda:1"), clone)
    assert not RunFolder.of(ARCH, "E4").path.exists()


def test_a_run_that_was_made_otherwise_is_not_continued(clone, frames):
    Session("E4", frames, SMALL, find_repository(clone), RunFolder.of(ARCH, "E4")).take_up()
    with pytest.raises(BadInput, match=r"made otherwise.*seed: 0 -> 1"):
        train("E4", frames, replace(SMALL, seed=1, kimg=8), clone)


def test_p_moves_as_fast_as_the_record_says_from_the_first_session_on(clone, frames):
    """The official default is a fifth of that speed, but in sessions that resume."""
    run = train("E4", frames, SMALL, clone)
    train("E4", frames, replace(SMALL, kimg=8), clone)
    assert run.read()["config"]["ada_kimg"] == CONFIGS["E4"].ada_kimg == 100
    assert [told(run, session, "settings") for session in (0, 1)] == [{"ada_kimg": 100}] * 2


def test_neither_the_network_of_the_first_update_nor_a_row_that_was_kept_is_the_best(clone, frames, monkeypatch):
    scripted(monkeypatch, 1.0, 9.0, 8.0, 7.0)
    run = train("E4", frames, SMALL, clone)
    assert float(load_weights(run.weights("best"))[1]["kimg"]) == 4
    judge.keep(run.path, {"kimg": 4.0, "split": "TEST", "SWD": 0.5})
    train("E4", frames, replace(SMALL, kimg=8), clone)
    assert run.weights("best").read_bytes() == run.weights(8).read_bytes()
    assert list(table(run, "metrics.csv")["SWD"]) == [1, 9, 0.5, 8, 7]


def test_the_record_tells_what_was_trained_and_where(clone, frames, monkeypatch):
    run = train("E4", frames, replace(SMALL, kimg=8), clone)
    before = run.config.read_bytes()
    monkeypatch.setattr("echogan.official.train.__version__", "99.0")
    monkeypatch.setattr("echogan.official.train.hardware", lambda device: "an A100")
    monkeypatch.setattr("echogan.encoders.available", lambda name: True)
    train("E4", frames, replace(SMALL, kimg=8), clone)  # nothing is left to do
    with pytest.raises(
        BadInput, match=r"E4 has been trained to 8 kimg, which cannot be taken back to 4; ask for as much"
    ):
        train("E4", frames, SMALL, clone)
    assert run.config.read_bytes() == before
    old, new = json.loads(before), train("E4", frames, replace(SMALL, kimg=9), clone).read()
    assert new["settings"]["kimg"] == 9 and new["hardware"] == f"{old['hardware']}; then an A100"
    assert new["versions"] == {**old["versions"], "echogan": f"{old['versions']['echogan']}; then 99.0"}
    assert new["chosen_by"] == old["chosen_by"] == "SWD of the VAL readings"


# ------------------------------------------------------------------------------------------------ bad input


@pytest.mark.parametrize(
    "wish, said",
    [
        ({"kimg": -3}, "kimg must be 1 or more, got -3"),
        ({"kimg": 0}, "kimg must be 1 or more"),
        ({"snap": 0}, "snap must be 1"),
        ({"seed": -1}, "seed must be 0"),
        ({"size": 0}, "size must be 8"),
        ({"size": 64}, r"have 32 px, fewer than the 64 .*with --size 64, or train at --size 32$"),
        ({"small": True}, r"have 32 px, fewer than the 64 .*with --size 64$"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_written(clone, frames, wish, said):
    with pytest.raises(BadInput, match=said):
        train("E4", frames, replace(SMALL, **wish), clone)
    assert not RunFolder.of(ARCH, "E4").path.exists()


def test_no_clone(tmp_path):
    with pytest.raises(BadInput, match=r"git clone https://github.com/NVlabs/stylegan2-ada-pytorch .*dvschultz"):
        find_repository(tmp_path / "nowhere")


def test_an_unknown_version(clone, tmp_path):
    (tmp_path / "clone" / "train.py").write_text("print('something newer')")
    with pytest.raises(
        BadInput, match="version of the official code that was never tried; check out d72cc7d of NVlabs"
    ):
        find_repository(clone)


def test_line_ends_of_windows_are_the_same_version(clone):
    script = clone / "train.py"
    script.write_bytes(script.read_bytes().replace(b"\n", b"\r\n"))
    assert find_repository(clone).flavour.name == "dvschultz"


def test_missing_packages_are_named(clone, monkeypatch):
    monkeypatch.setattr(repository, "KNOWN", tuple(replace(f, needs=("no_such_package",)) for f in repository.KNOWN))
    with pytest.raises(BadInput, match=r"no_such_package: `.*uv pip install -c \S*constraints\.txt no_such_package`"):
        find_repository(clone)


def test_a_failure_in_its_own_code_shows_its_last_lines_and_keeps_the_log(clone, frames, monkeypatch):
    monkeypatch.setenv("STAND_IN", "fail")
    with pytest.raises(
        BadInput, match=r"failed in itself.*RuntimeError: CUDA out of memory, said the official code"
    ) as error:
        train("E4", frames, SMALL, clone)
    kept = RunFolder.of(ARCH, "E4").path / "official" / "session_00.log"
    assert "Traceback" in kept.read_text() and "session_00.log" in str(error.value)
    assert list(table(RunFolder.of(ARCH, "E4"), "losses.csv")["kimg"]) == [0.032]  # what it had finished
    monkeypatch.delenv("STAND_IN")
    train("E4", frames, SMALL, clone)
    assert table(RunFolder.of(ARCH, "E4"), "losses.csv")["kimg"].max() == 4.032


def test_the_command(clone, frames, tmp_path, capsys):
    for name, image in zip(frames.index["file"], frames.images):
        write_png(tmp_path / "frames" / "images" / name, image)
    save_index(tmp_path / "frames", frames.index, frames.manifest)
    words = ["official", "train", "E9", "--data", tmp_path / "frames", "--kimg", 4, "--size", 32, "--device", "cpu"]
    assert main([str(word) for word in [*words, "--code", clone]]) == 0
    out = capsys.readouterr()
    assert "stylegan2_ada_official/E9 trained to 4 kimg" in out.out and "SWD" in out.err
    assert main([str(word) for word in [*words, "--code", tmp_path / "nowhere"]]) == 1
    assert "git clone" in capsys.readouterr().err
