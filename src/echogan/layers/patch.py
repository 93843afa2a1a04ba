"""PatchGAN (Isola 2017, section 3.2.2): a critic that judges every patch of an image on its own."""

import math
from functools import partial

from torch import nn

from echogan.errors import one_of
from echogan.layers.dcgan import dcgan_init, he_init
from echogan.precision import scores


def normalisation(kind, channels):
    """What rescales activations: "batch", "instance", "affine" (instance, then a gain and a shift), "group" or "none"."""
    if kind == "group":  # at most 32 of two or more channels
        return nn.GroupNorm(math.gcd(32, channels // 2, channels), channels)
    affine = partial(nn.InstanceNorm2d, affine=True)
    layers = {"batch": nn.BatchNorm2d, "instance": nn.InstanceNorm2d, "affine": affine, "none": nn.Identity}
    return layers[one_of(kind, layers, "norm")](channels)


class PatchCritic(nn.Module):
    """(B, channels, H, W) -> (B, 1, h, w): one unbounded score for every patch of `field(steps)` pixels a side.

    `steps` is the number of strides: 3 give the 70 pixels of the paper. Widths double up to 8 x `width`.
    """

    def __init__(self, channels, width=64, steps=3, norm="batch"):
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(steps + 1)]
        layers: list[nn.Module] = [nn.Conv2d(channels, widths[0], 4, 2, 1), nn.LeakyReLU(0.2)]
        for i, (a, b) in enumerate(zip(widths, widths[1:]), start=1):
            stride = 2 if i < steps else 1
            layers += [nn.Conv2d(a, b, 4, stride, 1, bias=norm in ("none", "group")), normalisation(norm, b)]
            layers += [nn.LeakyReLU(0.2)]
        # No bias: within the margins of a hinge it would have no gradient, and activations can level the scores.
        layers += [nn.Conv2d(widths[-1], 1, 4, 1, 1, bias=False)]
        self.net = nn.Sequential(*layers).apply(he_init if norm == "none" else dcgan_init)

    def forward(self, x):
        return scores(self.net[-1], self.net[:-1](x))


def field(steps=3):
    """Pixels a side that one score of a `PatchCritic` depends on."""
    pixels = 1
    for stride in [1, 1] + [2] * steps:  # from the score back to the image, kernels of 4
        pixels = 4 + (pixels - 1) * stride
    return pixels
