"""CycleGAN as an enhancer (Zhu 2017): low-quality images A and good ones B, of other patients, no pair among them.

    G:  sum over both directions of  E[(D(fake) - 1)^2] + cycle E|back - x| + identity E|G_AB(b) - b|  + what holds anatomy
    D:  (E[(D(real) - 1)^2] + E[D(shown)^2]) / 2,   shown: generated images, half of them from a pool of older ones

`G` holds both generators, AB (the enhancer) and BA. As published a generator paints a new picture everywhere; ours add a
change, x + strength r(x), inside the sector and nowhere else: that is the convex hull of the pixels lit in the input, or
`batch["sector"]` where the caller knows it. Four further terms hold anatomy in place, each with a weight that may be 0:
structure (SSIM), light (no new shadows), nce (patches find themselves, Park 2020) and segmentation (a guest's opinion).
With `cycle` 0 there is no way back, as in FastCUT: AB and D["B"] are all there is.
"""

from dataclasses import dataclass, replace
from itertools import compress
from math import log2

import torch
from torch import Tensor, cat, nn
from torch.nn.functional import cross_entropy

from echogan.contract import Architecture, Average, Optim, Phase, Rows
from echogan.errors import BadInput, at_least, finite, nearest
from echogan.layers.hull import sector_of
from echogan.layers.judges import PatchJudge, UNetJudge, cutmix, sampled
from echogan.layers.translation import Pair, Pool, check_images, together
from echogan.losses import (
    absolute,
    contrastive,
    disagreement,
    dissimilarity,
    least_squares_discriminator,
    least_squares_generator,
    relighting,
)

PLACES = 64  # of an image that PatchNCE compares, in each layer
JUDGES = {"patch": PatchJudge, "unet": UNetJudge}


@dataclass(frozen=True)
class Config:
    """One CycleGAN. Weights of losses may be 0; widths are channels at full size, and of the critic at half."""

    residual: bool = True  # x + strength r(x); False: r(x) = tanh(network) - x
    sector: bool = True  # change nothing outside the sector
    up: str = "resize"  # resize | transposed
    judge: str = "patch"  # patch | unet
    steps: int = 3  # strides of the judge: 3 see 70 px, 4 see 142
    cycle: float = 5.0  # 0: one direction only
    identity: float = 1.0
    structure: float = 0.0
    light: float = 0.0
    nce: float = 0.0
    segmentation: float = 0.0  # wants a segmenter, a guest
    cutmix: float = 1.0  # consistency of the pixel scores of "unet"
    task: float = 0.0  # classes of `condition`, which the judge tells and the generator keeps
    condition: str = ""  # column of the index, or columns joined by "+"
    classes: int = 0  # how many the data have
    pool: int = 50  # generated images of the past
    width: int = 16
    blocks: int = 4
    critic_width: int = 64
    lr: float = 5e-4
    batch: int = 4
    hold: float = 100.0  # kimg at the full learning rate
    end: float = 200.0  # kimg at which it has come down to 0; 0: it never does
    ema_kimg: float = 5.0  # 0: no average
    resolution: int = 128
    published: bool = False
    unknown: str = ""  # what the original study does not tell of this config, or tells by inference only

    def tiny(self):
        """For tests and fast notebooks: 32 px, the narrowest, 8 images a batch; a judge sees the same share of an image."""
        narrow = dict(width=2, critic_width=4, blocks=1)
        return replace(self._at(32), **narrow, batch=8, pool=min(self.pool, 16), hold=self.hold / 100)

    def small(self):
        """The CPU tier of all evidence: 64 px, width / 16 (at least 4), critic's x 3/8; the rate falls from 15 to 30 kimg.

        A critic cut to an eighth tells nothing: its scores stay near chance, and the generators stop with haze left.
        """
        narrow = dict(width=max(4, self.width // 16), critic_width=3 * self.critic_width // 8)
        return replace(self._at(64), **narrow, hold=0.15 * self.hold, end=0.15 * self.end)

    def _at(self, resolution):
        fewer = int(log2(self.resolution // resolution))
        return replace(self, resolution=resolution, steps=max(1, self.steps - fewer))


SEED = dict(
    **dict(residual=False, sector=False, up="transposed", steps=4, width=64, blocks=9, resolution=256),
    **dict(cycle=10.0, identity=5.0, lr=2e-4, batch=1, hold=0.0, end=0.0, ema_kimg=0.0),
)
INFERRED = (
    "generator, pool, loss weights and the constant rate, all inferred from the tutorial that the study borrowed from"
)

# fmt: off
CONFIGS = {
    # as EchoGANhance (Wehbe 2021) ran it (Adam 2e-4, batch 1, LSGAN, a judge of 142 px patches)
    "C1":         Config(**SEED, published=True, unknown=INFERRED),
    # ours: one idea each beside "plain"
    "plain":      Config(),
    "tanh":       Config(residual=False),
    "whole":      Config(sector=False),
    "transposed": Config(up="transposed"),
    "noidentity": Config(identity=0.0),
    "timid":      Config(cycle=10.0, identity=5.0),
    "nopool":     Config(pool=0),
    "near":       Config(steps=2),
    "far":        Config(steps=4),
    "unet":       Config(judge="unet"),
    "structure":  Config(structure=2.0),
    "light":      Config(light=5.0),
    "nce":        Config(nce=1.0),
    "fastcut":    Config(cycle=0.0, identity=0.0, nce=10.0),
    "segment":    Config(segmentation=1.0),
    "phase":      Config(task=0.5, condition="phase"),
    "deep":       Config(blocks=9),
    "demo":       Config(width=4, critic_width=8, steps=2, lr=1e-3, hold=8.0, end=16.0, ema_kimg=0.5,
                         resolution=64),
}
# fmt: on


def _checked(c):
    """The config, or a `BadInput` naming the setting that no network can be built of."""
    for key, known in {"up": ("resize", "transposed"), "judge": tuple(JUDGES)}.items():
        if getattr(c, key) not in known:
            raise BadInput(f"{key} {getattr(c, key)!r} is unknown{nearest(getattr(c, key), known)}")
    at_least(1, steps=c.steps)
    if c.resolution % 2 ** (c.steps + 1):
        raise BadInput(f"a judge of {c.steps} strides needs a multiple of {2 ** (c.steps + 1)} px, not {c.resolution}")
    if c.judge == "patch" and c.resolution >> c.steps < 4:
        raise BadInput(f"{c.steps} strides leave a judge of patches too little of {c.resolution} px; take fewer steps")
    if 0 < c.end <= c.hold:
        raise BadInput(f"a rate held until {c.hold:g} kimg cannot end at {c.end:g}; use end=0 for one that never falls")
    if 0 < c.pool < c.batch:
        raise BadInput(f"a pool of {c.pool} is smaller than a batch of {c.batch}; use pool=0 for none")
    return c


@dataclass
class Views:
    """Every image (B, 1, H, W) of one update of the generators, under the name of its domain, and the sectors."""

    A: Tensor
    B: Tensor
    inside: dict
    fake: dict  # of the other domain's images
    back: dict  # there and back again
    same: dict  # of images that are of that domain already, as far as they are wanted

    def source(self, n):
        """The images that `fake[n]` were made of, and their sectors."""
        return getattr(self, _other(n)), self.inside[_other(n)]


class CycleGAN(Architecture):
    """Generators `G`, judges `D`; `pool` remembers what was generated."""

    inputs = ("A", "B")
    choices = ("strength",)

    def __init__(self, config, guests=()):
        super().__init__()
        self.config = c = _checked(config)
        self.guests = tuple(guests)
        self.goals = ("A", "B") if c.cycle else ("B",)  # domains that are generated
        self.G = Pair((c.width, c.blocks, c.up, c.residual), back=bool(c.cycle), headed=bool(c.nce))
        self.D = nn.ModuleDict({n: JUDGES[c.judge](c.critic_width, c.steps, c.classes) for n in self.goals})
        self.pool = Pool(c.pool, c.batch, len(self.goals), c.resolution)
        self.inputs = ("A", "B", "label") if c.classes else ("A", "B")
        self.optim = {child: Optim(c.lr, (0.5, 0.999)) for child in ("G", "D")}
        self.ema = Average(("G",), c.ema_kimg) if c.ema_kimg else None
        self.phases = (Phase("G", "G", self.translate_both, after=self.remember), Phase("D", "D", self.discriminate))
        self.terms = [(name, weight) for name in TERMS if (weight := getattr(c, name))]

    def rate(self, child, kimg):
        """Linear to 0 between `hold` and `end` kimg."""
        c = self.config
        return min(1.0, max(0.0, (c.end - kimg) / (c.end - c.hold))) if c.end else 1.0

    # -------------------------------------------------------------------------------------------- generators

    def sector(self, images):
        """Where images (B, 1, H, W) may change, boolean of that shape."""
        return sector_of(images) if self.config.sector else torch.ones_like(images, dtype=torch.bool)

    def views(self, batch):
        """Everything the generators make of a batch, in three calls: a norm of each image by itself lets inputs share one."""
        a, b = batch["A"], batch["B"]
        inside = {"A": self.sector(a), "B": self.sector(b)}
        low, good = (a, inside["A"]), (b, inside["B"])
        idle = [bool(self.config.identity)]  # whether images of the goal's own domain go through as well
        fake, back, same = {}, {}, {}
        fake["B"], *same["B"] = together(self.G.AB, low, *compress([good], idle))
        if self.G.BA is not None:
            fake["A"], back["A"], *same["A"] = together(
                self.G.BA, good, (fake["B"], inside["A"]), *compress([low], idle)
            )
            (back["B"],) = together(self.G.AB, (fake["A"], inside["B"]))
        return Views(a, b, inside, fake, back, same)

    def translate_both(self, batch):
        """The generators' loss."""
        views = self.views(batch)
        verdicts = {n: self.D[n](views.fake[n]) for n in self.goals}
        loss = sum(least_squares_generator(scores) for verdict in verdicts.values() for scores in verdict.maps)
        stats = {name: TERMS[name](self, views, batch) for name, _ in self.terms}
        for name, weight in self.terms:
            loss = loss + weight * stats[name]
        if self.config.classes:
            stats["kept"] = self.told(verdicts, {n: batch[f"{_other(n)}_label"] for n in self.goals})
            loss = loss + self.config.task * stats["kept"]
        fresh = cat([views.fake[n] for n in self.goals], 1)
        return loss, {**stats, "fresh": Rows(fresh), "chance": Rows(batch.rand(2))}

    def cyclic(self, views, batch):
        """E|back - x| of both directions."""
        return absolute(views.back["A"], views.A) + absolute(views.back["B"], views.B)

    def idle(self, views, batch):
        """E|G(x) - x| of images that are good, or bad, already."""
        return sum(absolute(views.same[n][0], getattr(views, n)) for n in self.goals)

    def structured(self, views, batch):
        """Edges and texture stay where they are, in both directions."""
        return sum(dissimilarity(views.fake[n], *views.source(n)) for n in self.goals)

    def lit(self, views, batch):
        """No shadow or blob is added or taken where the input is enhanced."""
        return relighting(views.fake["B"], views.A, views.inside["A"])

    def matched(self, views, batch):
        """Each patch of the enhanced image is nearest to its own in the input, in four layers of the encoder."""
        queries, total = self.G.AB.features(views.fake["B"]), 0
        with torch.no_grad():  # a key is a goal, not a learner
            keys = self.G.AB.features(views.A)
        for head, *features in zip(self.G.heads, queries, keys):
            numbers = batch.rand(features[0].shape[2:].numel())
            query, key = (head(sampled(f, views.inside["A"], numbers, PLACES)) for f in features)
            total = total + contrastive(query, key)
        return total / len(self.G.heads)

    def agreed(self, views, batch):
        """The guest segments the enhanced image as it does the input."""
        parts = [
            disagreement(segment(views.fake[n]), segment(x), inside)
            for segment in self.guests
            for n in self.goals
            for x, inside in (views.source(n),)
        ]
        return sum(parts, views.A.new_zeros(()))

    def remember(self, stats):
        """Put what was generated into the pool."""
        self.pool.turn(stats["fresh"], stats["chance"])

    # -------------------------------------------------------------------------------------------- judges

    def discriminate(self, batch):
        """The judges' loss."""
        loss, stats, verdicts = 0, {}, {}
        shown = self.pool.shown[batch.first :: batch.stride].split(1, 1)
        for n, fake in zip(self.goals, shown):
            real = batch[n]
            verdict = self.D[n](cat([real, fake]))
            pairs = [scores.chunk(2) for scores in verdict.maps]
            loss = loss + sum(least_squares_discriminator(r, f) for r, f in pairs) / 2
            stats |= {f"real_{n}": pairs[0][0].mean(), f"fake_{n}": pairs[0][1].mean()}
            verdicts[n] = verdict
            if self.config.judge == "unet":
                loss = loss + self.config.cutmix * self.consistency(n, real, fake, batch)
        if self.config.classes:
            stats["told"] = self.told(verdicts, {n: batch[f"{n}_label"] for n in self.goals})
            loss = loss + self.config.task * stats["told"]
        return loss, stats

    def consistency(self, n, real, fake, batch):
        """E[(D(mix(x, y)) - mix(D(x), D(y)))^2] of the pixel scores, mix by a rectangle (Schönfeld 2020, eq. 7)."""
        mask = cutmix(batch.rand(3), real.shape[2:])
        both, of_real, of_fake = (self.D[n](x).maps[1] for x in (mask * real + (1 - mask) * fake, real, fake))
        return (both - (mask * of_real + (1 - mask) * of_fake)).square().mean()

    def told(self, verdicts, labels):
        """Cross-entropy of the classes that the judges tell."""
        return sum(cross_entropy(verdicts[n].classes[: len(labels[n])], labels[n]) for n in self.goals)

    # -------------------------------------------------------------------------------------------- afterwards

    def makes(self, kimg):
        """The VAL images of A, enhanced."""
        return "translate"

    def translate(self, batch, strength=1.0):
        """Images of A (`batch["A"]` or `batch["image"]`, (B, 1, H, W), any size) enhanced; strength 0 gives them back.

        `batch["sector"]`, boolean (B, 1, H, W), says where they may change; else the hull of what is lit.
        """
        return self.enhanced(_low(batch), batch.get("sector"), strength)

    def enhanced(self, x, sector=None, strength=1.0):
        """x inside [-1, 1] where it changes, and bit for bit as it was elsewhere."""
        check_images(x)
        inside = self.sector(x) if sector is None else sector
        made = self.G.AB(x, inside, finite(strength, "strength")).clamp(-1, 1)
        return torch.where(inside, made, x)

    @property
    def two_ways(self):
        """Whether there is a way back."""
        return self.G.BA is not None

    def returned(self, batch):
        """The way back: images of B (`batch["image"]`, (B, 1, H, W)) made poor, inside `batch["sector"]` or what is lit."""
        if self.G.BA is None:
            raise BadInput("a run with cycle 0 has learnt no way back; take one with cycle above 0")
        good, inside = batch["image"], batch.get("sector")
        return self.G.BA(good, self.sector(good) if inside is None else inside).clamp(-1, 1)

    def panel(self, batch):
        """The input; and the enhanced image made low again, or, where there is no way back, what was added to it."""
        x = _low(batch)
        made = self.enhanced(x)
        if self.G.BA is not None:
            return (x,), (self.returned({"image": made, "sector": self.sector(x)}),)
        return (x,), ((made - x) / 2,)


TERMS = {  # weight in the config -> its loss
    "cycle": CycleGAN.cyclic,
    "identity": CycleGAN.idle,
    "structure": CycleGAN.structured,
    "light": CycleGAN.lit,
    "nce": CycleGAN.matched,
    "segmentation": CycleGAN.agreed,
}


def _other(n):
    return "A" if n == "B" else "B"


def _low(batch):
    return batch["A"] if "A" in batch else batch["image"]


build = CycleGAN
