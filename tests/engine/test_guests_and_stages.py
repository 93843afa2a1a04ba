"""Networks that a loss asks for, and runs of two stages: each through `fit`, on tiny configs."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from echogan import models
from echogan.config import Settings
from echogan.contract import Clock
from echogan.engine import guests
from echogan.engine.describe import resolved
from echogan.engine.feed import feed_of
from echogan.engine.fit import Run, fit
from echogan.engine.sampling import Wanted, find_weights, load_generator, write_samples
from echogan.engine.source import fakes_of
from echogan.errors import BadInput
from tests.engine.test_guards import scripted

SETTINGS = Settings(kimg=0.04, device="cpu", row_kimg=0.008)
LPIPS = models.config_of("pix2pix", "lpips").tiny()
STAGES = replace(models.config_of("vqgan", "grid16").tiny(), perceptual=0.0)


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


def distance(a, b):
    return (a - b).square().mean((1, 2, 3))


# ------------------------------------------------------------------------------------------------ guests


def test_a_loss_gets_the_network_it_asks_for(frames, tmp_path, monkeypatch):
    monkeypatch.setattr(guests, "available", lambda: True)
    monkeypatch.setattr(guests, "lpips", lambda device: distance)
    run = fit("pix2pix", "lpips", frames, SETTINGS, LPIPS, tmp_path)
    assert run.read()["config"]["perceptual"] == LPIPS.perceptual and run.read()["guests"]["lpips"].startswith(
        "AlexNet"
    )
    assert all(float(row["lpips"]) > 0 for row in rows(run.losses))


def test_without_its_weights_a_run_trains_without_and_says_so(frames, tmp_path):
    run = fit("pix2pix", "lpips", frames, SETTINGS, LPIPS, tmp_path)
    assert run.read()["config"]["perceptual"] == 0 and "weights --install" in run.read()["guests"]["lpips"]
    assert "lpips" not in rows(run.losses)[0]


def with_lpips(monkeypatch, there):
    monkeypatch.setattr(guests, "available", lambda: there)
    monkeypatch.setattr(guests, "lpips", lambda device: distance)


def test_a_run_that_began_without_goes_on_without_when_the_weights_have_come(frames, tmp_path, monkeypatch):
    longer = replace(SETTINGS, kimg=0.08)
    whole = fit("pix2pix", "whole", frames, longer, LPIPS, tmp_path)
    fit("pix2pix", "parts", frames, SETTINGS, LPIPS, tmp_path)
    with_lpips(monkeypatch, True)
    for _ in range(2):  # also once config.json tells of the taking up
        run = fit("pix2pix", "parts", frames, longer, LPIPS, tmp_path)
        assert run.read()["config"]["perceptual"] == 0 and "began without" in run.read()["guests"]["lpips"]
    timeless = [[{**row, "seconds": ""} for row in rows(each.losses)] for each in (run, whole)]
    assert timeless[0] == timeless[1]


def test_a_run_that_began_with_says_what_it_lacks_when_the_weights_have_gone(frames, tmp_path, monkeypatch):
    with_lpips(monkeypatch, True)
    fit("pix2pix", "lpips", frames, SETTINGS, LPIPS, tmp_path)
    with_lpips(monkeypatch, False)
    with pytest.raises(BadInput, match=r"began with LPIPS in its loss.*tick install_weights"):
        fit("pix2pix", "lpips", frames, replace(SETTINGS, kimg=0.08), LPIPS, tmp_path)


def test_a_run_that_was_never_to_have_it_is_still_another_one(frames, tmp_path, monkeypatch):
    fit("pix2pix", "lpips", frames, SETTINGS, replace(LPIPS, perceptual=0.0), tmp_path)
    with_lpips(monkeypatch, True)
    with pytest.raises(BadInput, match=r"made otherwise \(perceptual: 0.0 -> "):
        fit("pix2pix", "lpips", frames, replace(SETTINGS, kimg=0.08), LPIPS, tmp_path)


def test_what_asks_for_nothing_gets_nothing():
    wgan = models.config_of("wgan", "demo")
    assert guests.invited(wgan, "cpu") == (wgan, (), {})


def test_guests_that_are_given_come_to_the_device_of_the_run():
    config = models.config_of("cyclegan", "segment")
    network, of_method = torch.nn.Conv2d(1, 3, 1), torch.nn.Conv2d(1, 3, 1)
    _, given, _ = guests.invited(config, "meta", (network, of_method.forward, distance))
    assert given == (network, of_method.forward, distance)
    assert network.weight.is_meta and of_method.weight.is_meta


def test_the_real_network_is_a_guest(real_weights):
    real_weights("alexnet"), real_weights("lpips_alex")
    config, (network,), _ = guests.invited(LPIPS, "cpu")
    assert config == LPIPS and not list(network.parameters())


def test_labels_are_counted_in_the_data(frames):
    config = models.config_of("pix2pix", "masks")
    labelled = replace(frames, masks=np.zeros_like(frames.images), labels={"none": 0, "cavity": 1, "wall": 5})
    assert resolved(config, labelled)[0].labels == 6 and resolved(config, frames)[0] == config


def test_classes_are_numbered_as_training_sees_them_whatever_other_splits_hold(frames):
    """Else a name in the header of the weights would stand for another class than it was trained as."""
    config = models.config_of("stylegan2_ada", "phase").tiny()
    frames.index["phase"] = ["other", "systole"] * 32
    frames.index.loc[frames.index["split"] == "TEST", "phase"] = "diastole"
    config, names = resolved(config, frames)
    feed = feed_of(frames.split("TRAIN"), config, ("image", "label"), "cpu", 0)
    shown = [names[code] for code in feed.columns["label"]]
    assert shown == frames.split("TRAIN").index["phase"].tolist() and config.classes == len(names) == 2


# ------------------------------------------------------------------------------------------------ stages


def test_one_run_holds_both_stages_and_the_best_is_of_the_last(frames, tmp_path):
    run = fit("vqgan", "t", frames, SETTINGS, STAGES, tmp_path)
    readings = rows(run.metrics)
    stages = [row["stage"] for row in readings]
    assert stages == sorted(stages, reverse=True) and set(stages) == {"translate", "generate"}  # first the one
    assert all((row["paired"] == "reconstruction") == (row["stage"] == "translate") for row in readings)
    model, header = load_generator(find_weights(run.path))
    assert header["kimg"] > STAGES.prior_start and model.sample(2).shape == (2, 1, 32, 32)
    losses = rows(run.losses)
    assert losses[0]["vq"] and not losses[0].get("prior") and losses[-1]["prior"] and not losses[-1]["vq"]
    assert [row["vq_updates"] for row in losses] == [
        "2",
        "4",
        "4",
        "4",
        "4",
    ]  # two phases train it, one after the other
    assert [row["prior_updates"] for row in losses] == ["0", "0", "2", "4", "6"]
    assert json.loads(run.config.read_text())["parameters"].keys() == {"vq", "D", "prior"}


@pytest.mark.parametrize(
    "name, phases, told",
    [
        ("stylegan2_ada/E4", {"Gmain": 0, "Greg": 0, "Dmain": 7, "Dreg": 1}, {"G_updates": 0, "D_updates": 7}),
        ("wgan/gp", {"penalty": 5, "D": 5, "G": 1}, {"G_updates": 1, "D_updates": 5}),  # a penalty takes part in a turn
    ],
)
def test_updates_are_those_of_a_child_whatever_the_phases_are_called(name, phases, told):
    arch, config = name.split("/")
    model = models.load(arch).build(models.config_of(arch, config).tiny())
    run = SimpleNamespace(model=model, engine=SimpleNamespace(clock=Clock(count=phases)))
    assert Run._updates(run) == told


def test_before_its_prior_a_run_makes_nothing_from_noise(frames, tmp_path):
    run = fit("vqgan", "t", frames, replace(SETTINGS, kimg=0.008), STAGES, tmp_path)
    with pytest.raises(BadInput, match="none from noise; take a later moment"):
        write_samples(run.path, tmp_path / "out", 2)
    with pytest.raises(BadInput, match="take a later moment"):
        fakes_of(run.path, 2)


def test_a_translator_makes_nothing_from_noise(frames, tmp_path):
    config = models.config_of("pix2pix", "edges").tiny()
    run = fit("pix2pix", "t", frames, replace(SETTINGS, kimg=0.008), config, tmp_path)
    with pytest.raises(BadInput, match="use `echogan reconstruct`"):
        write_samples(run.path, tmp_path / "out", 2, Wanted())
    assert rows(run.metrics)[-1]["paired"] == "reconstruction" and run.sheet(0).is_file()


def test_patience_waits_for_the_last_stage(frames, tmp_path, monkeypatch):
    monkeypatch.setattr("echogan.engine.fit.READ_ROWS", 1)
    monkeypatch.setattr("echogan.engine.gallery.Reading", scripted([float(n) for n in range(30)]))  # ever worse
    run = fit("vqgan", "t", frames, replace(SETTINGS, patience=1e-9), STAGES, tmp_path)
    assert STAGES.prior_start < float(rows(run.losses)[-1]["kimg"]) < SETTINGS.kimg
