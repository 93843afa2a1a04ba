"""Two processes over gloo equal one process with the same global batch."""

import os
import re
import socket
import subprocess
import sys

import pytest
import torch

from echogan import models
from echogan.config import RunFolder
from echogan.contract import Batch
from echogan.data.frames import save_index
from echogan.data.images import write_png
from echogan.engine.parallel import interleave, joined, shareable
from echogan.errors import BadInput
from echogan.report.tables import read_table
from tests.engine import two_processes


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def together(*words):
    """Run `python WORDS` in two processes as torchrun would; both must succeed."""
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "2"}
    processes = [
        subprocess.Popen(
            [sys.executable, *words],
            env={**shared, "RANK": str(r), "LOCAL_RANK": str(r)},
            stderr=subprocess.PIPE,
            text=True,
        )
        for r in range(2)
    ]
    errors = [p.communicate(timeout=1200)[1] for p in processes]
    assert all(p.returncode == 0 for p in processes), errors


def without_batch_norm():
    """Every config that may be data-parallel on a CPU."""
    for arch in models.names():
        for name in models.load(arch).CONFIGS:
            model = models.load(arch).build(models.config_of(arch, name).tiny())
            if not any(isinstance(m, torch.nn.modules.batchnorm._BatchNorm) for m in model.modules()):
                yield f"{arch}/{name}"


def architecture(name):
    """The first word of ARCH/CONFIG."""
    return name.split("/")[0]


def worst(a, b):
    """Largest difference between two nested dicts of tensors."""
    if torch.is_tensor(a):
        return (a.double() - b.double()).abs().max().item() if a.numel() else 0.0
    assert a.keys() == b.keys()
    return max((worst(a[k], b[k]) for k in a), default=0.0)


@pytest.mark.parametrize(
    "several", [pytest.param(False, id="one_of_each"), pytest.param(True, marks=pytest.mark.slow, id="every")]
)
def test_two_processes_equal_one(tmp_path, several):
    names = sorted(without_batch_norm())
    if not several:
        names = [name for k, name in enumerate(names) if architecture(name) not in map(architecture, names[:k])]
    assert {architecture(name) for name in names} == set(models.names())
    two_processes.main(tmp_path / "one", names)
    together("-m", "tests.engine.two_processes", tmp_path / "two", *names)
    one, first, second = (torch.load(tmp_path / file, weights_only=True) for file in ("one.0", "two.0", "two.1"))
    for name in names:
        assert worst(first[name], second[name]) == 0, name
        assert worst(one[name], first[name]) < 1e-5, name


def test_interleaving_puts_rows_back_in_order():
    rows = torch.arange(12)
    assert torch.equal(interleave([rows[k::3] for k in range(3)]), rows)


@pytest.mark.parametrize("nccl", [True, False])
def test_every_process_joins_on_its_own_gpu(monkeypatch, nccl):
    calls, group = [], torch.distributed
    told = {"WORLD_SIZE": "4", "RANK": "2", "LOCAL_RANK": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}
    for name, value in told.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr(torch.cuda, "set_device", calls.append)
    monkeypatch.setattr(group, "is_nccl_available", lambda: nccl)
    monkeypatch.setattr(group, "init_process_group", lambda *words, **more: calls.append((*words, more)))
    monkeypatch.setattr(group, "destroy_process_group", lambda: calls.append("left"))
    gpu = torch.device("cuda:2")
    with joined("auto") as name:
        assert name == "cuda:2"
    assert calls == [gpu, ("nccl", {"device_id": gpu}) if nccl else ("gloo", {}), "left"]
    monkeypatch.setenv("LOCAL_RANK", "3")
    with pytest.raises(BadInput, match="torch sees 3 GPU"), joined("auto"):
        pass


@pytest.mark.parametrize("stray", [("WORLD_SIZE",), ("WORLD_SIZE", "RANK", "MASTER_ADDR", "MASTER_PORT")])
def test_what_a_cluster_says_of_other_programs_is_no_torchrun(monkeypatch, stray):
    for name in stray:
        monkeypatch.setenv(name, "2")
    with joined("cpu") as name:
        assert name == "cpu" and not torch.distributed.is_initialized()


def test_batch_norm_and_odd_batches_are_refused_with_several_processes(monkeypatch):
    monkeypatch.setattr("echogan.engine.parallel.world", lambda: 2)
    model = models.load("wgan").build(models.config_of("wgan", "W1").tiny())
    with pytest.raises(BadInput, match="batch norm, which several processes share on CUDA only"):
        shareable(model, 20, 1)
    with pytest.raises(BadInput, match="batch of 21 does not divide among 2 processes"):
        shareable(model, 21, 1)


@pytest.mark.parametrize(
    "processes, batch, accumulate, said",
    [
        (
            1,
            12,
            4,
            "12, of which Greg takes 6, does not .* 1 processes x 4 micro-batches; use --accumulate 3, in a notebook",
        ),
        (1, 4, 4, "4, of which Greg takes 2, .*use --accumulate 1,"),
        (2, 20, 2, "20, of which Greg takes 10, .*use --set batch=32;"),
        (1, 16, 8, "16, of which 4 at a time are compared, .*use --accumulate 4,"),
        (1, 1, 1, "1, of which Greg takes 0, .*use --set batch=2; in a notebook"),
        (2, 9, 1, "batch of 9 does not divide among 2 processes x 1 .*use --set batch=16;"),
    ],
)
def test_a_share_of_the_batch_that_has_no_equal_parts_is_refused(monkeypatch, processes, batch, accumulate, said):
    """Parts are averaged with equal weights: half of a batch of 12 in 4 parts, 2, 2, 1 and 1 rows, has another gradient."""
    monkeypatch.setattr("echogan.engine.parallel.world", lambda: processes)
    model = models.load("stylegan2_ada").build(models.config_of("stylegan2_ada", "gamma01").tiny())
    with pytest.raises(BadInput, match=said) as error:
        shareable(model, batch, accumulate)
    if named := re.search(r"--accumulate (\d+)", str(error.value)):
        assert shareable(model, batch, int(named[1])) is model
        whole, parts = Batch({"image": torch.arange(batch)}, batch), processes * int(named[1])
        for phase in model.phases:
            sizes = {len(whole.micro(k, parts, phase.share)["image"]) for k in range(parts)}
            assert len(sizes) == 1 and sizes != {0}


@pytest.mark.slow
def test_a_run_of_two_processes_is_that_of_one(frames, tmp_path):
    """torchrun, the command line and `fit`: one folder, written by the first process, with the rows of a single one."""
    folder = tmp_path / "frames"
    for name, image in zip(frames.index["file"], frames.images):
        write_png(folder / "images" / name, image)
    save_index(folder, frames.index, frames.manifest)
    name = next(name for name in without_batch_norm() if name.startswith("medgan"))
    words = ["train", *name.split("/"), "--data", folder, "--kimg", "0.64", "--device", "cpu", "--set", "resolution=32"]
    words += ["width=4", "critic_width=4", "batch=16"]
    runs = []
    for count in (1, 2):
        experiments = tmp_path / str(count)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={count}"]
        environment = {**os.environ, "ECHOGAN_EXPERIMENTS": str(experiments)}
        subprocess.run([*command, "-m", "echogan.cli", *words], env=environment, check=True, timeout=300)
        runs.append(RunFolder.of(*name.split("/"), experiments))
    one, two = (read_table(run.losses)[0] for run in runs)
    assert len(one) == len(two) > 5
    for column in ("kimg", "D", "r", "f"):
        assert two[column].tolist() == pytest.approx(one[column].tolist(), rel=1e-3, abs=1e-3)
    assert "2 x " in runs[1].config.read_text() and runs[1].weights("best").is_file()
