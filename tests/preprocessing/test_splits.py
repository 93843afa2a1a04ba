"""Splits by patient: stable, near their shares, never empty, and what two of them may not share."""

import numpy as np
import pytest

from echogan.data.places import places
from echogan.errors import BadInput
from echogan.preprocessing.splits import across, check_patients, owners, patients_of, seeded, shared


def names(n):
    return [f"patient{i:05d}" for i in range(n)]


def test_splits_by_hash_are_80_10_10():
    split, moved = seeded(names(5000))
    shares = [np.mean([s == wanted for s in split.values()]) for wanted in ("TRAIN", "VAL", "TEST")]
    np.testing.assert_allclose(shares, [0.8, 0.1, 0.1], atol=0.02)
    assert not moved


def test_adding_patients_moves_none_of_those_who_were_there():
    few, moved = seeded(names(60))
    many, _ = seeded(reversed(names(500)))
    assert not moved and all(many[name] == split for name, split in few.items())


@pytest.mark.parametrize("n", range(3, 12))
def test_no_split_is_empty_from_three_patients_on(n):
    for start in range(0, 300, n):
        group = names(300)[start : start + n]
        if len(group) < 3:
            continue
        split, moved = seeded(group)
        assert set(split.values()) == {"TRAIN", "VAL", "TEST"}
        assert len(moved) <= 2 and all("was moved from" in sentence for sentence in moved)


def test_one_or_two_patients_stay_where_their_hash_puts_them():
    assert all(split == seeded(names(60))[0][name] for name, split in seeded(names(2))[0].items())


def test_another_seed_is_another_draw_and_the_same_seed_the_same():
    first, again, other = (seeded(names(500), seed)[0] for seed in (0, 0, 1))
    assert first == again and 0.2 < np.mean([first[name] != other[name] for name in first]) < 0.5


def test_shares_can_be_others():
    split, _ = seeded(names(5000), shares=(0.6, 0.2, 0.2))
    found = [np.mean([s == wanted for s in split.values()]) for wanted in ("TRAIN", "VAL", "TEST")]
    np.testing.assert_allclose(found, [0.6, 0.2, 0.2], atol=0.02)


def test_patients_are_read_from_frame_names_then_sub_folders_then_not_at_all():
    assert patients_of(["0XA_f0", "0XA_f3", "b/0XB_f12"])[0] == {"0XA_f0": "0XA", "0XA_f3": "0XA", "b/0XB_f12": "b_0XB"}
    assert patients_of(["p1/one", "p1/two", "p2/one"])[0] == {"p1/one": "p1", "p1/two": "p1", "p2/one": "p2"}
    assert patients_of(["patient01_2CH_ED", "patient01_4CH_f1", "patient02_2CH"])[0] == {
        "patient01_2CH_ED": "patient01", "patient01_4CH_f1": "patient01", "patient02_2CH": "patient02"
    }  # fmt: skip
    for unknown in (["one", "two"], ["only/one", "only/two"], ["one", "p2/two"]):
        known, how = patients_of(unknown)
        assert known == {} and "no two files are known to be of one patient" in how


@pytest.mark.parametrize(
    "case, others",
    {
        "visits": ["p1/visit1/a", "p1/visit2/a", "p2/visit1/a"],
        "numbers of frames": ["p1/2CH_f0", "p1/4CH_f0", "p2/2CH_f0"],
        "a file beside the folders": ["p1/a", "p1/b", "p2/a", "overview"],
        "a folder around them": ["study/p1/a", "study/p1/b", "study/p2/a", "notes"],
    }.items(),
)
def test_the_top_sub_folder_is_the_patient_whatever_is_in_it_or_beside_it(case, others):
    known, how = patients_of(others)
    inside = [name for name in others if "/" in name]
    assert how == "sub-folders" and [known.get(name) for name in inside] == ["p1", "p1", "p2"]
    assert set(known) == set(inside)


@pytest.mark.parametrize("name", ["view4_{}", "frame{}", "2CH_{}"])
def test_a_beginning_that_names_no_patient_makes_none(name):
    assert patients_of([name.format(i) for i in range(9)])[0] == {}


@pytest.mark.parametrize("around", ["", "study/"])
def test_kinds_of_pictures_in_every_split_are_no_patients(around):
    files = [
        f"{around}{split}/{kind}/{split}{i}.png"
        for split in ("train", "test")
        for kind in ("ED", "ES")
        for i in range(2)
    ]
    patients, how, said = owners(places(files)[0])
    assert len(set(patients)) == 8 and "no two files are known to be of one patient" in how
    assert "ED, ES are in several splits and were not taken for patients" in said[1]


@pytest.mark.parametrize("folders", [("p1", "p2"), ("0001",), ("smith", "jones/x")])
def test_folders_that_are_numbered_or_of_one_split_are_patients(folders):
    files = [f"train/{folder}/a.png" for folder in folders] + [f"test/{folders[0]}/b.png", "test/p9/b.png"]
    patients, how, _ = owners(places(files)[0])
    assert how == "sub-folders" and patients.count(folders[0]) == 2


@pytest.mark.parametrize("name", ["0X1A2B{}", "smith{}y", "1.2.{}"])
def test_folders_in_every_split_are_torn_patients_unless_they_are_called_by_a_kind(name):
    files = [f"{split}/{name.format(i)}/{i}.png" for split in ("train", "val", "test") for i in range(6)]
    found, _ = places(files)
    patients, _, _ = owners(found)
    with pytest.raises(BadInput, match="6 patients of in are in two splits"):
        check_patients("in", [(patient, place.split) for patient, place in zip(patients, found)])


def test_views_and_two_sites_are_no_patients_but_those_within_them_are():
    views = [f"{view}/p{i}/{n}" for view in ("2CH", "4CH") for i in range(3) for n in range(2)]
    assert patients_of(views)[0] == {name: name.split("/")[1] for name in views}
    sites = [f"{site}/{site}{i}/a" for site in ("leiden", "lyon") for i in range(6)]
    assert patients_of(sites)[0] == {name: name.split("/")[1] for name in sites}
    visits = [f"{who}/{who}{i}/a" for who in ("p1", "p2") for i in range(3)]
    assert patients_of(visits)[0] == {name: name.split("/")[0] for name in visits}


def test_a_patient_in_two_splits_is_an_error_that_lists_all_of_them():
    check_patients("in", [("a", "TRAIN"), ("a", "TRAIN"), ("b", "TEST")])
    with pytest.raises(BadInput, match=r"2 patients of in are in two splits.*: a \(TEST, TRAIN\), c \(TRAIN, VAL\)"):
        check_patients("in", [("a", "TRAIN"), ("a", "TEST"), ("b", "TEST"), ("c", "VAL"), ("c", "TRAIN")])


def row(file, split, content):
    return {"file": file, "split": split, "hash": content}


def test_of_equal_pictures_the_test_one_is_kept_else_the_val_one_else_the_first():
    rows = [row("a", "TRAIN", 1), row("b", "VAL", 1), row("c", "TEST", 1), row("d", "TRAIN", 2), row("e", "TRAIN", 2)]
    rows += [row("f", "TRAIN", 3), row("g", "VAL", 3), row("h", "TEST", 4)]
    pairs = [(left["file"], kept["file"]) for left, kept in shared(rows)]
    assert pairs == [("a", "c"), ("b", "c"), ("e", "d"), ("f", "g")]
    assert across(shared(rows)) == ["a (TRAIN) = c (TEST)", "b (VAL) = c (TEST)", "f (TRAIN) = g (VAL)"]
