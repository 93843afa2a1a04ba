"""The engine: one tick runs the phases of one global batch. It alone freezes, differentiates, reduces, steps and averages."""

import copy
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass

import torch
from torch import nn

from echogan.config import seed_of
from echogan.contract import Clock, Rows
from echogan.engine.parallel import all_mean, everyone, interleave, world
from echogan.errors import BadInput
from echogan.precision import full, full_float32


@dataclass(frozen=True)
class Numerics:
    """How numbers are computed: seed, micro-batches per update; autocast type and compilation of phases that allow them."""

    seed: int = 0
    accumulate: int = 1
    autocast: torch.dtype | None = None
    compile: bool = False


class Engine:
    """Trains `model` (an `Architecture`) with one optimiser per child; `clock` counts, `shadow` is the average."""

    def __init__(self, model, numerics=None):
        self.model, self.numerics = model, numerics or Numerics()
        self.clock, self.live = Clock(), None
        self.phases = {p.name: p for p in model.phases}
        # Only what is trainable at construction: freezing must not wake what the author froze.
        self.groups = {n: [p for p in child.parameters() if p.requires_grad] for n, child in model.named_children()}
        self.optimisers = {name: self._optimiser(name) for name in model.optim}
        self.shadow = {name: copy.deepcopy(getattr(model, name)).eval() for name in (model.ema.of if model.ema else ())}
        for child in self.shadow.values():
            child.requires_grad_(False)
        self.device = next(model.parameters()).device
        # fp16 gradients underflow: losses are scaled up, and an update that overflowed is left out. State to save.
        half = self.numerics.autocast is torch.float16
        self.scalers = {name: torch.amp.GradScaler(self.device.type) for name in model.optim} if half else {}
        if self.numerics.compile:  # in place, so that the keys of state_dict() stay as they are
            for module in callables(model):
                module.compile()
        self.rng = torch.Generator(self.device)
        on_gpu = self.device.type == "cuda"
        self.ambient = torch.cuda.default_generators[self.device.index or 0] if on_gpu else torch.default_generator
        self.sums, self.counts = {}, {}

    # -------------------------------------------------------------------------------------------- one tick

    def tick(self, batch):
        """Run one global batch through the phases that the model's schedule yields."""
        plan, stats = self.model.schedule(self.clock), None
        with suppress(StopIteration):
            while True:
                stats = self.update(self.phases[plan.send(stats)], batch)
        self.clock.tick += 1
        self.clock.images += batch.total
        self.average(batch.total)

    def update(self, phase, batch):
        """One phase on one global batch: freeze, forward, backward, reduce, step, note, remember."""
        self.freeze(phase.trains)
        n, scaler = self.numerics.accumulate, self.scaler(phase)
        kept = [buffer.clone() for buffer in self.model.buffers()] if self.scalers else []
        with self.exactness(phase):
            parts = [self.gradients(phase, batch.micro(k, n, phase.share), scaler) for k in range(n)]
        stats = self.reduce(phase, parts)
        if phase.trains:
            self.step(phase.trains, scaler)
        self.note(phase.name, stats)  # before `after`: a statistic may alias the state it changes
        if phase.after:
            with torch.no_grad():
                phase.after(stats)
        self.take_back(kept, stats)
        return stats

    def gradients(self, phase, batch, scaler=None):
        """Forward and backward of one micro-batch; returns its statistics."""
        loss, stats = self.forward(phase, batch)
        if phase.trains:
            gained = loss * (phase.every if phase.lazy else 1) / self.numerics.accumulate
            (scaler.scale(gained) if scaler else gained).backward()
            stats = {phase.name: loss.detach(), **stats}
        return {name: _detached(value) for name, value in stats.items()}

    def forward(self, phase, batch):
        """The phase's loss, its randomness fixed by (seed, phase, how often the phase has run)."""
        seed = seed_of(self.numerics.seed, phase.name, self.clock.count.get(phase.name, 0))
        batch.rng = self.rng.manual_seed(seed)
        self.ambient.manual_seed(seed + batch.first)  # dropout: this process's own
        with torch.set_grad_enabled(phase.trains is not None), self.precision(phase), self.compilation(phase):
            return phase.loss(batch)

    def reduced(self, phase):
        """Whether the run wants reduced precision and the phase allows it."""
        return self.numerics.autocast is not None and phase.precision != "fp32"

    def precision(self, phase):
        """Autocast, of the forward pass."""
        return torch.autocast(self.device.type, self.numerics.autocast) if self.reduced(phase) else nullcontext()

    def exactness(self, phase):
        """No TF32 where float32 was asked for, also backward: cuDNN would keep 10 bits of a convolution's operands."""
        return nullcontext() if self.reduced(phase) else full_float32()

    def compilation(self, phase):
        """Eager where the run compiles but the phase differentiates a gradient, which compiled code refuses."""
        eager = self.numerics.compile and not phase.compile
        return torch.compiler.set_stance("force_eager") if eager else nullcontext()

    def scaler(self, phase):
        """The loss scaler of what the phase trains in fp16; None where gradients need none."""
        return self.scalers.get(phase.trains) if self.reduced(phase) else None

    def freeze(self, trains):
        """Only the child that is trained gets gradients, so losses need neither detach() nor no_grad()."""
        if trains != self.live:
            for child, params in self.groups.items():
                for p in params:
                    p.requires_grad_(child == trains)
            self.live = trains

    @torch.no_grad()
    def reduce(self, phase, parts):
        """Rows side by side, the rest averaged; gradients and statistics of all processes in one flat all-reduce."""
        stats = {k: [p[k] for p in parts] for k in parts[0]}
        rows = {k: everyone(interleave([r.of for r in v])) for k, v in stats.items() if isinstance(v[0], Rows)}
        means = {k: full(torch.stack(v).mean(0)) for k, v in stats.items() if k not in rows}
        if world() > 1:
            grads = [p.grad for p in self.groups.get(phase.trains, ()) if p.grad is not None]
            all_mean([*grads, *means.values()])
        return {**means, **{k: full(v) for k, v in rows.items()}}

    def step(self, child, scaler=None):
        """One optimiser step at the architecture's present rate."""
        optimiser = self.optimisers[child]
        for group in optimiser.param_groups:
            group["lr"] = group["base"] * self.model.rate(child, self.clock.kimg)
        if scaler:
            scaler.step(optimiser)
            scaler.update()
        else:
            optimiser.step()
        optimiser.zero_grad(set_to_none=True)

    @torch.no_grad()
    def take_back(self, kept, stats):
        """What an update that overflowed in fp16 left in buffers: codes and batch norms would hold it for good.

        The optimiser leaves such an update out by itself. Chosen on the device, which nobody waits for.
        """
        if kept and stats:
            fine = torch.stack([value.isfinite().all() for value in stats.values()]).all()
            for buffer, before in zip(self.model.buffers(), kept):
                buffer.copy_(buffer.where(fine, before))

    @torch.no_grad()
    def average(self, images):
        """EMA with half-life `kimg`, shorter at the start; buffers (batch-norm statistics) follow as the weights do."""
        if not self.shadow:
            return
        half_life = min(self.model.ema.kimg * 1000, self.model.ema.rampup * self.clock.images)
        weight = 1 - 0.5 ** (images / max(half_life, 1e-8))
        for name, shadow in self.shadow.items():
            live, kept = getattr(self.model, name).state_dict(), shadow.state_dict()
            real = [key for key, value in kept.items() if value.is_floating_point()]
            torch._foreach_lerp_([kept[key] for key in real], [live[key] for key in real], weight)
            for key in kept.keys() - set(real):
                kept[key].copy_(live[key])

    # -------------------------------------------------------------------------------------------- statistics

    def note(self, name, stats):
        """Add scalars to running sums on the device; nothing is read here."""
        for key, value in stats.items():
            if value.ndim == 0:
                one = 1
                if self.scalers:  # an overflow now and then is normal, its update is left out; nothing else is an error
                    one = value.isfinite()
                    value = value.where(one, 0)
                self.sums[key] = self.sums.get(key, 0) + value
                self.counts[key] = self.counts.get(key, 0) + one
        self.clock.count[name] = self.clock.count.get(name, 0) + 1
        self.clock.last[name] = self.clock.tick

    def read(self):
        """Means since the last reading, {column: float}, with the one transfer from the device; sums start anew."""
        self._refuse_stuck_scalers()
        names = list(self.sums)
        values = torch.stack([self.sums[n] / self.counts[n] for n in names]).tolist() if names else []
        self.sums, self.counts = {}, {}
        return dict(zip(names, values))

    def _refuse_stuck_scalers(self):
        """A `BadInput` where fp16 overflows at whatever scale: each such update is left out, which no loss would tell."""
        for child, scaler in self.scalers.items():
            if scaler.get_scale() < 1:
                raise BadInput(
                    f"the gradients of {child} are not numbers in fp16 at any loss scale, so nothing is learnt any more; train "
                    'with --precision fp32 under another name; in a notebook: precision = "fp32"'
                )

    # -------------------------------------------------------------------------------------------- state

    @contextmanager
    def averaged(self):
        """The model with its averages in place of the live children, to sample from."""
        live = {name: getattr(self.model, name) for name in self.shadow}
        for name, shadow in self.shadow.items():
            setattr(self.model, name, shadow)
        try:
            yield self.model
        finally:
            for name, child in live.items():
                setattr(self.model, name, child)

    def state(self):
        """Everything that a resumed run needs, as tensors, numbers and strings."""
        return {
            "model": self.model.state_dict(),
            "shadow": {n: s.state_dict() for n, s in self.shadow.items()},
            "optimisers": {n: o.state_dict() for n, o in self.optimisers.items()},
            "scalers": {n: s.state_dict() for n, s in self.scalers.items()},
            "clock": vars(self.clock),
        }

    def restore(self, state):
        """Take up a `state()`, also one of another precision."""
        self.model.load_state_dict(state["model"])
        for name, shadow in self.shadow.items():
            shadow.load_state_dict(state["shadow"][name])
        for name, optimiser in self.optimisers.items():
            optimiser.load_state_dict(state["optimisers"][name])
        for name in self.scalers.keys() & state["scalers"].keys():  # none where the run has not been in fp16 so far
            self.scalers[name].load_state_dict(state["scalers"][name])
        self.clock = Clock(**state["clock"])

    def _optimiser(self, child):
        """Lazy regularisers act every n-th update; lr and betas make up for it (Karras 2020, appendix B)."""
        o = self.model.optim[child]
        lazy = sum(1 / p.every for p in self.model.phases if p.lazy and p.trains == child)
        c = 1 / (1 + lazy)
        lr, betas = o.lr * c, tuple(float(b) ** c for b in o.betas)
        if o.kind == "rmsprop":
            optimiser = torch.optim.RMSprop(self.groups[child], lr, alpha=betas[1], eps=o.eps)
        else:
            optimiser = torch.optim.Adam(self.groups[child], lr, betas, o.eps, fused=True)
        for group in optimiser.param_groups:
            group["base"] = lr
        return optimiser


def callables(module):
    """The topmost modules within one that can be called: a `ModuleDict`, or a pair of networks, has no `forward`."""
    for child in module.children():
        if type(child).forward is nn.Module.forward:
            yield from callables(child)
        else:
            yield child


def _detached(value):
    return Rows(value.of.detach()) if isinstance(value, Rows) else value.detach()
