"""What every benchmark promises: a header, targets that can be missed, a word for what was not measured, a row on the page."""

import importlib
import inspect
import re
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from torch import nn

from echogan.contract import Phase
from echogan.models import config_of

FOLDER = Path(__file__).parents[1] / "benchmarks"
SHARED = {"common", "table"}
SCRIPTS = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in SHARED)


@pytest.fixture
def script(monkeypatch):
    """Imports a benchmark as `python benchmarks/<name>.py` would: its folder comes first, nothing is missed so far."""
    monkeypatch.syspath_prepend(str(FOLDER))
    yield importlib.import_module
    for name in SHARED | set(SCRIPTS):
        sys.modules.pop(name, None)


def code_of(program):
    with pytest.raises(SystemExit) as ended:
        program()
    return ended.value.code


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_benchmark_says_where_it_measures_and_ends_by_its_targets(name):
    text = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    assert re.search(r"^    header\(", text, re.MULTILINE) and re.search(r"^    conclude\(", text, re.MULTILINE)


def test_a_missed_target_fails_by_name(script, capsys):
    common = script("common")
    common.header()
    common.target("fast enough", 1.5, least=1.5)
    assert code_of(lambda: common.conclude(lambda: None)) == 0
    common.target("small enough", 2.0, most=1.0)
    common.target("no number", float("nan"), least=0.0)
    assert (
        code_of(lambda: common.conclude(lambda: None)) == "missed: small enough; no number"
    )  # Python exits with 1 then
    told = capsys.readouterr().out
    assert all(word in told.splitlines()[0] for word in ("Python", "torch", "OpenCV", "NumPy"))
    assert "(wanted: at least 1.5)" in told and "(wanted: at most 1, MISSED)" in told


@pytest.mark.parametrize(
    "words",
    [
        ["training_drift"],
        ["training_drift", "wgan/nosuch", "--data", "nowhere"],
        ["trust_of_run"],
        ["lesion_free_target"],
        ["vqgan_jpeg2000"],
        ["stylegan2", "--official", "nowhere"],
    ],
)
def test_what_lacks_its_input_is_not_measured(words, script, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", words)
    benchmark = script(words[0])
    assert code_of(lambda: benchmark.conclude(benchmark.main)) == 2
    assert "not measured: " in capsys.readouterr().out


def test_one_kept_moment_is_no_drift(script, monkeypatch, capsys):
    drift, common = script("training_drift"), script("common")
    kept = {"wgan/gp": {40: 2.0}, "wgan/r1": {32: 2.0, 40: 2.5}, "wgan/W1": {32: 2.0, 40: 2.5}}
    monkeypatch.setattr(drift, "distances", lambda run, *rest: kept[run])
    monkeypatch.setattr(drift, "published", lambda run: run == "wgan/W1")
    monkeypatch.setattr(drift, "load_frames", lambda folder: type("Frames", (), {"kind": "", "fingerprint": str})())
    monkeypatch.setattr(drift.encoders, "find", lambda *words: None)
    monkeypatch.setattr(sys, "argv", ["training_drift", *kept, "--data", "FRAMES", "--device", "cpu"])
    drift.main()
    assert common.missed == ["wgan/r1, last / best"]  # of the published W1 nothing is wanted
    assert len(common.lacking) == 1 and common.lacking[0].startswith("wgan/gp kept weights at 1 of the two")


def test_times_of_different_work_are_not_compared(script):
    study_loop, stylegan2 = script("study_loop"), script("stylegan2")
    study_loop.check_updates("wgan", {"D": 400, "G": 4}, {"D": 400, "G": 4})
    study_loop.check_updates("medgan", {"D": 210, "G": 192}, {"D": 207, "G": 195})
    for arch, theirs in (("wgan", {"D": 400, "G": 3}), ("medgan", {"D": 230, "G": 172})):
        assert "are not compared" in code_of(
            lambda a=arch, t=theirs: study_loop.check_updates(a, t, {"D": 210, "G": 192})
        )
    ones = stylegan2.torch.ones(9)
    stylegan2.check("images", ones + 1e-6, ones, stylegan2.EQUAL)
    assert "do not compute the same" in code_of(lambda: stylegan2.check("images", ones + 0.1, ones, stylegan2.EQUAL))


def test_the_page_has_a_row_of_every_benchmark_with_options_that_exist(script):
    table = script("table")
    rows = table.commands(table.PAGE.read_text(encoding="utf-8"))
    assert {Path(words[1]).stem for words in rows} == set(SCRIPTS)
    for words in rows:
        text = (FOLDER.parent / words[1]).read_text(encoding="utf-8")
        assert [word for word in words if word.startswith("--") and f'"{word}"' not in text] == []


def test_make_benchmark_goes_on_and_names_apart_what_was_missed_and_what_not_measured(
    script, tmp_path, monkeypatch, capsys
):
    table, seen = script("table"), []
    codes = {"phantom_speed": 1, "training_drift": 2}

    def call(words, cwd):
        seen.append(words)
        return codes.get(Path(words[1]).stem, 0)

    monkeypatch.setattr(table.subprocess, "call", call)
    monkeypatch.setattr(sys, "argv", ["table", "--frames", "my frames"])
    monkeypatch.chdir(tmp_path)  # scripts run elsewhere
    assert code_of(table.main) == 1
    assert len(seen) >= len(SCRIPTS) and all(words[0] == sys.executable for words in seen)
    assert not any({"FRAMES", "DOMAINS"} & set(words) for words in seen) and any(
        str(tmp_path / "my frames") in words for words in seen
    )
    missed, lacking = (capsys.readouterr().out.partition(f"{table.VERDICTS[1]}:")[2]).split(f"{table.VERDICTS[2]}:")
    assert "phantom_speed" in missed and "training_drift" in lacking and "training_drift" not in missed
    codes.pop("phantom_speed")
    assert code_of(table.main) == 0


def test_a_script_that_is_not_in_the_table_is_refused(script, monkeypatch, capsys):
    table, seen = script("table"), []
    monkeypatch.setattr(table.subprocess, "call", lambda words, cwd: seen.append(words))
    monkeypatch.setattr(sys, "argv", ["table", "--only", "budget", "phantom_sped"])
    assert code_of(table.main) == 2 and seen == []
    assert "there is no script 'phantom_sped' in the table; did you mean 'phantom_speed'?" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["table", "--only", "budget"])
    assert code_of(table.main) == 0 and [Path(words[1]).stem for words in seen] == ["budget"]


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_peak_memory_is_that_of_the_program_alone(script):
    """A bare Python takes some 10 MB, whatever the process takes that starts it."""
    extraction_speed, large = script("extraction_speed"), np.ones(20_000_000)
    code = ["import resource", "from pathlib import Path", inspect.getsource(extraction_speed.own_peak)]
    command = [sys.executable, "-S", "-c", "\n".join([*code, "print(own_peak())"])]
    told = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert 1_000 < told < 60_000 < large.nbytes / 1024


def test_the_budget_is_of_configs_that_exist(script):
    assert all(config_of(arch, name) for arch, name in script("budget").SHOWN.items())


class TwoLayers(nn.Module):
    """What an architecture needs to be counted."""

    inputs = ("image",)

    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(resolution=32)
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(32 * 32, 8), nn.Linear(8, 500))
        self.phases = (Phase("D", "layers", lambda batch: (self.layers(batch["image"]).square().mean(), {})),)


def test_the_budget_of_an_image_leaves_out_the_weights(script, monkeypatch):
    """Kept are the image and what comes out of either layer; 16 kB of weights are kept once, however many images."""
    budget, model = script("budget"), TwoLayers()
    monkeypatch.setattr(
        budget, "Operations", lambda: nullcontext(SimpleNamespace(total=0))
    )  # loads all of torch._dynamo
    monkeypatch.setattr(budget.models, "config_of", lambda arch, name: model.config)
    monkeypatch.setattr(budget.models, "load", lambda arch: SimpleNamespace(build=lambda config: model))
    _, parameters, _, graph = budget.count("two", "layers")
    assert parameters == 1024 * 8 + 8 + 8 * 500 + 500
    assert graph == 4 * (1024 + 8 + 500)
