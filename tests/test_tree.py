"""What the repository promises about itself: size, layout, no addresses of registries, notebooks without outputs."""

import datetime
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from echogan.encoders.weights import KNOWN

ROOT = Path(__file__).parents[1]
MB = 2**20


def tracked():
    """Files that git knows; the tests also run from an unpacked archive, where all files count."""
    try:
        answer = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("not a git checkout")
    return [ROOT / name for name in answer.stdout.split("\0") if name and (ROOT / name).is_file()]


def test_the_tree_stays_small():
    sizes = {path: path.stat().st_size for path in tracked()}
    assert sum(sizes.values()) <= 40 * MB
    assert {p.name for p, size in sizes.items() if size > 20 * MB} == set()
    figures = [p for p in sizes if p.suffix == ".png" and p.relative_to(ROOT).parts[0] in ("results", "experiments")]
    assert {str(p) for p in figures if sizes[p] > 120_000} == set()
    assert {str(p) for p in sizes if p.suffix == ".gif" and sizes[p] > MB} == set()


def test_what_commands_leave_behind_is_not_offered_to_git():
    tracked()  # skips where there is no git
    left = "results/wgan/r1/index.html results/all_architectures/index.html data/frames/index.csv experiments/wgan/r1/.lock"
    left += " experiments/wgan/r1/checkpoints/last.pt experiments/wgan/r1/generated_samples/kimg_000001.png"
    shares = "experiments/spade/patches/shares experiments/EchoNet-Dynamic_gpu/spade/patches/shares".split()
    of_patients = ("10_0/images/0X1A.png", "10_0/masks/0X1A.png", "10_0/index.csv", ".10_0.lock")
    left += (
        "".join(f" {share}/{name}" for share in shares for name in of_patients) + " experiments/segmenter/.masks.lock"
    )
    answer = subprocess.run(
        ["git", "check-ignore", "--no-index", *left.split()], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.stdout.split() == left.split()


def test_everything_stands_where_the_reader_looks_for_it():
    rooms = "src training colab experiments results external publications assets tests benchmarks".split()
    files = "README.md pyproject.toml Makefile constraints.txt LICENSE NOTICE CITATION.cff CHANGELOG.md CONTRIBUTING.md".split()
    assert [name for name in rooms if not (ROOT / name).is_dir()] == []
    assert [name for name in files if not (ROOT / name).is_file()] == []


def test_no_file_names_a_package_registry():
    address = re.compile(r"(index-url|find-links|registry)\s*[=:]\s*[\"']?(https?|file):", re.IGNORECASE)
    text = [p for p in tracked() if p.suffix in ("", ".py", ".toml", ".txt", ".md", ".cfg", ".yaml", ".ipynb", ".json")]
    assert [str(p) for p in text if address.search(p.read_text(encoding="utf-8", errors="ignore"))] == []
    assert not (ROOT / "uv.lock").exists()


def test_floors_in_pyproject_pins_in_constraints():
    dependencies = re.search(r"^dependencies = \[(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.S | re.M)
    assert dependencies and "==" not in dependencies[1]
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert pins and all("==" in line for line in pins if line.strip())


def test_no_pin_forbids_another_build_of_torch():
    """Each build pins the CUDA packages that it was made with; the one that fits a driver is chosen by `--torch-backend`."""
    pins = (ROOT / "constraints.txt").read_text().splitlines()
    assert [line for line in pins if line.startswith(("cuda-", "nvidia-"))] == []
    (target,) = re.findall(r"^constraints:.*?\n\n", (ROOT / "Makefile").read_text(), re.S | re.M)
    assert "'^(cuda|nvidia)-'" in target  # nor will one that is written anew


def test_the_citation_file_is_what_citation_readers_take():
    """CFF 1.2.0: the required keys, and the version and licence of the package."""
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert cff["cff-version"] == "1.2.0" and cff["type"] == "software" and cff["title"] and cff["message"]
    assert all("name" in author or {"family-names", "given-names"} <= author.keys() for author in cff["authors"])
    assert f'version = "{cff["version"]}"' in project and f'license = "{cff["license"]}"' in project
    unreleased = f"{cff['version']} (unreleased)" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert unreleased or datetime.date.fromisoformat(str(cff["date-released"]))
    assert not (unreleased and "date-released" in cff)
    cited = {reference.get("doi") for reference in cff["references"]}
    bib = (ROOT / "publications" / "references.bib").read_text(encoding="utf-8")
    assert cited and all(doi in bib for doi in cited)


def test_the_notice_names_every_network_and_its_licence():
    notice = (ROOT / "NOTICE").read_text(encoding="utf-8")
    for name, weights in KNOWN.items():
        assert f"- {name}: " in notice and weights.licence.split(" ")[0].rstrip(";") in notice, name
