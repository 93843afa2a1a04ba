"""What the launcher puts back into PyTorch before a script of the official code runs."""

import subprocess
import sys
import textwrap

import pytest
import torch

from echogan.official.launcher import pass_on
from echogan.official.repository import LAUNCHER

SCRIPT = """
import sys
import numpy as np
import torch
import PIL.Image
from distutils.util import strtobool
from pkg_resources import parse_version


class Endless(torch.utils.data.Sampler):
    def __init__(self, dataset):
        super().__init__(dataset)
        self.n = len(dataset)

    def __iter__(self):
        return iter(range(self.n))


def twice(rank, results):
    assert torch.device("cuda", rank).type == "cpu" and parse_version("2.1") < parse_version("2.11")
    results[rank] = 2 * rank + 1


if __name__ == "__main__":
    assert sys.argv == ["script.py", "--seed=1"] and strtobool("yes")
    device = torch.device("cuda", 0)
    assert isinstance(device, torch.device) and torch.device("cpu").type == "cpu"
    x = torch.ones(3).pin_memory().to(device)
    event = torch.cuda.Event(enable_timing=True)
    event.record(torch.cuda.current_stream(device))
    torch.cuda.reset_peak_memory_stats()
    assert event.elapsed_time(event) == [] and torch.cuda.max_memory_allocated(device) == 0
    PIL.Image.fromarray(np.zeros((4, 4, 1), np.uint8), "RGB").save("grey.png")
    PIL.Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save("colour.png")
    data = torch.utils.data.TensorDataset(x)
    assert sum(len(b[0]) for b in torch.utils.data.DataLoader(data, sampler=Endless(data))) == 3
    results = torch.zeros(2).share_memory_()
    torch.multiprocessing.spawn(twice, (results,), nprocs=2)
    print("done", results.tolist())
"""


def test_settings_take_the_place_of_the_training_loops_own_at_every_depth(tmp_path, monkeypatch):
    (tmp_path / "training").mkdir()
    (tmp_path / "training" / "training_loop.py").write_text("def training_loop(**given):\n    return given\n")
    monkeypatch.syspath_prepend(tmp_path)
    pass_on({"kimg_per_tick": 1, "G_kwargs": {"z_dim": 64, "synthesis_kwargs": {"channel_base": 512}}})
    from training import training_loop  # as train.py does

    class Easy(dict):
        """Stands for the dictionary of the official code."""

    given = Easy(z_dim=512, c_dim=0, synthesis_kwargs=Easy(channel_base=32768, fp16=4))
    got = training_loop.training_loop(rank=0, G_kwargs=given)
    assert got == {
        "rank": 0,
        "kimg_per_tick": 1,
        "G_kwargs": {"z_dim": 64, "c_dim": 0, "synthesis_kwargs": {"channel_base": 512, "fp16": 4}},
    }
    assert isinstance(got["G_kwargs"]["synthesis_kwargs"], Easy) and given["z_dim"] == 512


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="it stands in for a GPU only where there is none")
def test_code_of_2021_runs_without_a_gpu_in_every_process(tmp_path):
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    words = [sys.executable, str(LAUNCHER), "script.py", "--seed=1"]
    answer = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0 and "done [1.0, 3.0]" in answer.stdout, answer.stderr[-2000:]
    assert (tmp_path / "grey.png").is_file() and (tmp_path / "colour.png").is_file()
