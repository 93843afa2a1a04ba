"""VQGAN (Esser 2021): an autoencoder whose images are sentences of codes, and a transformer that writes such sentences.

    stage 1   min_vq  l1 E|x - x'| + perceptual LPIPS(x, x') + beta E|z - sg(e)|^2 - adversarial lambda E[D(x')]
              min_D   E[max(0, 1 - D(x))] + E[max(0, 1 + D(x'))]
    stage 2   min_p   -E[log p(token t | class, tokens before t)], the tokens fixed

    lambda = |grad of the first two terms| / |grad of the last|, both by the decoder's last kernel

One run holds both: until `prior_start` it is read by its reconstructions, from there on by its samples. The configs of the
original study have a 64 x 64 grid, more bits than a good JPEG, and no prior that could run. They keep its settings, not its
faults: the discriminator's fakes are detached, the decoder ends at the images' own size, images are read by patients held out.
"""

from dataclasses import dataclass, replace
from math import inf, log2

import torch
import torch.nn.functional as F

from echogan.contract import Architecture, Optim, Phase, Rows
from echogan.errors import BadInput, at_least
from echogan.layers.autoencoder import Autoencoder
from echogan.layers.gpt import GPT, drawn
from echogan.layers.patch import PatchCritic
from echogan.layers.quantise import in_rows
from echogan.losses import (
    absolute,
    adaptive_weight,
    codebook,
    commitment,
    hinge_discriminator,
    hinge_generator,
)


@dataclass(frozen=True)
class Config:
    """One VQGAN. Widths are channels at the full resolution, of the discriminator at half of it."""

    grid: int = 16  # tokens a side
    codes: int = 1024
    dim: int = 64  # of a code
    beta: float = 0.25  # weight of the commitment
    pull: float = 0.0  # weight by which a loss pulls the codes; 0: they are moving averages of their tokens
    adversarial: float = 0.8  # times lambda; 0: no discriminator
    most: float = 1e4  # lambda at the most
    start: float = 30.0  # kimg at which the discriminator joins
    l1: float = 1.0
    perceptual: float = 1.0  # weight of LPIPS, a guest
    balance: int = 8  # ticks between two turns of lambda
    revive: int = 100  # ticks between two restarts of dead codes; 0: never
    attention: bool = True
    blocks: int = 2  # residual blocks of a resolution
    width: int = 64
    critic_width: int = 64
    norm: str = "group"  # of the discriminator: batch | instance | group
    lr: float = 2e-4
    batch: int = 16
    prior_start: float = 120.0  # kimg at which the tokens are fixed and the prior starts; 0: no prior
    fade: float = 0.5  # last share of the kimg before that, in which the rate of what learns the codes falls to 0
    prior_width: int = 256
    depth: int = 6  # blocks of the prior
    prior_lr: float = 5e-4
    condition: str = ""  # column of the index, or columns joined by "+"
    classes: int = 0  # how many the data have
    resolution: int = 128
    published: bool = False
    unknown: str = ""  # what the original study does not tell of this config, or tells by inference only

    @property
    def bits(self):
        """Bits of one image, with codes of equal length."""
        return self.grid**2 * log2(self.codes)

    def tiny(self):
        """For tests and fast notebooks: 32 px, width / 16, 4 images a batch; every phase begins within 5 ticks."""
        widths = dict(width=max(2, self.width // 16), critic_width=max(2, self.critic_width // 16))
        narrow = dict(**widths, prior_width=16, depth=2)
        book = dict(grid=self.grid * 32 // self.resolution, codes=32, dim=8)
        early = dict(start=min(self.start, 0.008), prior_start=min(self.prior_start, 0.016), balance=2)
        return replace(self, **narrow, **book, **early, resolution=32, blocks=1, batch=4)

    def small(self):
        """The CPU tier of all evidence: 64 px, width / 8, one block a resolution, half the codes (ours), a tenth of stage 1.

        At most 4 images a batch and five times the learning rate of stage 1: so short a run needs many steps, and so narrow
        networks bear large ones. In ours lambda is at most 0.1: amplified further, the adversary drives so small a
        discriminator to one score for all, which amplifies it further. Bounded so, it says little (its loss stays within a tenth
        of the 2 of one that tells nothing): `calm`, `early` and `plain` differ less here than at full size.
        """
        widths = dict(width=max(4, self.width // 8), critic_width=self.critic_width // 4)
        narrow = dict(**widths, prior_width=128, depth=4, blocks=1)
        book = dict(
            grid=self.grid * 64 // self.resolution,
            codes=self.codes if self.published else self.codes // 2,
            dim=min(self.dim, 32),
        )
        early = dict(start=self.start / 10, prior_start=self.prior_start / 10)
        eager = dict(lr=5 * self.lr, batch=min(self.batch, 4), most=self.most if self.published else 0.1)
        return replace(self, **narrow, **book, **early, **eager, resolution=64)


def _study(l1=1.0, perceptual=0.2, adversarial=0.8, start=80.0, batch=8, unknown=""):
    """LPIPS was part of every fifth update only, here a fifth of its weight in all; 10,000 updates of 8 are 80 kimg."""
    weights = dict(pull=0.25, adversarial=adversarial, start=start, l1=l1, perceptual=perceptual)
    shape = dict(attention=False, width=128, norm="batch")
    rule = dict(balance=50, revive=0, lr=2.25e-5, batch=batch, prior_start=0.0)
    return Config(64, 512, 128, 1.0, **weights, **shape, **rule, published=True, unknown=unknown)


_SMALL = dict(width=8, critic_width=16, blocks=1, prior_width=96, depth=3, resolution=64)

# fmt: off
CONFIGS = {
    # as the original study ran them: weights of L1, LPIPS and the adversary, its start
    "VQ1":       _study(batch=16, start=160.0, unknown="batch inferred from the losses (or 8, its start at 160 kimg alike)"),
    "VQ2":       _study(l1=0.5,                                unknown="weights inferred from the losses"),
    "VQ7":       _study(l1=2.0, perceptual=0.1, adversarial=0.4, unknown="weights inferred from the losses"),
    "VQ8":       _study(adversarial=1.6, start=0.0,            unknown="weights and start inferred from the losses"),
    # ours             grid codes dim beta
    "grid16":    Config(16, 1024,  64, 0.25),
    "grid32":    Config(32, 1024,  64, 0.25),
    "book256":   Config(16,  256,  64, 0.25),
    "book4096":  Config(16, 4096,  64, 0.25),
    "thin":      Config(16, 1024,   8, 0.25),
    "beta1":     Config(16, 1024,  64, 1.00),
    "pulled":    Config(16, 1024,  64, 0.25, pull=1.0),
    "plain":     Config(16, 1024,  64, 0.25, adversarial=0.0, perceptual=0.0),
    "calm":      Config(16, 1024,  64, 0.25, adversarial=0.2),
    "early":     Config(16, 1024,  64, 0.25, start=0.0),
    "phase":     Config(16, 1024,  64, 0.25, condition="phase"),
    "compact":   Config(16,  512,  32, 0.25, width=32, critic_width=32, prior_width=192),
    "demo":      Config( 8,  256,  16, 0.25, start=2.0, prior_start=5.0, **_SMALL),
}
# fmt: on


class VQGAN(Architecture):
    """Autoencoder `vq` with its codebook; discriminator `D` of patches; `prior` of the codes' order."""

    paired = True
    choices = ("temperature", "top_k", "top_p")

    def __init__(self, config, guests=()):
        super().__init__()
        self.config = c = config
        self.guests = tuple(guests)
        self.exports = ("vq", "prior") if c.prior_start else ("vq",)
        self.inputs = ("image", "label") if c.classes else ("image",)
        if c.adversarial and 0 < c.prior_start <= c.start:
            raise BadInput(
                f"the discriminator would start at {c.start:g} kimg, when stage 1 is over; make prior_start later"
            )
        at_least(1, blocks=c.blocks)
        self.vq = Autoencoder(c, halvings(c))
        self.optim = {"vq": Optim(c.lr, (0.5, 0.9))}
        if c.adversarial:
            self.D = PatchCritic(1, c.critic_width, norm=c.norm)
            self.optim["D"] = self.optim["vq"]
        if c.prior_start:
            heads = max(2, c.prior_width // 32)
            if c.prior_width % heads:
                raise BadInput(
                    f"a prior_width of {c.prior_width} does not part into {heads} heads; take a multiple of 32"
                )
            self.prior = GPT(c.codes, c.grid**2, c.prior_width, c.depth, heads, classes=c.classes)
            self.optim["prior"] = Optim(c.prior_lr, (0.9, 0.95))
        self.register_buffer("weight", torch.zeros(()))  # lambda
        self.phases = tuple(self._phases(c))

    def _phases(self, c):
        end, learn = c.prior_start or inf, self.vq.book.learn
        joins = c.start if c.adversarial else end
        if c.revive:
            yield Phase("revive", None, self.search, after=self.revive, every=c.revive, stop=end, precision="fp32")
        if joins > 0:
            yield Phase("vq", "vq", self.reconstruct, after=learn, stop=joins)
        if c.adversarial:
            both, exact = dict(start=joins, stop=end), dict(precision="fp32", compile=False)
            yield Phase("balance", None, self.slopes, after=self.weigh, every=c.balance, **both, **exact)
            yield Phase("vq_adv", "vq", self.fool, after=learn, **both)
            yield Phase("D", "D", self.discriminate, **both)
        if c.prior_start:
            yield Phase("prior", "prior", self.predict, after=self.census, start=end)

    def rate(self, child, kimg):
        """Stage 1 ends at a rate of 0: its codes are what the prior learns, and a full step would leave them where it fell."""
        c = self.config
        if child == "prior" or not (c.prior_start and c.fade):
            return 1.0
        return min(1.0, max(0.0, 1 - kimg / c.prior_start) / c.fade)

    # -------------------------------------------------------------------------------------------- stage 1

    def faithful(self, made, image):
        """(how far images made again are from the true ones, its parts)."""
        parts = {"l1": absolute(made, image)}
        loss = self.config.l1 * parts["l1"]
        for lpips in self.guests:
            parts["lpips"] = lpips(made, image).mean()
            loss = loss + self.config.perceptual * parts["lpips"]
        return loss, parts

    def again(self, batch):
        """(images made again, the autoencoder's loss but for the adversary, statistics)."""
        made, z, code, index = self.vq(batch["image"])
        loss, stats = self.faithful(made, batch["image"])
        stats["commitment"] = commitment(z, code)
        loss = loss + self.config.beta * stats["commitment"]
        if self.config.pull:
            loss = loss + self.config.pull * codebook(z, code)
        return made, loss, {**stats, **self.vq.book.count(z, index), **self.vq.book.readings()}

    def reconstruct(self, batch):
        """The autoencoder's loss before the discriminator joins."""
        _, loss, stats = self.again(batch)
        return loss, stats

    def fool(self, batch):
        """The autoencoder's loss."""
        made, loss, stats = self.again(batch)
        adversarial = self.config.adversarial * self.weight * hinge_generator(self.D(made))
        return loss + adversarial, {**stats, "lambda": self.weight}

    def discriminate(self, batch):
        """The discriminator's loss."""
        real, fake = self.D(batch["image"]), self.D(self.vq(batch["image"])[0])
        return hinge_discriminator(real, fake), {"real": real.mean(), "fake": fake.mean()}

    def slopes(self, batch):
        """Gradients with respect to the decoder's last kernel: of what should be faithful, and of what should fool."""
        seen, last = self.vq.unpainted(batch["image"]), self.vq.paint
        with torch.enable_grad():
            kernel = last.weight.detach().requires_grad_()
            made = F.conv2d(seen, kernel, last.bias, padding=1)
            losses = {"pull": self.faithful(made, batch["image"])[0], "push": hinge_generator(self.D(made))}
            slopes = {n: torch.autograd.grad(loss, kernel, retain_graph=True)[0] for n, loss in losses.items()}
        return None, slopes

    def search(self, batch):
        """Tokens that dead codes could move to, and how urgently."""
        z = self.vq.encoder(batch["image"])
        keys = self.vq.book.badly_served(z, batch.rand(self.config.grid**2))
        return None, {"tokens": Rows(in_rows(z)), "keys": Rows(keys)}

    # -------------------------------------------------------------------------------------------- stage 2

    def predict(self, batch):
        """The prior's loss: nats a token."""
        sentences, label = self.vq.sentences(batch["image"]), self.label(batch)
        loss = F.cross_entropy(self.prior(sentences, label).flatten(0, 1), sentences.flatten())
        classes = torch.arange(len(self.prior.class_share), device=label.device)
        shares = (label[:, None] == classes).to(self.weight.dtype).mean(0)
        return loss, {"shares": shares, "book": self.vq.book.codes.norm()}

    def label(self, batch):
        """Classes of the batch's rows, (B,); all are 0 where there are none."""
        rows = next(iter(batch.values()))
        return batch["label"] if self.config.classes else torch.zeros(len(rows), dtype=torch.long, device=rows.device)

    # -------------------------------------------------------------------------------------------- what is remembered

    def weigh(self, stats):
        """Set lambda, the adaptive weight of the adversarial loss."""
        self.weight.copy_(adaptive_weight(stats["pull"], stats["push"], most=self.config.most))

    def revive(self, stats):
        """Move dead codes to tokens that `search` found."""
        self.vq.book.revive(stats["tokens"].flatten(0, 1), stats["keys"].flatten())

    def census(self, stats):
        """Running shares of the classes, and the length of the codebook that the prior is trained on."""
        self.prior.class_share.lerp_(stats["shares"], 0.005)
        self.prior.book.copy_(stats["book"])

    # -------------------------------------------------------------------------------------------- afterwards

    def makes(self, kimg):
        """Reconstructions, until there is a prior to sample from."""
        return "generate" if 0 < self.config.prior_start < kimg else "translate"

    def translate(self, batch, **choices):
        """The batch's images, reconstructed from their tokens."""
        if choices:
            raise BadInput(
                f"a reconstruction leaves nothing to choose; {', '.join(choices)} is for images from the prior"
            )
        return self.vq(batch["image"])[0].clamp(-1, 1)

    def panel(self, batch):
        """The image itself, before its reconstruction."""
        return (batch["image"],), ()

    def generate(self, batch, truncation=1.0, temperature=1.0, top_k=0, top_p=1.0):
        """Images told by the prior, at `truncation` x `temperature`; see `drawn` for `top_k` and `top_p`."""
        if not self.config.prior_start:
            raise BadInput(
                "this VQGAN has no prior to generate from, it reconstructs; train a config with prior_start above 0"
            )
        self._refuse_strange_codes()
        given = (truncation, temperature, top_k, top_p)
        numbers = all(isinstance(value, int | float) for value in given)
        if not (numbers and 0 < (heat := truncation * temperature) < inf and top_p > 0 and top_k >= 0):
            raise BadInput(
                "need a truncation, a finite temperature and top_p above 0 and a top_k of 0 or more; "
                f"got {truncation}, {temperature}, {top_p} and {top_k}"
            )
        # Normal numbers, so that a walk from one to another passes through likely ones only.
        chance = torch.special.ndtr(batch.randn(self.config.grid**2)).clamp(max=1 - 1e-6)
        label = self.some_label(batch)
        told = self.prior.walk(label, lambda logits, t: drawn(logits, chance[:, t], heat, top_k, top_p))
        return self.vq.told(told, self.config.grid).clamp(-1, 1)

    def _refuse_strange_codes(self):
        learnt, here = self.prior.book, self.vq.book.codes.norm()
        if learnt and not torch.isclose(learnt, here, rtol=1e-4):
            raise BadInput(
                "this prior was trained on another codebook than the one beside it; take both from the same weights file"
            )

    def some_label(self, batch):
        """Classes of the batch, or drawn by their share of the data."""
        if not self.config.classes or "label" in batch:
            return self.label(batch)
        return (batch.rand(1) >= self.prior.class_share.cumsum(0)[:-1]).sum(1)


def halvings(config):
    """How often the resolution halves to reach the grid; a `BadInput` where it does not."""
    grid, pixels = config.grid, config.resolution
    factor = pixels // max(grid, 1)
    if factor * grid != pixels or factor.bit_count() != 1:
        raise BadInput(f"halving {pixels} pixels never gives a grid of {grid} x {grid} tokens; take {pixels // 8}, say")
    return factor.bit_length() - 1


build = VQGAN
