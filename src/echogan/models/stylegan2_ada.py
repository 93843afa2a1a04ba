"""StyleGAN2 with adaptive discriminator augmentation (Karras 2020, 2020b), for one grey channel.

    G: softplus(-D(fake))                          every 4th update also 2 (|J_w^T y| - a)^2, a its running mean
    D: softplus(D(fake)) + softplus(-D(real))      every 16th update also gamma/2 |grad D(real)|^2

The discriminator sees augmented images only, with a probability p that rises while it knows real images too surely. The
configs of the original study keep gamma at 8 or 32, some hundred times the rule 0.0002 resolution^2 / batch; ours go where
it never looked. `loss="relativistic"` judges pairs, with both gradient penalties (R3GAN, Huang 2024).
"""

from dataclasses import dataclass, replace
from math import inf

import torch

from echogan.contract import Architecture, Average, Optim, Phase
from echogan.errors import BadInput, at_least, nearest, one_of
from echogan.layers.augment import PIPELINES, SECTOR, Augment
from echogan.layers.convolution import input_gradients_only
from echogan.layers.stylegan2 import Discriminator, Generator, one_hot
from echogan.losses import (
    logistic_discriminator,
    logistic_generator,
    path_lengths,
    relativistic_discriminator,
    relativistic_generator,
    slope,
    zero_centred_penalty,
)

ADA_EVERY = 4  # ticks between two turns of p
W_MEMORY = 0.005  # share of the newest batch in the mean latent


@dataclass(frozen=True)
class Config:
    """One StyleGAN2-ADA. Resolution r has base / r channels, at most `widest`."""

    gamma: float = 0.1  # weight of R1
    augment: str = "sector"  # sector | bgc (the study's, with mirror images and turns) | none
    target: float = 0.6  # of E[sign D(real)], which p is turned by
    base: int = 16384
    mapping: int = 2  # layers
    lr: float = 0.0025
    batch: int = 64
    loss: str = "logistic"  # or relativistic
    path: float = 2.0  # weight of the path length penalty; 0: none
    mixing: float = 0.9  # probability of a second latent from a random layer on
    r1_every: int = 16  # updates per penalty, which is weighted up accordingly; 0: none
    ada_kimg: float = 500.0  # for p to go from 0 to 1
    ema_kimg: float = 10.0
    rampup: float = 0.05  # 0: none
    widest: int = 512
    latent: int = 512
    reduced: int = 4  # highest resolutions that may compute in reduced precision
    group: int = 4  # images whose spread is compared
    condition: str = ""  # column of the index, or columns joined by "+"
    classes: int = 0  # how many the data have
    resolution: int = 128
    published: bool = False
    unknown: str = ""  # what the original study does not tell of this config, or tells by inference only

    def tiny(self):
        """For tests and fast notebooks: 32 px, width / 16, at most 8 channels there, 4 images a batch."""
        narrow = dict(base=min(self.base // 16, 256), widest=self.widest // 16, latent=self.latent // 16)
        return replace(self, **narrow, resolution=32, batch=4)

    def small(self):
        """The CPU tier of all evidence: 64 px, at most 8 channels there, doubled with every halving up to width / 4.

        At most 16 images a batch, R1 weight / 4: some 40 kimg in ten minutes of one core. Ours learn 2.4 times as fast: at
        0.0025 that many images were only a beginning. The study's keep their rates, which tell E2 and E6 from the rest.
        """
        base = min(max(self.base // 32, 256), 512)
        narrow = dict(base=base, widest=max(self.widest // 4, 32), latent=max(self.latent // 4, 32))
        steps = dict(gamma=self.gamma / 4, lr=self.lr * (1 if self.published else 2.4))
        return replace(self, **narrow, **steps, resolution=64, batch=max(8, min(16, self.batch // 2)))


def _study(gamma, target=0.6, augment="bgc", lr=0.002, batch=32, unknown="learning rate inferred (the fork's default)"):
    """`11gb-gpu` of the fork; nearly all sessions of the study were resumed ones, whose p moves five times as fast."""
    return Config(
        gamma, augment, target, 32768, 8, lr, batch, ada_kimg=100.0, rampup=0.0, published=True, unknown=unknown
    )


# Pairs of images with both gradient penalties, often, and none of StyleGAN2's own regularisers (Huang 2024).
R3 = dict(path=0.0, mixing=0.0, loss="relativistic", r1_every=4)

# fmt: off
CONFIGS = {
    # as the original study ran them: gamma, target of r_t, pipeline, learning rate, batch
    "E1": _study(32.0, 0.70),
    "E2": _study(32.0, lr=0.006, unknown=""),
    "E3": _study(32.0, batch=16),
    "E4": _study(8.0),
    "E6": _study(32.0, lr=0.001, unknown="learning rate inferred from the first losses"),
    "E7": _study(32.0, 0.85),
    "E8": _study(32.0, 0.50),
    "E9": _study(32.0, augment="none"),
    # ours               gamma augment
    "gamma01":    Config(0.1),
    "gamma1":     Config(1.0),
    "gamma2":     Config(2.0),
    "noaug":      Config(1.0, "none"),
    "bgc":        Config(1.0, "bgc"),
    "plain":      Config(1.0, "none", path=0.0, mixing=0.0),
    "r3":         Config(1.0, "none", **R3),
    "compact":    Config(1.0, "none", **R3, base=8192, widest=256, latent=256),
    "phase":      Config(1.0, "none", **R3, condition="phase"),
    "phase_ef":   Config(1.0, "none", **R3, condition="phase+ef"),
    "demo":       Config(0.25, "none", base=1024, batch=16, path=0.0, mixing=0.0, ema_kimg=1.0,
                         widest=64, latent=64, resolution=64),
}
# fmt: on


def _checked(config):
    """The config, or a `BadInput` naming the setting that no network can be built of."""
    choices = {"augment": ("none", *PIPELINES), "loss": ("logistic", "relativistic")}
    for key, known in choices.items():
        if getattr(config, key) not in known:
            raise BadInput(f"{key} {getattr(config, key)!r} is unknown{nearest(getattr(config, key), known)}")
    if config.resolution < 8 or config.resolution & (config.resolution - 1):
        raise BadInput(f"StyleGAN2 doubles from 4 px: resolution must be 8, 16, 32 ..., got {config.resolution}")
    at_least(1, mapping=config.mapping, widest=config.widest, latent=config.latent)
    at_least(config.resolution, base=config.base)  # a channel at the highest resolution
    if config.augment != "none" and not config.ada_kimg > 0:
        raise BadInput(
            f"p moves by 1 in ada_kimg, which must be above 0, got {config.ada_kimg:g}; augment=none has no p"
        )
    return config


class StyleGAN2ADA(Architecture):
    """Generator `G`: latents and noise to (B, 1, H, W); discriminator `D`: (B, 1, H, W) -> (B,); `augment` holds p."""

    choices = ("noise",)  # random | constant

    def __init__(self, config):
        super().__init__()
        self.config = c = _checked(config)
        shape = dict(resolution=c.resolution, base=c.base, widest=c.widest, mapping=c.mapping, reduced=c.reduced)
        self.G = Generator(**shape, latent=c.latent, classes=c.classes)
        bias = None if c.loss == "relativistic" else 0.0
        self.D = Discriminator(**shape, classes=c.classes, group=c.group, bias=bias)
        self.augment = Augment(c.resolution, PIPELINES.get(c.augment, SECTOR))
        self.register_buffer("length", torch.zeros(2))  # running mean of the path lengths, and of how many
        self.register_buffer("surplus", torch.zeros(()))  # of E[sign D(real)] over its target, since p last turned
        self.optim = {child: Optim(c.lr, (0.0, 0.99)) for child in ("G", "D")}
        self.ema = Average(("G",), c.ema_kimg, c.rampup or inf)
        self.inputs = ("image", "label") if c.classes else ("image",)
        self.compared = c.group
        self.phases = tuple(self._phases(c))

    def _phases(self, c):
        exact = dict(lazy=True, precision="fp32", compile=False)
        yield Phase("Gmain", "G", self.fool, after=self.track)
        if c.path:
            yield Phase("Greg", "G", self.straighten, after=self.lengthen, every=4, share=0.5, **exact)
        yield Phase("Dmain", "D", self.discriminate, after=self.listen)
        if c.r1_every:
            yield Phase("Dreg", "D", self.flatten, every=c.r1_every, **exact)
        if c.augment != "none":
            yield Phase("ada", None, self.read, after=self.turn, every=ADA_EVERY)

    # -------------------------------------------------------------------------------------------- images and scores

    def latents(self, batch, label=None):
        """(B, layers, latent): one w an image, and with probability `mixing` another from a random layer on."""
        c, layers = self.config, self.G.layers
        if not c.mixing:
            return self.G.latents(batch.randn(c.latent), label)[:, None].expand(-1, layers, -1)
        z = torch.cat([batch.randn(c.latent), batch.randn(c.latent)])
        first, second = self.G.latents(z, None if label is None else label.repeat(2))[:, None].chunk(2)
        u, v = batch.rand(2).unbind(1)
        border = torch.where(u < c.mixing, 1 + (v * (layers - 1)).floor(), layers)
        return torch.where((torch.arange(layers, device=u.device) < border[:, None])[:, :, None], first, second)

    def fake(self, batch):
        """(images (B, 1, H, W), their latents); of the classes of the batch's real images."""
        ws = self.latents(batch, self.label(batch))
        return self.G(ws, batch.randn(len(self.G.grain))), ws

    def scores(self, images, batch):
        """What the discriminator says of images once they are augmented, (B,)."""
        images = images if self.config.augment == "none" else self.augment(images, batch)
        return self.D(images, self.label(batch))

    def label(self, batch):
        """Classes of the batch's rows, (B,), where the model knows any."""
        return batch["label"] if self.config.classes else None

    # -------------------------------------------------------------------------------------------- phases

    def fool(self, batch):
        """The generator's loss."""
        images, ws = self.fake(batch)
        fake, stats = self.scores(images, batch), {"w": ws[:, 0].mean(0)}
        if self.config.classes:
            stats["shares"] = one_hot(batch["label"], self.config.classes).to(fake).mean(0)
        if self.config.loss == "relativistic":
            return relativistic_generator(self.scores(batch["image"], batch), fake), stats
        return logistic_generator(fake), stats

    def straighten(self, batch):
        """Steps in w should move the image equally far wherever they are taken (path length regularisation)."""
        images, ws = self.fake(batch)
        with input_gradients_only():
            lengths = path_lengths(images, ws, batch.randn(*images.shape[1:]))
        mean, seen = self.length
        weight = self.config.path * seen.clamp(max=1)  # the first time there is no mean yet
        return weight * (lengths - mean).square().mean(), {"path_length": lengths.mean()}

    def discriminate(self, batch):
        """The discriminator's loss."""
        real, fake = self.scores(batch["image"], batch), self.scores(self.fake(batch)[0], batch)
        pairs = self.config.loss == "relativistic"
        stats = {"real": real.mean(), "fake": fake.mean(), "sign": (real - fake if pairs else real).sign().mean()}
        return (relativistic_discriminator if pairs else logistic_discriminator)(real, fake), stats

    def flatten(self, batch):
        """R1, gamma/2 E|grad D(real)|^2; of pairs also R2, the same of generated images."""
        penalty = self.steepness(batch["image"], batch)
        if self.config.loss == "relativistic":
            penalty = penalty + self.steepness(self.fake(batch)[0], batch)
        return self.config.gamma * penalty, {}

    def steepness(self, images, batch):
        """Half the mean squared gradient of the scores by the images."""
        images = images.detach().requires_grad_()
        scores = self.scores(images, batch)
        with input_gradients_only():
            return zero_centred_penalty(slope(scores, images))

    def read(self, batch):
        """The augmentation probability, for losses.csv."""
        return None, {"p": self.augment.p}

    # -------------------------------------------------------------------------------------------- what is remembered

    def track(self, stats):
        """The mean latent, and how common each class is."""
        self.G.w_mean.lerp_(stats["w"], W_MEMORY)
        if self.config.classes:
            self.G.class_share.lerp_(stats["shares"], W_MEMORY)

    def lengthen(self, stats):
        """Running mean of the path lengths: of all updates at first, of about the last hundred later.

        The official code's running mean starts at 0, which pulls path lengths down and, in a short run, flattens the images.
        """
        mean, seen = self.length
        seen.add_(1)
        mean.lerp_(stats["path_length"], (1 / seen).clamp(min=0.01))

    def listen(self, stats):
        """Sum up r_t = E[sign D(real)] above its target, until the next turn of p (Karras 2020b, eq. 1)."""
        self.surplus.add_(stats["sign"] - self.config.target)

    def turn(self, stats):
        """Raise p where the discriminator overfits (r_t above its target), else lower it."""
        step = self.config.batch * ADA_EVERY / (1000 * self.config.ada_kimg)
        self.augment.p.add_(self.surplus.sign() * step).clamp_(0, 1)
        self.surplus.zero_()

    # -------------------------------------------------------------------------------------------- afterwards

    def generate(self, batch, truncation=1.0, noise="random"):
        """Images of the batch's classes, else of classes as common as in the data; `noise` is random or constant."""
        one_of(noise, ("random", "constant"), "noise")
        w = self.G.latents(batch.randn(self.config.latent), self.some_label(batch))
        w = torch.lerp(self.G.w_mean, w, truncation)
        grain = batch.randn(len(self.G.grain)) if noise == "random" else self.G.grain.expand(len(w), -1)
        return self.G(w[:, None].expand(-1, self.G.layers, -1), grain).clamp(-1, 1)

    def some_label(self, batch):
        """Classes of the batch, or drawn by their share of the data."""
        if not self.config.classes or "label" in batch:
            return self.label(batch)
        return (batch.rand(1) >= self.G.class_share.cumsum(0)[:-1]).sum(1)


build = StyleGAN2ADA
