"""MedGAN (Guo 2023): the Wasserstein pair, trained on a schedule that adapts to how far the critic is ahead.

    min_G max_D  E[D(x)] - E[D(G(z))],   |grad D| <= 1

A reading of each batch decides whether the generator learns: it does where the critic is ahead. With the mean scores
r = E[D(x)] and f = E[D(G(z))] the critic is ahead if

    score   r - f > T2  and  f < -T1           as the original study had it (its critic bore the opposite sign)
    gap     r - f > T2                         for critics whose level is free: a bounded slope bounds differences alone
    rank    P[D(x) > D(G(z))] > T2             the share of pairs ranked rightly, the same for every bound and resolution

In the study the critic learns only where it is not ahead, so that a forward pass must come first. Where it learns always
(`both`), its own scores are the reading. The pair, its losses and its bounds are those of `echogan.models.wgan`.
"""

from dataclasses import dataclass, replace

from echogan.contract import Phase
from echogan.errors import one_of
from echogan.losses import wasserstein_critic
from echogan.models.wgan import WGAN

WARM_UPDATES = 2  # of the generator, each after `warmup` updates of the critic


@dataclass(frozen=True)
class Config:
    """One MedGAN. Widths are channels at half the resolution (ngf, ndf)."""

    bound: str  # clip | gp | lp | r1 | spectral
    weight: float  # clipping range, or weight of the penalty
    every: int  # critic updates per penalty, which is weighted up accordingly
    reading: str  # score | gap | rank
    T1: float  # how far below zero generated images must score
    T2: float  # by how much the critic must be ahead
    both: bool = True  # the critic learns from every batch; False: only where it is not ahead
    warmup: int = 0  # critic updates before each of the first two generator updates
    norm: str = "none"  # of the critic: batch | none | spectral
    generator_norm: str = "batch"  # batch | none
    width: int = 64
    critic_width: int = 64
    latent: int = 100
    kind: str = "adam"
    lr: float = 1e-3
    batch: int = 16
    ema_kimg: float = 10.0  # 0: no average
    resolution: int = 128
    published: bool = False
    unknown: str = ""  # what the original study does not tell of this config, or tells by inference only

    def tiny(self):
        """For tests and fast notebooks: 32 px, width / 16, a short warm-up."""
        return self._resized(32, 16, warmup=min(self.warmup, 10))

    def small(self):
        """The CPU tier of all evidence: 64 px, width / 4, R1 weight / 4; thresholds as far as its scores reach."""
        return self._resized(64, 4, weight=self.weight / 4 if self.bound == "r1" else self.weight)

    def _resized(self, resolution, narrower, **changes):
        widths = {key: max(4, getattr(self, key) // narrower) for key in ("width", "critic_width")}
        other = replace(self, resolution=resolution, **widths, **changes)
        scale = 1.0 if self.reading == "rank" else reach(other) / reach(self)
        return replace(other, T1=self.T1 * scale, T2=self.T2 * scale)


def reach(c):
    """How far apart a critic's scores can lie, up to a factor of its bound.

    A clipped critic's last layer sums over its inputs; where the slope is bounded, scores differ as images do, and those by
    the side of the picture; a zero-centred penalty is in balance at a gap of squared distance over weight.
    """
    return {"clip": c.critic_width * c.resolution, "r1": c.resolution**2 / c.weight}.get(c.bound, c.resolution)


def _study(width=64, batch=20, generator_norm="batch", unknown=""):
    old = dict(kind="rmsprop", lr=5e-5, batch=batch, ema_kimg=0.0)
    rule = dict(both=False, warmup=100, norm="batch", generator_norm=generator_norm, width=width)
    return Config("clip", 0.01, 1, "score", 0.3, 0.5, **rule, **old, published=True, unknown=unknown)


# fmt: off
CONFIGS = {
    # as the original study ran them (RMSprop 5e-5, clipping at 0.01, batch norm in the critic, warm-up, no average)
    "M1":   _study(),
    "M2":   _study(batch=64,              unknown="batch inferred from the noise of its metrics; thresholds not told"),
    "M4":   _study(width=128, batch=32,   unknown="batch and generator width inferred; thresholds and critic width not told"),
    "M6":   _study(generator_norm="none", unknown="generator without batch norm inferred from its first sample"),
    # ours             bound     weight every reading T1   T2
    "rank":     Config("gp",       10.0,  1, "rank",  0.0, 0.6),
    "strict":   Config("gp",       10.0,  1, "rank",  0.0, 0.75),
    "one":      Config("gp",       10.0,  1, "rank",  0.0, 0.7, both=False),
    "nobn":     Config("gp",       10.0,  1, "rank",  0.0, 0.6, generator_norm="none"),
    "r1":       Config("r1",       10.0,  4, "rank",  0.0, 0.6),
    "gap":      Config("gp",       10.0,  1, "gap",   0.0, 1.0),
    "demo":     Config("gp",       10.0,  1, "rank",  0.0, 0.6, width=16, critic_width=16, ema_kimg=1.0, resolution=64),
}
# fmt: on


class MedGAN(WGAN):
    """Generator `G`: (B, latent) -> (B, 1, H, W) in [-1, 1]; critic `D`: (B, 1, H, W) -> (B,)."""

    def __init__(self, config):
        super().__init__(config)
        one_of(config.reading, ("score", "gap", "rank"), "reading")
        if not config.both:
            self.phases = (*self.phases, Phase("read", None, self.read))

    def schedule(self, clock):
        """A short warm-up as WGAN's; then a reading decides who learns, by the tick's one bool from the device."""
        if self.config.warmup and clock.count.get("G", 0) < WARM_UPDATES:
            yield from self.critic_turn(clock)
            if clock.since("G") >= self.config.warmup:
                yield "G"
        elif self.config.both:
            if self.critic_is_ahead((yield from self.critic_turn(clock))):
                yield "G"
        elif self.critic_is_ahead((yield "read")):
            yield "G"
        else:
            yield from self.critic_turn(clock)

    def critic_is_ahead(self, reading):
        """Whether {r, f, rank} of a batch, tensors or numbers, make it the generator's turn."""
        c, gap = self.config, reading["r"] - reading["f"]
        if c.reading == "rank":
            return bool(reading["rank"] > c.T2)
        if c.reading == "gap":
            return bool(gap > c.T2)
        return bool((gap > c.T2) & (reading["f"] < -c.T1))

    def read(self, batch):
        """The scores of both sides, without an update: what decides whose turn it is."""
        return None, reading(self.D(batch["image"]), self.D(self.fake(batch)))

    def critic(self, batch):
        """E[D(fake)] - E[D(real)]; its scores are the reading where the critic learns from every batch."""
        real, fake = self.D(batch["image"]), self.D(self.fake(batch))
        return wasserstein_critic(real, fake), reading(real, fake) if self.config.both else {}


def reading(real, fake):
    """Mean scores of real and generated images, and the share of pairs in which the real one scores higher."""
    return {"r": real.float().mean(), "f": fake.float().mean(), "rank": (real > fake).float().mean()}


build = MedGAN
