"""Broken CAMUS files: whatever is in them, a reader answers soon with pictures or with one sentence, and stays small."""

import gzip
import os
import resource
import signal
from contextlib import contextmanager

import h5py
import nibabel
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from echogan.data.camus import mhd, nifti
from echogan.data.camus.folders import open_release
from echogan.data.camus.hdf5 import open_hdf5
from echogan.data.camus.subset import open_subset
from echogan.errors import BadInput
from tests.data.camus_studies import GROUPS, half_cycle, write_hdf5, write_image, write_nifti_release

pytestmark = pytest.mark.slow
EXAMPLES, WARM = 1000, 50
MOST_GROWTH = 50 * 1024  # kB

edits = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8)
kept = st.one_of(st.just(1.0), st.just(1.0), st.floats(0, 1))
mutations = st.tuples(st.sampled_from(["anywhere", "header", "body", "body"]), edits, kept)


def mutated(data, mutation, header):
    """`data` with some bytes replaced, in the part that the mutation names, and perhaps cut short."""
    part, changes, cut = mutation
    start, end = {"anywhere": (0, len(data)), "header": (0, header), "body": (header, len(data))}[part]
    broken = bytearray(data)
    for place, value in changes:
        broken[min(start + int(place * (end - start)), end - 1)] = value
    keep = max(header if part == "body" else 1, int(cut * len(broken)))
    return bytes(broken[:keep])


@contextmanager
def within(seconds):
    def stop(*_):
        raise TimeoutError(f"a reader hung for {seconds} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def tree(folder):
    return sorted(os.path.join(place, name) for place, _, names in os.walk(folder) for name in names)


def fuzz(folder, write, read, past_header):
    """`read` what `write(mutation)` made, a thousand times; a third must get past what `past_header` opens."""
    counts = {"all": 0, "past": 0, "read": 0}
    peak = []

    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(mutations)
    def run(mutation):
        write(mutation)
        there = tree(folder)
        with within(20):
            try:
                past_header()
                counts["past"] += 1
            except Exception:  # any: it is not the reader under test
                pass
            try:
                read()
                counts["read"] += 1
            except BadInput as error:
                assert "\n" not in str(error) and len(str(error)) < 600
        assert tree(folder) == there
        counts["all"] += 1
        if counts["all"] == WARM:
            peak.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    run()
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak[0]
    assert counts["all"] >= EXAMPLES and counts["past"] >= counts["all"] / 3, counts
    assert grown < MOST_GROWTH, f"{grown} kB"
    print(counts, f"{grown} kB")


def test_nifti(tmp_path):
    path = tmp_path / "x.nii.gz"
    write_image(path, half_cycle(1)[0])
    data = gzip.decompress(path.read_bytes())

    def write(mutation):
        plain = mutated(data, mutation, 352)
        packed = gzip.compress(plain, 1)
        path.write_bytes(mutated(packed, mutation, 10) if mutation[0] == "anywhere" else packed)

    fuzz(tmp_path, write, lambda: nifti.load(path), lambda: nibabel.Nifti1Image.from_filename(path))


def test_nifti_release(tmp_path):
    root = write_nifti_release(tmp_path / "study")
    path = root / "database_nifti" / "patient0001" / "patient0001_4CH_ED_gt.nii.gz"
    data = gzip.decompress(path.read_bytes())

    def read():
        for view in open_release(root).views:
            view.read()

    def write(mutation):
        path.write_bytes(gzip.compress(mutated(data, mutation, 352), 1))

    fuzz(tmp_path, write, read, lambda: nibabel.Nifti1Image.from_filename(path))


def test_info_and_lists(tmp_path):
    root = write_nifti_release(tmp_path / "study")
    info = root / "database_nifti" / "patient0001" / "Info_4CH.cfg"
    listed = root / "database_split" / "subgroup_training.txt"
    whole = {info: info.read_bytes(), listed: listed.read_bytes()}

    def write(mutation):
        for path, data in whole.items():
            path.write_bytes(mutated(data, mutation, 4) if (mutation[0] == "header") == (path == listed) else data)

    def read():
        for view in open_release(root).views:
            view.read(every=True)

    fuzz(tmp_path, write, read, lambda: info.read_text())


def test_mhd(tmp_path):
    path, raw = tmp_path / "x.mhd", tmp_path / "x.raw"
    write_image(path, half_cycle(1)[0])
    header, pixels = path.read_bytes(), raw.read_bytes()

    def write(mutation):
        in_pixels = mutation[0] == "body"
        path.write_bytes(header if in_pixels else mutated(header, mutation, len(header) // 2))
        raw.write_bytes(mutated(pixels, mutation, 1) if in_pixels else pixels)

    fuzz(tmp_path, write, lambda: mhd.load(path), lambda: path.read_text().index("ElementDataFile = x.raw"))


def test_hdf5(tmp_path):
    path = write_hdf5(tmp_path / "x.hdf5")
    data = path.read_bytes()

    def read():
        for view in open_hdf5(path).views:
            view.read()

    def past_header():
        with h5py.File(path) as file:
            list(file)

    fuzz(tmp_path, lambda m: path.write_bytes(mutated(data, m, len(data) // 4)), read, past_header)


def test_subset(tmp_path):
    for group, number in GROUPS.items():
        pixels, masks = half_cycle(number)
        for prefix, key, values in (("", "im", pixels[0] / 255), ("anno_", "gt", masks[0])):
            with h5py.File(tmp_path / f"{prefix}{group}_4CH_FD.hdf5", "w") as file:
                file[f"patient{number:04d}_4CH_{key}_channel0"] = values
    path = tmp_path / "anno_train_4CH_FD.hdf5"
    data = path.read_bytes()

    def read():
        for view in open_subset(tmp_path).views:
            view.read()

    def past_header():
        with h5py.File(path) as file:
            list(file)

    fuzz(tmp_path, lambda m: path.write_bytes(mutated(data, m, len(data) // 4)), read, past_header)
