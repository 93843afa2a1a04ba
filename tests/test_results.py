"""What results/ holds is what experiments/ says: the notebooks, of one outline and executed, and the tables of its README."""

import importlib.util
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest

from echogan import models, notebook
from echogan.data.images import write_png
from echogan.report import readme
from echogan.report.runs import read_runs
from tests.report.conftest import slim, write_run
from tests.report.test_downstream import measured

ROOT = Path(__file__).parents[1]
LIVE = ("Latent_Explorer", "Blinded_Quiz")  # whoever opens one runs it: committed stripped, it draws from weights
NOTEBOOKS = [path for path in sorted((ROOT / "results").glob("*.ipynb")) if path.stem not in LIVE]

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def code_cells(path):
    return [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code"]


def pictures(cell):
    return sum("image/png" in output.get("data", {}) for output in cell.outputs)


@every_notebook
def test_read_and_draw_only(path):
    source = "\n".join(cell.source for cell in code_cells(path))
    assert not any(word in source for word in ("fit(", "torch", "sample(", "open(", "/tmp", "/home"))
    assert path.stat().st_size < 2**20


@every_notebook
def test_committed_as_executed_without_errors_or_absolute_paths(path):
    for cell in code_cells(path):
        assert cell.execution_count and not any(o.output_type == "error" for o in cell.outputs)
        text = "".join(o.get("text", "") + str(o.get("data", {}).get("text/plain", "")) for o in cell.outputs)
        assert "/" + "work" not in text and str(Path.home()) not in text and "Traceback" not in text
    assert sum(map(pictures, code_cells(path))) >= 4


@every_notebook
def test_running_it_again_draws_the_same_list_of_pictures(path, monkeypatch):
    monkeypatch.setenv("ECHOGAN_EXPERIMENTS", str(ROOT / "experiments"))
    monkeypatch.setenv("ECHOGAN_RESULTS", str(ROOT / "results"))
    shown, scope = [], {}
    monkeypatch.setattr(notebook, "display", shown.append)
    for cell in code_cells(path):
        before = len(shown)
        exec(cell.source, scope)
        assert len(shown) - before == pictures(cell), cell.source


# ------------------------------------------------------------------------------------------------ the builder


def load_builder():
    spec = importlib.util.spec_from_file_location("results_build", ROOT / "results" / "build.py")
    sys.modules["results_build"] = module = importlib.util.module_from_spec(spec)  # where dataclasses look for it
    spec.loader.exec_module(module)
    return module


builder = load_builder()
NEW = {  # page -> files that its sections show
    "VQGAN": (
        "pictures/vqgan_a_held_out.png",
        "pictures/vqgan_a_codes.png",
        "pictures/vqgan_a_generated_beside_real.png",
    ),
    "Pix2Pix": ("pictures/pix2pix_a_held_out.png",),
    "SPADE": (
        *("pictures/spade_a_masks.png", "pictures/spade_a_plane.png", "dice_a.csv"),
        *("downstream/downstream.csv", "downstream/boxes.png"),
    ),
    "CycleGAN_Enhancer": ("pictures/cyclegan_a_held_out.png", "rate.md", "pictures/cyclegan_a_trust.png"),
}


def test_committed_pages_are_those_of_the_builder():
    assert builder.stale() == [], "run `python results/build.py NAME`"
    assert {path.stem for path in NOTEBOOKS} <= builder.PAGES.keys()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """Empty experiments/ and results/ that the builder and its pages read."""
    for name in ("experiments", "results"):
        (tmp_path / name).mkdir()
        monkeypatch.setattr(builder, name.upper(), tmp_path / name)
        monkeypatch.setenv(f"ECHOGAN_{name.upper()}", str(tmp_path / name))
    return tmp_path


def write_file(path):
    """A file of the kind that its name says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".png":
        write_png(path, np.zeros((8, 8 + len(path.stem)), np.uint8))
    elif path.stem.startswith("dice"):
        pd.DataFrame({"structure": ["left ventricle"], "Dice": [0.9]}).to_csv(path, index=False)
    elif path.suffix == ".csv":
        measured().to_csv(path, index=False)
    else:
        path.write_text("| | identity |\n|---|---|\n| PSNR | **20** |\n")


def judged(folder, stage):
    """A TEST row and stages for a run of the fixture."""
    path = slim(folder, ("SWD", "JSD", "spectrum_dB", "SSIM")) / "metrics_csv" / "metrics.csv"
    rows = pd.read_csv(path).assign(stage=stage)
    pd.concat([rows, rows.iloc[[-1]].assign(split="TEST")]).to_csv(path, index=False)


@pytest.mark.parametrize("name", NEW)
def test_a_page_shows_what_there_is_and_names_what_lacks(name, places, monkeypatch):
    arch = builder.PAGES[name].arch
    judged(write_run(places / "experiments", arch, "a", paired="reconstruction", rows=6), "translate")
    lacking = [part.heading for part in builder.left_out(name)]
    assert len(lacking) == sum(bool(part.needs) for part in builder.PAGES[name].more)
    assert not any(f"## {heading}" in cell.source for cell in builder.notebook(name).cells for heading in lacking)

    for file in NEW[name]:
        write_file(places / "results" / arch / file)
    made, figures, scope = builder.notebook(name), [], {}
    nbformat.validate(made)
    monkeypatch.setattr(notebook, "show", lambda *shown, **_: figures.extend(shown))
    for cell in made.cells:
        if cell.cell_type == "code":
            exec(cell.source, scope)
    assert builder.left_out(name) == []
    headings = [cell.source.split("\n")[0] for cell in made.cells if cell.cell_type == "markdown"]
    assert [f"## {heading}" for heading in lacking] == [head for head in headings if head[3:] in lacking]
    files = [figure for figure in figures if isinstance(figure, Path)]
    assert {file.relative_to(places / "results" / arch).as_posix() for file in files} == {
        file for file in NEW[name] if file.endswith(".png")
    }
    assert len(figures) - len(files) >= 9  # map, 4 metrics and the spread of 2, radar, losses, samples


def test_an_unknown_page_is_one_sentence():
    with pytest.raises(SystemExit, match="there is no page Wgan"):
        builder.main(["Wgan"])


def test_the_runs_that_are_shown_lack_nothing():
    """`echogan report` in a fresh checkout names no problem, so it ends with exit code 0."""
    runs = read_runs(ROOT / "experiments")
    assert runs and [problem for run in runs for problem in run.problems] == []


def test_the_tables_are_those_of_the_runs():
    page = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    listed = {arch: tuple(models.load(arch).CONFIGS) for arch in models.names()}
    fresh = readme.inserted(page, readme.tables(read_runs(ROOT / "experiments"), listed))
    assert page == fresh, "results/README.md is not that of experiments/; run `echogan report --tables`"
