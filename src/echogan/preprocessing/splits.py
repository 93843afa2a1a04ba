"""Who is a patient, which split a patient is in, and what two splits may not share."""

import hashlib
import re
from collections import Counter
from itertools import takewhile
from math import ceil
from pathlib import PurePosixPath

from echogan.data.clip import SPLITS
from echogan.errors import BadInput

SHARES = (0.8, 0.1, 0.1)
_KEPT = ("TEST", "VAL", "TRAIN")  # where a picture that several splits hold stays: what is reported must not shrink
_FRAME = re.compile(r"_f\d+$")  # <recording>_f<number>, as extraction names its frames
_START = re.compile(r"([A-Za-z]+\d+|P[0-9a-f]{12})(_|$)")  # patient0001_..., or a pseudonym of ours
_KINDS = frozenset(  # folders of pictures of one kind, not of one patient
    "normal abnormal healthy diseased a2c a3c a4c a5c 2ch 3ch 4ch 5ch plax psax apical parasternal ed es diastole systole "
    "good medium poor high low quality images image frames pictures videos".split()
)
_MANY = 5  # folders within each of a few, from which on these few are sites or years rather than patients
_LISTED = 8  # cases a sentence names


def seeded(patients, seed=0, shares=SHARES):
    """Split of each patient by a hash of seed and name, and sentences on the patients moved for want of others.

    A hash, because a patient then keeps its split when files are added. From three patients on no split stays empty:
    the one whose hash lies nearest is moved there, the only case in which adding files can move a patient back.
    """
    ends = shares[0], shares[0] + shares[1]
    position = {name: _uniform(f"{seed}/{name}") for name in patients}
    split = {name: SPLITS[(u >= ends[0]) + (u >= ends[1])] for name, u in position.items()}
    moved = []
    for wanted, centre in zip(SPLITS, (ends[0] / 2, sum(ends) / 2, (ends[1] + 1) / 2)):
        if wanted in split.values() or len(split) < len(SPLITS):
            continue
        spare = [name for name in split if list(split.values()).count(split[name]) > 1]
        name = min(spare, key=lambda name: abs(position[name] - centre))
        moved.append(
            f"{name} was moved from {split[name]} to {wanted}, which had no patient; more patients may undo it"
        )
        split[name] = wanted
    return split, moved


def patients_of(names):
    """Patient of each file (relative names without suffix) of which that is known, and a sentence on how it is.

    Where files lie in several sub-folders the top one is the patient, whatever lies beside these, unless its name is of a
    kind of pictures, or it is one of two that hold many folders each. Else names may begin
    with the patient (patient0001_2CH_ED), or be `<recording>_f<number>`, which belongs to its recording. Else every
    file is a patient, and the answer is empty.
    """
    tops = _tops(names)
    if len(set(tops.values())) > 1:
        return tops, "sub-folders"
    stems = {name: _FRAME.sub("", name) for name in names}
    starts = {name: found for name, stem in stems.items() if (found := _START.match(PurePosixPath(stem).name))}
    if len({found[1] for found in starts.values() if found[2]}) > 1:
        return {name: starts[name][1] if name in starts else flat(stems[name]) for name in names}, "file names, up to _"
    if any(stem != name for name, stem in stems.items()):
        return {name: flat(stem) for name, stem in stems.items()}, "file names, up to _f<number>"
    return {}, "file names: no two files are known to be of one patient"


def _tops(names):
    """The first folder of each file that may be of one patient; files beside these have none."""
    above = {name: name.split("/")[:-1] for name in names if "/" in name}
    levels = list(zip(*above.values()))  # as deep as all have folders
    depth = len(list(takewhile(_of_many, zip(levels, [*levels[1:], None]))))
    return {name: folders[depth] for name, folders in above.items() if len(folders) > depth}


def _of_many(levels):
    """Whether the folders of a level are not patients: one for all, kinds of pictures, or two with many folders each."""
    level, below = levels
    if len(set(level)) == 1 or {name.lower() for name in level} <= _KINDS:
        return True
    pairs = set(zip(level, below or ()))
    return len(set(level)) == 2 and len({name for _, name in pairs}) == len(pairs) >= 2 * _MANY


def flat(name):
    """A path as the name of one file."""
    return name.replace("/", "_")


def owners(found):
    """The patient of each of the found (with `name`, `group` and `split`, as a `Place`), how that is known, and sentences."""
    groups, kinds = [place.group for place in found], []
    while more := _kinds(groups, [place.split for place in found]):
        groups, kinds = [group.partition("/")[2] for group in groups], kinds + more
    known, how = patients_of(groups)
    patients = [known.get(group, flat(place.name)) for group, place in zip(groups, found)]
    said = [told(patients, how)] if found else []
    if kinds:
        said.append(f"the folders {listed(kinds)} are in several splits and were not taken for patients")
    return patients, how, said


def _kinds(groups, splits):
    """The top folders if every one is in several splits and called by a kind of pictures, or the one around all others."""
    of = {}
    for group, split in zip(groups, splits):
        of.setdefault(group.rpartition("/")[0].partition("/")[0], set()).add(split)
    around = len(of) == 1 and all(group.count("/") > 1 for group in groups)
    kinds = all(len(found) > 1 and (around or top.lower() in _KINDS) for top, found in of.items())
    return sorted(of) if kinds else []


def drawn(shares, of, seed, how):
    """How splits of ours came about, for the data card."""
    return f"{'/'.join(f'{share:.0%}' for share in shares)} of the {of} by hash (seed {seed}); {of} by {how}"


def larger(split, patients):
    """How a split comes to hold so many patients."""
    share = dict(zip(SPLITS, SHARES))[split]
    return (
        f"give recordings of about {ceil(patients) / share:.0f} patients ({share:.0%} become {split}), or lay them in folders "
        "train, val and test, which are taken as splits"
    )


def told(patients, how):
    """The sentence that lets a user see what was taken for a patient."""
    return f"{len(set(patients))} patients, by {how}"


def check_names(path, names):
    """Refuse pictures of the source `path` that would be written to one file."""
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadInput(f"two files of {path} would be called {twice[0]}; rename one of them")


def check_patients(path, pairs):
    """Refuse (patient, split) pairs, of the source `path`, in which a patient has two splits; they are listed."""
    of = {}
    for patient, split in pairs:
        of.setdefault(patient, set()).add(split)
    torn = [f"{patient} ({', '.join(sorted(found))})" for patient, found in sorted(of.items()) if len(found) > 1]
    if torn:
        raise BadInput(f"{len(torn)} patients of {path} are in two splits; give each patient one: {listed(torn)}")


def shared(rows):
    """Pairs (row left out, row kept) of rows that hold the same picture; rows are dicts with "split" and "hash".

    Of each picture the first row of TEST is kept, else of VAL, else of TRAIN.
    """
    groups = {}
    for row in rows:
        groups.setdefault(row["hash"], []).append(row)
    for group in groups.values():
        kept = min(group, key=lambda row: _KEPT.index(row["split"]))
        yield from ((row, kept) for row in group if row is not kept)


def across(pairs):
    """Those of the `shared` pairs whose rows are in different splits, as words: "a.png (TRAIN) = b.png (TEST)"."""
    return [
        f"{row['file']} ({row['split']}) = {kept['file']} ({kept['split']})"
        for row, kept in pairs
        if row["split"] != kept["split"]
    ]


def listed(cases):
    """The first cases of many, and how many more there are."""
    more = f" and {len(cases) - _LISTED} more" if len(cases) > _LISTED else ""
    return ", ".join(cases[:_LISTED]) + more


def _uniform(text):
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16) / 16**12


def mark_repeats(rows, source):
    """Refuse pictures that two splits share, set `duplicate_of` of the others that are there twice; sentences on it."""
    pairs = list(shared(rows))
    both = across(pairs)
    if both:
        raise BadInput(f"{len(both)} pictures of {source} are in two splits; remove one of each: {listed(both)}")
    for row, kept in pairs:
        row["duplicate_of"] = kept["file"]
    return [f"{len(pairs)} pictures are there twice"] if pairs else []
