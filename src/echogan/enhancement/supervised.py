"""The rival that sees the answers: a small U-Net trained on pairs of low-quality pictures and their truth.

    min E |x + r(x) - y|

No hospital has such pairs; on the phantom it says how much a learner could gain. `engine.fit` trains this module as it
trains those of `models`: the truth is the image of its frames, the low picture takes the place of their mask.
"""

from dataclasses import dataclass, replace

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from echogan.config import Settings
from echogan.contract import Architecture, Average, Optim, Phase
from echogan.data.frames import FrameSet
from echogan.engine.feed import resized, to_signed
from echogan.engine.fit import fit
from echogan.enhancement.run import load_enhancer

KIMG = 6.0  # about two CPU-minutes at 64 px


@dataclass(frozen=True)
class Config:
    """One U-Net."""

    width: int = 16
    levels: int = 3
    lr: float = 2e-3
    batch: int = 16
    resolution: int = 64


def double(a, b):
    """Two 3 x 3 convolutions, each normalised over groups of channels."""
    steps = [(nn.Conv2d(n, b, 3, padding=1), nn.GroupNorm(4, b), nn.ReLU()) for n in (a, b)]
    return nn.Sequential(*(layer for step in steps for layer in step))


class UNet(nn.Module):
    """Residual of (B, 1, H, W), sides multiples of 2^levels; the same shape, 0 at the start."""

    def __init__(self, width, levels):
        super().__init__()
        widths = [width * 2**level for level in range(levels)]
        self.down = nn.ModuleList(double(a, b) for a, b in zip([4, *widths], widths))  # of 2 x 2 pixels as channels
        self.up = nn.ModuleList(double(a + b, a) for a, b in zip(widths[-2::-1], widths[:0:-1]))
        self.head = nn.Conv2d(width, 4, 1)
        for parameter in self.head.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x):
        seen = [self.down[0](F.pixel_unshuffle(x, 2))]
        for block in self.down[1:]:
            seen.append(block(F.max_pool2d(seen[-1], 2)))
        x = seen.pop()
        for block in self.up:
            x = block(torch.cat([seen.pop(), F.interpolate(x, scale_factor=2.0)], 1))
        return F.pixel_shuffle(self.head(x), 2)


class Supervised(Architecture):
    """`G`: low-quality pictures -> what to add to them."""

    exports, inputs, choices, paired = ("G",), ("image", "mask"), ("strength",), True

    def __init__(self, config):
        super().__init__()
        self.config = config
        self.G = UNet(config.width, config.levels)
        self.optim = {"G": Optim(config.lr, (0.9, 0.99))}
        self.ema = Average(("G",), 1.0)
        self.phases = (Phase("G", "G", self.absolute),)

    def absolute(self, batch):
        """E |x + r(x) - y|."""
        return F.l1_loss(self.translate(batch), batch["image"]), {}

    def translate(self, batch, strength=1.0):
        """Enhanced pictures (B, 1, H, W) of the low ones: `mask` in training, `image` elsewhere."""
        low = to_signed(batch["mask"]) if "mask" in batch else batch["image"]
        return (low + strength * self.G(low)).clamp(-1, 1)

    def makes(self, kimg):
        """Pictures of VAL, enhanced."""
        return "translate"

    def panel(self, batch):
        """The low pictures before, the truth after."""
        return (to_signed(batch["mask"]),), (batch["image"],)


build = Supervised


def train_supervised(frames, truth, name="unet", settings=None, config=None, experiments=None, callback=None):
    """Train on the TRAIN rows of `frames` (low quality) and their `truth` uint8 (N, H, W); VAL chooses. A `RunFolder`.

    The run is `experiments/supervised/<name>`.
    """
    import echogan.enhancement.supervised as module

    config = config or replace(Config(), resolution=frames.size)
    low, goal = (resized(images, config.resolution).numpy() for images in (frames.images, truth))
    pairs = FrameSet(goal, frames.index, {**frames.manifest, "layout": "pairs"}, np.ascontiguousarray(low), {"low": 0})
    return fit(module, name, pairs, settings or Settings(kimg=KIMG), config, experiments, callback)


def load_supervised(source, device="cpu"):
    """The `Enhancer` of a run of `train_supervised`."""
    import echogan.enhancement.supervised as module

    return load_enhancer(source, device=device, module=module)
