"""The StyleGAN2 pair for grey images (Karras 2020): a skip generator with its mapping, and a residual discriminator.

Reduced precision is asked for from outside, by autocast; inside, the `reduced` highest resolutions follow it, and all that
is small and delicate (mapping, styles, lowest resolutions, the sum of the skip images, scores) stays as the weights are.
"""

from math import gcd, log2, sqrt

import torch
from torch import nn

from echogan.layers.modulated import Conv, Dense, Modulated, Pixelwise, ToGrey
from echogan.layers.resample import binomial, double, halve
from echogan.precision import by_hand


def widths(resolution, base, widest):
    """{resolution: channels} from 4 px up: base / resolution, at most `widest`."""
    return {r: min(base // r, widest) for r in (2**i for i in range(2, int(log2(resolution)) + 1))}


def normalised(x):
    """Each row at unit mean square (pixel norm, Karras 2018)."""
    return x * (x.square().mean(1, keepdim=True) + 1e-8).rsqrt()


def minibatch_std(x, group=4):
    """(B, C, H, W) -> (B, C + 1, H, W): the mean spread within a group of images, as one more channel (Karras 2018).

    A group takes every (B / group)-th row, so interleaved parts of a batch, of whole groups, form the same ones as it.
    """
    n = gcd(len(x), group)
    spread = (x.reshape(n, -1, *x.shape[1:]).var(0, correction=0) + 1e-8).sqrt().mean((1, 2, 3))
    return torch.cat([x, spread.repeat(n)[:, None, None, None].expand(-1, 1, *x.shape[2:])], 1)


def asked_type(x):
    """The type that autocast asks for on the device of x, else that of x."""
    kind = x.device.type
    asked = torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if asked else x.dtype


def one_hot(label, classes):
    """(B,) -> bool (B, classes)."""
    return label[:, None] == torch.arange(classes, device=label.device)


class Mapping(nn.Module):
    """(B, latent) noise and (B,) classes -> (B, out) latents w; without latents (0), the embedding of the class alone."""

    def __init__(self, latent, out, layers, classes=0):
        super().__init__()
        self.classes = classes
        self.embed = Dense(classes, out) if classes else None
        sizes = [latent + (out if classes else 0)] + [out] * layers
        self.layers = nn.Sequential(*(Dense(a, b, lr=0.01, active=True) for a, b in zip(sizes, sizes[1:])))

    def forward(self, z=None, label=None):
        """Both parts are normalised before they meet."""
        parts = [] if z is None else [normalised(z)]
        if self.embed:
            parts.append(normalised(self.embed(one_hot(label, self.classes).to(self.embed.weight.dtype))))
        return self.layers(torch.cat(parts, 1))


class SynthesisBlock(nn.Module):
    """One resolution of the generator: features (B, inputs, H, W) -> (B, outputs, 2H, 2W), and their grey image."""

    def __init__(self, inputs, outputs, latent):
        super().__init__()
        self.up = Modulated(inputs, outputs, latent, up=True) if inputs else None
        self.conv = Modulated(outputs, outputs, latent)
        self.grey = ToGrey(outputs, latent)

    def forward(self, x, ws, noises):
        """Latents and noise maps of its convolutions, in order; the last latent is the image's."""
        for layer, w, noise in zip((self.up, self.conv) if self.up else (self.conv,), ws, noises):
            x = layer(x, w, noise)
        return x, self.grey(x, ws[-1])


class Generator(nn.Module):
    """Latents to images. `w_mean` is what truncation pulls toward, `grain` one fixed draw of all noise maps."""

    def __init__(self, resolution, base, widest=512, latent=512, mapping=8, reduced=4, classes=0):
        super().__init__()
        sizes = widths(resolution, base, widest)
        self.reduced = reduced
        self.mapping = Mapping(latent, latent, mapping, classes)
        self.const = nn.Parameter(torch.randn(sizes[4], 4, 4))
        self.blocks = nn.ModuleList(SynthesisBlock(a, b, latent) for a, b in zip([0, *sizes.values()], sizes.values()))
        self.layers = 2 * len(sizes)  # latents of an image: one a convolution, one for the last grey
        self.maps = [4] + [r for r in list(sizes)[1:] for _ in range(2)]  # sizes of the noise maps
        self.register_buffer("w_mean", torch.zeros(latent))
        self.register_buffer("class_share", torch.full((classes,), 1 / max(classes, 1)), persistent=classes > 0)
        self.register_buffer("grain", torch.randn(sum(r * r for r in self.maps)))
        self.register_buffer("blur", binomial(), persistent=False)

    def forward(self, ws, noise):
        """Latents (B, layers, latent), noise (B, all pixels of all maps) -> images (B, 1, H, W), about [-1, 1]."""
        low, first = asked_type(ws), len(self.blocks) - self.reduced
        noises = [n.view(-1, 1, r, r) for n, r in zip(noise.split([r * r for r in self.maps], 1), self.maps)]
        ws = ws.unbind(1)
        with by_hand(ws[0]):
            x, image = self.const.expand(len(ws[0]), -1, -1, -1), None
            for i, block in enumerate(self.blocks):
                x = x.to(low if i >= first else self.const.dtype)
                at = max(2 * i - 1, 0)  # of its first convolution
                x, grey = block(x, ws[at : 2 * i + 2], noises[at : 2 * i + 1])
                image = grey if image is None else double(image, self.blur) + grey
        return image

    def latents(self, z, label=None):
        """(B, latent) noise, (B,) classes -> (B, latent) latents w."""
        with by_hand(z):
            return self.mapping(z, label)


class ResidualBlock(nn.Module):
    """(B, inputs, H, W) -> (B, outputs, H/2, W/2), variance kept by sqrt(1/2) on both ways."""

    def __init__(self, inputs, outputs):
        super().__init__()
        self.skip = Pixelwise(inputs, outputs, gain=sqrt(0.5))
        self.conv = Conv(inputs, inputs)
        self.down = Conv(inputs, outputs, down=True, gain=sqrt(0.5))
        self.register_buffer("blur", binomial(), persistent=False)

    def forward(self, x):
        """The sum of both ways."""
        return self.skip(halve(x, self.blur)).add_(self.down(self.conv(x)))


class Discriminator(nn.Module):
    """Images (B, 1, H, W) -> scores (B,); of a class where there are any, by projection (Miyato 2018).

    `bias=0.0` is the first offset of the scores; None leaves it out, as differences of scores cannot learn one.
    """

    def __init__(self, resolution, base, widest=512, mapping=8, reduced=4, classes=0, group=4, bias=0.0):
        super().__init__()
        sizes = list(widths(resolution, base, widest).values())[::-1]
        last = sizes[-1]
        self.reduced, self.group = reduced, group
        self.grey = Pixelwise(1, sizes[0], active=True)
        self.blocks = nn.ModuleList(ResidualBlock(a, b) for a, b in zip(sizes, sizes[1:]))
        self.conv = Conv(last + 1, last)
        self.dense = Dense(last * 16, last, active=True)
        self.out = Dense(last, last if classes else 1, bias=bias)
        self.mapping = Mapping(0, last, mapping, classes) if classes else None

    def forward(self, image, label=None):
        """Scores, one an image, unbounded."""
        low = asked_type(image)
        with by_hand(image):
            x = self.grey(image.to(low if self.reduced else image.dtype))
            for i, block in enumerate(self.blocks):
                x = block(x.to(low if i < self.reduced else image.dtype))
            x = self.conv(minibatch_std(x.to(image.dtype), self.group))
            x = self.out(self.dense(x.flatten(1)))
            return x[:, 0] if self.mapping is None else (x * self.mapping(label=label)).sum(1) / sqrt(x.shape[1])
