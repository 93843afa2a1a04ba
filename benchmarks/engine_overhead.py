"""What the engine costs: its ticks against the same updates in plain torch, the feed's share, and whether time or memory grows.

Three ratios measured in one run, interleaved so that a busy machine is busy for both sides:

- one tick of `Engine` / the same phases on the same batch in plain torch, without the engine's bookkeeping (seeds, sums of
  statistics, counts, micro-batches, processes, loss scales): the median over pairs, whose order takes turns, the first
  ones left out as a warm-up (1.00 = free; wanted: at most 1.10);
- cutting a batch from the feed / a tick (wanted: at most 0.02);
- the last tenth of `--ticks` ticks / the first tenth, in time and in resident memory (1.0 = flat; --ticks 0 leaves it out).

    python benchmarks/engine_overhead.py [--arch wgan --config gp] [--size tiny] [--ticks 10000] [--device cpu]
"""

import argparse
import copy
import os
import statistics
import time
from contextlib import suppress

import numpy as np
import torch
from common import conclude, header, target

from echogan import models
from echogan.contract import Clock
from echogan.engine.feed import Feed
from echogan.engine.launch import pick_device, pick_precision
from echogan.engine.loop import Engine, Numerics

WARM = 10  # pairs


def build(arch, config, device):
    torch.manual_seed(0)
    return models.load(arch).build(config).to(device, memory_format=torch.channels_last)


class ByHand:
    """The updates of a model's phases as a loop of plain torch makes them: loss, backward, step, average."""

    def __init__(self, model, autocast):
        self.model, self.autocast, self.device = model, autocast, next(model.parameters()).device
        self.phases, self.clock, self.live = {p.name: p for p in model.phases}, Clock(), None
        self.rng = torch.Generator(self.device)
        self.groups = {
            name: [p for p in child.parameters() if p.requires_grad] for name, child in model.named_children()
        }
        self.optimisers = {name: self.optimiser(name, o) for name, o in model.optim.items()}
        self.averaged = [getattr(model, name) for name in (model.ema.of if model.ema else ())]
        self.shadows = [copy.deepcopy(child).requires_grad_(False) for child in self.averaged]

    def optimiser(self, child, o):
        if o.kind == "rmsprop":
            return torch.optim.RMSprop(self.groups[child], o.lr, alpha=o.betas[1], eps=o.eps)
        return torch.optim.Adam(self.groups[child], o.lr, o.betas, o.eps, fused=True)

    def tick(self, batch):
        batch.rng = self.rng
        plan, stats = self.model.schedule(self.clock), None
        with suppress(StopIteration):
            while True:
                phase = self.phases[plan.send(stats)]
                stats = self.update(phase, batch.micro(0, 1, phase.share))
        self.clock.tick += 1
        self.clock.images += batch.total
        self.average(batch.total)

    def update(self, phase, batch):
        if phase.trains != self.live:
            self.live = phase.trains
            for child, params in self.groups.items():
                for p in params:
                    p.requires_grad_(child == phase.trains)
        reduced = self.autocast is not None and phase.precision != "fp32"
        with torch.set_grad_enabled(phase.trains is not None), torch.autocast(self.device.type, self.autocast, reduced):
            loss, stats = phase.loss(batch)
        if phase.trains:
            (loss * (phase.every if phase.lazy else 1)).backward()
            self.optimisers[phase.trains].step()
            self.optimisers[phase.trains].zero_grad(set_to_none=True)
        stats = {name: getattr(value, "of", value).detach() for name, value in stats.items()}
        if phase.after:
            with torch.no_grad():
                phase.after(stats)
        self.clock.count[phase.name] = self.clock.count.get(phase.name, 0) + 1  # the schedule asks for these two
        self.clock.last[phase.name] = self.clock.tick
        return stats

    @torch.no_grad()
    def average(self, images):
        for shadow, child in zip(self.shadows, self.averaged):
            half_life = min(self.model.ema.kimg * 1000, self.model.ema.rampup * self.clock.images)
            torch._foreach_lerp_([*shadow.parameters()], [*child.parameters()], 1 - 0.5 ** (images / half_life))
            for kept, buffer in zip(shadow.buffers(), child.buffers()):
                kept.copy_(buffer)


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
    header(args.device)
    device = pick_device(args.device)
    config = models.config_of(args.arch, args.config)
    config = config if args.size == "full" else getattr(config, args.size)()
    feed = Feed(np.random.default_rng(0).integers(0, 256, (2000, 64, 64), np.uint8), config.resolution, device)
    torch.backends.cudnn.allow_tf32 = False  # the engine allows none in float32
    autocast = pick_precision(args.precision, device)
    ours = Engine(build(args.arch, config, device), Numerics(autocast=autocast))
    hand = ByHand(build(args.arch, config, device), autocast)
    print(f"{args.arch}/{args.config} {config.resolution} px, batch {config.batch}, {args.pairs} pairs")
    feeding, seconds = [], {ours: [], hand: []}
    for k in range(WARM + args.pairs):
        feeding.append(timed(device, feed.batch, k * config.batch, config.batch))
        for side in (ours, hand) if k // 2 % 2 else (hand, ours):  # by twos: every other tick trains a generator
            seconds[side].append(timed(device, side.tick, feed.batch(k * config.batch, config.batch)))
    ticks, hands = (np.array(seconds[side][WARM:]) for side in (ours, hand))
    print(f"a tick takes {np.median(ticks) * 1e3:.1f} ms, by hand {np.median(hands) * 1e3:.1f} ms")
    target("engine tick / the same updates by hand", np.median(ticks / hands), most=1.10)
    target("feed / tick", np.median(feeding[WARM:]) / np.median(ticks), most=0.02)
    if args.ticks:
        grows(ours, feed, args.ticks, device)


def grows(engine, feed, n, device):
    """Print how the last tenth of `n` ticks compares with the first one."""
    size, series, resident = engine.model.config.batch, [], []
    for k in range(n):
        series.append(timed(device, engine.tick, feed.batch(k * size, size)))
        resident.append(memory(device))
        if k % 100 == 0:
            engine.read()
    tenth = max(1, n // 10)
    slower = statistics.median(series[-tenth:]) / statistics.median(series[:tenth])
    print(f"last tenth of {n} ticks / first: time {slower:.3f}, memory {resident[-1] / resident[tenth - 1]:.3f}")


if __name__ == "__main__":
    conclude(main)
