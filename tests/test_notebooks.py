"""Every notebook of training/ follows one outline, is committed stripped, and runs from top to bottom."""

import ast
import copy
import re
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nbstripout import strip_output

from echogan import models
from echogan import notebook as display_module
from echogan.data.frames import save_index
from echogan.data.images import write_png
from tests.conftest import framed

ROOT = Path(__file__).parents[1]
TRAINING = sorted((ROOT / "training").glob("*.ipynb"))
BY_HAND = [ROOT / "results" / f"{name}.ipynb" for name in ("Latent_Explorer", "Blinded_Quiz")]
COMMITTED = [*TRAINING, *sorted((ROOT / "colab").glob("**/*.ipynb")), *BY_HAND]
OUTLINE = [
    "Set-up",
    "Parameters",
    "Data",
    "Model",
    "The loss",
    "Training",
    "Curves",
    "Samples through training",
    "Images for a chosen training moment",
    "Metrics against held-out patients",
    "Take it home",
    "What a good curve looks like",
    "What to try next",
]
FORM = re.compile(r'^\w+ = (?P<value>.+?)  # @param (?P<form>\[.*\]|\{type:"(string|number|integer|boolean)"\})$')

every_training_notebook = pytest.mark.parametrize("path", TRAINING, ids=lambda path: path.stem)
every_committed_notebook = pytest.mark.parametrize("path", COMMITTED, ids=lambda p: p.relative_to(ROOT).as_posix())


def read(path):
    return nbformat.read(path, as_version=4)


def code_cells(path):
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def parameters(path):
    (cell,) = [cell for cell in code_cells(path) if "parameters" in cell.metadata.get("tags", [])]
    return cell


def sections(path):
    """{heading: its code cells}, in order."""
    found = {}
    for cell in read(path).cells:
        if heading := re.match(r"## (.*)", cell.source) if cell.cell_type == "markdown" else None:
            found[heading[1]] = []
        elif cell.cell_type == "code":
            found[list(found)[-1]].append(cell.source)
    return found


def architecture(path):
    """The key that the notebook hands to `fit`."""
    return re.search(r'\bfit\("(\w+)"', "\n".join(cell.source for cell in code_cells(path)))[1]


# ------------------------------------------------------------------------------------------------ outline


def test_there_is_a_training_notebook():
    assert TRAINING


@every_training_notebook
def test_the_outline_is_the_same_in_all(path):
    title = read(path).cells[0]
    assert title.cell_type == "markdown" and title.source.startswith("# ")
    assert "$$" in title.source, "the loss as mathematics"
    assert list(sections(path)) == OUTLINE
    assert all(sections(path)[heading] for heading in OUTLINE[:-2]), "a section without code"


@every_training_notebook
def test_imports_stand_in_the_set_up_alone(path):
    for heading, cells in sections(path).items():
        nodes = [node for cell in cells for node in ast.walk(ast.parse(cell))]
        here = any(isinstance(node, (ast.Import, ast.ImportFrom)) for node in nodes)
        assert here == (heading == "Set-up"), heading


@every_training_notebook
def test_the_loss_is_a_line_of_code_and_the_package_agrees(path):
    (*_, setup), loss = sections(path)["Set-up"], "\n".join(sections(path)["The loss"])
    pure = re.search(r"from echogan\.losses import (.*)", setup)[1].split(", ")
    assert re.search(r"^L_\w+ = ", loss, re.MULTILINE)
    assert all(name in loss for name in pure)


@every_training_notebook
def test_every_parameter_is_a_form_with_a_literal(path):
    for line in parameters(path).source.splitlines():
        form = FORM.match(line)
        assert form, line
        value = ast.literal_eval(form["value"])
        assert form["form"].startswith("{") or value in ast.literal_eval(form["form"]), line


@every_training_notebook
def test_the_form_offers_exactly_the_configs_there_are_and_the_text_explains_them(path):
    offered = re.search(r"^config = .* # @param (\[.*\])$", parameters(path).source, re.MULTILINE)[1]
    configs = models.load(architecture(path)).CONFIGS
    assert sorted(ast.literal_eval(offered)) == sorted(configs)
    ours = [name for name, config in configs.items() if not config.published]
    assert [name for name in ours if f"`{name}`" not in read(path).cells[0].source] == []


@every_training_notebook
def test_a_notebook_stays_thin(path):
    cells = code_cells(path)
    assert len(cells) <= 15
    for cell in cells:
        assert not re.search(r"^\s*[!%]", cell.source, re.MULTILINE), f"a magic in {cell.source[:60]}"
        for node in ast.walk(ast.parse(cell.source)):
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                assert node.end_lineno - node.lineno < 5, node.name


@every_training_notebook
def test_no_path_belongs_to_one_machine(path):
    text = "\n".join(cell.source for cell in read(path).cells)
    assert not re.search(r"""["'`(](/\w|~/|[A-Z]:\\)""", text)


@every_training_notebook
def test_no_text_promises_to_train_on_one_recording(path):
    """It is of one patient, and splits are by patient."""
    text = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    assert not re.search(r"\b(a|one|your) (DICOM|video)\b", text)


@every_training_notebook
def test_links_lead_to_files_and_one_to_the_troubleshooting_page(path):
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", "\n".join(cell.source for cell in read(path).cells))
    assert any("TROUBLESHOOTING" in link for link in links)
    assert [link for link in links if not (path.parent / link).exists()] == []


@every_committed_notebook
def test_notebooks_are_valid_and_stripped_as_the_hook_strips_them(path):
    notebook = read(path)
    nbformat.validate(notebook)
    stripped = strip_output(copy.deepcopy(notebook), keep_output=False, keep_count=False, keep_id=False)
    assert stripped == notebook
    assert path.read_text(encoding="utf-8") == nbformat.writes(notebook) + "\n"


# ------------------------------------------------------------------------------------------------ execution

TINY = """
data, kimg, device = {data!r}, 1.0, "cpu"
change = {change!r}
"""
CHANGE = {  # elsewhere it is the DCGAN pair
    "stylegan2_ada": "resolution=32 base=64 widest=4 latent=4",
    "cyclegan": "resolution=32 width=2 blocks=1 critic_width=4 batch=8",
    "vqgan": "resolution=32 grid=4 codes=16 dim=4 width=2 critic_width=2 prior_width=16 depth=1 start=0.3 prior_start=0.6",
    "spade": "resolution=32 width=2 critic_width=2 hidden=4 noise=16",
}


def narrow(path):
    """Settings that make the architecture of a notebook small enough for a test."""
    default = "resolution=32 width=4 critic_width=4"
    return next((words for name, words in CHANGE.items() if name in path.stem.lower()), default)


@pytest.fixture
def tiny(request, tmp_path):
    """Lines that make a notebook small enough for a test: blobs of 32 px, a narrow model, one kimg."""
    path = next(iter(request.node.callspec.params.values()))
    frames, place = framed(48, 16, 16), tmp_path / "blobs"
    if "cyclegan" in path.stem.lower():  # two domains, each with patients of its own
        frames = framed(96, 64, 64)
        frames.index["domain"] = ["A", "A", "B", "B"] * 56
    for name, image in zip(frames.index["file"], frames.images):
        write_png(place / "images" / name, image)
        write_png(place / "masks" / name, (image > 64).astype(np.uint8))
    save_index(place, frames.index, frames.manifest, {"background": 0, "head": 1})
    return TINY.format(data=str(place), change=narrow(path))


def run_in_this_process(path, overrides, until="What to try next"):
    """Execute the code cells in one namespace, `overrides` after the parameters; returns the namespace."""
    space = {"__name__": "notebook"}
    for cell in code_cells(path)[: sum(map(len, list(sections(path).values())[: OUTLINE.index(until)]))]:
        exec(compile(cell.source, f"<{path.stem} cell {cell.id}>", "exec"), space)
        if "parameters" in cell.metadata.get("tags", []):
            exec(overrides, space)
    return space


@every_training_notebook
def test_runs_from_top_to_bottom_and_run_again_goes_on_instead_of_beginning_anew(path, tiny, monkeypatch, capsys):
    shown = []
    monkeypatch.setattr(display_module, "display", lambda page, display_id=None: shown.append(page))
    space = run_in_this_process(path, tiny)

    pictures = [page for page in shown if getattr(page, "format", "") == "png"]
    assert len(pictures) >= 5, "real samples, curves, progression, a chosen moment, beside real images"
    assert any("1 of 1 kimg" in repr(page) for page in shown), "live progress"
    assert space["archive"].is_file() and space["archive"].stem == space["run"].path.name
    table = space["table"]
    assert len(table) >= 2 and table["value"].notna().all() and table["real images"].notna().any(), "with the floor"
    said = capsys.readouterr().out
    assert "held-out patients (test blobs)" in said
    assert f"{architecture(path)}/{space['run'].path.name} is trained to 1" in said
    assert (space["run"].path / "metrics_csv" / "metrics.csv").is_file()

    rows = space["run"].losses.read_text()
    again = run_in_this_process(path, tiny.replace("1.0,", "1.2,"), until="Curves")
    assert again["run"] == space["run"]
    assert again["run"].losses.read_text().startswith(rows) and len(again["run"].losses.read_text()) > len(rows)


@every_training_notebook
def test_how_it_computes_is_a_parameter_that_every_training_gets_and_frames_are_no_smaller_than_the_config(path):
    code = "\n".join(cell.source for cell in code_cells(path))
    assert 'precision = "auto"' in parameters(path).source and "accumulate = 1" in parameters(path).source
    assert code.count("Settings(") == 1
    assert "Settings(kimg=kimg, seed=seed, device=device, precision=precision, accumulate=accumulate)" in code
    assert re.search(r"^frames = \w+\(data, patients, size=max\(128, chosen\.resolution\), ", code, re.MULTILINE)
    (remedy,) = re.findall(r"^\| out of memory .*", read(path).cells[-2].source, re.MULTILINE)
    assert "`accumulate = 2`" in remedy


@every_training_notebook
def test_commands_name_the_run_that_was_trained_and_stand_where_there_is_a_command_line(path):
    here, there = (
        read(path).cells[-1].source.split("\n\nWhere the repository is installed (NAME is what the training cell")
    )
    assert "`echogan " not in here and f"printed after `{architecture(path)}/`):" in there
    trained = re.findall(r"\w+/(\w+)", " ".join(re.findall(r"`echogan (?!train)[^`]*`", there)))
    assert trained and set(trained) == {"NAME"}


def test_where_the_official_code_leaves_its_run_is_said_wherever_a_folder_of_runs_is_named():
    cells = [cell.source for cell in read(BY_NAME["StyleGAN2_ADA"]).cells if cell.cell_type == "markdown"]
    named = [source for source in cells if re.search(r"`(experiments/)?stylegan2_ada/`", source)]
    assert len(named) == 3 and all("stylegan2_ada_official/" in source for source in named)


@every_training_notebook
def test_openmp_is_told_to_spin_shortly_before_torch_loads(path):
    """Beside another program the default made the notebook's training more than five times as slow."""
    source = "\n".join(cell.source for cell in read(path).cells if cell.cell_type == "code")
    assert 0 < source.find("GOMP_SPINCOUNT") < source.find("import torch")


@every_training_notebook
def test_what_may_stop_a_run_or_change_its_loss_comes_before_it(path):
    assert "install_weights = False" in parameters(path).source
    code = "\n".join(cell.source for cell in code_cells(path))
    places = [code.find(words) for words in ("install_missing(print)", "check_enough(test", "= fit(")]
    assert -1 not in places and places == sorted(places)


@every_training_notebook
def test_no_cell_ends_in_the_page_that_torch_prints_of_a_model(path):
    ends = [cell.source.splitlines()[-1] for cell in code_cells(path)]
    assert "model" not in ends and not any(end.startswith("os.environ.setdefault") for end in ends)


# ------------------------------------------------------------------------------------------------ configs that ask for more

BY_NAME = {path.stem: path for path in TRAINING}


@pytest.mark.parametrize("path", [BY_NAME["Pix2Pix"]], ids=lambda path: path.stem)
@pytest.mark.parametrize("config", ["masks", "both"])
def test_a_config_that_paints_into_masks_runs_on_the_default_data(path, config, monkeypatch):
    monkeypatch.setattr(display_module, "display", lambda page, display_id=None: None)
    lines = (
        f'config, patients, kimg, device = "{config}", 10, 0.1, "cpu"\nchange = "{narrow(path)}"\ncheck_enough = len'
    )
    space = run_in_this_process(path, lines, until="Curves")
    assert space["model"].config.labels == max(space["frames"].labels.values()) + 1 > 4


@pytest.mark.parametrize("path", [BY_NAME["CycleGAN_Enhancer"]], ids=lambda path: path.stem)
def test_the_enhancer_that_asks_a_segmenter_trains_one_or_takes_the_one_named(path, tiny, monkeypatch):
    monkeypatch.setattr(display_module, "display", lambda page, display_id=None: None)
    lines = tiny.replace("1.0,", "0.1,") + 'config, KIMG = "segment", 0.1'
    space = run_in_this_process(path, lines, until="Curves")
    assert space["segmenter"].parent.name == "segmenter" and "segmentation" in space["record"].losses
    named = f'{lines}\nsegmenter, train_segmenter = "segmenter/{space["segmenter"].name}", None'
    again = run_in_this_process(path, named, until="Curves")
    assert again["run"] == space["run"]
