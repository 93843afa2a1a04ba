"""results/Latent_Explorer.ipynb, cell by cell, with widgets and without."""

import sys
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest

from echogan import notebook
from echogan.latent.space import open_space

EXPLORER = Path(__file__).parents[2] / "results" / "Latent_Explorer.ipynb"


def explored(weights, monkeypatch, label=""):
    """What every code cell of the notebook displays, with a small run."""
    shown = []
    monkeypatch.setattr(notebook, "display", shown.append)
    monkeypatch.setattr(
        notebook.style, "png", lambda figure, limit: cv2.imencode(".png", np.zeros((9, 9), np.uint8))[1].tobytes()
    )
    space: dict = {}
    for cell in (cell for cell in nbformat.read(EXPLORER, 4).cells if cell.cell_type == "code"):
        exec(compile(cell.source, f"<cell {cell.id}>", "exec"), space)
        if "parameters" in cell.metadata.get("tags", []):
            space |= {"run": str(weights), "label": label}
    return shown


def test_the_explorer_opens_as_it_stands_and_by_the_class_of_a_conditional_run(conditional, monkeypatch):
    cell = next(cell for cell in nbformat.read(EXPLORER, 4).cells if "parameters" in cell.metadata.get("tags", []))
    space: dict = {}
    exec(cell.source, space)
    assert open_space(space["run"], space["kimg"], space["device"], space["label"])[0].size == 64
    assert len(explored(conditional, monkeypatch, "systole")) == 5


def test_the_explorer_runs_from_top_to_bottom_and_its_picture_follows_the_sliders(weights, monkeypatch):
    widgets = pytest.importorskip("ipywidgets")
    box, *strips = explored(weights, monkeypatch)
    assert isinstance(box, widgets.VBox) and len(strips) == 4
    *sliders, picture = box.children
    assert [one.description for one in sliders] == ["a", "b", "way", "truncation", "border"]
    for one, value in zip(sliders, (5, 7, 0.0, 0.3, 2)):
        before = bytes(picture.value)
        one.value = value
        assert bytes(picture.value) != before, one.description


def test_without_widgets_there_is_a_still_picture(weights, monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    still, *strips = explored(weights, monkeypatch)
    assert still.format == "png" and len(strips) == 4
