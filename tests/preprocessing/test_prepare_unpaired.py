"""Two domains from one name: made once, found again."""

import pytest

from echogan.errors import BadInput
from echogan.preprocessing.prepare_unpaired import prepare_unpaired


def test_the_phantom_is_made_once_and_has_both_domains_in_every_split():
    steps = []
    frames = prepare_unpaired("phantom", 6, size=64, callback=lambda step, done, total: steps.append(step))
    assert frames.size == 64 and {"phantom", "domains"} == set(steps)
    for split in ("TRAIN", "VAL", "TEST"):
        a, b = (set(frames.split(split).domain(n).index["patient"]) for n in "AB")
        assert a and b and not a & b
    again = prepare_unpaired("phantom", 6, size=64, callback=lambda *words: pytest.fail("made twice"))
    assert again.fingerprint() == frames.fingerprint()


def test_what_is_no_pair_of_domains_is_refused(tmp_path):
    with pytest.raises(BadInput, match="no folder trainA"):
        prepare_unpaired(tmp_path)
