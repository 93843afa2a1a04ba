"""Where and how exactly a run computes, and which of its weights stay."""

import pytest
import torch

from echogan.engine import launch
from echogan.engine.checkpoint import KEPT, kept_moments, thin
from echogan.errors import BadInput

CPU, GPU = torch.device("cpu"), torch.device("cuda:0")


@pytest.mark.parametrize(
    "capability, told", [((7, 5), torch.float16), ((8, 0), torch.bfloat16), ((9, 0), torch.bfloat16)]
)
def test_auto_is_bf16_only_where_the_gpu_computes_it(monkeypatch, capability, told):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert launch.pick_precision("auto", GPU) is told
    assert launch.pick_precision("auto", CPU) is None and launch.pick_precision("fp32", GPU) is None
    assert launch.pick_precision("bf16", GPU) is torch.bfloat16, "what is asked for by name stays"


def test_an_unknown_precision_is_one_sentence_that_lists_the_known():
    with pytest.raises(BadInput, match="'half' is unknown; use auto, fp32, bf16, fp16"):
        launch.pick_precision("half", CPU)


def test_deterministic_algorithms_are_on_while_wanted_and_off_again_after(monkeypatch):
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", "as it was")  # so that it is put back
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG")
    switch = torch._C._set_deterministic_algorithms  # what torch's own calls last, without the seconds of its compiler
    monkeypatch.setattr(torch, "use_deterministic_algorithms", lambda on: switch(on, warn_only=False))
    for wanted in (True, True, False):
        launch.make_deterministic(wanted)
        assert torch.are_deterministic_algorithms_enabled() is wanted
        assert launch.os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"  # cuBLAS reads it once, as it starts


def test_of_many_weights_the_powers_of_two_stay_and_the_latest_of_the_rest(tmp_path):
    moments = [1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 45, 64, 91, 128, 181, 256]
    for kimg in moments:
        (tmp_path / f"kimg_{kimg:06d}.safetensors").touch()
    (tmp_path / "best.safetensors").touch()
    thin(tmp_path)
    powers = {kimg for kimg in moments if kimg & (kimg - 1) == 0}
    assert len(powers) == 9 and KEPT == 12
    assert set(kept_moments(tmp_path)) == powers | {45, 91, 181}
    assert (tmp_path / "best.safetensors").is_file()
    thin(tmp_path)
    assert len(kept_moments(tmp_path)) == KEPT
