"""The Colab notebooks are what the generator makes of their sources, and need nothing but themselves."""

import ast
import importlib.util
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from echogan.errors import BadInput
from echogan.notebook import uploaded
from tests.test_notebooks import TRAINING, code_cells, narrow, tiny  # noqa: F401  (a fixture)

ROOT = Path(__file__).parents[1]


def load_generator():
    spec = importlib.util.spec_from_file_location("colab_build", ROOT / "colab" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


generator = load_generator()
SOURCES = generator.sources()
every_twin = pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)


@cache
def built(source):
    """What the generator makes of a source now."""
    return generator.build(source)


def twin(source):
    return ROOT / "colab" / source.name


# ------------------------------------------------------------------------------------------------ freshness


@every_twin
def test_the_committed_notebook_is_fresh(source):
    assert twin(source).read_text(encoding="utf-8") == built(source), "run `make colab`"


def test_the_row_of_the_readme_is_fresh():
    readme = ROOT / "README.md"
    assert generator.ROW.findall(readme.read_text(encoding="utf-8")) == [generator.row()], "run `make colab`"


def test_badges_open_the_notebooks_once_a_repository_is_named(little, capsys):
    (little / "README.md").write_text("# Title\n<!-- colab: written by `make colab` -->\nold\n<!-- end -->\nrest\n")
    assert generator.main([]) == 0
    unnamed = (little / "README.md").read_text()
    assert "Upload" in unnamed and "badge" not in unnamed and unnamed.endswith("<!-- end -->\nrest\n")
    (little / "pyproject.toml").write_text('dependencies = ["torch>=2.11"]\n[tool.echogan]\nrepository = "some/echo"\n')
    assert generator.main(["--check"]) == 1 and generator.main([]) == 0
    address = "https://colab.research.google.com/github/some/echo/blob/main/colab/Little.ipynb"
    for page in ("README.md", "colab/Little.ipynb"):
        assert (little / page).read_text(encoding="utf-8").count(address) == 1
    assert "Upload" not in (little / "README.md").read_text()


def test_nothing_else_poses_as_generated():
    assert {path.name for path in (ROOT / "colab").glob("*.ipynb")} == {source.name for source in SOURCES}


@pytest.fixture
def little(tmp_path, monkeypatch):
    """A generator over a package and a notebook of a few lines."""
    package, notebook = tmp_path / "src" / "echogan", nbformat.v4.new_notebook()
    texts = {
        "__init__.py": "",
        "errors.py": "import json\n",
        "unused.py": "import torch\n",
        "models/__init__.py": "",
        "models/wgan.py": "from echogan.layers import up\n",
        "layers/__init__.py": '"""Layers."""\n',
        "layers/up.py": "def up():\n    from echogan.errors import Bad\n    import pydicom\n",
        "report/__init__.py": "",
        "report/html.py": 'TEMPLATE = "page.html"\n',
        "report/page.html": "<html>",
    }
    for name, text in texts.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    notebook.cells = [
        nbformat.v4.new_markdown_cell("# Title\nSee [trouble](../TROUBLESHOOTING.md)."),
        nbformat.v4.new_code_cell('import echogan.report.html\n\nfit("wgan")'),
    ]
    for folder in ("training", "colab"):
        (tmp_path / folder).mkdir()
    nbformat.write(notebook, tmp_path / "training" / "Little.ipynb")
    (tmp_path / "pyproject.toml").write_text('dependencies = ["torch>=2.11"]')
    monkeypatch.setattr(generator, "ROOT", tmp_path)
    monkeypatch.setattr(generator, "SRC", tmp_path / "src")
    return tmp_path


def test_the_closure_follows_imports_in_functions_names_in_strings_and_packages(little):
    files, others = generator.closure('import echogan.report.html\nfit("wgan")')
    assert [file.as_posix() for file in files] == [
        "echogan/__init__.py",
        "echogan/errors.py",
        "echogan/layers/__init__.py",
        "echogan/layers/up.py",
        "echogan/models/__init__.py",
        "echogan/models/wgan.py",
        "echogan/report/__init__.py",
        "echogan/report/html.py",
        "echogan/report/page.html",
    ]
    assert others == ["pydicom"]


def test_check_names_what_is_stale_and_building_twice_changes_nothing(little, capsys):
    assert generator.main(["--check"]) == 1
    assert "colab/Little.ipynb is stale" in capsys.readouterr().out.replace(os.sep, "/")
    assert not (little / "colab" / "Little.ipynb").exists()
    assert generator.main([]) == 0
    first = (little / "colab" / "Little.ipynb").read_bytes()
    assert generator.main(["--check"]) == 0 and generator.main([]) == 0
    assert (little / "colab" / "Little.ipynb").read_bytes() == first
    (little / "src" / "echogan" / "errors.py").write_text("import csv\n")
    assert generator.main(["--check"]) == 1


def test_links_into_the_repository_become_words(little):
    assert (
        "See trouble in the repository."
        in nbformat.reads(generator.build(little / "training" / "Little.ipynb"), 4).cells[0].source
    )


def test_a_package_of_which_nobody_said_whether_colab_has_it_ends_the_build(little):
    (little / "src" / "echogan" / "errors.py").write_text("import tyro\n")
    with pytest.raises(SystemExit, match="does Colab have tyro"):
        generator.main([])


# ------------------------------------------------------------------------------------------------ what Colab sees


@every_twin
def test_the_install_cell_leaves_colabs_torch_alone(source):
    ours = [cell.source for cell in code_cells(twin(source)) if not cell.source.startswith("%%writefile")]
    (install,) = [text for text in ours if '"pip"' in text or "!pip" in text]
    assert '"--no-deps"' in install
    wanted = ast.literal_eval(re.search(r"^wanted = (.*)$", install, re.MULTILINE)[1])
    assert not {"torch", "torchvision", "numpy", "tyro"} & {package for row in wanted.values() for package in row}


@every_twin
def test_modules_are_forms_that_write_exactly_the_package(source):
    cells = [
        cell for cell in nbformat.reads(built(source), as_version=4).cells if cell.source.startswith("%%writefile ")
    ]
    assert cells
    for cell in cells:
        head, *lines = cell.source.split("\n")
        name = head.removeprefix("%%writefile ")
        assert cell.metadata.cellView == "form" and lines.pop(0) == f"# @title {name}"
        assert "\n".join(lines) + "\n" == (ROOT / "src" / name).read_text(encoding="utf-8")


@every_twin
def test_the_drive_is_mounted_on_request_and_in_colab_alone(source):
    (cell,) = [cell.source for cell in code_cells(twin(source)) if "drive.mount" in cell.source]
    assert "use_drive = False  # @param" in cell
    assert 'if use_drive and "google.colab" in sys.modules:' in cell


class Colab:
    """Stands for the module `google.colab`."""

    def __init__(self, picked=()):
        self.mounted = []
        self.drive = type("drive", (), {"mount": self.mounted.append})
        self.files = type("files", (), {"upload": lambda: dict.fromkeys(picked)})


def test_on_drive_lie_the_runs_and_the_weights_that_they_began_with(monkeypatch, capsys):
    for name in ("EXPERIMENTS", "WEIGHTS"):
        monkeypatch.setenv(f"ECHOGAN_{name}", "elsewhere")
    colab = Colab()
    for name, module in (("google", Colab()), ("google.colab", colab)):
        monkeypatch.setitem(sys.modules, name, module)
    exec(generator.DRIVE.replace("use_drive = False", "use_drive = True"), {})
    assert colab.mounted == ["/content/drive"] and "your files are below" in capsys.readouterr().out
    for name in ("experiments", "weights"):
        assert os.environ[f"ECHOGAN_{name.upper()}"] == f"/content/drive/MyDrive/EchoGAN/{name}"
    exec(generator.DRIVE, {})  # unticked in the same session
    assert not {"ECHOGAN_EXPERIMENTS", "ECHOGAN_WEIGHTS"} & set(os.environ)


@every_twin
def test_only_what_trains_asks_for_a_gpu(source):
    metadata = nbformat.reads(built(source), as_version=4).metadata
    assert ("accelerator" in metadata) == (source in TRAINING)


def test_an_upload_that_was_cancelled_ends_extraction_in_one_sentence(monkeypatch):
    (extraction,) = set(SOURCES) - set(TRAINING)
    (cell,) = [cell.source for cell in code_cells(extraction) if "if upload and" in cell.source]
    for name in ("google", "google.colab"):
        monkeypatch.setitem(sys.modules, name, Colab())
    with pytest.raises(BadInput, match="no file was uploaded"):
        exec(cell, {"sys": sys, "uploaded": uploaded, "upload": True, "recordings": "phantom"})


@every_twin
def test_it_ends_with_the_cells_of_its_source(source):
    cells = [cell.source for cell in code_cells(source)]
    assert [cell.source for cell in code_cells(twin(source))][-len(cells) :] == cells


# ------------------------------------------------------------------------------------------------ it runs alone

# IPython without a kernel: it knows `%%writefile`, and takes a second instead of ten. The checkout is not on its path.
RUNNER = """
import os, sys
from pathlib import Path
import nbformat
from IPython.core.interactiveshell import InteractiveShell

if __name__ == "__main__":
    notebook, src, overrides = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
    sys.path = [str(Path.cwd()), *(p for p in sys.path[1:] if p and Path(p).resolve() != src)]
    shell = InteractiveShell.instance()
    shell.display_formatter.active_types = ["text/plain"]
    for cell in nbformat.read(notebook, as_version=4).cells:
        if cell.cell_type == "code":
            shell.run_cell(cell.source).raise_error()
            if "parameters" in cell.metadata.get("tags", []):
                shell.run_cell(overrides).raise_error()
    import echogan
    assert Path(echogan.__file__).parent == Path.cwd() / "echogan", echogan.__file__
"""


def own_environment():
    """No folder of this test suite, and no path to a checkout, which would come before the twin's own modules."""
    kept = (name for name in os.environ if not name.startswith("ECHOGAN_") and name != "PYTHONPATH")
    return {name: os.environ[name] for name in kept}


def overrides(source, tiny):  # noqa: F811
    return tiny if source in TRAINING else "patients = 3"


def fast_for(*names):
    """Every twin; those of other names in the slow tier."""
    marks = {source: () if source.stem in names else pytest.mark.slow for source in SOURCES}
    return pytest.mark.parametrize("source", [pytest.param(s, marks=marks[s], id=s.stem) for s in SOURCES])


@fast_for("WGAN", "Extract_Frames")
def test_it_runs_in_an_empty_folder_without_the_package(source, tiny, tmp_path):  # noqa: F811
    (tmp_path / "runner.py").write_text(RUNNER)
    (tmp_path / "empty").mkdir()
    command = [sys.executable, tmp_path / "runner.py", twin(source), ROOT / "src", overrides(source, tiny)]
    answer = subprocess.run(
        command, cwd=tmp_path / "empty", env=own_environment(), capture_output=True, text=True, timeout=600, check=False
    )
    assert answer.returncode == 0, (answer.stdout + answer.stderr)[-3000:]


# ------------------------------------------------------------------------------------------------ real kernels

WITH_PHANTOMS = 'kimg, device = 1.0, "cpu"\nchange = {!r}'


def of_phantoms(path):
    """Lines after the parameters of a notebook: few patients or, where it trains and TEST needs all of them, a small model."""
    return WITH_PHANTOMS.format(narrow(path)) if path in TRAINING else "patients = 10"


def run_in_a_kernel(path, lines, folder):
    """The executed notebook; `lines` follow the parameters cell."""
    notebook = nbformat.read(path, as_version=4)
    place = next(i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", []))
    notebook.cells.insert(place + 1, nbformat.v4.new_code_cell(lines))
    resources = {"metadata": {"path": str(folder)}}
    return NotebookClient(notebook, timeout=600, kernel_name="python3", resources=resources).execute()


def outputs(notebook):
    return [output for cell in notebook.cells for output in cell.get("outputs", [])]


@pytest.mark.slow
@every_twin
def test_a_twin_runs_in_a_kernel_in_an_empty_folder(source, tmp_path, monkeypatch):
    for name in own_environment().keys() ^ os.environ.keys():
        monkeypatch.delenv(name)
    executed = run_in_a_kernel(twin(source), of_phantoms(source), tmp_path)
    assert (tmp_path / "echogan" / "__init__.py").is_file() and (tmp_path / "data").is_dir()
    assert any("image/png" in output.get("data", {}) for output in outputs(executed))
    assert "synthetic phantom" in str(outputs(executed))


@pytest.mark.slow
def test_a_training_notebook_runs_in_a_kernel_and_shows_progress_in_one_place(tmp_path):
    (path,) = [path for path in TRAINING if path.stem == "WGAN"]
    executed = run_in_a_kernel(path, of_phantoms(path), tmp_path)
    (fit,) = [cell for cell in executed.cells if "= fit(" in cell.source and cell.cell_type == "code"]
    live = [output for output in fit.outputs if output.output_type == "display_data"]
    assert len(live) == 1 and "1 of 1 kimg" in live[0].data["text/html"] and "<img" in live[0].data["text/html"]
