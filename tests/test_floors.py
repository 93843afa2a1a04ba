"""The house rule of CONTRIBUTING.md: a module imports only from lower floors, and siblings leave each other alone."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SRC = Path(__file__).parents[1] / "src" / "echogan"
FLOORS = [
    {"errors", "files", "config", "sector", "precision"},
    {"data", "layers", "losses", "contract", "encoders"},
    {"preprocessing", "models", "metrics"},
    {"engine"},
    {"enhancement", "downstream", "latent", "official", "report", "doctor"},
    {"cli", "notebook"},
]
FLOOR = {room: level for level, rooms in enumerate(FLOORS) for room in rooms}
WITHIN_FLOOR_0 = {"files": {"errors"}, "config": {"errors", "files"}, "sector": {"errors"}}
HEAVY = ("torch", "torchvision", "cv2", "matplotlib", "pandas", "scipy", "tyro")


def imports(path):
    """Top-level rooms of echogan that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import; write `from echogan...`"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        yield from (name.split(".")[1] for name in names if name.startswith("echogan."))


@pytest.mark.parametrize("path", sorted(SRC.rglob("*.py")), ids=lambda p: str(p.relative_to(SRC)))
def test_imports_go_downward(path):
    room = path.relative_to(SRC).parts[0].removesuffix(".py")
    if room == "__init__":
        assert list(imports(path)) == []
        return
    assert room in FLOOR, f"{room} has no floor yet: give it one here and in CONTRIBUTING.md"
    for other in set(imports(path)) - {room, "__version__"}:
        allowed = other in WITHIN_FLOOR_0.get(room, ()) or FLOOR[other] < FLOOR[room]
        assert allowed, f"{path.relative_to(SRC)} (floor {FLOOR[room]}) imports {other} (floor {FLOOR[other]})"


def test_import_echogan_is_light():
    code = f"import sys, echogan; sys.exit([m for m in {HEAVY} if m in sys.modules] or 0)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_report_and_cli_parse_without_torch():
    code = "import sys, echogan.cli, echogan.report.draw; sys.exit('torch' if 'torch' in sys.modules else 0)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr


def test_nothing_that_trains_knows_the_truth_of_a_phantom():
    trains = [
        SRC / room for room in ("models", "engine", "preprocessing", "layers", "losses.py", "contract.py", "metrics")
    ]
    files = [path for room in trains for path in ([room] if room.suffix else room.rglob("*.py"))]
    assert len(files) > 40 and [str(p) for p in files if "load_truth" in p.read_text()] == []


def test_no_file_of_the_package_grows_past_a_screenful_of_screens():
    long = {str(p.relative_to(SRC)): n for p in SRC.rglob("*.py") if (n := len(p.read_text().splitlines())) > 400}
    assert not long, f"is there a seam? {long}"
