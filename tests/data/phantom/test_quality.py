"""The phantom's two domains: other patients, the same heart in picture and truth, and a degradation that is physical."""

import csv
import json
from dataclasses import fields

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from echogan.data.images import read_png
from echogan.data.phantom.quality import HIGH, LABELS, LOW, pair, write_quality
from echogan.data.phantom.scan import COST, rescanned, sample_scan
from echogan.errors import BadInput
from echogan.sector import ECHONET

PATIENTS, STILLS, SIZE = 6, 2, 128


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    root = tmp_path_factory.mktemp("quality") / "study"
    write_quality(root, PATIENTS, seed=2, stills=STILLS, size=SIZE, workers=1)
    return root


def rows(root, table="index.csv"):
    with open(root / table, newline="") as file:
        return list(csv.DictReader(file))


def test_layout(study):
    folders = {f"{split}{domain}" for split in ("train", "val", "test") for domain in "AB"}
    assert {p.name for p in study.iterdir() if p.is_dir()} == {*folders, "masks", "truth"}
    for kind in ("", "masks", "truth"):
        assert {p.name for p in (study / kind).iterdir() if p.name in folders} == folders
    files = sorted(f"{p.parent.name}/{p.name}" for f in folders for p in (study / f).iterdir())
    assert files == sorted(row["file"] for row in rows(study)) and len(files) == PATIENTS * STILLS
    assert json.loads((study / "labels.json").read_text()) == LABELS
    assert len(rows(study, "chambers.csv")) == PATIENTS
    assert json.loads((study / "phantom.json").read_text())["kind"] == "synthetic phantom"


def test_no_patient_is_in_two_splits_or_domains(study):
    of = {}
    for row in rows(study):
        of.setdefault(row["patient"], set()).add((row["split"], row["domain"]))
    assert all(len(places) == 1 for places in of.values())
    assert {place for places in of.values() for place in places} == {
        (split, domain) for split in ("TRAIN", "VAL", "TEST") for domain in "AB"
    }
    for row in rows(study):
        low, high = LOW if row["domain"] == "A" else HIGH
        assert low <= float(row["scan"]) <= high


def test_masks_are_those_of_the_heart_and_the_fan(study):
    inside = ECHONET.resized(SIZE).mask()
    for row in rows(study):
        mask, image = read_png(study / "masks" / row["file"]), read_png(study / row["file"])
        assert ((mask > 0) == inside).all() and set(np.unique(mask)) == set(LABELS.values())
        assert not image[~inside].any()
        wall, blood = (image[mask == LABELS[name]].mean() for name in ("myocardium", "left ventricle"))
        assert wall > blood


def test_truth_shows_the_same_instant_of_the_same_heart(study):
    """The truth of a frame is nearer to it than that of any other patient, and the better of the two is the high one."""
    files = [row["file"] for row in rows(study)][::STILLS]
    own = [read_png(study / file) for file in files]
    truth = [read_png(study / "truth" / file) for file in files]
    for i, image in enumerate(own):
        near = [structural_similarity(image, other) for other in truth]
        assert np.argmax(near) == i and near[i] < 0.99


@pytest.mark.parametrize("domain", "AB")
def test_a_pair_is_one_patient_under_two_scans(domain):
    own, other = pair(2, 0, domain)
    assert own.patient == other.patient
    low, high = (own, other) if domain == "A" else (other, own)
    assert low.scan.quality <= LOW[1] and high.scan.quality >= HIGH[0]
    np.testing.assert_array_equal(own.labels(own.at(0.1)), other.labels(other.at(0.1)))
    for name in ("noise", "clutter", "haze", "lateral", "axial", "edge_left", "edge_right", "drop", "lateral_drop"):
        assert getattr(low.scan, name) > getattr(high.scan, name)
    for name in ("gain", "looks", "sharpen"):
        assert getattr(low.scan, name) < getattr(high.scan, name)


def test_rescanning_moves_what_quality_costs_and_nothing_else():
    for seed in range(40):
        scan = sample_scan(seed, 0.9)
        poorer = rescanned(scan, 0.1, seed)
        for field in fields(scan):
            if field.name not in (*COST, "quality", "shadows", "sharpen"):
                assert getattr(scan, field.name) == getattr(poorer, field.name)
        assert poorer.noise == pytest.approx(scan.noise + 13 * 0.8) and poorer.shadows >= scan.shadows
        assert rescanned(poorer, 0.9, seed).shadows <= poorer.shadows
        again = rescanned(scan, 0.9, seed)
        assert all(getattr(again, f.name) == pytest.approx(getattr(scan, f.name)) for f in fields(scan))


def test_rescanned_shadows_are_as_many_as_drawn_ones():
    drawn = np.mean([sample_scan(seed, 0.0).shadows for seed in range(2000)])
    moved = np.mean([rescanned(sample_scan(seed, 1.0), 0.0, seed).shadows for seed in range(2000)])
    fewer = np.mean([rescanned(sample_scan(seed, 0.0), 1.0, seed).shadows for seed in range(2000)])
    assert moved == pytest.approx(drawn, rel=0.1)
    assert fewer == pytest.approx(np.mean([sample_scan(seed, 1.0).shadows for seed in range(2000)]), rel=0.3)


@pytest.mark.slow
def test_equal_seeds_give_equal_files_for_any_number_of_workers(study, tmp_path):
    write_quality(tmp_path / "again", PATIENTS, seed=2, stills=STILLS, size=SIZE, workers=2)
    for path in sorted(study.rglob("*.png")):
        assert path.read_bytes() == (tmp_path / "again" / path.relative_to(study)).read_bytes()
    assert (study / "index.csv").read_bytes() == (tmp_path / "again" / "index.csv").read_bytes()


@pytest.mark.parametrize(
    "wish, named",
    [
        ({"patients": 5}, "at least 6"),
        ({"seed": -1}, "negative"),
        ({"stills": 0}, "too few"),
        ({"workers": 0}, "workers"),
    ],
)
def test_impossible_studies_are_refused_and_leave_nothing(tmp_path, wish, named):
    with pytest.raises(BadInput, match=named):
        write_quality(tmp_path / "study", **({"patients": 6, "workers": 1} | wish))
    assert not list(tmp_path.iterdir())
    with pytest.raises(BadInput, match="outside"):
        rescanned(sample_scan(1), 1.5, 1)
