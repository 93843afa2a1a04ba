"""A small StyleGAN2, with classes and without, as a model and as a file of weights."""

import pytest
import torch

from echogan.engine.checkpoint import export
from echogan.models.stylegan2_ada import Config, StyleGAN2ADA


def model(**settings):
    torch.manual_seed(0)
    made = StyleGAN2ADA(Config(**{"base": 256, "widest": 16, "latent": 16, "resolution": 32, "mapping": 2, **settings}))
    with torch.no_grad():
        for value in made.G.parameters():
            value.mul_(1.2)
        if not made.config.classes:
            made.G.w_mean.copy_(made.G.latents(torch.randn(500, 16)).mean(0))
    return made


@pytest.fixture
def weights(tmp_path):
    path = tmp_path / "net.safetensors"
    export(path, model(), {"arch": "stylegan2_ada", "name": "tiny", "kimg": "3", "data": "test blobs"})
    return path


@pytest.fixture
def conditional(tmp_path):
    """A run with two classes."""
    origin = {"arch": "stylegan2_ada", "name": "phase", "kimg": "3", "data": "test blobs"}
    export(tmp_path / "phase.safetensors", model(classes=2), {**origin, "classes": '["diastole", "systole"]'})
    return tmp_path / "phase.safetensors"
