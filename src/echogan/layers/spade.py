"""Networks between masks and images: a generator modulated by the mask, and three networks that look at images.

SPADE (Park 2019): every normalisation is undone by a gain and a shift that a small network computes, pixel by pixel, from
the mask: flat regions of it, which normalisation alone would wash out, keep their say. OASIS (Schönfeld 2021): the noise is
given to that small network too, and the discriminator names the label of every pixel, with one more label for "fake".
"""

from math import log2

import torch
import torch.nn.functional as F
from torch import nn

from echogan.layers.spectral import SpectralConv
from echogan.precision import scores

START = 8  # pixels a side at which a generator begins
NORMS = {"batch": lambda n: nn.BatchNorm2d(n, affine=False), "instance": nn.InstanceNorm2d}


# ------------------------------------------------------------------------------------------------ mask to image


class Modulation(nn.Module):
    """Gain and shift of every pixel of a normalised (B, C, H, W), from maps (B, hidden, H, W) (Park 2019, eq. 1)."""

    def __init__(self, channels, plan):
        super().__init__()
        self.both = nn.Conv2d(plan.hidden, 2 * channels, plan.kernel, padding=plan.kernel // 2)

    def forward(self, x, maps):
        gain, shift = self.both(maps).chunk(2, 1)
        return torch.addcmul(x, x, gain).add_(shift)


class Maps(nn.Module):
    """What mask and noise say at one resolution: (B, labels, H, W) and (B, noise) -> (B, hidden, H, W), not negative."""

    def __init__(self, labels, noise, hidden):
        super().__init__()
        self.of_mask = nn.Conv2d(labels, hidden, 3, padding=1)
        self.of_noise = nn.Linear(noise, hidden, bias=False) if noise else None

    def forward(self, mask, z):
        maps = self.of_mask(mask)
        if self.of_noise is not None:  # equal to a convolution of the noise repeated at every pixel, at no cost
            maps = maps + self.of_noise(z)[:, :, None, None]
        return F.relu(maps)


class Block(nn.Module):
    """A residual block of modulated convolutions, (B, inputs, H, W) -> (B, outputs, H, W) (Park 2019, figure 4).

    No convolution before a normalisation has a bias: the mean that it would shift is taken away.
    """

    def __init__(self, inputs, outputs, plan):
        super().__init__()
        middle = min(inputs, outputs)
        self.maps = Maps(plan.labels, plan.noise, plan.hidden)
        self.grain = nn.Parameter(torch.full((inputs, 1, 1), 0.1)) if plan.grain else None
        self.norm, self.inner_norm = NORMS[plan.norm](inputs), NORMS[plan.norm](middle)
        self.before, self.between = Modulation(inputs, plan), Modulation(middle, plan)
        self.first = SpectralConv(inputs, middle, bias=False)
        self.second = SpectralConv(middle, outputs, bias=False)
        self.skip = Skip(inputs, outputs, plan) if inputs != outputs else None

    def forward(self, x, mask, z, grain):
        """`mask` (B, labels, H, W), `z` (B, noise), `grain` (B, 1, H, W)."""
        maps = self.maps(mask, z)
        if self.grain is not None:
            x = x + self.grain * grain
        level = self.norm(x)
        inner = self.first(F.leaky_relu(self.before(level, maps), 0.2))
        inner = self.second(F.leaky_relu(self.between(self.inner_norm(inner), maps), 0.2))
        return inner + (x if self.skip is None else self.skip(level, maps))


class Skip(nn.Module):
    """What passes a block by where it changes the number of channels: modulated, then mixed pixel by pixel."""

    def __init__(self, inputs, outputs, plan):
        super().__init__()
        self.modulate, self.mix = Modulation(inputs, plan), SpectralConv(inputs, outputs, 1, bias=False)

    def forward(self, x, maps):
        return self.mix(self.modulate(x, maps))


class Generator(nn.Module):
    """Masks and noise to images.

    `plan` has: resolution; labels; width, channels at full resolution, doubled with every halving up to 16 x; hidden,
    channels of the maps, and kernel, pixels that gain and shift look at; norm; noise, length of z; grain; style.
    """

    def __init__(self, plan):
        super().__init__()
        self.noise = plan.noise
        self.sizes = [START * 2**i for i in range(int(log2(plan.resolution // START)) + 1)]
        widths = [plan.width * min(plan.resolution // size, 16) for size in self.sizes]
        self.draws = plan.noise + (sum(size**2 for size in self.sizes) if plan.grain else 0)
        self.encoder = Encoder(plan.resolution, plan.width, plan.noise) if plan.style else None
        self.start = nn.Conv2d(plan.labels, widths[0], 3, padding=1)
        self.layout = nn.Linear(plan.noise, widths[0] * START**2, bias=False) if plan.noise else None
        self.blocks = nn.ModuleList(Block(a, b, plan) for a, b in zip([widths[0], *widths], widths))
        self.image = nn.Conv2d(widths[-1], 1, 3, padding=1)

    def forward(self, mask, numbers, z=None):
        """One-hot masks (B, labels, H, W), normal numbers (B, draws) -> images (B, 1, H, W) in [-1, 1].

        `z` (B, noise), a style, takes the place of the first of the numbers.
        """
        masks = [mask]
        while len(masks) < len(self.sizes):
            masks.insert(0, F.avg_pool2d(masks[0], 2))  # shares of every label
        own, *grains = numbers.split([self.noise] + [s**2 for s in self.sizes] * (self.draws > self.noise), 1)
        grains = [g.view(-1, 1, s, s) for g, s in zip(grains, self.sizes)] or [None] * len(self.sizes)
        z = own if z is None else z
        x = self.start(masks[0])
        if self.layout is not None:  # what lies where in a region that the mask leaves open
            x = x + self.layout(z).view_as(x)
        for i, block in enumerate(self.blocks):
            x = block(x if i == 0 else F.interpolate(x, scale_factor=2.0), masks[i], z, grains[i])
        return self.image(F.leaky_relu(x, 0.2)).tanh()


class Encoder(nn.Module):
    """The style of images: (B, 1, H, W) -> mean and logarithm of the variance of a normal z, each (B, noise)."""

    def __init__(self, resolution, width, noise):
        super().__init__()
        widths = [1] + [width * min(2**i, 8) for i in range(int(log2(resolution)) - 2)]  # down to 4 px
        self.convs = nn.ModuleList(SpectralConv(a, b, 3, 2) for a, b in zip(widths, widths[1:]))
        self.out = nn.Linear(16 * widths[-1], 2 * noise)

    def forward(self, x):
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return self.out(x.flatten(1)).chunk(2, 1)


# ------------------------------------------------------------------------------------------------ looking at images


class Patches(nn.Module):
    """A critic of patches at several scales (Wang 2018): (B, channels, H, W) -> for every scale, the features of every layer."""

    def __init__(self, channels, width, steps, scales):
        super().__init__()
        self.scales = nn.ModuleList(Scale(channels, width, steps) for _ in range(scales))

    def forward(self, x):
        found = []
        for scale in self.scales:
            found.append(scale(x))
            x = F.avg_pool2d(x, 3, 2, 1, count_include_pad=False)
        return found


class Scale(nn.Module):
    """One critic of patches: (B, channels, H, W) -> features of its layers; the last are scores (B, 1, h, w), one a patch."""

    def __init__(self, channels, width, steps):
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(steps)]
        layers: list[nn.Module] = [nn.Sequential(nn.Conv2d(channels, widths[0], 4, 2, 2), nn.LeakyReLU(0.2))]
        for i, (a, b) in enumerate(zip(widths, widths[1:]), start=1):
            conv = SpectralConv(a, b, 4, 2 if i < steps - 1 else 1, 2, bias=False)
            layers.append(nn.Sequential(conv, nn.InstanceNorm2d(b), nn.LeakyReLU(0.2)))
        # No bias: within the margins of a hinge it would have no gradient.
        self.layers = nn.ModuleList([*layers, nn.Conv2d(widths[-1], 1, 4, 1, 2, bias=False)])

    def forward(self, x):
        features = [x]
        for layer in self.layers[:-1]:
            features.append(layer(features[-1]))
        return [*features[1:], scores(self.layers[-1], features[-1])]


class Segmenter(nn.Module):
    """A discriminator that names pixels: (B, 1, H, W) -> scores (B, labels + 1, H, W), the last of "fake" (Schönfeld 2021)."""

    def __init__(self, resolution, labels, width):
        super().__init__()
        widths = [width * min(2**i, 8) for i in range(int(log2(resolution)) - 1)]  # down to 4 px
        self.first = SpectralConv(1, widths[0])
        self.down = nn.ModuleList(Residual(a, b) for a, b in zip(widths, widths[1:]))
        steps = list(zip(widths, widths[1:]))[::-1]
        self.narrow = nn.ModuleList(SpectralConv(b, a, 1, bias=False) for a, b in steps)
        self.up = nn.ModuleList(Residual(a, a) for a, _ in steps)
        self.out = nn.Conv2d(widths[0], labels + 1, 1)

    def forward(self, x):
        x, seen = self.first(x), []
        for block in self.down:
            seen.append(x)
            x = block(F.avg_pool2d(x, 2))
        for narrow, block in zip(self.narrow, self.up):
            x = block(seen.pop() + F.interpolate(narrow(x), scale_factor=2.0))
        return scores(self.out, F.leaky_relu(x, 0.2))


class Residual(nn.Module):
    """Two convolutions beside a pixelwise one, (B, inputs, H, W) -> (B, outputs, H, W)."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.first, self.second = SpectralConv(inputs, outputs), SpectralConv(outputs, outputs)
        self.skip = nn.Identity() if inputs == outputs else SpectralConv(inputs, outputs, 1, bias=False)

    def forward(self, x):
        inner = self.second(F.leaky_relu(self.first(F.leaky_relu(x, 0.2)), 0.2))
        return inner + self.skip(x)
