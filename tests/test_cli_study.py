"""`echogan study`: every step once, what failed named, killed and given again, and FID as it was published."""

import csv
import hashlib
import os
import signal
import subprocess
import sys
import time
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from safetensors.numpy import save_file

from echogan import models
from echogan.cli import main, parts, steps
from echogan.cli.asked import keep_asked
from echogan.cli.plan import ROWS, SOURCES, Plan
from echogan.cli.steps import Step, fresh, take
from echogan.config import RunFolder, folder
from echogan.contract import Clock
from echogan.data.frames import load_frames, save_index
from echogan.data.images import write_png
from echogan.engine import checkpoint
from echogan.engine.sampling import remove_samples
from echogan.errors import BadInput
from echogan.files import read_json, write_json
from tests.conftest import blobs, framed
from tests.engine.test_fit import left_behind


def run(*words):
    return main([str(word) for word in words])


# ------------------------------------------------------------------------------------------------ steps


def test_done_steps_are_left_alone_and_failures_stop_nothing_else(tmp_path):
    told = []
    listed = [
        Step("done before", ("fly",), lambda: True),
        Step("wrong", ("extract", "nowhere", tmp_path / "out"), lambda: False),
        Step("waits", ("report",), lambda: False, (tmp_path / "weights",)),
        Step("well", ("train", "--help"), lambda: False),
    ]
    failed = take(listed, tmp_path / "logs", dict(os.environ), lambda step, state, seconds: told.append(step.name))
    assert told == ["wrong", "waits", "well"] and list(failed) == ["wrong", "waits"]
    assert "nowhere" in failed["wrong"] and "weights is missing" in failed["waits"]
    assert "usage" in (tmp_path / "logs" / "well.log").read_text()


def test_a_file_is_fresh_until_what_it_was_made_of_is_newer(tmp_path):
    made, source = tmp_path / "made", tmp_path / "source"
    assert not fresh(made, source)
    made.touch()
    assert fresh(made, source)
    source.touch()
    os.utime(source, (time.time() + 9, time.time() + 9))
    assert not fresh(made, source)


def test_a_step_that_a_study_beside_this_one_does_is_waited_for_and_not_done_twice(tmp_path, monkeypatch):
    made, lock, told, ran = tmp_path / "made", tmp_path / "data" / ".made.lock", [], []
    monkeypatch.setattr(steps, "_run", lambda step, logs, environment: ran.append(step.name) or "")
    step = Step("prepare", ("extract",), made.is_file, lock=lock)
    lock.parent.mkdir()
    other = FileLock(lock).acquire()

    def tell(step, state, seconds):
        told.append(state)
        if "beside" in state:  # it ends well meanwhile
            made.touch()
            other.lock.release()

    assert (
        take([step], tmp_path, {}, tell) == {} and ran == [] and told == ["waits for a study beside this one", "done"]
    )
    made.unlink()
    assert take([step], tmp_path, {}, tell) == {} and ran == ["prepare"]
    (tmp_path / "file").touch()
    failed = take([replace(step, lock=tmp_path / "file" / ".lock")], tmp_path, {}, tell)
    assert "cannot write" in failed["prepare"] and ran == ["prepare"]


def test_studies_beside_each_other_lock_what_both_may_come_to(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "chosen_kimg", lambda run: 8)
    asked, spade = plan(data=str(tmp_path)), next(row for row in ROWS if row.arch == "spade")
    best = asked.run(spade, "patches").weights("best")
    best.parent.mkdir(parents=True)
    best.touch()
    listed = [*parts.recordings(plan()), *parts.siblings(plan()), *parts.figures(asked)]
    listed += [parts.segmenter(asked, "masks"), *parts.synthesized(asked, spade, "patches")]
    both = {"phantom", "prepare", "share", "segmenter", "report"}
    assert {step.name.split()[0] for step in listed if step.lock} == both
    locks = [step.lock for step in listed if step.name.split()[0] in both]
    assert len(set(locks)) == len(locks) == 3 * 2 + 5 + 2  # five shares


def test_every_architecture_and_its_published_setting_is_in_the_table():
    assert sorted(row.arch for row in ROWS) == models.names()
    assert all(models.config_of(row.arch, row.published).published for row in ROWS)


# ------------------------------------------------------------------------------------------------ in one process


@pytest.fixture
def stored(tmp_path):
    """A folder of frames of blobs: 48 TRAIN, 32 VAL, 32 TEST."""
    frames, place = replace(framed(48, 32, 32), images=blobs(112, 64)), tmp_path / "blobs"
    for name, image in zip(frames.index["file"], frames.images):
        write_png(place / "images" / name, image)
    save_index(place, frames.index, frames.manifest)
    return place


SHORTER = {"report": ("--tables",), "audit": ("--n", "24")}


@pytest.fixture
def here(monkeypatch):
    """Steps run in this process; returns their words."""
    taken = []
    monkeypatch.setattr(parts, "GENERATED", 12)

    def instead(step, logs, environment):
        taken.append(" ".join(map(str, step.words)))
        with monkeypatch.context() as patch:
            patch.setattr("echogan.engine.audit.PLANTED", 2)
            for name in ("ECHOGAN_EXPERIMENTS", "ECHOGAN_RESULTS"):
                patch.setenv(name, environment[name])
            return "" if run(*step.words, *SHORTER.get(step.words[0], ())) == 0 else "it went wrong"

    monkeypatch.setattr(steps, "_run", instead)
    return taken


def of_test(run):
    """The rows of TEST in the metrics.csv of a run."""
    with open(run.metrics, newline="") as file:
        return [row for row in csv.DictReader(file) if row["split"] == "TEST"]


def test_the_whole_study_and_again_with_another_seed_and_a_config_that_fails(stored, here, capsys):
    words = ("study", "--data", stored, "--kimg", 0.02, "--only", "wgan/gp", "wgan/W1")
    assert run(*words, "--seeds", 1) == 0
    words_taken = ["train", "evaluate", "train", "evaluate", "audit", "audit", "sample", "sample", "report"]
    assert [line.split()[0] for line in here] == words_taken
    assert "2 configs of 1 architectures" in capsys.readouterr().out
    gp = RunFolder.of("wgan", "gp", folder("experiments") / "blobs")
    (row,) = of_test(gp)
    assert float(row["images_per_s"]) > 0 and "thread" in row["hardware"] and gp.audit.is_file()
    (many,) = (folder("experiments") / "blobs").glob("wgan/*/best_generated")  # of the better one alone
    assert read_json(many / "manifest.json")["n"] == 12 and len(list(many.glob("*.png"))) == 12
    assert (many.parent / "generated_samples" / "best_81.png").is_file()
    page = (folder("results") / "blobs" / "README.md").read_text()
    assert "WGAN `gp`" in page and "* wgan: W2, W4" in page and "* medgan: M1" in page
    here.clear()
    assert run(*words, "stylegan2_ada/phase", "--seeds", 2) == 1
    errors = capsys.readouterr().err
    assert "train stylegan2_ada/phase: it went wrong" in errors and "2 steps failed" in errors
    assert "best.safetensors is missing" in errors  # of the step that would judge it
    assert [line.split()[0] for line in here] == ["train", "train", "evaluate", "train", "evaluate", "report"]
    assert {f"wgan/{name}" for name in ("gp_seed1", "W1_seed1")} <= {
        f"wgan/{path.name}" for path in gp.path.parent.iterdir()
    }
    assert len(of_test(gp)) == 1  # TEST reports once


def drawn(path, note):
    """Weights of a tiny WGAN, with a note in their header."""
    model = models.load("wgan").build(models.config_of("wgan", "demo").tiny())
    checkpoint.export(path, model, {"arch": "wgan", "name": "demo", "kimg": "3", "data": "blobs", "note": note})
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_a_gallery_is_drawn_anew_from_other_weights_whatever_their_age(here, tmp_path):
    gp = RunFolder.of("wgan", "gp", tmp_path)
    write_json(gp.config, {})
    gallery, best = gp.path / "best_generated", gp.weights("best")
    best.parent.mkdir()
    step = parts.generated(plan(), gp, 12, gallery)

    def again():
        here.clear()
        places = {"ECHOGAN_EXPERIMENTS": str(tmp_path), "ECHOGAN_RESULTS": str(tmp_path)}
        assert take([step], tmp_path, places, lambda *told: None) == {}
        return len(here), read_json(gallery / "manifest.json")["weights_sha256"]

    first = drawn(best, "first")
    assert again() == (1, first)
    os.utime(best, (time.time() + 9, time.time() + 9))  # copied, not trained on
    assert again() == (0, first)
    second = drawn(best, "trained on")
    os.utime(best, (0, 0))
    assert again() == (1, second) != (1, first)
    assert len(list(gallery.iterdir())) == 13


def test_a_stale_gallery_loses_nothing_that_the_study_did_not_draw(tmp_path):
    gallery = tmp_path / "best_generated"
    gallery.mkdir()
    for name in ("img_00000.png", "img_00001.png", "img_00002.png", "mine.png"):
        (gallery / name).touch()
    remove_samples(gallery)  # without a manifest nobody knows whose they are
    assert len(list(gallery.iterdir())) == 4
    write_json(gallery / "manifest.json", {"n": 3, "weights_sha256": "of older weights"})
    remove_samples(gallery)  # no new one could take its place
    assert len(list(gallery.iterdir())) == 5
    (gallery / "mine.png").rename(gallery / ".DS_Store")
    remove_samples(gallery)
    assert list(gallery.iterdir()) == []


def plan(**asked):
    return Plan(
        **{**dict(data="", camus="", tier="cpu", only=(), patients=2000, kimg=None, seeds=3, fakes=64), **asked}
    )


def test_other_data_sizes_and_tiers_have_folders_of_their_own(stored):
    names = [plan(), plan(patients=48), plan(tier="gpu"), plan(data=str(stored)), plan(data=str(stored), tier="gpu")]
    assert [p.name for p in names] == ["", "phantom_48", "gpu", "blobs", "blobs_gpu"]


def test_frames_with_masks_of_their_own_serve_where_masks_are_wanted(stored):
    given, (spade,) = plan(data=str(stored)), [row for row in ROWS if row.arch == "spade"]
    assert given.frames(spade, "S1").name == "phantom_camus_2000_seed0_128px"
    (stored / "labels.json").write_text("{}")
    assert given.frames(spade, "S1") == stored.resolve() == given.place("frames")


@pytest.mark.parametrize("tier, made", [("cpu", []), ("gpu", ["extract"])])
def test_recordings_with_masks_are_extracted_once_more_where_masks_are_wanted_larger(tier, made, tmp_path):
    (tmp_path / "HC18").mkdir()
    asked, (spade,) = (
        plan(data=str(tmp_path / "HC18"), tier=tier, only=("spade",)),
        [r for r in ROWS if r.arch == "spade"],
    )
    asked.place("frames").mkdir(parents=True)
    (asked.place("frames") / "labels.json").write_text("{}")  # as the extraction before left it
    steps = parts.siblings(asked)
    assert [step.words[0] for step in steps] == made
    size = 128 if tier == "cpu" else 256
    assert asked.frames(spade, "S1").name == f"HC18_{size}px"
    for step in steps:
        assert step.words[1:5] == (tmp_path / "HC18", asked.frames(spade, "S1"), "--size", 256)


@pytest.mark.parametrize("tier", ["cpu", "gpu"])
@pytest.mark.parametrize("masks", ["its own", "a phantom's", "of CAMUS"])
def test_only_masks_of_the_data_itself_have_no_phases_and_judge_no_phantom(tier, masks, tmp_path, monkeypatch):
    """HC18 has neither volumes nor labels of a heart; at the GPU tier its masks lie in a folder of another size."""
    monkeypatch.setattr(parts, "chosen_kimg", lambda run: 8)
    (tmp_path / "HC18").mkdir()
    camus = str(tmp_path / "CAMUS") if masks == "of CAMUS" else ""
    asked = plan(data=str(tmp_path / "HC18"), camus=camus, tier=tier)
    asked.place("frames").mkdir(parents=True)
    if masks == "its own":
        (asked.place("frames") / "labels.json").write_text("{}")
    spade, cyclegan = (next(row for row in ROWS if row.arch == arch) for arch in ("spade", "cyclegan"))
    best = asked.run(spade, "patches").weights("best")
    best.parent.mkdir(parents=True)
    best.touch()
    *_, use = parts.synthesized(asked, spade, "patches")
    assert use.words[0] == "downstream" and ("--no-ef" in use.words) == (masks == "its own")
    assert ("--segmenter" in parts.rated(asked, cyclegan, "plain").words) == (masks != "its own")


@pytest.mark.parametrize("tier, made", [("cpu", {128}), ("gpu", {128, 256})])
def test_frames_are_prepared_as_large_as_the_configs_of_a_tier_make_them(tier, made):
    asked, sizes = plan(tier=tier), set()
    for source in SOURCES:
        words = parts.prepared(asked, source, "")[-1].words
        sizes.add(words[words.index("--size") + 1])
        assert words[2].name.endswith(f"_{asked.pixels(source.name)}px") and words[1].name in words[2].name
    assert sizes == made
    for row in asked.rows:
        for name in asked.configs(row):
            size = int(asked.frames(row, name).name.rpartition("_")[2].removesuffix("px"))
            assert asked.config(row, name).resolution <= size, name


def asked_of(tmp_path, where, holds="A"):
    """A folder of recordings that end in `holds`."""
    (tmp_path / where / "frames").mkdir(parents=True)
    (tmp_path / where / "frames" / "one.avi").write_text("of hospital " + holds)
    return tmp_path / where / "frames"


def test_data_of_the_same_name_are_not_mixed_into_a_study_or_taken_for_prepared(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("echogan.cli.study.PARTS", ())
    a, b = asked_of(tmp_path, "a"), asked_of(tmp_path, "b", "B, which is longer")

    def study(*words, only="wgan"):
        return run("study", *words, "--only", only)

    assert study("--data", a) == study("--data", a) == 0
    capsys.readouterr()
    assert study("--data", b) == 1
    said = capsys.readouterr().err
    assert f"experiments/frames were made from {a}, not from {b}; set ECHOGAN_EXPERIMENTS" in said
    monkeypatch.setenv("ECHOGAN_EXPERIMENTS", str(tmp_path / "of_b"))
    assert study("--data", b) == 1  # its frames would be those that were prepared from a
    said = capsys.readouterr().err
    assert f"frames_128px were made from {a}, not from {b}; set ECHOGAN_DATA" in said and ".frames_128px.json" in said
    monkeypatch.setenv("ECHOGAN_DATA", str(tmp_path / "data_of_b"))
    assert study("--data", b) == 0
    assert study("--data", b, "--camus", a, only="spade") == 0  # another source of the same study
    assert study("--data", b, only="spade") == 1
    assert f"were made from {a}, not from {b} and a phantom of 2000 patients" in capsys.readouterr().err


def test_a_study_of_the_phantom_is_none_of_camus_though_both_lie_in_one_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("echogan.cli.study.PARTS", ())
    a = asked_of(tmp_path, "a")
    assert run("study", "--only", "spade") == 0
    assert run("study", "--only", "spade", "--camus", a) == 1
    assert f"were made from a phantom of 2000 patients, not from {a}" in capsys.readouterr().err


def test_data_that_change_where_they_lie_are_taken_until_anything_is_made_of_them(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("echogan.cli.study.PARTS", ())
    a = asked_of(tmp_path, "a")
    made = folder("data") / "frames_128px" / "manifest.json"
    words = ("study", "--data", a, "--only", "wgan")
    assert run(*words) == 0
    (a / "two.avi").write_text("unpacked later")
    assert run(*words) == 0
    write_json(made, {"kind": "recordings"})
    (a / ".DS_Store").write_text("of a look into it")
    assert run(*words) == 0
    (a / "three.avi").write_text("unpacked later still")
    capsys.readouterr()
    assert run(*words) == 1
    note = folder("experiments") / "frames" / ".study" / "asked.json"
    said = capsys.readouterr().err
    assert f"made from {a}, not from {a} as it is now; set ECHOGAN_EXPERIMENTS" in said and f"remove {note}" in said
    note.unlink()
    assert run(*words) == 1 and "set ECHOGAN_DATA" in capsys.readouterr().err
    made.unlink()
    assert run(*words) == 0  # its frames are made anew
    write_json(RunFolder.of("medgan", "M1", folder("experiments") / "frames").config, {})
    (a / "four.avi").write_text("downloaded again")
    assert run(*words) == 1  # a run learnt from them


def test_what_a_study_makes_below_its_data_is_none_of_them(tmp_path, monkeypatch):
    home = tmp_path / "EchoNet"
    for name in ("data", "experiments", "results"):
        monkeypatch.setenv(f"ECHOGAN_{name.upper()}", str(home / name))
    (home / "Videos").mkdir(parents=True)
    (home / "Videos" / "a.avi").write_bytes(b"a")
    asked = plan(data=str(home))
    keep_asked(asked)
    for made in (asked.place("frames") / "manifest.json", home / "experiments" / "x.csv", home / "results" / "x.png"):
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_text("{}")
        keep_asked(asked)
    (home / "Videos" / "b.avi").write_bytes(b"b")
    with pytest.raises(BadInput, match="as it is now"):
        keep_asked(asked)


def test_moved_data_and_a_study_from_before_this_was_kept_go_on(tmp_path, monkeypatch):
    monkeypatch.setattr("echogan.cli.study.PARTS", ())
    a, b = asked_of(tmp_path, "a"), asked_of(tmp_path, "b", "B, which is longer")
    (folder("data") / "frames_128px").mkdir(parents=True)  # prepared of what nobody knows
    (folder("experiments") / "frames" / "wgan" / "gp").mkdir(parents=True)
    assert run("study", "--data", a, "--only", "wgan") == 0
    assert list(folder("data").glob(".*")) == []
    moved = (tmp_path / "moved").mkdir() or a.rename(tmp_path / "moved" / "frames")
    assert run("study", "--data", moved, "--only", "wgan") == 0
    assert run("study", "--data", b, "--only", "wgan") == 1
    (folder("experiments") / "frames" / ".study" / "asked.json").unlink()  # as the sentence says
    assert run("study", "--data", b, "--only", "wgan") == 0


def test_a_run_that_learnt_from_other_frames_or_at_another_size_is_not_done(stored, monkeypatch):
    asked = plan(data=str(stored), kimg=1.0, only=("wgan/gp",))
    (row,) = asked.rows
    made = asked.run(row, "gp")
    made.last.parent.mkdir(parents=True)
    checkpoint.save(made.last, {"clock": vars(Clock(1000))})
    of_stored = {"data": {"fingerprint": load_frames(stored).fingerprint()}, "config": {"resolution": 64}}
    for record, done in (
        (of_stored, True),
        (of_stored | {"data": {"fingerprint": "of hospital B"}}, False),
        (of_stored | {"config": {"resolution": 128}}, False),
    ):
        write_json(made.config, record)
        (step,) = parts.trained(asked, row, "gp")
        assert step.done() == done


@pytest.mark.parametrize(
    "words, said",
    [
        (("--only", "wgna"), "did you mean 'wgan'?"),
        (("--only", "wgan/gq"), "wgan has no config 'gq'"),
        (("--data", "nowhere"), "nowhere does not exist"),
    ],
)
def test_wrong_words_are_refused_before_any_work(words, said, here, capsys):
    assert run("study", *words) == 1 and said in capsys.readouterr().err and here == []


# ------------------------------------------------------------------------------------------------ networks, as published


def test_what_a_study_goes_without_is_said_before_it_begins(monkeypatch, capsys):
    monkeypatch.setattr("echogan.cli.study.PARTS", ())
    assert run("study", "--only", "wgan") == 0
    (said,) = capsys.readouterr().err.splitlines()
    assert all(name in said for name in ("no FID", "inception2015", "lpips_alex", "lite0", "weights --install all"))
    monkeypatch.setattr("echogan.encoders.available", lambda name: name != "lite0")
    monkeypatch.setattr("echogan.encoders.lpips.available", lambda: True)
    assert run("study", "--only", "wgan") == 0
    (said,) = capsys.readouterr().err.splitlines()
    assert "without lite0" in said and "no FID" not in said
    monkeypatch.setattr("echogan.encoders.available", lambda name: True)
    assert run("study", "--only", "wgan") == 0 and capsys.readouterr().err == ""


@pytest.mark.parametrize("cell, reported", [("split,stage,kimg\nTEST,,3", False), ("split,stage,kimg,FID\nTEST,,3,", False),
    ("split,stage,kimg,FID\nTEST,,3,\nTEST,,3,41.5", True), ("split,stage,kimg,FID\nTEST,,2,41.5", False)])  # fmt: skip
def test_a_row_without_a_fid_is_judged_again_once_there_is_an_encoder(cell, reported, tmp_path, monkeypatch):
    judged = RunFolder(tmp_path)
    for path in (judged.metrics, judged.weights("best")):
        path.parent.mkdir()
    judged.metrics.write_text(f"{cell}\n")
    save_file({"weight": np.zeros(1)}, judged.weights("best"), {"kimg": "3"})
    assert parts.reported(judged, "TEST", "generate") == (",3" in cell)  # no encoder: any row is all there can be
    monkeypatch.setattr("echogan.encoders.available", lambda name: name == "inception2015")
    assert parts.reported(judged, "TEST", "generate") == reported


def test_a_trial_with_few_images_is_not_the_fid_as_it_was_published(tmp_path):
    judged = RunFolder(tmp_path)
    for path in (judged.metrics, judged.weights("best")):
        path.parent.mkdir()
    save_file({"weight": np.zeros(1)}, judged.weights("best"), {"kimg": "3"})
    judged.metrics.write_text("split,stage,kimg,n_fake\nALL,generate,3,64\n")
    assert parts.reported(judged, "ALL", "generate", 64) and not parts.reported(judged, "ALL", "generate", 50_000)
    judged.metrics.write_text("split,stage,kimg,n_fake\nALL,generate,3,64\nALL,generate,3,50000\n")
    assert parts.reported(judged, "ALL", "generate", 50_000) and parts.reported(judged, "ALL", "generate", 64)


@pytest.mark.parametrize(
    "kind, given, tier, measured",
    [
        ("EchoNet-Dynamic", "folder", "gpu", True),
        ("EchoNet-Dynamic", "zip", "gpu", True),
        ("EchoNet-Dynamic", "folder", "cpu", False),  # a small network is not what was published
        ("EchoNet-Dynamic", "frames", "gpu", False),  # frames cannot be cut as the study cut recordings
        ("synthetic phantom", "folder", "cpu", True),  # a rehearsal
        ("ultrasound recordings", "none", "gpu", False),
    ],
)
def test_fid_is_as_published_of_recordings_at_full_size_alone(
    kind, given, tier, measured, tmp_path, monkeypatch, capsys
):
    data = tmp_path / ("EchoNet.zip" if given == "zip" else "EchoNet")
    if given == "zip":
        with zipfile.ZipFile(data, "w") as archive:
            archive.writestr("EchoNet-Dynamic/FileList.csv", "FileName")
    else:
        data.mkdir()
        (data / {"folder": "FileList.csv", "frames": "manifest.json", "none": "a.avi"}[given]).touch()
    asked = plan(data=str(data), tier=tier, only=("stylegan2_ada",))
    write_json(asked.place("frames") / "manifest.json", {"kind": kind})
    listed = list(parts.as_published(asked))
    assert [step.words[0] for step in listed] == ["extract", "train", "evaluate", "evaluate"] * measured
    monkeypatch.setattr("echogan.cli.study.PARTS", ())
    assert run("study", "--data", data, "--tier", tier, "--only", "stylegan2_ada") == 0
    assert ("holds frames, so FID as it was published is left out" in capsys.readouterr().err) == (given == "frames")


def test_every_run_is_trained_with_the_precision_and_the_parts_of_a_batch_that_are_asked_for(tmp_path):
    (row,) = (row for row in ROWS if row.arch == "wgan")
    for asked, told in (
        (plan(), []),
        (plan(precision="bf16", accumulate=2), "--precision bf16 --accumulate 2".split()),
    ):
        (step,) = parts.trained(asked, row, "gp")
        words = list(step.words)
        assert words[words.index("gp", 5) + 1 : words.index("--device")] == told


def test_generators_and_masks_of_a_share_know_that_share_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(parts, "chosen_kimg", lambda run: 8)
    monkeypatch.setenv("ECHOGAN_EXPERIMENTS", str(tmp_path))
    asked, row = plan(only=("spade/patches",), seeds=2), next(row for row in ROWS if row.arch == "spade")
    best = asked.run(row, "patches").weights("best")
    assert list(parts.synthesized(asked, row, "patches")) == []  # nothing to draw with
    best.parent.mkdir(parents=True)
    best.touch()
    listed = list(parts.synthesized(asked, row, "patches"))
    train = {step.words[step.words.index("--name") + 1]: step for step in listed if step.words[0] == "train"}
    assert list(train) == ["5_0", "10_0", "10_1", "25_0"]
    for name, step in train.items():
        (share,) = [
            other.words for other in listed if other.words[0] == "share" and str(other.words[2]).endswith(f"/{name}")
        ]
        assert step.words[step.words.index("--data") + 1] == str(share[2]) and share[4] == int(name.split("_")[0])
        (fill,) = [other for other in listed if other.name == f"synthesize spade/patches {name}"]
        assert fill.words[1] == RunFolder.of("spade", name, step.experiments).path and fill.words[2] == share[2]
    (whole,) = [step.words for step in listed if step.name == "synthesize spade/patches 100_1"]
    assert whole[1] == asked.run(row, "patches").path and whole[2] == asked.place("masks")
    assert {"5:1", "10:2", "25:1", "100:2"} <= set(listed[-1].words) and listed[-1].words[0] == "downstream"


# ------------------------------------------------------------------------------------------------ rehearsals

# With 104 patients, 20 are held out: the fewest that an audit takes.


def begin(root, *words, kimg=0.3, seeds=2):
    """A study in a process group of its own, as a terminal starts it."""
    places = {f"ECHOGAN_{name}": str(root / name.lower()) for name in ("EXPERIMENTS", "RESULTS")}
    command = [sys.executable, "-m", "echogan.cli", "study", *map(str, ("--kimg", kimg, "--seeds", seeds, *words))]
    return subprocess.Popen(
        command, env={**os.environ, **places}, start_new_session=True, stderr=subprocess.PIPE, text=True
    )


def ends_well(process):
    said = process.communicate()[1]
    assert process.returncode == 0, said


def wait_for(found, process):
    while not found() and process.poll() is None:
        time.sleep(0.05)
    assert process.poll() is None, process.stderr.read()


@pytest.mark.slow
def test_a_study_killed_twice_ends_as_an_unbroken_one(tmp_path):
    words = ("--patients", 104, "--only", "wgan/gp", "wgan/W1", "medgan/M1")
    first = begin(tmp_path / "killed", *words)
    runs = tmp_path / "killed" / "experiments" / "phantom_104"
    wait_for(RunFolder.of("wgan", "W1", runs).losses.is_file, first)
    os.killpg(first.pid, signal.SIGKILL)  # as when the machine goes down
    first.wait()
    second = begin(tmp_path / "killed", *words)
    wait_for((runs / "medgan/M1/metrics_csv/metrics.csv").is_file, second)
    second.kill()  # alone, in the middle of a step
    second.wait()
    ends_well(begin(tmp_path / "killed", *words))
    ends_well(begin(tmp_path / "whole", *words))
    whole = tmp_path / "whole" / "experiments" / "phantom_104"
    names = sorted(path.parent.relative_to(whole) for path in whole.glob("*/*/config.json"))
    assert len(names) == 6  # three configs, two of each architecture's chosen ones again, M1 being both
    for name in names:
        assert without_speed(RunFolder(runs / name)) == without_speed(RunFolder(whole / name))
        assert len(of_test(RunFolder(runs / name))) == 1


def without_speed(run):
    losses, metrics, pictures, weights = left_behind(run)
    return losses, [{k: v for k, v in row.items() if k != "images_per_s"} for row in metrics], pictures, weights


@pytest.mark.slow
def test_a_licence_holder_gets_the_fid_as_it_was_published(tmp_path):
    study = tmp_path / "EchoNet-Dynamic"
    assert run("phantom", study, "--patients", 104) == 0
    words = ("--data", study, "--only", "stylegan2_ada/plain", "stylegan2_ada/E4", "--fakes", 64)
    ends_well(begin(tmp_path, *words, kimg=0.05, seeds=1))
    experiments = tmp_path / "experiments" / "EchoNet-Dynamic"
    for name in ("plain_as_published", "E4_as_published"):
        found = RunFolder.of("stylegan2_ada", name, experiments)
        with open(found.metrics, newline="") as file:
            rows = {row["split"]: row for row in csv.DictReader(file)}
        assert (rows["ALL"]["n_real"], rows["ALL"]["n_fake"]) == ("64", "64") and "TEST" in rows
    frames = read_json(Path(os.environ["ECHOGAN_DATA"]) / "EchoNet-Dynamic_128px_as_published" / "manifest.json")
    assert frames["bilateral"] is True and frames["phases"] == "counted"
