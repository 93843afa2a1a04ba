"""Discriminators of translations: of patches (Isola 2017), or of the whole image and each of its pixels (Schönfeld 2020)."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from echogan.layers.dcgan import he_init
from echogan.layers.patch import PatchCritic
from echogan.precision import scores


class Verdict(NamedTuple):
    """What a discriminator says of images: maps of scores (B, 1, h, w), and the logits of their classes where it learns any.

    In float32 at least, as are the means and differences that losses take of them.
    """

    maps: tuple
    classes: Tensor | None


class PatchJudge(nn.Module):
    """One map: a score for every patch of `patch.field(steps)` pixels a side."""

    def __init__(self, width=64, steps=3, classes=0):
        super().__init__()
        critic = PatchCritic(1, width, steps, "instance")
        *trunk, self.score = critic.net
        self.trunk = nn.Sequential(*trunk)
        self.task = nn.Linear(width * min(2**steps, 8), classes) if classes else None

    def forward(self, x):
        """(B, 1, H, W) -> `Verdict`."""
        seen = self.trunk(x)
        return Verdict((scores(self.score, seen),), _classes(self.task, seen))


class UNetJudge(nn.Module):
    """Two maps: one score for the image (B, 1, 1, 1), and one for each pixel (B, 1, H, W), by a decoder with skips."""

    def __init__(self, width=64, steps=3, classes=0):
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(steps + 1)]
        self.down = nn.ModuleList(_halved(a, b) for a, b in zip([1, *widths], widths))
        ahead = [widths[-1], *(2 * w for w in widths[-2::-1])]  # with what the encoder saw there
        behind = [*widths[-2::-1], width]
        self.up = nn.ModuleList(_doubled(a, b) for a, b in zip(ahead, behind))
        self.whole = nn.Linear(widths[-1], 1)
        self.pixels = nn.Conv2d(width, 1, 1)
        self.task = nn.Linear(widths[-1], classes) if classes else None
        self.apply(he_init)

    def forward(self, x):
        """(B, 1, H, W), both sides divisible by 2^(steps + 1) -> `Verdict`."""
        seen = []
        for step in self.down:
            seen.append(x := step(x))
        deepest = seen.pop()
        for step in self.up:
            x = step(x)
            x = torch.cat([x, seen.pop()], 1) if seen else x
        whole = scores(self.whole, deepest.mean((2, 3)))
        return Verdict((whole[:, :, None, None], scores(self.pixels, x)), _classes(self.task, deepest))


def _classes(task, seen):
    return scores(task, seen.mean((2, 3))) if task is not None else None


def _halved(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 4, 2, 1), nn.LeakyReLU(0.2))


def _doubled(a, b):
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1), nn.LeakyReLU(0.2))


def cutmix(numbers, size):
    """Rectangles (B, 1, H, W), 1 inside: of an area that is uniform, at a place that is (Yun 2019, eq. 2).

    `numbers`: uniform (B, 3), the area's share and the centre (x, y); what lies beyond the border is cut off.
    """
    share, *centre = numbers.T
    half = share.sqrt() / 2
    x, y = (_interval(at, half, n, numbers) for at, n in zip(centre, (size[1], size[0])))
    return (y[:, None, :, None] * x[:, None, None, :]).to(numbers)


def _interval(centre, half, n, like):
    at = (torch.arange(n, device=like.device, dtype=like.dtype) + 0.5) / n
    return (at - centre[:, None]).abs() <= half[:, None]


def sampled(features, inside, numbers, count):
    """Vectors (B, count, C) of features (B, C, h, w) at random places, first those `inside` (boolean (B, 1, H, W)).

    `numbers`: uniform (B, h w), one for each place; equal numbers take equal places.
    """
    lit = F.adaptive_max_pool2d(inside.to(numbers), features.shape[2:]).flatten(1)
    places = (numbers + lit).topk(min(count, numbers.shape[1]), 1).indices
    return features.flatten(2).gather(2, places[:, None].expand(-1, features.shape[1], -1)).transpose(1, 2)
