"""SPADE (Park 2019) and OASIS (Schönfeld 2021): an image x for a mask m of labels, and many for one mask.

    patches    D: E[max(0, 1 - D(m, x))] + E[max(0, 1 + D(m, G(m, z)))]
               G: -E[D(m, G(m, z))] + matching * sum_l E|D_l(m, x) - D_l(m, G(m, z))|
    segments   D: -E[w_m log D_m(x)] - E[log D_fake(G(m, z))] + mix E|D(mixed) - mixed(D)|^2
               G: -E[w_m log D_m(G(m, z))]

`patches` judges mask and image together, patch by patch; `segments` names the label of every pixel, or calls it fake, which
needs no mask beside the image and keeps small structures by the weights w. Masks are never mirrored: no apical view is.
"""

from dataclasses import dataclass, replace

import torch
from torch import cat

from echogan.contract import Architecture, Average, Optim, Phase
from echogan.errors import BadInput, at_least, nearest
from echogan.layers.spade import NORMS, Generator, Patches, Segmenter
from echogan.losses import feature_matching, hinge_discriminator, hinge_generator, labelled, normal_divergence

CRITICS = ("patches", "segments")
MEMORY = 0.01  # share of the newest batch in the frequency of labels


@dataclass(frozen=True)
class Config:
    """One SPADE. Widths are channels at full resolution (generator), or of the first layer (critics)."""

    critic: str = "segments"  # patches | segments
    noise: int = 64  # numbers that make one image of a mask differ from another; 0: none
    grain: bool = True  # and a normal number for every pixel, for speckle
    norm: str = "instance"  # batch | instance
    balance: bool = True  # segments: rare labels weigh more
    mix: float = 10.0  # segments: weight of LabelMix
    matching: float = 10.0  # patches: weight of feature matching
    style: float = 0.0  # weight of the divergence of an encoder of styles; 0: none
    steps: int = 4  # patches: layers of a critic
    scales: int = 2  # patches: critics, each at half the resolution of the one before
    width: int = 24
    critic_width: int = 24
    hidden: int = 64  # channels of the maps from mask to gain and shift
    kernel: int = 3  # pixels that gain and shift look at
    lr: float = 4e-4
    critic_lr: float = 4e-4
    batch: int = 16
    ema_kimg: float = 10.0  # 0: no average
    hold: float = 0.0  # kimg at the full rate, and
    fade: float = 0.0  # kimg in which it falls to 0; 0: it stays
    labels: int = 5  # ids of the masks: what the data have
    resolution: int = 128
    published: bool = False
    unknown: str = ""  # what the original project does not tell of this config, or what is left out of it

    def tiny(self):
        """For tests and fast notebooks: 32 px, width / 16, 4 images a batch."""
        narrow = dict(width=max(self.width // 16, 2), critic_width=max(self.critic_width // 16, 2), hidden=4)
        return replace(self, **narrow, noise=min(self.noise, 16), resolution=32, batch=4)

    def small(self):
        """The CPU tier of all evidence: 64 px, width / 3, maps of 16 channels that look at one pixel, at most 4 images a batch.

        So narrow networks bear 2.5 times the learning rate, and so few images ask for it and for many small steps.
        """
        narrow = dict(width=self.width // 3, critic_width=self.critic_width // 3, hidden=16, kernel=1)
        eager = dict(lr=2.5 * self.lr, critic_lr=2.5 * self.critic_lr, batch=min(self.batch, 4))
        return replace(self, **narrow, **eager, resolution=64)


SEED = Config(
    "patches", 0, False, "batch", width=48, critic_width=48, hidden=128, lr=1e-4, critic_lr=4e-4, batch=4, ema_kimg=0.0,
    hold=32.0, fade=16.0, resolution=256, published=True,
    unknown="critics, matching and rates are those of the code it forked; its VGG loss and mirror images are left out",
)  # fmt: skip

# fmt: off
CONFIGS = {
    # as cardiGAN (Vannier and Rançon 2021) ran SPADE on CAMUS: one image for a mask
    "S1":         SEED,
    # ours                critic    noise grain  norm
    "oasis":       Config("segments", 64, True,  "instance"),
    "nomix":       Config("segments", 64, True,  "instance", mix=0.0),
    "unbalanced":  Config("segments", 64, True,  "instance", balance=False),
    "smooth":      Config("segments", 64, False, "instance"),
    "still":       Config("segments",  0, False, "instance"),
    "batch":       Config("segments", 64, True,  "batch"),
    "patches":     Config("patches",  64, True,  "instance"),
    "unmatched":   Config("patches",  64, True,  "instance", matching=0.0),
    "style":       Config("patches",  64, True,  "instance", style=0.05),
    "compact":     Config("segments", 64, True,  "instance", width=16, critic_width=16),
    "large":       Config("segments", 64, True,  "instance", width=32, critic_width=32, resolution=256),
    "demo":        Config("patches",  64, True,  "instance", width=8, critic_width=8, hidden=16, kernel=1, batch=4,
                          lr=1e-3, critic_lr=1e-3, ema_kimg=1.0, resolution=64),
}
# fmt: on


class SPADE(Architecture):
    """Generator `G`: masks and noise to images; `D`: `Patches` of mask and image, or `Segmenter` of the image alone."""

    paired = True  # the true image of a mask is one of many possible ones

    def __init__(self, config):
        super().__init__()
        self.config = c = _checked(config)
        self.inputs = ("image", "mask")
        self.G = Generator(c)
        betas = (0.0, 0.999)
        self.optim = {"G": Optim(c.lr, betas), "D": Optim(c.critic_lr, betas)}
        self.ema = Average(("G",), c.ema_kimg) if c.ema_kimg else None
        if c.critic == "patches":
            self.D = Patches(c.labels + 1, c.critic_width, c.steps, c.scales)
            self.phases = (Phase("D", "D", self.judge), Phase("G", "G", self.please))
        else:
            self.D = Segmenter(c.resolution, c.labels, c.critic_width)
            self.register_buffer("share", torch.zeros(c.labels))  # of all pixels, by label
            self.register_buffer("seen", torch.zeros(()))  # batches
            census = Phase("census", None, self.count, after=self.weigh)
            self.phases = (census, Phase("D", "D", self.name), Phase("G", "G", self.convince))

    def rate(self, child, kimg):
        """Full for `hold` kimg, then down to 0 within `fade`."""
        c = self.config
        return min(1.0, max(0.0, (c.hold + c.fade - kimg) / c.fade)) if c.fade else 1.0

    # -------------------------------------------------------------------------------------------- images

    def shown(self, batch):
        """The batch's masks, one channel for each label, (B, labels, H, W)."""
        ids = torch.arange(self.config.labels, device=batch["mask"].device)
        return (batch["mask"][:, None] == ids[:, None, None]).to(self.G.image.weight.dtype)

    def numbers(self, batch):
        """Everything random of the batch's images, (B, draws)."""
        return batch.randn(self.G.draws) if self.G.draws else batch["image"].new_empty(len(batch["image"]), 0)

    def fake(self, batch):
        """(images (B, 1, H, W), divergence of their styles from the prior): in the style of the real ones, if it is known."""
        numbers = self.numbers(batch)
        if self.G.encoder is None:
            return self.G(self.shown(batch), numbers), numbers.new_zeros(())
        mean, log_variance = self.G.encoder(batch["image"])
        z = mean + (log_variance / 2).exp() * numbers[:, : self.config.noise]
        return self.G(self.shown(batch), numbers, z), normal_divergence(mean, log_variance)

    # -------------------------------------------------------------------------------------------- patches

    def judge(self, batch):
        """The critics' loss: the hinge, the mean of all scales."""
        mask = self.shown(batch)
        pairs = zip(self.D(cat([mask, batch["image"]], 1)), self.D(cat([mask, self.fake(batch)[0]], 1)))
        return sum(hinge_discriminator(real[-1], fake[-1]) for real, fake in pairs) / self.config.scales, {}

    def please(self, batch):
        """The generator's loss: what the critics say, and what they see in real images."""
        c, mask = self.config, self.shown(batch)
        images, divergence = self.fake(batch)
        real, fake = self.D(cat([mask, batch["image"]], 1)), self.D(cat([mask, images], 1))
        stats = {"matching": feature_matching([x[:-1] for x in real], [x[:-1] for x in fake])}
        loss = sum(hinge_generator(x[-1]) for x in fake) / c.scales + c.matching * stats["matching"]
        return loss + c.style * divergence, {**stats, "divergence": divergence}

    # -------------------------------------------------------------------------------------------- segments

    def count(self, batch):
        """How common every label is in this batch."""
        return None, {"shares": self.shown(batch).mean((0, 2, 3))}

    def weigh(self, stats):
        """How common it has been so far, later in about a hundred batches."""
        self.seen.add_(1)
        self.share.lerp_(stats["shares"], (1 / self.seen).clamp(min=MEMORY))

    @property
    def weight(self):
        """Of a pixel of every label, (labels,): 1 / (labels seen x share), so that all labels count alike; 0 of one not seen."""
        present = self.share > 0
        if not self.config.balance:
            return torch.ones_like(self.share)
        return torch.where(present, 1 / (present.sum() * self.share.clamp(min=1e-6)), 0)

    def name(self, batch):
        """The discriminator's loss: every pixel of a real image by its label, every one of a generated image as fake."""
        c, ids = self.config, batch["mask"].long()
        images, ones = self.fake(batch)[0], self.weight.new_ones(c.labels + 1)
        real, fake = self.D(batch["image"]), self.D(images)
        stats = {"real": labelled(real, ids, self.weight), "fake": labelled(fake, torch.full_like(ids, c.labels), ones)}
        loss = stats["real"] + stats["fake"]
        if c.mix:
            stats["mix"] = self.inconsistency(batch, (batch["image"], real), (images, fake))
            loss = loss + c.mix * stats["mix"]
        return loss, stats

    def inconsistency(self, batch, real, fake):
        """LabelMix: the scores of an image mixed of both, structure by structure, should be the mixture of scores."""
        ids = batch["mask"].long()
        taken = (batch.rand(self.config.labels) < 0.5).gather(1, ids.flatten(1)).view_as(ids)[:, None]
        mixed, scores = (torch.where(taken, a, b) for a, b in zip(real, fake))
        return (self.D(mixed) - scores).square().mean()

    def convince(self, batch):
        """The generator's loss: every pixel is to be taken for one of its label."""
        images, divergence = self.fake(batch)
        loss = labelled(self.D(images), batch["mask"].long(), self.weight)
        return loss + self.config.style * divergence, {"divergence": divergence}

    # -------------------------------------------------------------------------------------------- afterwards

    def makes(self, kimg):
        """Images of the VAL masks."""
        return "translate"

    def translate(self, batch):
        """An image for each of the batch's masks, (B, 1, H, W); the batch's random numbers decide which of the possible ones."""
        return self.G(self.shown(batch), self.numbers(batch))

    def panel(self, batch):
        """Masks in steps of grey, and the true images."""
        return (2 * batch["mask"][:, None].float() / (self.config.labels - 1) - 1,), (batch["image"],)


def _checked(config):
    for name, known in (("critic", CRITICS), ("norm", NORMS)):
        if getattr(config, name) not in known:
            raise BadInput(f"{name} cannot be {getattr(config, name)!r}{nearest(getattr(config, name), known)}")
    if config.resolution < 32 or config.resolution & (config.resolution - 1):
        raise BadInput(f"resolution must be a power of two from 32 on, got {config.resolution}")
    if config.kernel % 2 == 0:
        raise BadInput(f"kernel must be odd, so that maps keep their size, got {config.kernel}")
    if config.critic == "patches":
        at_least(1, steps=config.steps, scales=config.scales)
        if config.resolution >> (config.scales - 1) < 2:
            raise BadInput(f"{config.scales} scales leave nothing of {config.resolution} px; take fewer")
    if config.style and not config.noise:
        raise BadInput("a style needs noise, whose place it takes; set noise=64")
    return config


build = SPADE
