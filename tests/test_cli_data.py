"""The commands from recordings to frames and on to archives, in process: one line out, one sentence when it fails."""

import json
import zipfile

import cv2
import numpy as np
import pandas as pd
import pytest

from echogan.cli import main
from echogan.data.frames import load_frames
from tests.data.studies import beating, write_avi, write_study
from tests.preprocessing.pictures import picture, png, write


def run(*words):
    return main([str(word) for word in words])


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """A study of five recordings and its frames, made by the command itself."""
    folder = tmp_path_factory.mktemp("cli")
    write_study(folder / "study", frames=24)
    assert run("extract", folder / "study", folder / "frames", "--size", 64, "--workers", 1) == 0
    return folder


@pytest.mark.parametrize("frames, images", [("1", 5), ("4", 20), ("all", 120)])
def test_frames_per_clip(root, tmp_path, capsys, frames, images):
    words = ("extract", root / "study", tmp_path / "out", "--size", 64, "--workers", 1, "--frames-per-clip", frames)
    assert run(*words) == 0
    output = capsys.readouterr()
    assert f"{images} frames of 5 recordings in" in output.out and output.out.count("\n") == 1
    found = load_frames(tmp_path / "out")
    assert len(found) == images and found.manifest["frames_per_clip"] == frames


def test_an_mp4_is_a_video_too(tmp_path, capsys):
    (tmp_path / "in").mkdir()
    writer = cv2.VideoWriter(str(tmp_path / "in" / "a.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 50, (112, 112))
    for frame in beating(22):
        writer.write(cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR))
    writer.release()
    write_avi(tmp_path / "in" / "b.avi", beating(22, seed=1))
    assert run("extract", tmp_path / "in", tmp_path / "out", "--size", 112, "--workers", 1) == 0
    found = load_frames(tmp_path / "out")
    assert list(found.index["video"].unique()) == ["a", "b"]
    error = np.abs(found.images[0].astype(int) - beating(22)[0])[found.images[0] > 0]
    assert error.mean() < 12


def test_parts_say_what_waits_and_the_last_one_merges(root, tmp_path, capsys):
    said = []
    for i in (2, 1, 3):
        words = ("extract", root / "study", tmp_path / "out", "--size", 64, "--workers", 1, "--shard", f"{i}/3")
        assert run(*words) == 0
        said.append(capsys.readouterr().out)
    assert said[0] == "part 2/3 is done; 3 recordings of other parts are not\n"
    assert said[2].startswith("20 frames of 5 recordings")
    assert load_frames(tmp_path / "out").fingerprint() == load_frames(root / "frames").fingerprint()


def test_the_data_card_says_counts_source_settings_and_terms(root, capsys):
    assert run("inspect", root / "frames") == 0
    out = capsys.readouterr().out
    for words in (
        "**EchoNet-Dynamic.** Real echocardiograms, under the research use agreement",
        "| TRAIN | 12 | 3 |",
        "| systole | 3 | 1 | 1 |",
        "splits: FileList.csv",
        "size: 64",
        "phases: traced",
        "fingerprint of the source",
    ):
        assert words in out
    assert (root / "frames" / "data_card.md").read_text() in out
    manifest = json.loads((root / "frames" / "manifest.json").read_text())
    assert manifest["counts"]["phase"]["last"] == {"TRAIN": 3, "VAL": 1, "TEST": 1}
    assert str(root) not in out


def test_the_fingerprint_of_the_source_follows_its_bytes_and_tables(root, tmp_path):
    def fingerprint(study, name):
        assert run("extract", study, tmp_path / name, "--size", 64, "--workers", 1) == 0
        return json.loads((tmp_path / name / "manifest.json").read_text())["source_fingerprint"]

    same = fingerprint(write_study(tmp_path / "same", frames=24), "a")
    assert same == json.loads((root / "frames" / "manifest.json").read_text())["source_fingerprint"]
    other = write_study(tmp_path / "other", frames=24)
    write_avi(other / "Videos" / "V4.avi", beating(24, seed=9))
    table = write_study(tmp_path / "table", frames=24)
    text = (table / "FileList.csv").read_text()
    (table / "FileList.csv").write_text(text.replace("60.5", "60.6"))
    assert len({same, fingerprint(other, "b"), fingerprint(table, "c")}) == 3


@pytest.mark.parametrize("source", ["frames", "study"])
def test_a_sheet_shows_frames_of_every_split(root, tmp_path, capsys, source):
    assert run("inspect", root / source, "--sheet", tmp_path / "sheet.png") == 0
    assert "sheet in" in capsys.readouterr().out
    sheet = cv2.imread(str(tmp_path / "sheet.png"))
    assert sheet.shape[1] > 1500 and np.ptp(sheet) > 200
    assert run("inspect", root / source, "--sheet", tmp_path / "sheet.jpg") == 1


def test_pictures_are_inspected_before_anything_is_made(tmp_path, capsys):
    write(tmp_path / "in", {f"{split}/{i}.png": png(picture(i)) for i, split in enumerate(["train", "val", "test"])})
    assert run("inspect", tmp_path / "in", "--sheet", tmp_path / "sheet.png") == 0
    out = capsys.readouterr().out
    assert "3 pictures of 3 patients: 1 TRAIN, 1 VAL, 1 TEST" in out and "Nothing is known of its terms" in out


@pytest.mark.parametrize(
    "fault, sentence",
    [
        ("patient", "has patients in more than one split: V0"),
        (
            "frame",
            "4 frames are in two splits; remove one of each and extract again: V0_f0.png (TRAIN) = V4_f0.png (TEST)",
        ),
    ],
)
def test_a_leak_between_splits_fails_and_is_listed(root, tmp_path, capsys, fault, sentence):
    extracted = load_frames(root / "frames")
    index, folder = extracted.index, tmp_path / "frames"
    (folder / "images").mkdir(parents=True)
    for file, image in zip(index["file"], extracted.images):
        cv2.imwrite(str(folder / "images" / file), image)
    if fault == "patient":
        index.loc[index["video"] == "V4", "patient"] = "V0"
    else:
        for k in range(4):
            (folder / "images" / f"V4_f{k}.png").write_bytes((folder / "images" / f"V0_f{k}.png").read_bytes())
    index.to_csv(folder / "index.csv", index=False)
    (folder / "manifest.json").write_text("{}")
    assert run("inspect", folder) == 1
    assert sentence in capsys.readouterr().err


def test_a_recording_in_two_splits_of_a_study_stays_in_test_and_is_told(tmp_path, capsys):
    study = write_study(tmp_path / "study", frames=24)
    (study / "Videos" / "V0.avi").write_bytes((study / "Videos" / "V4.avi").read_bytes())
    assert run("extract", study, tmp_path / "frames", "--size", 64, "--workers", 1) == 0
    error = capsys.readouterr().err
    assert (
        "4 frames are in two splits; each is kept in TEST, else VAL" in error
        and "V0_f0.png (TRAIN) = V4_f0.png (TEST)" in error
    )
    found = load_frames(tmp_path / "frames")
    assert len(found.split("TRAIN")) == 8 and len(found.split("TEST")) == 4
    assert run("inspect", tmp_path / "frames") == 0


def test_an_archive_for_the_official_code_holds_one_split(root, tmp_path, capsys):
    assert run("archive", root / "frames", tmp_path / "train.zip", "--condition", "phase") == 0
    assert "classes 0 = diastole, 1 = first, 2 = last, 3 = systole" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "train.zip") as opened:
        labels = json.loads(opened.read("dataset.json"))["labels"]
        index = pd.read_csv(opened.open("index.csv"))
    assert len(labels) == 12 and labels[0] == ["00000/img00000000.png", 1] and set(index["split"]) == {"TRAIN"}
    assert run("archive", root / "frames", tmp_path / "all.zip", "--split", "all") == 0
    assert run("archive", root / "frames", tmp_path / "all.zip") == 1
    assert "left as it is" in capsys.readouterr().err


def test_previews(root, tmp_path, capsys):
    video = root / "study" / "Videos" / "V1.avi"
    for kind in ("mask", "phase"):
        assert run("preview", kind, video, tmp_path / f"{kind}.png") == 0
        assert capsys.readouterr().out.startswith("V1 in ")
        assert np.ptp(cv2.imread(str(tmp_path / f"{kind}.png"), 0)) > 150
    assert run("preview", "phase", video, tmp_path / "phase.jpg") == 1
    assert "must end in .png" in capsys.readouterr().err


@pytest.mark.parametrize("words, said", [
    (("extract", "in", "out", "--shard", "5/4"), "5/4 is no part; write I/N"),
    (("extract", "in", "out", "--size", "100"), "size must be one of"),
    (("extract", "nowhere", "out"), "nowhere is missing; give an EchoNet-Dynamic"),
    (("inspect", "nowhere"), "nowhere is missing"),
    (("archive", "nowhere", "out.zip"), "nowhere is not a folder of frames"),
    (("preview", "mask", "in", "out.png"), "in holds pictures"),
])  # fmt: skip
def test_wrong_use_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch, capsys, words, said):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "in", {"a.png": png(picture())})
    assert run(*words) == 1
    assert said in capsys.readouterr().err and [p.name for p in tmp_path.iterdir()] == ["in"]
