"""pix2pix (Isola 2017): an image y made of its edges or its masks, x, that a critic of patches takes for a real one.

    min_G max_D  E[log D(x, y)] + E[log(1 - D(x, G(x)))]  +  weight E|y - G(x)|

The generator is a U-Net; its only noise is dropout. The original study left the paper's edge setting in its text and no
code; ours also fill masks, and vary what the adversary is and how far it sees.
"""

from dataclasses import dataclass, replace

import torch
from torch import cat

from echogan.contract import Architecture, Average, Optim, Phase
from echogan.errors import BadInput, at_least, one_of
from echogan.layers.patch import PatchCritic
from echogan.layers.unet import UNet
from echogan.losses import (
    absolute,
    hinge_discriminator,
    hinge_generator,
    least_squares_discriminator,
    least_squares_generator,
    logistic_discriminator,
    logistic_generator,
)

GAMES = {
    "logistic": (logistic_discriminator, logistic_generator),
    "squares": (least_squares_discriminator, least_squares_generator),
    "hinge": (hinge_discriminator, hinge_generator),
}


@dataclass(frozen=True)
class Config:
    """One pix2pix. Widths are channels at half the resolution."""

    given: str = "edge"  # what images are made of: edge | mask | mask+edge
    game: str = "squares"  # logistic | squares | hinge
    l1: float = 100.0  # weight of the distance to the true image
    perceptual: float = 0.0  # weight of LPIPS, a guest
    steps: int = 3  # strides of the critic: 3 see 70 px, 2 see 34, 1 sees 16
    norm: str = "instance"  # batch | instance | affine (instance, with gain and shift) | group
    dropout: bool = True
    up: str = "transposed"  # or resize
    low: int = 100  # thresholds of Canny's edges, in grey levels of his gradient
    high: int = 200
    width: int = 64
    critic_width: int = 64
    lr: float = 2e-4
    batch: int = 16
    ema_kimg: float = 5.0  # 0: no average
    labels: int = 4  # ids of the masks
    resolution: int = 128
    published: bool = False
    unknown: str = ""  # what the original study does not tell of this config, or tells by inference only

    @property
    def canny(self):
        """Thresholds (low, high) of the edges."""
        return self.low, self.high

    def tiny(self):
        """For tests and fast notebooks: 32 px, width / 16, 4 images a batch."""
        narrow = dict(width=self.width // 16, critic_width=self.critic_width // 16)
        return replace(self, **narrow, resolution=32, batch=4)

    def small(self):
        """The CPU tier of all evidence: 64 px, width / 4, at most 4 images a batch, five times the learning rate.

        So short a run needs many steps, and so narrow networks bear large ones.
        """
        narrow = dict(width=self.width // 4, critic_width=self.critic_width // 4, resolution=64)
        return replace(self, **narrow, lr=5 * self.lr, batch=min(self.batch, 4))


PAPER = Config(
    "edge",
    "logistic",
    norm="affine",  # what the paper's batch norm is with one image a batch, as it says in section 3.3
    batch=1,
    ema_kimg=0.0,
    published=True,
    unknown="all but U-Net, PatchGAN, L1 100 and Canny edges taken from Isola 2017; thresholds of the edges",
)

_SMALL = dict(width=16, critic_width=16, resolution=64)

# fmt: off
CONFIGS = {
    # as the original study described it (no code of it is known)
    "P1":        PAPER,
    # ours              given        game        l1 percept. steps norm
    "edges":     Config("edge",      "squares",  100.0, 0.0, 3, "instance"),
    "sparse":    Config("edge",      "squares",  100.0, 0.0, 3, "instance", low=200, high=400),
    "masks":     Config("mask",      "squares",  100.0, 0.0, 3, "instance"),
    "both":      Config("mask+edge", "squares",  100.0, 0.0, 3, "instance"),
    "hinge":     Config("edge",      "hinge",    100.0, 0.0, 3, "instance"),
    "logistic":  Config("edge",      "logistic", 100.0, 0.0, 3, "instance"),
    "bold":      Config("edge",      "squares",   10.0, 0.0, 3, "instance"),
    "near":      Config("edge",      "squares",  100.0, 0.0, 1, "instance"),
    "lpips":     Config("edge",      "squares",   10.0, 10., 3, "instance"),
    "group":     Config("edge",      "squares",  100.0, 0.0, 3, "group"),
    "resize":    Config("edge",      "squares",  100.0, 0.0, 3, "instance", up="resize"),
    "still":     Config("edge",      "squares",  100.0, 0.0, 3, "instance", dropout=False),
    "compact":   Config("edge",      "squares",  100.0, 0.0, 3, "instance", width=32, critic_width=32),
    "demo":      Config("edge",      "squares",  100.0, 0.0, 2, "instance", ema_kimg=1.0, **_SMALL),
}
# fmt: on


class Pix2Pix(Architecture):
    """Generator `G`: inputs (B, channels, H, W) to (B, 1, H, W); critic `D` of input and image, one score for each patch."""

    paired = True
    choices = ("noise",)

    def __init__(self, config, guests=()):
        super().__init__()
        self.config = c = config
        self.guests = tuple(guests)
        self.given = tuple(one_of(name, ("edge", "mask"), "input") for name in c.given.split("+"))
        at_least(1, steps=c.steps)
        if c.resolution >> c.steps < 4:
            raise BadInput(
                f"{c.steps} strides of the critic leave too little of {c.resolution} pixels; take fewer steps"
            )
        self.inputs = ("image", *self.given)
        channels = sum(c.labels if name == "mask" else 1 for name in self.given)
        self.G = UNet(c.resolution, channels, c.width, c.norm, c.up)
        self.D = PatchCritic(channels + 1, c.critic_width, c.steps, c.norm)
        self.judge, self.please = GAMES[one_of(c.game, GAMES, "game")]
        self.optim = {child: Optim(c.lr, (0.5, 0.999)) for child in ("G", "D")}
        self.ema = Average(("G",), c.ema_kimg) if c.ema_kimg else None
        self.phases = (Phase("D", "D", self.discriminate), Phase("G", "G", self.fool))

    def condition(self, batch):
        """What images are made of, (B, channels, H, W): edges 0 or 1, masks one channel for each label."""
        shapes = {"edge": lambda edge: edge[:, None] > 0, "mask": self.one_hot}
        return cat([shapes[name](batch[name]) for name in self.given], 1).to(self.dtype)

    def one_hot(self, mask):
        """Label ids (B, H, W) -> boolean (B, labels, H, W)."""
        return mask[:, None] == torch.arange(self.config.labels, device=mask.device)[:, None, None]

    @property
    def dtype(self):
        """The parameters' number type."""
        return next(self.parameters()).dtype

    def fake(self, batch, given, dropout):
        """Images made of `given`, by a generator of which every second activation of its innermost steps drops out."""
        return self.G(given, batch.rand(self.G.draws) if dropout else None)

    def discriminate(self, batch):
        """The critic's loss, halved: it should learn more slowly than the generator (Isola 2017, section 3.3)."""
        given = self.condition(batch)
        real = self.D(cat([given, batch["image"]], 1))
        fake = self.D(cat([given, self.fake(batch, given, self.config.dropout)], 1))
        return self.judge(real, fake) / 2, {"real": real.mean(), "fake": fake.mean()}

    def fool(self, batch):
        """The generator's loss."""
        c, given, image = self.config, self.condition(batch), batch["image"]
        fake = self.fake(batch, given, c.dropout)
        stats = {"l1": absolute(fake, image)}
        loss = self.please(self.D(cat([given, fake], 1))) + c.l1 * stats["l1"]
        for lpips in self.guests:
            stats["lpips"] = lpips(fake, image).mean()
            loss = loss + c.perceptual * stats["lpips"]
        return loss, stats

    # -------------------------------------------------------------------------------------------- afterwards

    def makes(self, kimg):
        """Images of the VAL edges or masks."""
        return "translate"

    def translate(self, batch, noise="none"):
        """Images of the batch's edges or masks; `noise` is none, or dropout as in training (the paper's: images vary)."""
        if noise not in ("none", "dropout"):
            raise BadInput(f"noise must be none or dropout, got {noise!r}")
        if noise == "dropout" and not self.config.dropout:
            raise BadInput("this config was trained without dropout; leave noise=dropout out")
        return self.fake(batch, self.condition(batch), noise == "dropout")

    def panel(self, batch):
        """Edges white on black, masks in steps of grey; and the true image."""
        top = {"edge": 255, "mask": self.config.labels - 1}
        pictures = (2 * batch[name][:, None].to(self.dtype) / top[name] - 1 for name in self.given)
        return tuple(pictures), (batch["image"],)


build = Pix2Pix
