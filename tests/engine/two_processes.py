"""What each process of test_parallel.py runs: a few ticks of every named config, in double precision."""

import sys
from dataclasses import replace

import torch

from echogan import models
from echogan.engine.feed import Feed
from echogan.engine.loop import Engine, Numerics
from echogan.engine.parallel import joined, rank, shareable, world
from tests.conftest import blobs

TICKS = 6


def trained(arch, name, accumulate=1):
    """The model and its average after some ticks on this process's rows."""
    config = models.config_of(arch, name).tiny()
    config = replace(config, batch=max(config.batch, 8))  # images of a group are compared: whole groups to a process
    torch.manual_seed(0)
    model = shareable(models.load(arch).build(config), config.batch, accumulate)
    engine = Engine(model, Numerics(seed=0, accumulate=accumulate))
    feed = Feed(blobs(40, config.resolution), config.resolution, seed=0)
    for _ in range(TICKS):
        batch = feed.batch(engine.clock.images, config.batch, rank(), world())
        batch["image"] = batch["image"].double()
        engine.tick(batch)
    return {"model": engine.model.state_dict(), "average": {n: s.state_dict() for n, s in engine.shadow.items()}}


if __name__ == "__main__":
    torch.set_default_dtype(torch.double)  # so that the order of a sum is not what the comparison sees
    out, *names = sys.argv[1:]
    with joined("cpu"):
        torch.save({name: trained(*name.split("/")) for name in names}, f"{out}.{rank()}")
