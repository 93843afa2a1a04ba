"""What notebooks share: pictures, live progress in one place, names of runs."""

import base64
import re
import sys
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from zipfile import ZipFile

import cv2
import numpy as np
import pytest
from PIL import Image

from echogan import notebook
from echogan.config import Settings
from echogan.engine.checkpoint import load_weights
from echogan.engine.fit import Progress, fit
from echogan.engine.sampling import find_weights
from echogan.errors import BadInput
from echogan.models import wgan
from tests.conftest import blobs


class Handle:
    """Stands for IPython's display handle: counts what one place showed."""

    def __init__(self, first):
        self.shown = [first]

    def update(self, page):
        self.shown.append(page)


@pytest.fixture
def displayed(monkeypatch):
    """Everything displayed, one `Handle` for each place."""
    places = []

    def display(page, display_id=None):
        places.append(Handle(page))
        return places[-1]

    monkeypatch.setattr(notebook, "display", display)
    return places


def progress(kimg, of=8.0, sheet=None):
    metrics = {"kimg": "0", "split": "VAL", "SWD": "21.5", "floor_SWD": "11", "JSD": "", "n_real": "8"}
    return Progress(kimg, of, {"kimg": kimg, "epoch": 1.0, "seconds": 2.0, "D": -1.25, "G": 0.5}, metrics, sheet)


# ------------------------------------------------------------------------------------------------ pictures


def test_files_of_figures_are_shown_at_one_width(displayed, tmp_path):
    for width, name in ((40, "a.png"), (20, "b.png")):
        Image.new("L", (width, 10), 255 - width).save(tmp_path / name)
    notebook.show(tmp_path / "a.png", tmp_path / "b.png", width=100)
    page = Image.open(BytesIO(displayed[0].shown[0].data)).convert("L")
    assert page.width == 80 and page.getpixel((5, 5)) == 215 and page.getpixel((45, 15)) == 235


def test_a_sheet_holds_its_images_row_by_row_under_its_title():
    images = blobs(6, 16)
    figure = notebook.sheet(images, "Blobs", "Data: test blobs.", columns=4)
    drawn = np.asarray(figure.axes[0].images[0].get_array())
    assert np.array_equal(drawn[17:33, 17:33], images[5])  # second row, second column, one pixel between
    assert figure.get_suptitle() == "Blobs" and "test blobs" in figure.get_supxlabel()


def test_figures_are_shown_two_abreast_as_one_picture(displayed):
    figures = [notebook.sheet(blobs(4, 16), f"Sheet {i}", "Data: test blobs.", columns=4) for i in range(3)]
    notebook.show(figures[0])
    notebook.show(*figures)
    (one,), (three,) = displayed[0].shown, displayed[1].shown
    alone, page = (Image.open(BytesIO(picture.data)) for picture in (one, three))
    assert page.width == 2 * alone.width and page.height >= 2 * alone.height
    assert (one.width, three.width) == (560, 1120)


# ------------------------------------------------------------------------------------------------ live


def test_live_writes_one_place_and_ends_with_the_last_row(displayed):
    live, sheet = notebook.Live(), blobs(1, 24)[0]
    for step in range(1, 801):
        live(progress(step / 100, sheet=sheet))
    (place,) = displayed
    assert len(place.shown) < 100, "the picture must not be sent for every row"
    html = place.shown[-1]._repr_html_()
    assert 'value="8" max="8"' in html and "8 of 8 kimg" in html
    assert "D -1.25, G 0.5" in html and "SWD 21.5 (real images 11)" in html and "JSD" not in html
    data = base64.b64decode(re.search('base64,([^"]+)', html)[1])
    assert np.array_equal(cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE), sheet)


def test_live_tells_the_time_left_from_the_pace_since_it_began(displayed, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(notebook.time, "monotonic", lambda: now[0])
    live = notebook.Live()
    live(progress(1.0))
    now[0] += 40
    live(progress(2.0))  # six kimg are left, of 40 s each
    assert "2 of 8 kimg, 4 min left" in repr(displayed[0].shown[-1])


def test_without_a_notebook_progress_is_lines_of_words(capsys):
    notebook.Live()(progress(8.0, sheet=blobs(1)[0]))
    notebook.Bar()("extract", 5, 5)
    out = capsys.readouterr().out
    assert "8 of 8 kimg" in out and "extract: 5 of 5" in out and "<" not in out


def test_each_step_has_its_own_bar(displayed):
    bar = notebook.Bar()
    for step in ("phantom", "extract"):
        for done in range(1, 41):
            bar(step, done, 40)
    assert [repr(place.shown[-1]) for place in displayed] == ["phantom: 40 of 40", "extract: 40 of 40"]


# ------------------------------------------------------------------------------------------------ runs


def test_a_run_is_named_by_what_it_may_not_change(frames):
    config, settings = wgan.CONFIGS["demo"], Settings()
    name = notebook.run_name("demo", config, frames, settings)
    assert name == notebook.run_name("demo", replace(config), frames, Settings(kimg=7, device="cpu"))
    others = {
        *(notebook.run_name("demo", config, frames, s) for s in (Settings(seed=1), Settings(accumulate=2))),
        notebook.run_name("demo", config, frames, Settings(precision="fp32")),
        notebook.run_name("demo", replace(config, lr=5e-4), frames, settings),
        notebook.run_name("demo", config, frames.where(np.arange(len(frames)) != 3), settings),
    }
    assert len(others) == 5 and name not in others


def test_what_is_taken_home_is_a_run_to_generate_with(frames, tmp_path):
    config = replace(wgan.CONFIGS["demo"].tiny(), width=4, critic_width=4)
    run = fit("wgan", "one", frames, Settings(kimg=0.064, device="cpu"), config, tmp_path)
    (run.path / "checkpoints" / ".best.partial").touch()
    archive = notebook.packed(run)
    assert archive == tmp_path / "wgan" / "one.zip" == notebook.packed(run), "written anew"
    assert {path.name for path in archive.parent.iterdir()} == {"one", "one.zip"}
    with ZipFile(archive) as opened:
        names = opened.namelist()
        opened.extractall(tmp_path / "home" / "wgan")
    kept = {path.relative_to(run.path.parent).as_posix() for path in [run.config, run.losses, run.metrics]}
    assert kept | {"one/checkpoints/best.safetensors"} <= set(names) and any(n.endswith(".png") for n in names)
    assert not [name for name in names if name.endswith((".pt", "last.safetensors", ".partial", ".lock"))]
    model, header = load_weights(find_weights(tmp_path / "home" / "wgan" / "one"))
    assert header["name"] == "one" and model.sample(1).shape == (1, 1, 32, 32)


def test_colab_alone_offers_a_file_for_download(monkeypatch):
    notebook.to_browser("run.zip")
    offered = []
    files = SimpleNamespace(download=offered.append)
    monkeypatch.setitem(sys.modules, "google.colab", SimpleNamespace(files=files))
    notebook.to_browser(Path("run.zip"))
    assert offered == ["run.zip"]


def test_an_upload_that_was_cancelled_or_is_of_several_files_is_one_sentence():
    class Files:
        def __init__(self, picked):
            self.upload = lambda: picked

    assert notebook.uploaded(Files({"clip.avi": b""})) == "clip.avi"
    with pytest.raises(BadInput, match="no file was uploaded; run this cell again"):
        notebook.uploaded(Files({}))
    with pytest.raises(BadInput, match="2 files were uploaded; run this cell again and choose one"):
        notebook.uploaded(Files({"a.dcm": b"", "b.dcm": b""}))
