"""WGAN (Arjovsky 2017): a critic estimates the Wasserstein-1 distance between real and generated images.

    min_G max_D  E[D(x)] - E[D(G(z))],   |grad D| <= 1

The configs differ in how the slope of the critic is bounded: clipping its weights (as the original study did), a gradient
penalty between real and fake (Gulrajani 2017), its one-sided form (Petzka 2018), a zero-centred penalty on real images
(Mescheder 2018), or spectral normalisation (Miyato 2018).
"""

from dataclasses import dataclass, replace

from echogan.contract import Architecture, Average, Optim, Phase
from echogan.errors import BadInput, one_of
from echogan.layers.dcgan import Critic, Generator
from echogan.losses import (
    between,
    gradient_penalty,
    lipschitz_penalty,
    slope,
    wasserstein_critic,
    wasserstein_generator,
    zero_centred_penalty,
)

BOUNDS = ("clip", "gp", "lp", "r1", "spectral")
NORMS = ("none", "batch", "spectral")


@dataclass(frozen=True)
class Config:
    """One WGAN. Widths are channels at half the resolution (ngf, ndf)."""

    bound: str  # clip | gp | lp | r1 | spectral
    weight: float  # clipping range, or weight of the penalty
    every: int = 1  # critic updates per penalty, which is weighted up accordingly; the penalty is a step of its own
    critic_steps: int = 2  # critic updates per generator update
    warmup: bool = False  # 100 critic updates per generator update for the first 25 and every 500th (Arjovsky's code)
    norm: str = "none"  # of the critic: batch | none | spectral
    width: int = 64
    critic_width: int = 64
    latent: int = 100
    generator_norm: str = "batch"  # batch | none
    kind: str = "adam"
    lr: float = 5e-4
    batch: int = 16
    ema_kimg: float = 10.0  # 0: no average
    resolution: int = 128
    published: bool = False
    unknown: str = ""  # what the original study does not tell of this config, or tells by inference only

    def tiny(self):
        """For tests and fast notebooks: 32 px, width / 16."""
        return replace(
            self, resolution=32, width=max(4, self.width // 16), critic_width=max(4, self.critic_width // 16)
        )

    def small(self):
        """The CPU tier of all evidence: 64 px, width / 4, R1 weight / 4."""
        weight = self.weight / 4 if self.bound == "r1" else self.weight
        return replace(self, resolution=64, width=self.width // 4, critic_width=self.critic_width // 4, weight=weight)


def _study(weight, width=64, batch=20, unknown=""):
    old = dict(kind="rmsprop", lr=5e-5, batch=batch, ema_kimg=0.0)
    return Config("clip", weight, 1, 5, True, "batch", width, width, **old, published=True, unknown=unknown)


# fmt: off
CONFIGS = {
    # as the original study ran them (RMSprop 5e-5, clipping, batch norm in the critic, no average)
    "W1":       _study(0.01),
    "W2":       _study(0.01, width=128,   unknown="width inferred from the first losses (or clipping at 0.014)"),
    "W4":       _study(0.02,              unknown="clipping inferred from the first losses"),
    "W5":       _study(0.05, width=128,   unknown="clipping and width inferred (or clipping at 0.07)"),
    "W6":       _study(0.01, batch=32,    unknown="batch inferred from the noise of its metrics"),
    "W7":       _study(0.10,              unknown="clipping inferred from the first losses"),
    "W8":       _study(0.01, width=32,    unknown="width inferred from the first losses"),
    # ours         bound     weight every steps warmup norm        width critic
    "gp":       Config("gp",       10.0, 1, 2, False, "none",        64,    64),
    "lp":       Config("lp",       10.0, 1, 2, False, "none",        64,    64),
    "nobn":     Config("gp",       10.0, 1, 2, False, "none",        64,    64, generator_norm="none", lr=1e-3),
    "r1":       Config("r1",       10.0, 4, 1, False, "none",        64,    64, lr=1e-3),
    "spectral": Config("spectral",  0.0, 1, 2, False, "spectral",    64,    64),
    "demo":     Config("gp",       10.0, 1, 2, False, "none",        16,    16, lr=1e-3, ema_kimg=1.0, resolution=64),
}
# fmt: on


class WGAN(Architecture):
    """Generator `G`: (B, latent) -> (B, 1, H, W) in [-1, 1]; critic `D`: (B, 1, H, W) -> (B,)."""

    def __init__(self, config):
        super().__init__()
        self.config = c = _checked(config)
        self.G = Generator(c.resolution, c.latent, c.width, c.generator_norm)
        self.D = Critic(c.resolution, c.critic_width, c.norm)
        betas = (0.0, 0.99)  # RMSprop's smoothing is the second
        self.optim = {child: Optim(c.lr, betas, c.kind) for child in ("G", "D")}
        self.ema = Average(("G",), c.ema_kimg) if c.ema_kimg else None
        lazy = dict(every=c.every, lazy=c.every > 1, precision="fp32", compile=False)
        bound = {
            "clip": [Phase("clip", None, self.nothing, after=self.clip)],  # before the step, as the study did
            "gp": [Phase("penalty", "D", self.penalty_between, **lazy)],
            "lp": [Phase("penalty", "D", self.penalty_between, **lazy)],
            "r1": [Phase("penalty", "D", self.penalty_on_real, **lazy)],
            "spectral": [],
        }[c.bound]
        self.critic_phases = (*bound, Phase("D", "D", self.critic))
        self.phases = (*self.critic_phases, Phase("G", "G", self.generator))

    def schedule(self, clock):
        """Bound the critic, train it, and every `critic_steps` ticks the generator."""
        yield from self.critic_turn(clock)
        steps, done = self.config.critic_steps, clock.count.get("G", 0)
        long = self.config.warmup and (done < 25 or done % 500 == 0)
        if clock.since("G") >= (100 if long else steps):
            yield "G"

    def critic_turn(self, clock):
        """One update of the critic, its bound before it where that is due; returns the update's statistics."""
        stats = {}
        for p in self.critic_phases:
            if clock.count.get("D", 0) % p.every == 0:
                stats = yield p.name
        return stats

    def fake(self, batch):
        """Generated images, (B, 1, H, W)."""
        return self.G(batch.randn(self.config.latent))

    def critic(self, batch):
        """E[D(fake)] - E[D(real)]."""
        real, fake = self.D(batch["image"]), self.D(self.fake(batch))
        return wasserstein_critic(real, fake), {"real": real.mean(), "fake": fake.mean()}

    def generator(self, batch):
        """-E[D(fake)]."""
        return wasserstein_generator(self.D(self.fake(batch))), {}

    def penalty_on_real(self, batch):
        """weight/2 E[|grad D(real)|^2]."""
        real = batch["image"].detach().requires_grad_()
        return self.config.weight * zero_centred_penalty(slope(self.D(real), real)), {}

    def penalty_between(self, batch):
        """weight E[(|grad D| - 1)^2] between real and fake; one-sided for `lp`."""
        points = between(batch["image"], self.fake(batch), batch.rand(1, 1, 1))
        penalty = lipschitz_penalty if self.config.bound == "lp" else gradient_penalty
        return self.config.weight * penalty(slope(self.D(points), points)), {}

    def nothing(self, batch):
        """Clipping has no loss: all of it is in `after`."""
        return None, {}

    def clip(self, stats):
        """Clamp every parameter of the critic, batch-norm gains included, to [-weight, weight]."""
        for p in self.D.parameters():
            p.clamp_(-self.config.weight, self.config.weight)

    def generate(self, batch, truncation=1.0):
        """Images from the batch's latents, shrunk toward the origin by `truncation`."""
        return self.G(truncation * batch.randn(self.config.latent))


def _checked(c):
    known = {"bound": BOUNDS, "norm": NORMS, "generator_norm": NORMS[:2], "kind": ("adam", "rmsprop")}
    for key, values in known.items():
        one_of(getattr(c, key), values, key)
    if c.resolution < 8 or c.resolution & (c.resolution - 1):
        raise BadInput(f"the pair doubles from 4 px: resolution must be 8, 16, 32 ..., got {c.resolution}")
    if (c.bound == "spectral") != (c.norm == "spectral"):
        raise BadInput("spectral normalisation is the bound and the norm of a critic at once; set both, or neither")
    return c


build = WGAN
