import shutil
import zipfile

import cv2
import numpy as np
import pytest
from pydicom import Dataset, Sequence, dcmread
from pydicom.data import get_testdata_file

from echogan.data.camus.study import open_camus
from echogan.data.tree import Folder
from echogan.errors import BadInput
from echogan.preprocessing.extract import extract
from echogan.preprocessing.sources import find_source
from tests.data.dicoms import region, scan, write
from tests.data.studies import beating, write_avi, write_study
from tests.preprocessing.pictures import zipped

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
    pseudonym = source.jobs[0].patient
    assert [job.name for job in source.jobs] == [f"{pseudonym}_1", "a", f"{pseudonym}_2", "b_a"]
    assert source.warnings[-1] == "1 files are no recordings and were left out: 1 .txt"
    assert [job.read().name for job in source.jobs] == [f"{pseudonym}_1", "a", f"{pseudonym}_2", "a"]


def scanned(path, patient, study):
    """An ultrasound file with a long private sequence of undefined length before the tags that say whose it is."""
    write(path, np.zeros((2, 48, 64), np.uint8), PatientID=patient, StudyInstanceUID=study)
    tags, item = dcmread(path), Dataset()
    item.add_new(0x00190011, "OB", bytes(100_000))
    tags.add_new(0x00190010, "LO", "VENDOR")
    tags.add_new(0x00191010, "SQ", Sequence([item]))
    tags[0x00191010].is_undefined_length = item.is_undefined_length_sequence_item = True
    tags.save_as(path)
    return path


def test_the_files_of_a_patient_stay_together_in_a_zip_whatever_their_headers_hold(tmp_path):
    (tmp_path / "in").mkdir()
    files = [scanned(tmp_path / "in" / f"IM{i:02d}", "4711", "1.2.3") for i in range(6)]
    whole = find_source(tmp_path / "in")
    packed = find_source(zipped(tmp_path / "in.zip", {file.name: file.read_bytes() for file in files}))
    assert len({job.patient for job in whole.jobs}) == 1
    assert [job.patient for job in packed.jobs] == [job.patient for job in whole.jobs]


def test_no_recording_vanishes_behind_another_of_its_name(tmp_path):
    for name in ("2023/01_a", "2023_01/a", "2023_01/b"):
        write_avi(tmp_path / "in" / f"{name}.avi", beating(2))
    with pytest.raises(BadInput, match=r"two files of .* would be called 2023_01_a_avi; rename one of them"):
        find_source(tmp_path / "in")


def test_folders_called_as_splits_are_those_of_recordings_too(tmp_path):
    for split in ("training", "Validation", "testing"):
        for i in range(2):
            write_avi(tmp_path / "in" / split / f"{split}{i}.avi", beating(2))
    write_avi(tmp_path / "in" / "beside.avi", beating(2))
    source = find_source(tmp_path / "in")
    assert {job.name: job.split for job in source.jobs} == {
        "training_training0": "TRAIN", "training_training1": "TRAIN", "Validation_Validation0": "VAL",
        "Validation_Validation1": "VAL", "testing_testing0": "TEST", "testing_testing1": "TEST",
    }  # fmt: skip
    assert source.splits == "as the source has them" and len({job.patient for job in source.jobs}) == 6
    assert any(sentence.startswith("1 recordings lie beside") for sentence in source.warnings)


def test_a_lone_folder_called_test_is_no_split(tmp_path):
    for name in ("p1/a", "p2/a", "test/a"):
        write_avi(tmp_path / "in" / f"{name}.avi", beating(2))
    assert [job.patient for job in find_source(tmp_path / "in").jobs] == ["p1", "p2", "test"]


def test_a_patient_in_two_folders_of_splits_is_refused(tmp_path):
    for split in ("train", "test"):
        (tmp_path / "in" / split).mkdir(parents=True)
        scanned(tmp_path / "in" / split / "IM1", "4711", "1.2.3")
    with pytest.raises(BadInput, match=r"1 patients of .* are in two splits"):
        find_source(tmp_path / "in")


NAMED = ("DOE", "JOHN", "SMITH")


def hospital(root):
    """Studies of people whose folders name them; one file is damaged, one has two regions to be warned of."""
    for i, (person, patient) in enumerate({"DOE_JOHN": "4711", "SMITH": "4712", "SMITH_ANN": "4713"}.items()):
        (root / person).mkdir(parents=True)
        regions = [region(0, 0, 319, 150), region(0, 151, 319, 239)] if person == "SMITH" else region(0, 0, 319, 239)
        path = root / person / f"{person}.dcm"
        write(path, scan(4, seed=i), regions, PatientID=patient, StudyInstanceUID=f"1.2.{i}")
    damaged = root / "SMITH_ANN" / "SMITH_ANN.dcm"
    damaged.write_bytes(damaged.read_bytes()[:-9])
    (root / "DOE_JOHN" / "DOE_JOHN.pdf").write_bytes(b"%PDF")
    return root


@pytest.mark.parametrize("place", ["folder", "zip", "file"])
def test_no_path_of_a_dicom_leaves_with_its_frames(tmp_path, place):
    source = hospital(tmp_path / "in")
    if place == "zip":
        files = {p.relative_to(source).as_posix(): p.read_bytes() for p in source.rglob("*") if p.is_file()}
        source = zipped(tmp_path / "in.zip", files)
    if place == "file":
        source = source / "DOE_JOHN" / "DOE_JOHN.dcm"
    summary = extract(source, tmp_path / "out", size=64, workers=1)
    for path in (tmp_path / "out").rglob("*"):
        told = path.name + (path.read_text(encoding="utf-8") if path.suffix in (".csv", ".json", ".md") else "")
        assert not any(name in told for name in NAMED), path
    if place != "file":
        assert summary.recordings in (1, 2) and "SMITH_ANN/SMITH_ANN.dcm" in "".join(summary.problems)
        assert any("files are no recordings and were left out: 1 .pdf" in line for line in summary.problems)


def test_no_path_of_a_dicom_leaves_with_its_frames_when_its_archive_is_damaged(tmp_path):
    source = hospital(tmp_path / "in")
    files = {p.relative_to(source).as_posix(): p.read_bytes() for p in source.rglob("*.dcm")}
    path = zipped(tmp_path / "in.zip", files)
    whole = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("DOE_JOHN/DOE_JOHN.dcm")
    whole[info.header_offset + len(info.filename) + info.compress_size // 2] ^= 1
    path.write_bytes(whole)
    summary = extract(path, tmp_path / "out", size=64, workers=1)
    assert "DOE_JOHN/DOE_JOHN.dcm cannot be unpacked" not in "".join(summary.problems)
    for table in ("manifest.json", "data_card.md", "index.csv"):
        told = (tmp_path / "out" / table).read_text(encoding="utf-8")
        assert not any(name in told for name in NAMED), table
    assert "cannot be unpacked" in told or "cannot be unpacked" in (tmp_path / "out" / "data_card.md").read_text()


def test_links_to_folders_are_followed_once_and_broken_ones_said(tmp_path):
    for i in range(3):
        write_avi(tmp_path / "disk" / f"p{i}" / "rest.avi", beating(4, seed=i))
    (tmp_path / "in").mkdir()
    for i in range(3):
        (tmp_path / "in" / f"p{i}").symlink_to(tmp_path / "disk" / f"p{i}")
    (tmp_path / "in" / "again").symlink_to(tmp_path / "in")  # round and round
    assert Folder(tmp_path / "in").names() == [f"p{i}/rest.avi" for i in range(3)]
    (tmp_path / "in" / "lost.avi").symlink_to(tmp_path / "nowhere.avi")
    with pytest.raises(BadInput, match=r"lost\.avi is a link to a file that is not there"):
        find_source(tmp_path / "in")


def test_one_patient_id_for_everybody_is_suspected(tmp_path):
    for i in range(3):
        (tmp_path / "in" / f"{i}").mkdir(parents=True)
        scanned(tmp_path / "in" / f"{i}" / "IM", "ANONYMOUS", f"1.2.{i}")
    (sentence,) = find_source(tmp_path / "in").warnings
    assert "is one patient with 3 studies in 3 folders; if these are of different people" in sentence


def test_colour_doppler_in_a_video_is_no_grey_tissue(tmp_path):
    grey = scan(6)
    write_avi(tmp_path / "in" / "grey.avi", grey)
    writer = cv2.VideoWriter(str(tmp_path / "in" / "flow.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 50, (320, 240))
    for frame in grey:
        picture = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR)
        picture[100:130, 140:170] = (220, 30, 0)
        writer.write(picture)
    writer.release()
    flow, plain = find_source(tmp_path / "in").jobs
    with pytest.raises(BadInput, match=r"frame 0 of .*flow\.avi has colour in \d+% of its ultrasound"):
        flow.read()
    assert plain.read().frames.shape == grey.shape


def test_what_holds_no_recording_is_refused(tmp_path):
    with pytest.raises(BadInput, match="gone is missing"):
        find_source(tmp_path / "gone")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="empty holds no recording and no picture"):
        find_source(tmp_path / "empty")
    (tmp_path / "a.txt").write_text("no recording")
    with pytest.raises(BadInput, match=r"a\.txt is no recording"):
        find_source(tmp_path / "a.txt")
    (tmp_path / "study" / "Videos").mkdir(parents=True)
    with pytest.raises(BadInput, match=r"FileList\.csv is missing"):
        find_source(tmp_path / "study")


@pytest.mark.parametrize("file", ["patient0001/patient0001_4CH_half_sequence.nii.gz", "a.mhd", "camus05_256.hdf5"])
def test_camus_has_a_command_of_its_own(tmp_path, file):
    path = tmp_path / "study" / file
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    for source in (tmp_path / "study", path):
        with pytest.raises(BadInput, match="prepare it with `echogan camus`"):
            find_source(source)


def test_a_zip_of_camus_which_that_command_does_not_read_is_to_be_unpacked(tmp_path):
    path = zipped(tmp_path / "camus.zip", {"patient0001/patient0001_4CH_ED.nii.gz": b""})
    for read in (find_source, open_camus):
        with pytest.raises(BadInput, match=r"camus\.zip .*; unpack it and give the folder"):
            read(path)
