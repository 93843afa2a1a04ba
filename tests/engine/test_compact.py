"""Weights to pass on: half the bytes and the same pictures; and those that come along with the package."""

from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from echogan import models
from echogan.cli import main
from echogan.config import shipped
from echogan.engine.checkpoint import export, load_weights, read_weights
from echogan.engine.compact import compact
from echogan.engine.sampling import find_weights, generated
from echogan.errors import BadInput
from tests.conftest import framed

ROOT = Path(__file__).parents[2]


def written(path, arch="wgan", name="demo", scale=1.0):
    torch.manual_seed(0)
    model = models.load(arch).build(models.config_of(arch, name).tiny())
    with torch.no_grad():
        for p in model.G.parameters():
            p.mul_(scale)
    export(path, model, {"arch": arch, "name": name, "kimg": "3", "data": "test blobs"})
    return path


def test_halved_weights_take_half_the_bytes_and_make_the_same_pictures(tmp_path):
    whole, half = written(tmp_path / "w.safetensors", scale=2.5), tmp_path / "half.safetensors"
    done = compact(whole, half)
    assert done.halved and done.worst <= 1
    assert half.stat().st_size < 0.7 * whole.stat().st_size  # a tiny model is half header
    (before, _), (after, header) = load_weights(whole), load_weights(half)
    before, after = generated(before, 100).int(), generated(after, 100).int()
    assert before.float().std() > 5 and (before - after).abs().max() <= 1
    assert header["precision"] == "float16" and header["data"] == "test blobs" and len(header["made_of_sha256"]) == 64


def test_a_prior_still_knows_its_codebook_in_half_precision(tmp_path):
    torch.manual_seed(0)
    model = models.load("vqgan").build(models.config_of("vqgan", "grid16").tiny())
    model.prior.book.copy_(model.vq.book.codes.normal_().norm() * 1.00003)  # no half-precision number is as near
    export(tmp_path / "w.safetensors", model, {"arch": "vqgan", "name": "grid16", "kimg": "999", "data": "test blobs"})
    done = compact(tmp_path / "w.safetensors", tmp_path / "half.safetensors")
    after, _ = load_weights(tmp_path / "half.safetensors")
    assert done.header["name"] == "grid16" and after.prior.book == model.prior.book
    assert len(generated(after, 2)) == 2


def test_a_bare_file_name_is_enough(tmp_path, monkeypatch):
    monkeypatch.chdir(written(tmp_path / "w.safetensors").parent)
    assert compact("w.safetensors", "half.safetensors").halved


def test_a_full_disk_is_named(tmp_path, monkeypatch):
    def full(*words, **more):
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("echogan.engine.compact.save_file", full)
    with pytest.raises(BadInput, match=r"cannot write .*half.safetensors: No space left on device; free some space"):
        compact(written(tmp_path / "w.safetensors"), tmp_path / "half.safetensors")


def test_where_halves_would_tell_the_numbers_stay_whole(tmp_path):
    whole = written(tmp_path / "w.safetensors", scale=1e3)  # weights whose halves are infinite, or far off
    with torch.no_grad():
        header, tensors = read_weights(whole)
    assert max(float(value.abs().max()) for value in tensors.values()) > 10
    done = compact(whole, tmp_path / "same.safetensors")
    assert not done.halved and done.worst > 1
    after, kept = read_weights(tmp_path / "same.safetensors")
    assert after["precision"] == "float32" and all(torch.equal(kept[key], value) for key, value in tensors.items())
    assert header["config"] == after["config"]


def test_what_makes_images_of_images_is_compared_on_frames(tmp_path, capsys):
    whole = written(tmp_path / "w.safetensors", "pix2pix", "edges")
    with pytest.raises(BadInput, match="--data FRAMES"):
        compact(whole, tmp_path / "half.safetensors")
    assert not (tmp_path / "half.safetensors").exists()
    assert compact(whole, tmp_path / "half.safetensors", framed(4, 2, 2)).worst <= 1


def test_the_command_says_what_it_did(tmp_path, capsys):
    whole = written(tmp_path / "w.safetensors")
    assert main(["compact", str(whole), str(tmp_path / "half.safetensors")]) == 0
    assert "wgan/demo at 3 kimg, trained on test blobs" in capsys.readouterr().out
    assert main(["compact", str(whole), str(tmp_path / "half.pt")]) == 1
    assert "does not end in .safetensors" in capsys.readouterr().err


# ------------------------------------------------------------------------------------------------ shipped:NAME


def test_what_comes_along_is_small_labelled_and_draws(tmp_path):
    assert sum(path.stat().st_size for path in shipped().values()) <= 10 * 2**20
    assert {"stylegan2_ada", "medgan", "wgan"} <= shipped().keys()
    for name, path in shipped().items():
        model, header = load_weights(path)
        assert header["arch"] == name and header["data"] == "synthetic phantom" and header["fingerprint"]
        if model.makes(header["kimg"]) == "generate":
            assert generated(model, 8).float().std(0).mean() > 10, "pictures that differ"


def test_they_are_found_by_name(tmp_path, capsys):
    assert find_weights("shipped:wgan") == shipped()["wgan"]
    assert main(["sample", "shipped:wgan", str(tmp_path / "sheet.png"), "--n", "4"]) == 0
    assert "trained on synthetic phantom" in capsys.readouterr().out
    with pytest.raises(BadInput, match="did you mean 'shipped:wgan'"):
        find_weights("shipped:wgn")


def test_a_run_without_weights_names_those_that_come_along(tmp_path):
    with pytest.raises(BadInput, match="or take the weights that come along: shipped:medgan"):
        find_weights("medgan/nobn")
    (tmp_path / "experiments" / "wgan" / "r1").mkdir(parents=True)
    (tmp_path / "experiments" / "wgan" / "r1" / "config.json").write_text("{}")
    with pytest.raises(BadInput, match=r"no weights yet.*shipped:wgan"):
        find_weights("wgan/r1")


def test_a_copy_without_weights_says_so(monkeypatch):
    monkeypatch.setattr("echogan.engine.sampling.shipped", dict)
    with pytest.raises(BadInput, match="comes without weights"):
        find_weights("shipped:wgan")
