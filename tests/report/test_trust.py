"""The trust report: one page that fetches nothing, one picture, and every check in words."""

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from echogan.enhancement.trust import Means, trust
from echogan.report import trust as report
from echogan.sector import ECHONET
from tests.data.studies import ED, ES, beating


@pytest.fixture(scope="module")
def found():
    images, mask = np.concatenate([beating(20, seed)[[ED, ES]] for seed in range(2)]) // 2, ECHONET.mask()
    means = Means(back=lambda x: x // 2, limit=5.0)
    return trust(images, mask, lambda x: np.where(mask, np.minimum(x * 1.3, 255), x).astype(np.uint8), means)


def test_the_page_holds_everything(found, tmp_path):
    path = report.write(found, tmp_path / "t.html", "What a gain <does>", "Data: test. Research use only.")
    text = path.read_text()
    assert min(Image.open(tmp_path / "t.png").size) > 500
    assert "What a gain &lt;does&gt;" in text and text.count("data:image/png;base64,") == 1
    assert not re.search(r"(src|href)=\"(?!data:)", text)
    for name, value in found.row.items():
        if name in report.CHECKS:
            assert report.CHECKS[name][0] in text and f"{value:.3g}" in text
    assert text.count("<tr><td>bright</td>") == 3


def test_equal_numbers_keep_their_own_tiles(found):
    row = {**found.row, "n": 4, "change_outside": 4.0}
    text = report.document(replace(found, row=row), "title", "caption", b"")
    assert all(f"<span>{what}</span>" in text for what in ("pictures", "largest change outside the sector"))


def test_the_picture_has_a_panel_for_each_map(found, tmp_path):
    fig = report.figure(found, "title", "caption")
    headings = [ax.get_title(loc="left") for ax in fig.axes if ax.get_title(loc="left")]
    assert headings == [heading for heading, *_ in report.PANELS.values()]
    assert fig.get_suptitle() == "title"  # all that there are
    some = report.figure(replace(found, row={**found.row, "n": 32}), "What it does to 32 pictures", "caption")
    assert some.get_suptitle().replace("\n", " ") == "What it does to 32 pictures: the 4 most suspicious"
    path = report.write(found, tmp_path / "t.png", "title", "caption")
    assert min(Image.open(path).size) > 500
