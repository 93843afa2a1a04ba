import json

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from echogan.data.echonet import FILE_LIST, TRACINGS, open_study, read_clip, trace_area, trace_mask
from echogan.errors import BadInput
from echogan.sector import ECHONET
from tests.data.studies import ED, ES, file_row, trace, trace_rows, ventricle, write_csv, write_study


@pytest.fixture
def root(tmp_path):
    return write_study(tmp_path / "study", videos=2)


def relist(root, *rows, header=FILE_LIST):
    write_csv(root / "FileList.csv", header, rows)


def retrace(root, *rows, header=TRACINGS):
    write_csv(root / "VolumeTracings.csv", header, rows)


def test_a_clip_carries_what_the_tables_say(root):
    clip = read_clip(open_study(root), "V1")
    assert clip.frames.shape == (30, 112, 112)
    assert (clip.name, clip.patient, clip.split, clip.view, clip.fps) == ("V1", "V1", "TRAIN", "4CH", 50)
    assert (clip.ef, clip.esv, clip.edv, clip.kind) == (60.5, 40, 101, "EchoNet-Dynamic")
    assert clip.sector == ECHONET and clip.warnings == []


@pytest.mark.parametrize("order", [(ES, ED), (ED, ES)])
def test_diastole_is_the_larger_tracing_whatever_the_order_of_rows(root, order):
    retrace(root, *trace_rows("V0", *order))
    clip = read_clip(open_study(root), "V0")
    assert (clip.ed, clip.es) == (ED, ES)
    assert clip.traces[ED].shape == (21, 4)
    np.testing.assert_allclose(clip.traces[ED], trace(ED))


def test_the_area_is_that_of_the_ellipse():
    a, b = ventricle(ED)
    assert trace_area(trace(ED)) == pytest.approx(np.pi * a * b, rel=0.03)


def test_the_long_axis_may_be_written_from_either_end():
    swapped = trace(ED)
    swapped[0] = swapped[0, [2, 3, 0, 1]]
    np.testing.assert_array_equal(trace_mask(swapped, (112, 112)), trace_mask(trace(ED), (112, 112)))


def test_the_mask_is_the_polygon_of_the_chords():
    mask = trace_mask(trace(ES), (112, 112))
    corners = np.rint(np.concatenate([trace(ES)[1:, :2], trace(ES)[:0:-1, 2:]]))
    x, y = np.meshgrid(np.arange(112), np.arange(112))
    points = np.stack([x.ravel(), y.ravel()], 1)
    deep_inside = Outline(corners).contains_points(points, radius=-1e-6).reshape(112, 112)
    assert mask.dtype == np.uint8 and set(np.unique(mask)) == {0, 1}
    assert (mask[deep_inside] == 1).mean() > 0.99
    assert abs(int(mask.sum()) - trace_area(trace(ES))) < 0.1 * mask.sum()


def test_names_may_have_a_suffix_in_either_table(root):
    relist(root, file_row("V0.avi"), file_row("V1.AVI"))
    retrace(root, *[[row[0].removesuffix(".avi"), *row[1:]] for row in trace_rows("V0", ES, ED)])
    study = open_study(root)
    assert list(study.recordings) == ["V0", "V1"]
    assert read_clip(study, "V0").ed == ED


def test_names_that_look_like_numbers_stay_names(root):
    (root / "Videos" / "V0.avi").rename(root / "Videos" / "0012.avi")
    relist(root, file_row("0012"))
    assert list(open_study(root).recordings) == ["0012"]


def test_missing_videos_are_listed_and_the_labels_do_not_shift(root):
    gone = file_row("GONE")
    gone[1] = 11.0
    relist(root, gone, file_row("V0"), file_row("V1", "TEST"))
    study = open_study(root)
    assert study.missing == ["GONE"]
    assert [r.ef for r in study.recordings.values()] == [60.5, 60.5]
    assert study.recordings["V1"].split == "TEST"


def test_videos_and_tracings_outside_the_list_are_told(root):
    relist(root, file_row("V0"))
    warnings = " ".join(open_study(root).warnings)
    assert "1 videos are not in FileList.csv" in warnings and "VolumeTracings.csv" in warnings


def test_a_video_without_two_tracings_keeps_its_frames(root):
    retrace(root, *trace_rows("V0", ED))
    study = open_study(root)
    assert read_clip(study, "V0").ed is None and len(read_clip(study, "V0").traces) == 1
    assert read_clip(study, "V1").traces == {}


def test_a_study_without_tracings_opens(root):
    (root / "VolumeTracings.csv").unlink()
    assert read_clip(open_study(root), "V0").es is None


def test_a_tracing_beyond_the_last_frame_drops_the_tracings_and_says_so(root):
    retrace(root, *trace_rows("V0", ES, 30), *trace_rows("V1", ES, 29))
    study = open_study(root)
    clip = read_clip(study, "V0")
    assert len(clip.frames) == 30 and clip.traces == {} and clip.ed is None
    assert clip.warnings == ["V0 has a tracing at frame 30 but ends at 29; its tracings were dropped"]
    assert read_clip(study, "V1").warnings == []


def test_a_frame_count_that_disagrees_is_told(root):
    relist(root, file_row("V0", frames=31))
    assert read_clip(open_study(root), "V0").warnings == ["V0 has 30 frames, FileList.csv says 31"]


def test_a_phantom_says_that_it_is_one(root):
    (root / "phantom.json").write_text(json.dumps({"kind": "synthetic phantom"}))
    assert read_clip(open_study(root), "V0").kind == "synthetic phantom"


def test_an_unknown_name_is_answered_with_the_nearest(root):
    with pytest.raises(BadInput, match="no recording 'V00'; did you mean 'V0'"):
        read_clip(open_study(root), "V00")


@pytest.mark.parametrize("split", ["train", "Train", "TRAINING", ""])
def test_a_split_not_in_upper_case_is_refused(root, split):
    relist(root, file_row("V0", split), file_row("V1"))
    with pytest.raises(BadInput, match=r"FileList\.csv has Split .*; write TRAIN, VAL, TEST in upper case"):
        open_study(root)


def test_wrong_columns_are_refused_by_file(root):
    relist(root, file_row("V0"), header=("name", *FILE_LIST[1:]))
    with pytest.raises(BadInput, match=r"FileList\.csv has the columns name, EF.* needs exactly FileName, EF"):
        open_study(root)
    write_study(root)
    retrace(root, *trace_rows("V0", ES, ED), header=("FileName", "X1", "Y1", "X2", "Y2", "frame"))
    with pytest.raises(BadInput, match=r"VolumeTracings\.csv has the columns"):
        open_study(root)


def test_cells_that_cannot_be_are_refused(root):
    bad = file_row("V0")
    bad[1] = "high"
    relist(root, bad)
    with pytest.raises(BadInput, match=r"FileList\.csv has EF 'high' in line 2"):
        open_study(root)
    relist(root, file_row("V0"), file_row("V0.avi"))
    with pytest.raises(BadInput, match=r"FileList\.csv lists V0 twice"):
        open_study(root)
    relist(root)
    with pytest.raises(BadInput, match=r"FileList\.csv has no rows"):
        open_study(root)
    write_study(root)
    retrace(root, *trace_rows("V0", ED)[:2])
    with pytest.raises(BadInput, match=r"VolumeTracings\.csv traces frame 5 of V0 with 2 rows"):
        open_study(root)
    retrace(root, ["V0.avi", 1, 2, 3, 4, 5.5])
    with pytest.raises(BadInput, match="broken frame number"):
        open_study(root)


def test_missing_and_unreadable_parts_are_named(root, tmp_path):
    with pytest.raises(BadInput, match="nowhere is not a folder"):
        open_study(tmp_path / "nowhere")
    (root / "FileList.csv").write_bytes(b"\xff\xfe\x00\x81")
    with pytest.raises(BadInput, match=r"FileList\.csv is not a table"):
        open_study(root)
    (root / "FileList.csv").unlink()
    with pytest.raises(BadInput, match=r"FileList\.csv is missing"):
        open_study(root)
    relist(root, file_row("OTHER"))
    with pytest.raises(BadInput, match=r"Videos holds no AVI of FileList\.csv"):
        open_study(root)


def test_rows_longer_than_the_header_do_not_shift_its_columns(tmp_path):
    root = write_study(tmp_path / "study")
    lines = (root / "FileList.csv").read_text().splitlines()
    (root / "FileList.csv").write_text("\n".join([lines[0], *(f"{line},extra" for line in lines[1:])]) + "\n")
    with pytest.raises(BadInput, match=r"FileList\.csv has rows that are longer than its header"):
        open_study(root)
