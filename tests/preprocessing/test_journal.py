"""Extraction that stops anywhere and goes on; parts of one extraction on many machines."""

import os
import random
import signal
import subprocess
import sys
import time

import pytest

from echogan.data.frames import load_frames
from echogan.errors import BadInput
from echogan.preprocessing.extract import Part, extract
from echogan.preprocessing.journal import Journal, Shard
from tests.data.studies import write_study


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("journal") / "study", videos=10, frames=22)


@pytest.fixture(scope="module")
def whole(root, tmp_path_factory):
    """What one unbroken call makes, by file."""
    out = tmp_path_factory.mktemp("whole") / "frames"
    extract(root, out, size=64, workers=1)
    return contents(out)


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def stopped_after(recordings):
    def callback(done, total):
        if done == recordings:
            raise KeyboardInterrupt

    return callback


def test_an_interrupted_extraction_goes_on_where_it_stopped(root, whole, tmp_path):
    for recordings in (3, 7):
        with pytest.raises(KeyboardInterrupt):
            extract(root, tmp_path / "frames", size=64, workers=1, callback=stopped_after(recordings))
        assert not (tmp_path / "frames").exists()
    seen = []
    extract(root, tmp_path / "frames", size=64, workers=1, callback=lambda *at: seen.append(at))
    assert seen == [(7, 10), (8, 10), (9, 10), (10, 10)]
    assert contents(tmp_path / "frames") == whole
    assert [p.name for p in tmp_path.iterdir()] == ["frames"]


def test_a_line_that_was_cut_short_does_not_count(root, whole, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        extract(root, tmp_path / "frames", size=64, workers=1, callback=stopped_after(4))
    (lines,) = Journal(tmp_path / "frames").folder.glob("*.jsonl")
    lines.write_bytes(lines.read_bytes()[:-20])
    (Journal(tmp_path / "frames").frames / "images" / "V3_f0.png").write_bytes(b"half a pic")
    seen = []
    extract(root, tmp_path / "frames", size=64, workers=1, callback=lambda *at: seen.append(at))
    assert seen[0] == (3, 10) and contents(tmp_path / "frames") == whole


def test_a_call_that_was_killed_while_it_finished_is_finished_by_the_next(root, whole, tmp_path, monkeypatch):
    write = Journal.finish

    def killed(journal, complete):
        os.replace(journal.frames, journal.folder / "finishing")
        (journal.folder / "finishing" / "index.csv").write_text("half")
        (journal.folder / "finishing" / ".index.csv.1.partial.csv").write_text("half")
        raise KeyboardInterrupt

    monkeypatch.setattr(Journal, "finish", killed)
    with pytest.raises(KeyboardInterrupt):
        extract(root, tmp_path / "frames", size=64, workers=1)
    monkeypatch.setattr(Journal, "finish", write)
    extract(root, tmp_path / "frames", size=64, workers=1)
    assert contents(tmp_path / "frames") == whole


def test_other_settings_do_not_mix_with_what_is_unfinished(root, tmp_path):
    with pytest.raises(KeyboardInterrupt):
        extract(root, tmp_path / "frames", size=64, workers=1, callback=stopped_after(2))
    with pytest.raises(BadInput, match=r"unfinished extraction of other settings \(size: 64 -> 128\); finish that one"):
        extract(root, tmp_path / "frames", size=128, workers=1)


SCRIPT = """
import sys
from echogan.preprocessing.extract import extract
if __name__ == "__main__":
    extract(sys.argv[1], sys.argv[2], size=64, workers=int(sys.argv[3]))
"""


def kill_at_random(root, out, workers, seed):
    """Start the same extraction, kill -9 it after a random time, until one lives to its end; the number of kills."""
    rng, kills = random.Random(seed), 0
    script = out.parent / "script.py"
    script.write_text(SCRIPT)
    while not out.is_dir():
        process = subprocess.Popen([sys.executable, script, root, out, str(workers)], stderr=subprocess.DEVNULL)
        while process.poll() is None and not Journal(out).folder.is_dir():
            time.sleep(0.01)  # imports: nothing is at stake yet
        try:
            process.wait(
                timeout=rng.uniform(0, 0.3 * (kills + 1))
            )  # longer each time: on a slow machine it must end too
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    return kills


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_kill_9_at_a_random_point_and_the_same_command_give_the_same_frames(root, whole, tmp_path):
    kill_at_random(root, tmp_path / "frames", workers=1, seed=0)
    assert contents(tmp_path / "frames") == whole


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.skipif(sys.platform == "win32", reason="kill -9 is POSIX")
def test_many_kills_in_one_process_and_in_several(tmp_path, workers):
    root = write_study(tmp_path / "study", videos=80, frames=60)
    extract(root, tmp_path / "expected", size=64, workers=1)
    kills = kill_at_random(root, tmp_path / "frames", workers, seed=workers)
    assert kills >= 2 and contents(tmp_path / "frames") == contents(tmp_path / "expected")


# ------------------------------------------------------------------------------------------------ parts


@pytest.mark.parametrize("order", [(1, 2, 3, 4), (3, 1, 4, 2)])
def test_four_parts_are_the_whole(root, whole, tmp_path, order):
    *first, last = (extract(root, tmp_path / "frames", size=64, shard=Shard(i, 4), workers=1) for i in order)
    assert [type(part) for part in first] == [Part] * 3 and first[0].waiting > first[-1].waiting > 0
    assert last.images == 40
    assert contents(tmp_path / "frames") == whole
    assert load_frames(tmp_path / "frames").fingerprint() == load_frames(last.folder).fingerprint()
    assert [p.name for p in tmp_path.iterdir()] == ["frames"]


def test_parts_are_disjoint_and_may_be_empty():
    for of in (1, 3, 7, 12):
        parts = [Shard(i + 1, of).part(list(range(10))) for i in range(of)]
        assert sorted(job for part in parts for job in part) == list(range(10))


def test_a_part_that_is_done_can_be_run_again_and_one_call_can_do_the_rest(root, whole, tmp_path):
    for _ in range(2):
        part = extract(root, tmp_path / "frames", size=64, shard=Shard(2, 4), workers=1)
        assert part.waiting == 7
    extract(root, tmp_path / "frames", size=64, workers=1)
    assert contents(tmp_path / "frames") == whole


@pytest.mark.slow
def test_four_parts_at_the_same_time_are_the_whole(tmp_path):
    root = write_study(tmp_path / "study", videos=16, frames=40)
    extract(root, tmp_path / "expected", size=64, workers=1)
    for attempt in range(3):
        out = tmp_path / f"frames{attempt}"
        code = (
            "import sys; from echogan.preprocessing.extract import extract; "
            "from echogan.preprocessing.journal import Shard; "
            "extract(sys.argv[1], sys.argv[2], size=64, workers=1, shard=Shard(int(sys.argv[3]), 4))"
        )
        parts = [subprocess.Popen([sys.executable, "-c", code, root, out, str(i + 1)]) for i in range(4)]
        assert [part.wait() for part in parts] == [0] * 4
        assert contents(out) == contents(tmp_path / "expected")


@pytest.mark.parametrize("text", ["0/4", "5/4", "2", "2/", "a/b", "-1/4", "1/0", "²/4"])
def test_what_is_no_part_is_refused(text):
    with pytest.raises(BadInput, match=r"is no part; write I/N"):
        Shard.read(text)
    assert Shard.read("2/4") == Shard(2, 4)
