import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from pydicom.data import get_testdata_file

from echogan.data.echonet import TRACINGS
from echogan.data.frames import load_frames
from echogan.errors import BadInput
from echogan.preprocessing import extract as module
from echogan.preprocessing.extract import extract
from echogan.sector import ECHONET, study_mask
from tests.data.studies import ED, ES, beating, trace_rows, write_avi, write_csv, write_study

CINE = get_testdata_file("examples_ybr_color.dcm", download=False)


@pytest.fixture
def root(tmp_path):
    return write_study(tmp_path / "study")


def left_beside(folder):
    """What an extraction that failed left in the folder of its target."""
    return sorted(path.name for path in folder.iterdir() if path.name != "study")


def test_a_study_becomes_four_named_frames_a_video(root, tmp_path):
    seen = []
    summary = extract(root, tmp_path / "frames", workers=1, callback=lambda done, total: seen.append((done, total)))
    frames = load_frames(summary.folder)
    assert (summary.recordings, summary.images, len(frames)) == (5, 20, 20)
    assert frames.images.shape == (20, 128, 128)
    assert list(frames.index["file"][:5]) == ["V0_f0.png", "V0_f1.png", "V0_f2.png", "V0_f3.png", "V1_f0.png"]
    assert list(frames.index["phase"][:4]) == ["first", "systole", "diastole", "last"]
    assert list(frames.index["frame"][:4]) == [0, ES, ED, 29]
    assert list(frames.index["split"][::4]) == ["TRAIN", "TRAIN", "TRAIN", "VAL", "TEST"]
    assert (frames.index["patient"] == frames.index["video"]).all() and (frames.index["EF"] == 60.5).all()
    assert seen == [(i, 5) for i in range(1, 6)]
    assert summary.problems == []


def test_pictures_are_the_frames_under_the_mask_on_disk(root, tmp_path):
    frames = load_frames(extract(root, tmp_path / "frames", workers=1).folder)
    assert not frames.images[:, study_mask(128) == 0].any()
    source = cv2.resize(beating(30)[ES] & study_mask(), (128, 128), interpolation=cv2.INTER_LANCZOS4)
    error = np.abs(frames.images[1].astype(int) - source)[study_mask(128) > 0]
    assert error.mean() < 3


def test_the_manifest_says_how_and_holds_no_absolute_path(root, tmp_path):
    extract(root, tmp_path / "frames", size=64, bilateral=True, workers=1)
    text = (tmp_path / "frames" / "manifest.json").read_text()
    manifest = json.loads(text)
    assert manifest["kind"] == "EchoNet-Dynamic" and manifest["source"] == "study"
    assert (manifest["size"], manifest["bilateral"], manifest["phases"]) == (64, True, "traced")
    assert manifest["phases_found"] == {"traced": 5} and "opencv" in manifest["versions"]
    assert str(tmp_path) not in text


def test_counting_is_selectable_and_its_agreement_is_reported_either_way(root, tmp_path):
    traced = extract(root, tmp_path / "a", workers=1)
    counted = extract(root, tmp_path / "b", phases="counted", workers=1)
    assert traced.agreement == counted.agreement
    assert counted.agreement["phases"] == 10
    # The heart of these videos beats alone every 20 frames, and 30 frames hold a second diastole at 25.
    index = load_frames(tmp_path / "b").index
    assert set(index.loc[index["phase"] == "systole", "frame"]) <= {ES - 1, ES, ES + 1}
    assert json.loads((tmp_path / "b" / "manifest.json").read_text())["phases_found"] == {"counted": 5}


def test_recordings_without_tracings_are_counted_and_told(root, tmp_path):
    write_csv(root / "VolumeTracings.csv", TRACINGS, trace_rows("V0", ES, ED) + trace_rows("V1", ES, 30))
    summary = extract(root, tmp_path / "frames", workers=1)
    assert summary.images == 20
    assert summary.problems == [
        "V1 has a tracing at frame 30 but ends at 29; its tracings were dropped",
        "4 of 5 recordings have no usable tracings; their phases were counted",
    ]


def test_duplicates_are_marked_and_stay_out_of_the_splits(root, tmp_path):
    write_csv(root / "VolumeTracings.csv", TRACINGS, trace_rows("V0", 0, ES))
    summary = extract(root, tmp_path / "frames", workers=1)
    frames = load_frames(tmp_path / "frames")
    first = frames.index[frames.index["video"] == "V0"]
    assert list(first["duplicate_of"].fillna("-")) == ["-", "-", "V0_f0.png", "-"]
    assert summary.duplicates == 1 and len(frames.split("TRAIN")) == 11


@pytest.mark.parametrize("workers", [1, 2])
def test_a_corrupt_video_is_skipped_and_listed(root, tmp_path, workers):
    (root / "Videos" / "V1.avi").write_bytes(b"broken")
    (root / "Videos" / "V3.avi").unlink()
    summary = extract(root, tmp_path / "frames", workers=workers)
    assert summary.recordings == 3 and [name for name, _ in summary.skipped] == ["V3", "V1"]
    reason = "Videos/V1.avi does not decode as a video; export it again as AVI (Motion JPEG) or MP4, or remove it"
    assert summary.problems[1] == f"skipped V1: {reason}".replace("/", os.sep)
    manifest = json.loads((tmp_path / "frames" / "manifest.json").read_text())
    assert [row["recording"] for row in manifest["skipped"]] == ["V3", "V1"]
    assert str(tmp_path) not in json.dumps(manifest)


def test_when_every_video_is_corrupt_the_run_fails_and_leaves_nothing(root, tmp_path):
    for video in (root / "Videos").iterdir():
        video.write_bytes(b"broken")
    with pytest.raises(BadInput, match=r"none of the 5 recordings of .*study can be used; first: .*V0\.avi does not"):
        extract(root, tmp_path / "frames", workers=1)
    assert left_beside(tmp_path) == []


def test_processes_give_the_same_folder_as_one(root, tmp_path):
    for workers in (1, 2):
        extract(root, tmp_path / f"by{workers}", workers=workers)
    one, two = (
        {p.relative_to(f): p.read_bytes() for p in f.rglob("*") if p.is_file()}
        for f in (tmp_path / "by1", tmp_path / "by2")
    )
    assert one == two and len(one) == 23


def test_a_single_recording_gives_all_its_frames(tmp_path):
    summary = extract(CINE, tmp_path / "frames", workers=1)
    frames = load_frames(tmp_path / "frames")
    assert frames.images.shape == (30, 128, 128) and set(frames.index["split"]) == {"TRAIN"}
    assert list(frames.index["frame"]) == list(range(30))
    outside = ~ECHONET.resized(128).mask() | (study_mask(128) == 0)
    assert not frames.images[:, outside].any() and frames.images[:, ~outside].mean() > 10
    assert summary.agreement is None


def test_a_folder_of_loose_recordings_has_all_splits(tmp_path):
    shutil.copytree(write_study(tmp_path / "study") / "Videos", tmp_path / "loose")
    shutil.copy(CINE, tmp_path / "loose")
    extract(tmp_path / "loose", tmp_path / "frames", workers=1)
    index = load_frames(tmp_path / "frames").index
    assert len(index) == 24 and set(index["split"]) == {"TRAIN", "VAL", "TEST"}
    assert index.groupby("patient")["split"].nunique().max() == 1


@pytest.mark.parametrize(
    "arguments, sentence",
    [
        ({"size": 100}, "size must be one of"),
        ({"phases": "count"}, "phases 'count' is unknown; did you mean 'counted'"),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(root, tmp_path, arguments, sentence):
    with pytest.raises(BadInput, match=sentence):
        extract(root, tmp_path / "frames", **arguments)
    assert left_beside(tmp_path) == []


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"phases": "counted"}, "--phases counted would"),
        ({"phases": "counted", "bilateral": True}, "--phases counted and --bilateral would"),
    ],
)
def test_what_pictures_would_ignore_is_refused_before_anything_is_written(root, tmp_path, arguments, named):
    pictures = extract(root, tmp_path / "frames", workers=1).folder
    with pytest.raises(BadInput, match=rf"frames holds pictures, .*{named} do nothing"):
        extract(pictures, tmp_path / "again", workers=1, **arguments)
    assert left_beside(tmp_path) == ["frames"]


def test_an_existing_folder_is_not_overwritten(root, tmp_path):
    extract(root, tmp_path / "frames", workers=1)
    with pytest.raises(BadInput, match="exists and is not empty"):
        extract(root, tmp_path / "frames", workers=1)


def test_a_full_disk_ends_the_run_and_the_same_call_goes_on_from_there(root, tmp_path, monkeypatch):
    write, written = Path.write_bytes, []

    def until_full(path, content):
        if len(written) == 6:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        written.append(path)
        return write(path, content)

    monkeypatch.setattr(Path, "write_bytes", until_full)
    with pytest.raises(BadInput, match=r"cannot write .*frames: No space left on device; free some space"):
        extract(root, tmp_path / "frames", workers=1)
    assert len(written) == 6 and left_beside(tmp_path) == [".frames.unfinished"]
    monkeypatch.setattr(Path, "write_bytes", write)
    seen = []
    assert extract(root, tmp_path / "frames", workers=1, callback=lambda *at: seen.append(at)).images == 20
    assert seen[0] == (1, 5) and len(seen) == 5 and left_beside(tmp_path) == ["frames"]


FILLED = """
import resource, signal, sys
from echogan.errors import BadInput
from echogan.preprocessing.extract import extract
if __name__ == "__main__":
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
    try:
        extract(sys.argv[1], sys.argv[2], workers=2)
    except BadInput as error:
        sys.exit(str(error))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="file size limits are POSIX")
def test_a_disk_that_refuses_to_write_stops_the_processes_too(root, tmp_path):
    script = tmp_path / "study" / "script.py"
    script.write_text(FILLED)
    command = [sys.executable, script, root, tmp_path / "frames"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert answer.returncode == 1
    assert answer.stderr.strip().splitlines()[-1].startswith(f"cannot write {tmp_path / 'frames'}: File too large")
    assert not (tmp_path / "frames").exists()


def test_processes_that_decode_do_not_load_what_they_do_not_need():
    heavy = {"pandas", "torch", "pydicom", "skimage"}
    code = f"import sys, {module.__name__}; sys.exit(' '.join({heavy} & set(sys.modules)) or 0)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_frames_of_another_size_than_echonet_are_extracted_too(tmp_path):
    large = np.stack([cv2.resize(frame, (336, 336)) for frame in beating(20)])
    extract(write_avi(tmp_path / "large.avi", large), tmp_path / "frames", workers=1)
    frames = load_frames(tmp_path / "frames").images
    native = np.stack([cv2.resize(frame & study_mask(), (128, 128)) for frame in beating(20)])
    assert np.abs(frames.astype(int) - native).mean() < 8
