"""`echogan showcase`: figures of what only weights can show, and what stands in their rows."""

from dataclasses import replace

import numpy as np
import pytest

from echogan.cli import main
from echogan.data.frames import save_index
from echogan.data.images import write_png
from echogan.engine.showing import showing
from echogan.report.showcase import coloured, figures
from tests.conftest import framed
from tests.engine.test_translating import weights


def run(*words):
    return main([str(word) for word in words])


def written(frames, place):
    for name, image in zip(frames.index["file"], frames.images):
        write_png(place / "images" / name, image)
    save_index(place, frames.index, frames.manifest)
    return place


def pictures(figure):
    """{word of a row: its first picture} of a figure of rows."""
    return {ax.get_ylabel(): np.asarray(ax.images[0].get_array()) for ax in figure.axes if ax.get_ylabel()}


def test_a_vqgan_shows_what_it_generates_reconstructs_and_writes(tmp_path, capsys):
    path, _ = weights(tmp_path, "vqgan", "grid16", kimg="60")
    frames = written(framed(), tmp_path / "frames")
    assert run("showcase", path, frames, "--n", 3) == 0
    assert "3 figures of vqgan/grid16 at 60 kimg in" in capsys.readouterr().out
    made = {file.name for file in (tmp_path / "results/vqgan/pictures").iterdir()}
    assert made == {f"vqgan_grid16_{what}.png" for what in ("generated_beside_real", "held_out", "codes")}


def test_rows_are_the_frames_and_what_became_of_them(tmp_path):
    path, _ = weights(tmp_path, "vqgan", "grid16", kimg="60")
    shown = showing(path, framed(), n=3)
    drawn = figures(shown)
    rows = pictures(drawn["held_out"])
    assert list(rows) == ["image", "reconstructed", "JPEG 2000"] and len(shown.codes.numbers) == len(shown.real) == 3
    assert np.abs(rows["image"].astype(int) - shown.frames.images[0]).max() <= 1
    assert (rows["reconstructed"] == shown.translation[1][0]).all() and set(shown.frames.index["split"]) == {"TEST"}
    assert "Split: TEST, 3 of 8 images" in drawn["codes"].get_supxlabel().replace("\n", " ")


def test_an_enhancer_is_shown_beside_what_it_added_and_the_truth(tmp_path):
    path, _ = weights(tmp_path, "cyclegan", "plain")
    frames = framed()
    frames.index["domain"] = ["A", "B"] * (len(frames) // 2)
    shown = showing(path, frames, n=2)
    low, made, added = (picture.astype(int) for picture in shown.translation)
    np.testing.assert_array_equal(added, np.clip(128 + made - low, 0, 255))
    rows = pictures(figures(shown, truth=shown.real)["held_out"])
    assert list(rows) == ["input", "enhanced", "added", "truth"] and shown.generated is None
    caption = figures(shown)["held_out"].get_supxlabel().replace("\n", " ")
    assert "32 px" in caption and "thread" in caption
    assert "Added: red is brighter, blue darker, the full colours 40 grey levels or more, white no change" in caption


def test_a_change_is_red_where_it_is_brighter_blue_where_darker_and_white_where_there_is_none():
    added = np.array([128, 128 + 40, 128 - 40, 255, 0], np.uint8).reshape(5, 1, 1)
    none, brighter, darker, most, least = coloured(added)[:, 0, 0, :3].astype(int)
    assert none.min() > 240
    assert brighter[0] > brighter[2] + 50 and darker[2] > darker[0] + 50
    assert (most == brighter).all() and (np.abs(least - darker) <= 8).all()


@pytest.mark.parametrize(
    ("given", "names"), [("edge", ["edge", "painted", "real"]), ("mask", ["mask", "painted", "real"])]
)
def test_a_painter_names_what_it_was_given(tmp_path, given, names):
    frames = framed()
    frames = replace(frames, masks=frames.images // 86, labels={"a": 0, "b": 1, "c": 2, "d": 3})
    path, _ = weights(tmp_path, "pix2pix", "edges", given=given, labels=3 if given == "mask" else 4)
    shown = showing(path, replace(frames, labels={"a": 0, "b": 1, "c": 2}) if given == "mask" else frames, n=2)
    assert list(pictures(figures(shown)["held_out"])) == names


def test_what_cannot_be_shown_is_one_sentence(tmp_path, capsys):
    frames = written(framed(), tmp_path / "frames")
    assert run("showcase", "vqgan/none", frames) == 1
    assert "vqgan/none is not a run" in capsys.readouterr().err and not (tmp_path / "results").exists()
