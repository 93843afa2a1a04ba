"""The wheel: what is in it, and that it works in an empty environment, on the oldest and the newest Python."""

import os
import shutil
import subprocess
import zipfile
from pathlib import Path

import cv2
import pytest

from echogan.config import shipped

ROOT = Path(__file__).parents[1]
UV = shutil.which("uv") or shutil.which("uv", path=ROOT / ".uv" / "bin")
COMMANDS = (  # with what each must leave behind or say
    ("sample shipped:stylegan2_ada sheet.png --n 4", "trained on synthetic phantom"),
    ("phantom study --patients 6", "study"),
    ("extract study frames", "frames"),
    (
        "train wgan demo --data frames --small --kimg 0.2 --device cpu --set width=4 critic_width=4 batch=8",
        "trained to 0.2 kimg",
    ),
    ("report wgan/demo", "figures"),
    ("report --cards", "MODEL_CARD.md"),
)

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not UV, reason="uv is not on this machine")]


def call(*words, cwd, **more):
    answer = subprocess.run(list(map(str, words)), cwd=cwd, capture_output=True, text=True, check=False, **more)
    assert answer.returncode == 0, f"{' '.join(map(str, words))}:\n{answer.stdout}\n{answer.stderr}"
    return answer.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    call(UV, "build", "--quiet", "--wheel", "--out-dir", out, ROOT, cwd=ROOT)
    (path,) = out.glob("*.whl")
    return path


def test_the_wheel_holds_the_package_its_weights_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"echogan/shipped/{path.name}" for path in shipped().values()} <= set(names)
    assert {f"echogan/{path.relative_to(ROOT / 'src' / 'echogan').as_posix()}" for path in _sources()} <= set(names)
    assert {name.split("/")[0] for name in names} == {"echogan", f"{wheel.name.split('-py3')[0]}.dist-info"}
    assert any(name.endswith("licenses/NOTICE") for name in names)
    assert wheel.stat().st_size < 12 * 2**20


@pytest.mark.parametrize("version", ["3.10", "3.13"])
def test_it_works_where_nothing_else_is(wheel, version, tmp_path):
    """A new environment, an empty folder, no checkout, no variable of ours: from a first picture to a first trained run."""
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith(("ECHOGAN_", "PYTHON", "VIRTUAL_"))
    }
    call(UV, "venv", "--quiet", "--python", _python(version), "env", cwd=tmp_path, env=clean)
    interpreter = tmp_path / "env" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    call(
        UV,
        "pip",
        "install",
        "--quiet",
        "--python",
        interpreter,
        "-c",
        ROOT / "constraints.txt",
        wheel,
        cwd=tmp_path,
        env=clean,
    )
    for words, said in COMMANDS:
        assert said in call(interpreter.with_name("echogan"), *words.split(), cwd=tmp_path, env=clean), words
    assert cv2.imread(str(tmp_path / "sheet.png"), 0).std() > 20
    assert (tmp_path / "experiments" / "wgan" / "demo" / "metrics_csv" / "metrics.csv").is_file()
    shutil.rmtree(tmp_path / "env")


def _sources():
    return [path for path in (ROOT / "src" / "echogan").rglob("*") if path.suffix in (".py", ".md", ".html")]


def _python(version):
    """A Python of that version: one of pyenv, whose shims uv cannot ask, or one that uv finds."""
    kept = sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{version}.*/bin/python3"))
    if kept:
        return kept[-1]
    found = subprocess.run([UV, "python", "find", version], capture_output=True, text=True, check=False).stdout.strip()
    return found or pytest.skip(f"Python {version} is not on this machine")
