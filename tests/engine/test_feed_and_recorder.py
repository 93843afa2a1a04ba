import csv
import math

import numpy as np
import pytest
import torch

from echogan.engine.feed import Feed, resized, to_grey, to_signed
from echogan.engine.recorder import Table
from echogan.errors import BadInput


def test_every_epoch_shows_every_image_once_in_another_order():
    feed = Feed(np.zeros((7, 8, 8), np.uint8), 8, seed=3)
    seen = np.concatenate([feed.entries(first, 5) for first in range(0, 35, 5)]).reshape(5, 7)
    assert all(sorted(epoch) == list(range(7)) for epoch in seen)
    assert len({tuple(epoch) for epoch in seen}) > 1


def test_any_moment_can_be_taken_up_and_any_rank_knows_its_rows():
    feed, again = (Feed(np.arange(9, dtype=np.uint8).repeat(64).reshape(9, 8, 8), 8, seed=1) for _ in "ab")
    for first in range(0, 40, 4):
        feed.batch(first, 4)
    whole = feed.batch(40, 4)["image"]
    assert torch.equal(again.batch(40, 4)["image"], whole)
    assert torch.equal(again.batch(40, 4, rank=1, world=2)["image"], whole[1::2])


def test_grey_levels_survive_the_way_into_the_model_and_back():
    grey = torch.arange(256, dtype=torch.uint8).reshape(1, 16, 16)
    signed = to_signed(grey)
    assert signed.min() == -1 and signed.max() == 1 and signed.shape == (1, 1, 16, 16)
    assert torch.equal(to_grey(signed), grey)


def test_resizing_is_anti_aliased():
    stripes = np.tile(np.array([0, 255], np.uint8), (2, 64, 32))
    half = resized(stripes, 32).numpy()
    assert half.shape == (2, 32, 32) and abs(half[:, 4:-4, 4:-4].astype(float) - 127.5).max() < 3
    assert resized(stripes, 64).numpy().tobytes() == stripes.tobytes()


def test_rows_are_on_disk_at_once_and_a_new_column_joins(tmp_path):
    table = Table(tmp_path / "t.csv", ["kimg"])
    table.add({"kimg": 1.0, "G": 0.25})
    table.add({"kimg": 2.0, "G": math.nan, "late": 3})
    assert (tmp_path / "t.csv").read_text() == "kimg,G,late\n1,0.25,\n2,,3\n"
    assert table.numbers("G") == [0.25, pytest.approx(math.nan, nan_ok=True)]


def test_words_with_commas_and_quotes_come_back_as_they_were(tmp_path):
    words = 'NVIDIA A100, 80 GB; then 2 threads of a "Xeon"'
    Table(tmp_path / "t.csv", ["kimg", "hardware"]).add({"kimg": 1.0, "hardware": words, "late": 2})
    again = Table(tmp_path / "t.csv", ["kimg"])
    again.add({"kimg": 2.0, "hardware": words, "later, still": 3})
    with open(tmp_path / "t.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["hardware"] for row in rows] == [words, words]
    assert [row["late"] for row in rows] == ["2", ""] and rows[1]["later, still"] == "3"


def test_rows_beyond_the_checkpoint_and_broken_lines_are_cut(tmp_path):
    (tmp_path / "t.csv").write_text("kimg,G\n1,0.5\n2,0.4\n3,0.3\n4")
    table = Table(tmp_path / "t.csv", ["kimg"], until=2.0)
    assert [row["G"] for row in table.rows] == ["0.5", "0.4"]
    assert (tmp_path / "t.csv").read_text() == "kimg,G\n1,0.5\n2,0.4\n"


def test_a_table_cut_at_any_of_its_rows_goes_on_as_if_it_had_not_been(tmp_path):
    """Beyond 1000 kimg a moment has more digits than the table: 1004.016 is written 1004.02, which lies after it."""
    moments = [images / 1000 for images in range(990_016, 1_012_000, 2_000)]
    unbroken = Table(tmp_path / "unbroken.csv", ["kimg"])
    for kimg in moments:
        unbroken.add({"kimg": kimg, "G": 1 / kimg})
    for last in range(len(moments)):
        path = tmp_path / "resumed.csv"
        path.write_text(unbroken.path.read_text())
        resumed = Table(path, ["kimg"], until=moments[last])
        assert len(resumed.rows) == last + 1
        for kimg in moments[last + 1 :]:
            resumed.add({"kimg": kimg, "G": 1 / kimg})
        assert path.read_text() == unbroken.path.read_text()


def test_rows_that_are_too_long_or_full_of_nothing_are_cut(tmp_path):
    """A row too long was written to a header that another program had shortened; zeros are what a full disk leaves."""
    (tmp_path / "t.csv").write_bytes(b"kimg,G\n1,0.5\n2,0.4,0.3\nx,0.2\n\x00\x00,\x00\n3,0.1\n")
    assert [row["kimg"] for row in Table(tmp_path / "t.csv", ["kimg"]).rows] == ["1", "3"]
    assert (tmp_path / "t.csv").read_text() == "kimg,G\n1,0.5\n3,0.1\n"


def test_a_table_without_its_header_is_left_as_it_is(tmp_path):
    (tmp_path / "t.csv").write_text("1,0.5\n2,0.4\n")
    with pytest.raises(BadInput, match=r"t.csv has no column kimg; restore it"):
        Table(tmp_path / "t.csv", ["kimg", "G"])
    assert (tmp_path / "t.csv").read_text() == "1,0.5\n2,0.4\n"
