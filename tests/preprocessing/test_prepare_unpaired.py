"""Two domains from one name: made once, found again."""

import pytest

from echogan.errors import BadInput
from echogan.preprocessing.prepare_unpaired import prepare_unpaired


def test_the_phantom_is_made_once_and_has_both_domains_in_every_split():
    steps = []

    def hear(step, done, total):
        steps.append(step.partition(" ")[0])

    frames = prepare_unpaired("phantom", 6, size=64, callback=hear)
    assert frames.size == 64 and set(steps) == {"phantom", "domains", "frames"}
    for split in ("TRAIN", "VAL", "TEST"):
        a, b = (set(frames.split(split).domain(n).index["patient"]) for n in "AB")
        assert a and b and not a & b
    steps.clear()
    again = prepare_unpaired("phantom", 6, size=64, callback=hear)
    assert again.fingerprint() == frames.fingerprint() and steps == ["frames"]


def test_what_is_no_pair_of_domains_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no folder trainA"):
        prepare_unpaired(tmp_path)
