import shutil

import numpy as np
import pytest
from pydicom.data import get_testdata_file

from echogan.errors import BadInput
from echogan.preprocessing.sources import find_source, splits
from tests.data.studies import beating, write_avi, write_study

CINE = get_testdata_file("examples_ybr_color.dcm", download=False)


def test_a_study_gives_its_recordings_and_its_own_splits(tmp_path):
    source = find_source(write_study(tmp_path / "study"))
    assert [job.name for job in source.jobs] == ["V0", "V1", "V2", "V3", "V4"]
    assert [job.split for job in source.jobs] == ["TRAIN", "TRAIN", "TRAIN", "VAL", "TEST"]
    assert source.kind == "EchoNet-Dynamic" and not source.single
    assert source.jobs[3].read().name == "V3"


def test_one_video_of_a_study_keeps_what_the_study_says_of_it(tmp_path):
    root = write_study(tmp_path / "study")
    source = find_source(root / "Videos" / "V4.avi")
    assert source.single and source.kind == "EchoNet-Dynamic"
    assert source.jobs[0].read().ef == 60.5 and source.jobs[0].split == "TEST"


def test_a_single_file_is_train(tmp_path):
    source = find_source(write_avi(tmp_path / "a.avi", beating(2)))
    assert source.single and [(j.name, j.split) for j in source.jobs] == [("a", "TRAIN")]


def test_a_folder_holds_what_can_be_read_and_no_two_names_clash(tmp_path):
    write_avi(tmp_path / "in" / "a.avi", beating(2))
    write_avi(tmp_path / "in" / "b" / "a.avi", beating(2))
    shutil.copy(CINE, tmp_path / "in" / "a.dcm")
    shutil.copy(CINE, tmp_path / "in" / "IM0001")
    shutil.copy(CINE, tmp_path / "in" / "DICOMDIR")
    (tmp_path / "in" / "notes.txt").write_text("no recording")
    source = find_source(tmp_path / "in")
    assert {job.name for job in source.jobs} == {"a_avi", "a_dcm", "b_a", "IM0001"}
    assert {job.read().name for job in source.jobs} == {"a", "IM0001"}


def test_what_holds_no_recording_is_refused(tmp_path):
    with pytest.raises(BadInput, match="gone is missing"):
        find_source(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="empty holds no recording"):
        find_source(tmp_path / "empty")
    (tmp_path / "a.txt").write_text("no recording")
    with pytest.raises(BadInput, match=r"a\.txt is no recording"):
        find_source(tmp_path / "a.txt")
    (tmp_path / "study" / "Videos").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"FileList\.csv is missing"):
        find_source(tmp_path / "study")


def names(n):
    return [f"patient{i:05d}" for i in range(n)]


def test_splits_by_hash_are_80_10_10():
    split, moved = splits(names(5000))
    shares = [np.mean([s == wanted for s in split.values()]) for wanted in ("TRAIN", "VAL", "TEST")]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.02)
    assert not moved


def test_adding_patients_moves_none_of_those_who_were_there():
    few, moved = splits(names(60))
    many, _ = splits(reversed(names(500)))
    assert not moved and all(many[name] == split for name, split in few.items())


@pytest.mark.parametrize("n", range(3, 12))
def test_no_split_is_empty_from_three_patients_on(n):
    for start in range(0, 300, n):
        group = names(300)[start : start + n]
        if len(group) < 3:
            continue
        split, moved = splits(group)
        assert set(split.values()) == {"TRAIN", "VAL", "TEST"}
        assert len(moved) <= 2 and all("was moved from" in sentence for sentence in moved)


def test_one_or_two_patients_stay_where_their_hash_puts_them():
    assert all(split == splits(names(60))[0][name] for name, split in splits(names(2))[0].items())
