"""Two processes over gloo equal one process with the same global batch."""

import os
import socket
import subprocess
import sys

import pytest
import torch

from echogan import models
from echogan.engine.parallel import interleave, shareable
from echogan.errors import BadInput


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def together(count, *words):
    """Run `python WORDS` in `count` processes as torchrun would; all must succeed."""
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": str(count)}
    processes = [
        subprocess.Popen(
            [sys.executable, *words],
            env={**os.environ, **(shared if count > 1 else {}), "RANK": str(r), "LOCAL_RANK": str(r)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for r in range(count)
    ]
    errors = [p.communicate(timeout=300)[1] for p in processes]
    assert all(p.returncode == 0 for p in processes), errors


def without_batch_norm():
    """Every config that may be data-parallel on a CPU."""
    for arch in models.names():
        for name in models.load(arch).CONFIGS:
            model = models.load(arch).build(models.config_of(arch, name).tiny())
            if not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in model.modules()):
                yield f"{arch}/{name}"


def worst(a, b):
    """Largest difference between two nested dicts of tensors."""
    if torch.is_tensor(a):
        return (a.double() - b.double()).abs().max().item() if a.numel() else 0.0
    assert a.keys() == b.keys()
    return max((worst(a[k], b[k]) for k in a), default=0.0)


@pytest.mark.parametrize(
    "several", [pytest.param(False, id="one"), pytest.param(True, marks=pytest.mark.slow, id="every")]
)
def test_two_processes_equal_one(tmp_path, several):
    names = sorted(without_batch_norm())
    assert names
    names = names if several else names[::5]
    together(1, "-m", "tests.engine.two_processes", tmp_path / "one", *names)
    together(2, "-m", "tests.engine.two_processes", tmp_path / "two", *names)
    one, first, second = (torch.load(tmp_path / file, weights_only=True) for file in ("one.0", "two.0", "two.1"))
    for name in names:
        assert worst(first[name], second[name]) == 0, name
        assert worst(one[name], first[name]) < 1e-5, name


def test_interleaving_puts_rows_back_in_order():
    rows = torch.arange(12)
    assert torch.equal(interleave([rows[k::3] for k in range(3)]), rows)


def test_batch_norm_and_odd_batches_are_refused_with_several_processes(monkeypatch):
    monkeypatch.setattr("echogan.engine.parallel.world", lambda: 2)
    model = models.load("wgan").build(models.config_of("wgan", "W1").tiny())
    with pytest.raises(BadInput, match="batch norm, which several processes share on CUDA only"):
        shareable(model, 20, 1)
    with pytest.raises(BadInput, match="batch of 21 does not divide among 2 processes"):
        shareable(model, 21, 1)
