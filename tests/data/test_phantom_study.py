"""The phantom study on disk: EchoNet-Dynamic's layout, true in every number, the same for any number of workers."""

import csv
import json

import cv2
import numpy as np
import pytest

from echogan.data.clip import PHANTOM
from echogan.data.echonet import open_study, read_clip
from echogan.data.phantom.study import shortest_clip, splits, write_echonet
from echogan.errors import BadInput

PATIENTS, FRAMES = 4, 26


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantom") / "study"
    heard = []
    write_echonet(root, PATIENTS, seed=1, frames=FRAMES, workers=1, callback=lambda *args: heard.append(args))
    assert heard == [(i + 1, PATIENTS) for i in range(PATIENTS)]
    return root


def table(root, name):
    with open(root / name, newline="") as file:
        return list(csv.DictReader(file))


def traced(root):
    """(file name, frame) -> rows (21, 4), in the order of the file."""
    found = {}
    for row in table(root, "VolumeTracings.csv"):
        corners = [float(row[c]) for c in ("X1", "Y1", "X2", "Y2")]
        found.setdefault((row["FileName"], int(row["Frame"])), []).append(corners)
    return {key: np.array(rows) for key, rows in found.items()}


def discs(rows):
    """Volume from traced rows in cubed pixels, by the chords' own lengths."""
    lengths = np.hypot(rows[:, 2] - rows[:, 0], rows[:, 3] - rows[:, 1])
    return np.pi / 4 * np.sum(lengths[1:] ** 2) * lengths[0] / 20


def test_layout_is_echonet_dynamic(study):
    assert (study / "FileList.csv").read_text().splitlines()[0] == (
        "FileName,EF,ESV,EDV,FrameHeight,FrameWidth,FPS,NumberOfFrames,Split"
    )
    assert (study / "VolumeTracings.csv").read_text().splitlines()[0] == "FileName,X1,Y1,X2,Y2,Frame"
    rows = table(study, "FileList.csv")
    assert len(rows) == PATIENTS and '"' not in (study / "VolumeTracings.csv").read_text()
    assert {f.name for f in (study / "Videos").iterdir()} == {row["FileName"] + ".avi" for row in rows}
    for row in rows:
        assert row["FileName"].startswith("0X") and len(row["FileName"]) == 18 and int(row["FileName"], 16) > 0
        capture = cv2.VideoCapture(str(study / "Videos" / f"{row['FileName']}.avi"))
        assert int(capture.get(cv2.CAP_PROP_FRAME_COUNT)) == int(row["NumberOfFrames"]) == FRAMES
        assert capture.get(cv2.CAP_PROP_FPS) == float(row["FPS"]) == 50
        assert (int(row["FrameHeight"]), int(row["FrameWidth"])) == (112, 112)


def test_listed_ejection_fraction_is_that_of_the_tracings(study):
    traces = traced(study)
    assert len(traces) == 2 * PATIENTS and all(rows.shape == (21, 4) for rows in traces.values())
    for row in table(study, "FileList.csv"):
        small, large = (discs(rows) for (name, _), rows in traces.items() if name == row["FileName"] + ".avi")
        assert small < large, "end systole comes first"
        assert 100 * (1 - small / large) == pytest.approx(float(row["EF"]), abs=0.1)
        assert float(row["EF"]) == pytest.approx(100 * (1 - float(row["ESV"]) / float(row["EDV"])), abs=1e-4)


def test_the_real_reader_reads_it(study):
    opened = open_study(study)
    assert not opened.missing and not opened.warnings
    for name in opened.recordings:
        clip = read_clip(opened, name)
        assert clip.kind == PHANTOM and clip.frames.shape == (FRAMES, 112, 112)
        assert 0 <= clip.ed < clip.es < FRAMES


def test_traced_frames_are_the_largest_and_the_smallest(study):
    """Grey level inside the end-diastolic outline rises when the wall moves in."""
    opened = open_study(study)
    for name in opened.recordings:
        clip = read_clip(opened, name)
        corners = np.concatenate([clip.traces[clip.ed][1:, :2], clip.traces[clip.ed][:0:-1, 2:]])
        cavity = cv2.fillPoly(np.zeros((112, 112), np.uint8), [np.rint(corners).astype(np.int32)], 1) > 0
        assert clip.frames[clip.es][cavity].mean() > clip.frames[clip.ed][cavity].mean()


def test_rows_can_be_in_the_order_of_time(tmp_path):
    write_echonet(tmp_path / "study", 3, frames=22, workers=1, order="time")
    frames = [int(row["Frame"]) for row in table(tmp_path / "study", "VolumeTracings.csv")][::21]
    assert all(ed < es for ed, es in zip(frames[::2], frames[1::2]))


def test_chambers_and_provenance(study):
    listed = {row["FileName"]: row for row in table(study, "FileList.csv")}
    for row in table(study, "chambers.csv"):
        assert row["Split"] == listed[row["FileName"]]["Split"]
        assert float(row["LV_volume_ED_mL"]) == pytest.approx(float(listed[row["FileName"]]["EDV"]), rel=1e-6)
        assert float(row["LV_area_ED_cm2"]) > float(row["LV_area_ES_cm2"])
        assert (row["lvh"] == "True") == (float(row["LV_wall_ED_cm"]) >= 1.2)
    about = json.loads((study / "phantom.json").read_text())
    assert about["kind"] == "synthetic phantom"
    assert (about["seed"], about["patients"], about["frames"], about["fps"]) == (1, PATIENTS, FRAMES, 50)
    assert about["versions"]["numpy"] == np.__version__


def test_neither_patients_nor_workers_change_a_video(study, tmp_path):
    write_echonet(tmp_path / "study", 3, seed=1, frames=FRAMES, workers=2)
    for few in (tmp_path / "study" / "Videos").iterdir():
        assert few.read_bytes() == (study / "Videos" / few.name).read_bytes()
    more = [row["FileName"] for row in table(study, "FileList.csv")]
    assert [row["FileName"] for row in table(tmp_path / "study", "FileList.csv")] == more[:3]


def test_splits_are_exact_seeded_and_never_empty():
    parts, counts = np.unique(splits(2000, 0), return_counts=True)
    assert dict(zip(parts, counts)) == {"TRAIN": 1600, "VAL": 200, "TEST": 200}
    assert splits(50, 0) == splits(50, 0) != splits(50, 1)
    for patients in range(3, 40):
        assert set(splits(patients, 0)) == {"TRAIN", "VAL", "TEST"} and len(splits(patients, 0)) == patients


@pytest.mark.parametrize(
    "wish, named",
    [
        ({"patients": 2}, "at least 3"),
        ({"frames": 21}, "at least 22"),
        ({"fps": 5}, "20-500"),
        ({"seed": -1}, "negative"),
        ({"order": "big_first"}, "small_first"),
        ({"workers": 0}, "workers"),
        ({"quality": 3.0}, "quality"),
    ],
)
def test_impossible_studies_are_refused_and_leave_nothing(tmp_path, wish, named):
    with pytest.raises(BadInput, match=named):
        write_echonet(tmp_path / "study", **({"patients": 3, "workers": 1} | wish))
    assert not list(tmp_path.iterdir())


def test_a_full_folder_is_not_overwritten(tmp_path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(BadInput, match="not empty"):
        write_echonet(tmp_path, 3, workers=1)
    assert (tmp_path / "mine.txt").read_text() == "precious"


@pytest.mark.slow
def test_the_shortest_clip_holds_both_phases_of_every_patient(tmp_path):
    for fps in (25, 50, 120):
        write_echonet(tmp_path / str(fps), 40, seed=2, frames=shortest_clip(fps), fps=fps)
        for row in table(tmp_path / str(fps), "FileList.csv"):
            assert 10 < float(row["EF"]) < 81
