"""What each process of test_parallel.py runs: a few ticks of every named config, in double precision."""

import sys
from dataclasses import replace

import torch

from echogan import models
from echogan.engine.loop import Engine, Numerics
from echogan.engine.parallel import joined, rank, shareable, world
from tests.conftest import feed_for

TICKS = 6


def trained(arch, name, accumulate=1):
    """The model and its average after some ticks on this process's rows."""
    config = models.config_of(arch, name).tiny()
    config = replace(config, batch=max(config.batch, 8))  # images of a group are compared: whole groups to a process
    torch.manual_seed(0)
    model = without_dropout(shareable(models.load(arch).build(config), config.batch, accumulate))
    engine = Engine(model, Numerics(seed=0, accumulate=accumulate))
    feed = feed_for(model)
    for _ in range(TICKS):
        batch = feed.batch(engine.clock.images, config.batch, rank(), world())
        batch.update({name: x.double() for name, x in batch.items() if x.is_floating_point()})
        engine.tick(batch)
    return {"model": engine.model.state_dict(), "average": {n: s.state_dict() for n, s in engine.shadow.items()}}


def without_dropout(model):
    """The model, nothing of which drops out: every process draws its own."""
    for module in model.modules():
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return model


def main(out, names):
    """Train each of `names`, ARCH/CONFIG, and save what came of them as `out`.RANK."""
    usual = torch.get_default_dtype()
    torch.set_default_dtype(torch.double)  # so that the order of a sum is not what the comparison sees
    try:
        with joined("cpu"):
            torch.save({name: trained(*name.split("/")) for name in names}, f"{out}.{rank()}")
    finally:
        torch.set_default_dtype(usual)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
