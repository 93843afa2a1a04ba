"""Every structure of a config learns in fp16, which is all that a T4 has: loss scales hold, and what is trained moves."""

from dataclasses import replace

import pytest
import torch

from echogan import models
from echogan.engine.loop import Engine, Numerics
from tests.conftest import feed_for

CONFIGS = {
    "stylegan2_ada": ("E1", "r3", "phase"),
    "wgan": ("W1", "gp", "spectral"),
    "medgan": ("rank",),
    "pix2pix": ("P1", "both"),
    "cyclegan": ("C1", "plain", "unet", "structure", "light", "nce"),
    "spade": ("S1", "oasis", "style"),
    "vqgan": ("VQ1", "grid16"),
}
TICKS = 24  # a scale that halves at every one of them ends below 1


def engine_of(arch, name):
    config = models.config_of(arch, name).tiny()
    quick = {"classes": 2 * bool(getattr(config, "condition", "")), "perceptual": 0.0, "warmup": 0, "prior_start": 0.05}
    torch.manual_seed(0)
    model = models.load(arch).build(replace(config, **{k: v for k, v in quick.items() if hasattr(config, k)}))
    return Engine(model, Numerics(autocast=torch.float16))


@pytest.mark.slow
@pytest.mark.parametrize("arch, name", [(arch, name) for arch, names in CONFIGS.items() for name in names])
def test_it_learns_in_fp16(arch, name):
    engine = engine_of(arch, name)
    feed, batch = feed_for(engine.model), engine.model.config.batch
    before = {child: [p.detach().clone() for p in params] for child, params in engine.groups.items()}
    for _ in range(TICKS):
        engine.tick(feed.batch(engine.clock.images, batch))
    assert all(scaler.get_scale() >= 1 for scaler in engine.scalers.values())
    engine.read()
    trained = {phase.trains for phase in engine.phases.values() if engine.clock.count.get(phase.name)} - {None}
    assert trained == engine.optimisers.keys()
    for child in trained:
        assert not all(map(torch.equal, before[child], engine.groups[child])), child
        assert all(p.isfinite().all() for p in engine.groups[child])
    assert all(buffer.isfinite().all() for buffer in engine.model.buffers())
