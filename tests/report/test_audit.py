"""The picture of an audit: what it shows, and its size."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from echogan.errors import BadInput
from echogan.report.audit import figure, picture, write
from tests.conftest import blobs


@pytest.fixture
def found():
    """Distances of 300 generated images, three of them copies, and of 200 real ones."""
    rng = np.random.default_rng(0)
    pictures = blobs(9, 64)
    fakes = np.append(rng.normal(0.4, 0.03, 297), (0.05, 0.06, 0.07))
    kinds = ("exact", "cropped", "turned", "regraded", "changed")
    row = {"n_fake": 300, "n_training": 6400, "training_patients": 1600, "heldout_patients": 200, "C_T": -0.4}
    row |= {"flagged": 1.0, "flagged_low": 0.2, "flagged_high": 2.9, "AuthPct": 93.0, "floor_AuthPct": 94.5}
    row |= {"false_flags": 5.0, "false_flags_low": 2.4, "false_flags_high": 9.0} | {f"caught_{k}": 100.0 for k in kinds}
    pairs = [
        SimpleNamespace(fake=a, training=(b, distance), heldout=(c, 0.41))
        for a, b, c, distance in zip(pictures[:3], pictures[3:6], pictures[6:], (0.05, 0.06, 0.35))
    ]
    heldout = rng.normal(0.4, 0.03, 200)
    return SimpleNamespace(row=row, threshold=0.34, fakes=fakes, heldout=heldout, kind="test frames", worst=pairs)


def words_of(fig):
    from matplotlib.text import Text

    return " ".join(" ".join(text.get_text().split()) for text in fig.findobj(Text))


def test_it_says_the_rate_the_distances_and_what_they_are_read_against(found):
    words = words_of(figure(found))
    for part in (
        "1.0 % of 300 generated images flagged",
        "0.050, flagged",
        "0.410",
        "unseen patients (n = 200)",
        "Data: test frames",
        "5.0 % (2.4–9.0) of unseen patients",
        "AuthPct 93.0 (real: 94.5)",
        "C_T -0.4",
    ):
        assert part in words, part
    assert (
        words.count("flagged") == words.lower().count("flagged") - 1 == 3
    )  # title, two pairs; the caption's is upper case


def test_both_distributions_are_shares_and_the_threshold_is_drawn_where_it_is(found):
    fig = figure(found)
    ax = fig.axes[-1]
    heights = [sum(patch.get_data().values) for patch in ax.patches]
    assert heights == pytest.approx([100] * len(heights)) and len(heights) == 4
    assert any(np.allclose(line.get_xdata(), 0.34) for line in ax.lines)


def test_pictures_are_shown_as_they_are(found):
    shown = [ax.images[0].get_array() for ax in figure(found).axes if ax.images]
    assert len(shown) == 9
    for i, pair in enumerate(found.worst):
        for image, expected in zip(shown[3 * i : 3 * i + 3], (pair.fake, pair.training[0], pair.heldout[0])):
            assert (np.asarray(image) == expected).all()


def test_the_file_keeps_to_its_size(found, tmp_path):
    path = write(found, tmp_path / "audit.png")
    assert path.stat().st_size <= 120_000
    Image.open(path).verify()
    assert write(found, tmp_path / "audit.pdf").read_bytes().startswith(b"%PDF")
    with pytest.raises(BadInput, match=r"neither \.png nor \.pdf"):
        picture(tmp_path / "audit.gif")
