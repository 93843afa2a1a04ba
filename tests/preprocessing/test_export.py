"""Recordings out: nothing that names a person, nothing lit outside the sector, and readable by the package's own readers."""

import shutil
import tracemalloc
import zipfile
from random import Random

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given

from echogan.data.echonet import open_study, read_clip
from echogan.data.frames import load_frames
from echogan.data.video import read_video
from echogan.errors import BadInput
from echogan.files import read_json
from echogan.preprocessing import export as module
from echogan.preprocessing.export import COLUMNS, export
from echogan.preprocessing.extract import extract
from echogan.preprocessing.jobs import Job
from echogan.sector import ECHONET
from tests.data.dicoms import FAN, annotated, region, scan, write
from tests.data.fuzz import PeakMemory, answers, damages, few, many
from tests.data.studies import beating, write_avi, write_study

SECRETS = ("DOE", "JANE", "ROE", "MRN-4711", "MRN-4712", "ROYAL", "20210203", "19560302")
TAGS = {"PatientName": "DOE^JANE", "InstitutionName": "ROYAL", "StudyDate": "20210203", "PatientBirthDate": "19560302"}


def ybr(grey):
    return np.stack([grey, np.full_like(grey, 128), np.full_like(grey, 128)], -1)


def visit(path, frames, patient="MRN-4711", **tags):
    tags = {"FrameTime": 20.0, "PatientID": patient, "StudyInstanceUID": "1.2.3", **TAGS, **tags}
    path.parent.mkdir(parents=True, exist_ok=True)
    return write(path, frames, {**region(0, 0, 319, 239), "PhysicalDeltaY": 0.02}, **tags)


@pytest.fixture(scope="module")
def clinic(tmp_path_factory):
    """Five recordings of four patients as they come from scanners, one of them a video."""
    root = tmp_path_factory.mktemp("clinic")
    visit(root / "DOE_JANE_1.dcm", ybr(annotated(scan(20))), photometric="YBR_FULL_422", syntax="JPEG")
    visit(root / "DOE_JANE_2.dcm", annotated(scan(24, seed=1)), syntax="RLE")
    visit(root / "ROE.dcm", scan(20, seed=2), patient="MRN-4712", CineRate=30)
    visit(root / "still.dcm", annotated(scan(1, seed=3)), patient="MRN-4713")
    write_avi(root / "JANE_4711.avi", beating(20, seed=4), fps=40)
    return root


def secrets_in(folder):
    """Every secret that a file name or a byte below `folder` gives away."""
    for path in folder.rglob("*"):
        told = str(path.relative_to(folder)).encode() + (path.read_bytes() if path.is_file() else b"")
        yield from ((path.name, secret) for secret in SECRETS if secret.encode() in told)


@pytest.fixture(scope="module", params=["echonet", "png"])
def exported(request, clinic, tmp_path_factory):
    out = tmp_path_factory.mktemp(request.param) / "out"
    return request.param, out, export(clinic, out, request.param, workers=1)


# ------------------------------------------------------------------------------------------------ what leaves


def test_nothing_names_a_person(exported):
    _, out, _ = exported
    assert list(secrets_in(out)) == []


def test_the_search_for_secrets_can_fail(clinic):
    assert {secret for _, secret in secrets_in(clinic)} == set(SECRETS)


def test_every_recording_is_there_under_the_number_of_its_patient(exported):
    _, out, done = exported
    table = pd.read_csv(out / "recordings.csv")
    assert tuple(table.columns) == COLUMNS
    assert (done.recordings, done.patients, done.frames) == (5, 4, 85) and done.skipped == []
    assert sorted(table["frames"]) == [1, 20, 20, 20, 24]
    assert sorted(table["patient"].value_counts()) == [1, 1, 1, 2]
    assert sorted(table["fps"]) == [40, 50, 50, 50, 50]
    assert (table.groupby("patient")["split"].nunique() == 1).all()


def test_what_was_burnt_in_is_told(exported):
    _, out, done = exported
    table = pd.read_csv(out / "recordings.csv").set_index("frames")
    assert done.burnt_in == 3 and done.suspect == 0
    assert (table.loc[[1, 24], "text_outside"] >= 2).all() and (table.loc[[1, 24], "marks_outside"] >= 10).all()
    assert np.isnan(table.loc[1, "text_inside"]) and table.loc[24, "text_inside"] == 0
    assert read_json(out / "manifest.json")["recordings_with_text_outside_the_sector"] == 3


def test_the_echonet_layout_is_read_back_and_shows_the_same_heart(clinic, tmp_path):
    export(clinic, tmp_path / "out", "echonet", workers=1)
    study = open_study(tmp_path / "out")
    assert study.kind == "ultrasound recordings" and study.missing == study.warnings == []
    clips = {name: read_clip(study, name) for name in study.recordings}
    assert all(c.frames.shape[1:] == (112, 112) and c.sector == ECHONET and not c.warnings for c in clips.values())
    far = cv2.dilate(ECHONET.mask().astype("u1"), np.ones((17, 17))) == 0  # two blocks of JPEG away
    assert all(c.frames[:, far].max() <= 2 for c in clips.values())
    (second,) = [c for c in clips.values() if len(c.frames) == 24]
    # What the fan of the file was laid from, so the way there and back must end where it began.
    wanted, found = beating(24, seed=1).astype(float), second.frames.astype(float)
    well_inside = cv2.erode(ECHONET.mask().astype("u1"), np.ones((9, 9))).astype(bool)
    assert np.corrcoef(wanted[:, well_inside].ravel(), found[:, well_inside].ravel())[0, 1] > 0.9


def test_an_exported_study_extracts(exported, tmp_path):
    layout, out, _ = exported
    summary = extract(out, tmp_path / "frames", workers=1)
    frames = load_frames(tmp_path / "frames")
    assert frames.kind == "ultrasound recordings" and len(frames) == summary.images > 0
    if layout == "echonet":
        assert summary.recordings == 5 and summary.skipped == []


def test_png_frames_are_the_sector_as_recorded(clinic, tmp_path):
    export(clinic / "ROE.dcm", tmp_path / "out", "png", workers=1)
    files = sorted((tmp_path / "out" / "P0001").iterdir())
    assert [f.name for f in files] == [f"01_{i:04d}.png" for i in range(20)]
    picture, source = cv2.imread(str(files[7]), cv2.IMREAD_UNCHANGED), scan(20, seed=2)[7]
    unlike = cv2.matchTemplate(source, picture, cv2.TM_SQDIFF)
    y, x = np.unravel_index(unlike.argmin(), unlike.shape)
    there = source[y : y + picture.shape[0], x : x + picture.shape[1]]
    assert ((picture == there) | (picture == 0)).all() and (picture == there).mean() > 0.98
    row = pd.read_csv(tmp_path / "out" / "recordings.csv").iloc[0]
    assert (row["height"], row["width"]) == picture.shape and (row["row_mm"], row["column_mm"]) == (0.2, 0.2)


def test_tracings_and_volumes_of_a_study_go_along(tmp_path):
    write_study(tmp_path / "study")
    export(tmp_path / "study", tmp_path / "out", key=tmp_path / "key.csv", workers=1)
    old, new = open_study(tmp_path / "study"), open_study(tmp_path / "out")
    key = pd.read_csv(tmp_path / "key.csv").set_index("recording")["name"]
    for name, recording in old.recordings.items():
        again = new.recordings[key[name]]
        assert (again.ef, again.esv, again.edv, again.split) == (
            recording.ef,
            recording.esv,
            recording.edv,
            recording.split,
        )
        assert list(again.traces) == list(recording.traces)
        np.testing.assert_allclose(again.traces[5], recording.traces[5])


@pytest.mark.parametrize("layout", ["echonet", "png"])
def test_a_phantom_stays_a_phantom(tmp_path, layout):
    visit(tmp_path / "in" / "a.dcm", scan(8))
    (tmp_path / "in" / "phantom.json").write_text('{"kind": "synthetic phantom"}')
    export(tmp_path / "in", tmp_path / "out", layout, workers=1)
    assert extract(tmp_path / "out", tmp_path / "frames", workers=1).kind == "synthetic phantom"


def test_what_is_seen_while_decoding_is_said(tmp_path):
    visit(tmp_path / "a.dcm", ybr(scan(4)), photometric="RGB")
    done = export(tmp_path / "a.dcm", tmp_path / "out", workers=1)
    assert done.problems == ["a.dcm is tagged RGB but grey only when read as YBR_FULL; it was read so"]


# ------------------------------------------------------------------------------------------------ names


def test_names_do_not_follow_the_order_of_the_files(tmp_path):
    for i in range(12):
        write_avi(tmp_path / "in" / f"{i:02d}.avi", beating(4, seed=i))
    export(tmp_path / "in", tmp_path / "out", key=tmp_path / "key.csv", workers=1)
    key = pd.read_csv(tmp_path / "key.csv", dtype=str).sort_values("recording")
    numbers = [f"P{i:04d}_01" for i in range(1, 13)]
    assert list(key["name"]) != sorted(key["name"]) == numbers  # 12! orders
    for table, column in (("recordings.csv", "name"), ("FileList.csv", "FileName")):
        assert list(pd.read_csv(tmp_path / "out" / table)[column]) == numbers  # rows in the old order would be a key


def test_names_are_drawn_anew_so_a_list_of_patients_is_no_key(tmp_path):
    jobs = [Job(f"patient{i}", "TRAIN", None, None) for i in range(30)]
    assert module.pseudonyms(jobs) != module.pseudonyms(jobs)  # 30! orders


@pytest.mark.slow
def test_two_workers_give_the_same_files(clinic, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SystemRandom", lambda: Random(0))
    for out, workers in (("one", 1), ("two", 2)):
        export(clinic, tmp_path / out, "png", workers=workers)
    one, two = (
        {p.relative_to(tmp_path / out): p.read_bytes() for p in (tmp_path / out).rglob("*.*")} for out in ("one", "two")
    )
    assert one == two


def test_a_zip_exports_like_its_folder(clinic, tmp_path):
    with zipfile.ZipFile(tmp_path / "clinic.zip", "w") as archive:
        for path in clinic.iterdir():
            archive.write(path, path.name)
    done = export(tmp_path / "clinic.zip", tmp_path / "out", workers=1)
    assert (done.recordings, done.patients) == (5, 4) and list(secrets_in(tmp_path / "out")) == []


# ------------------------------------------------------------------------------------------------ refusals


def test_a_recording_without_a_sector_is_skipped_by_name_but_not_in_the_folder(clinic, tmp_path):
    shutil.copytree(clinic, tmp_path / "in")
    visit(tmp_path / "in" / "DOE_X.dcm", np.full((5, 240, 320), 90, np.uint8), patient="MRN-4712")
    (tmp_path / "in" / "DOE_Y.dcm").write_bytes((clinic / "ROE.dcm").read_bytes()[:90_000])
    done = export(tmp_path / "in", tmp_path / "out", workers=1)
    assert sorted(name for name, _ in done.skipped) == ["DOE_X.dcm", "DOE_Y.dcm"] and done.recordings == 5
    assert any("sector" in line for line in done.problems) and any("but holds" in line for line in done.problems)
    assert list(secrets_in(tmp_path / "out")) == []
    assert read_json(tmp_path / "out" / "manifest.json")["skipped"] == 2


def test_the_key_of_another_export_is_left_as_it_is(clinic, tmp_path):
    (tmp_path / "key.csv").write_text("the only link")
    with pytest.raises(BadInput, match=r"key\.csv exists, and may be all that links another export to its patients"):
        export(clinic, tmp_path / "out", key=tmp_path / "key.csv", workers=1)
    assert (tmp_path / "key.csv").read_text() == "the only link" and not (tmp_path / "out").exists()


def test_an_unknown_frame_rate_is_asked_for(tmp_path):
    write(tmp_path / "a.dcm", scan(8))
    with pytest.raises(BadInput, match=r"a\.dcm does not say its frame rate; give one with --fps"):
        export(tmp_path / "a.dcm", tmp_path / "out", workers=1)
    export(tmp_path / "a.dcm", tmp_path / "out", fps=30, workers=1)
    assert read_video(next((tmp_path / "out" / "Videos").iterdir()))[1] == 30
    export(tmp_path / "a.dcm", tmp_path / "png", "png", workers=1)


@pytest.mark.parametrize(
    "change, sentence",
    [
        ({"layout": "nifti"}, "layout 'nifti' is unknown; choose from echonet, png"),
        ({"key": "out/key.csv"}, "key.csv lies in .*out, where it would name everybody"),
        ({"source": "gone"}, "gone is missing"),
        ({"source": "pictures"}, "holds pictures, not recordings"),
        ({"out": "full"}, "full exists and is not empty"),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(clinic, tmp_path, change, sentence):
    for folder in ("pictures", "full"):
        (tmp_path / folder).mkdir()
        cv2.imwrite(str(tmp_path / folder / "a.png"), np.zeros((9, 9), np.uint8))
    before = sorted(tmp_path.rglob("*"))
    call = {"source": clinic, "out": tmp_path / "out", "workers": 1}
    call |= {name: value if name == "layout" else tmp_path / value for name, value in change.items()}
    with pytest.raises(BadInput, match=sentence):
        export(**call)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("layout", ["echonet", "png"])
def test_a_recording_that_still_shows_something_outside_is_not_kept(clinic, tmp_path, monkeypatch, layout):
    """A codec or a disk that writes something else than it was given."""

    def spoiled(write):
        def wrapped(path, pictures, *more):
            marked = pictures.copy()
            marked[..., :8, :8] = 200
            write(path, marked, *more)

        return wrapped

    for name in ("write_avi", "_write_png"):
        monkeypatch.setattr(module, name, spoiled(getattr(module, name)))
    with pytest.raises(BadInput, match=r"still shows .* lit pixels outside its sector"):
        export(clinic / "ROE.dcm", tmp_path / "out", layout, workers=1)
    assert not (tmp_path / "out").exists()


# ------------------------------------------------------------------------------------------------ scale, damage


@pytest.mark.parametrize("layout", ["echonet", "png"])
def test_memory_does_not_grow_with_the_frames_of_a_dicom(tmp_path, layout):
    peaks, few_frames = {}, annotated(scan(4))
    for count in (20, 120):
        path = visit(tmp_path / f"{count}.dcm", np.resize(few_frames, (count, *few_frames.shape[1:])))
        tracemalloc.start()
        export(path, tmp_path / f"{layout}{count}", layout, workers=1)
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # 100 frames more: 7.7 MB as recorded, 1.3 MB each time all of them are 112 x 112.
    assert peaks[120] - peaks[20] < (5e6 if layout == "echonet" else 1e6)


def fuzz(tmp_path, knobs):
    files = [
        visit(tmp_path / "a.dcm", annotated(scan(3)), syntax="JPEG"),
        visit(tmp_path / "b.dcm", annotated(scan(3))),
    ]
    files = [(f.read_bytes(), len(f.read_bytes()) // 50) for f in files]
    for name in ("a.dcm", "b.dcm"):
        (tmp_path / name).unlink()
    path, memory, start, kept = tmp_path / "x.dcm", PeakMemory(), [], []

    def one_export(path):
        export(path, tmp_path / "out", "png", workers=1)

    @knobs
    @given(damages)
    def one(damage):
        path.write_bytes(damage.apply(files))
        if answers(one_export, path):
            kept.append(list(secrets_in(tmp_path / "out")))
            shutil.rmtree(tmp_path / "out")
        assert [p.name for p in tmp_path.iterdir()] == ["x.dcm"]
        if memory.known and not start and len(kept) == 3:
            memory.forget()
            start.append(memory.read())

    one()
    assert kept and not any(kept)
    return memory.read() - start[0] if start else 0


def test_a_few_damaged_files_are_exported_or_refused_and_touch_nothing_else(tmp_path):
    fuzz(tmp_path, few)


@pytest.mark.slow
def test_a_thousand_damaged_files_are_exported_or_refused_and_touch_nothing_else(tmp_path):
    assert fuzz(tmp_path, many) < 50


def test_the_fan_of_these_tests_is_a_fan():
    assert FAN.mask().mean() > 0.3
