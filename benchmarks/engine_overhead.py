"""What the engine costs: its ticks against the same updates written by hand, the feed's share, and whether time or memory grows.

Three ratios measured in one run, interleaved so that a busy machine is busy for both sides:

- one tick of `Engine` / the bare zero-backward-step calls of the same phases on the same batch (1.00 = free; at most 1.10);
- cutting a batch from the feed / a tick (at most 0.02);
- the last tenth of `--ticks` ticks / the first tenth, in time and in resident memory (1.0 = flat).

    python benchmarks/engine_overhead.py [--arch wgan --config gp] [--size tiny] [--ticks 10000] [--device cpu]
"""

import argparse
import os
import statistics
import time

import numpy as np
import torch

from echogan import models
from echogan.engine.feed import Feed
from echogan.engine.launch import hardware, pick_device, pick_precision
from echogan.engine.loop import Engine, Numerics
from echogan.errors import in_one_sentence


def build(arch, config, device, precision):
    torch.manual_seed(0)
    model = models.load(arch).build(config).to(device, memory_format=torch.channels_last)
    return Engine(model, Numerics(autocast=pick_precision(precision, device)))


def by_hand(engine, batch):
    """The updates of one tick without the engine's bookkeeping: which phases, their losses, backward, step."""
    plan, stats = engine.model.schedule(engine.clock), None
    try:
        while True:
            phase = engine.phases[plan.send(stats)]
            batch.rng = engine.rng
            for name, params in engine.groups.items():
                for p in params:
                    p.requires_grad_(name == phase.trains)
            with engine.exactness(phase):
                with torch.set_grad_enabled(phase.trains is not None), engine.precision(phase):
                    loss, stats = phase.loss(batch)
                if phase.trains:
                    (loss * (phase.every if phase.lazy else 1)).backward()
            if phase.trains:
                engine.optimisers[phase.trains].step()
                engine.optimisers[phase.trains].zero_grad(set_to_none=True)
            stats = {k: getattr(v, "of", v).detach() for k, v in stats.items()}
            if phase.after:
                with torch.no_grad():
                    phase.after(stats)
            engine.clock.count[phase.name] = engine.clock.count.get(phase.name, 0) + 1
            engine.clock.last[phase.name] = engine.clock.tick
    except StopIteration:
        engine.clock.tick += 1
        engine.clock.images += batch.total
        engine.live = None
        engine.average(batch.total)


def timed(device, call, *words):
    """Seconds of `call(*words)`, the device's work included."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    began = time.perf_counter()
    call(*words)
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter() - began


def memory(device):
    """Megabytes: allocated on a GPU, resident on a CPU."""
    if device.type == "cuda":
        return torch.cuda.memory_allocated(device) / 2**20
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", default="wgan")
    parser.add_argument("--config", default="gp")
    parser.add_argument(
        "--size", choices=("full", "small", "tiny"), default="small", help="tiny: many ticks in little time"
    )
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--ticks", type=int, default=1000)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    args = parser.parse_args()
    device = pick_device(args.device)
    config = models.config_of(args.arch, args.config)
    config = config if args.size == "full" else getattr(config, args.size)()
    feed = Feed(np.random.default_rng(0).integers(0, 256, (2000, 64, 64), np.uint8), config.resolution, device)
    ours, bare = (build(args.arch, config, device, args.precision) for _ in range(2))
    feeding, ticks, hands = [], [], []
    for k in range(args.pairs):
        feeding.append(timed(device, feed.batch, k * config.batch, config.batch))
        batches = [feed.batch(k * config.batch, config.batch) for _ in range(2)]
        ticks.append(timed(device, ours.tick, batches[0]))
        hands.append(timed(device, by_hand, bare, batches[1]))
    tick = statistics.median(ticks)
    print(
        f"{args.arch}/{args.config} {config.resolution} px, batch {config.batch}, {hardware(device)}, torch {torch.__version__}"
    )
    print(f"engine tick / the same updates by hand: {tick / statistics.median(hands):.3f}   ({tick * 1e3:.1f} ms)")
    print(f"feed / tick: {statistics.median(feeding) / tick:.4f}")
    series, resident = [], []
    for k in range(args.ticks):
        series.append(timed(device, ours.tick, feed.batch(k * config.batch, config.batch)))
        resident.append(memory(device))
        if k % 100 == 0:
            ours.read()
    tenth = max(1, args.ticks // 10)
    slower = statistics.median(series[-tenth:]) / statistics.median(series[:tenth])
    print(
        f"last tenth of {args.ticks} ticks / first tenth: time {slower:.3f}, memory {resident[-1] / resident[tenth - 1]:.3f}"
    )


if __name__ == "__main__":
    in_one_sentence(main)
