"""Generators that make an image of an image (Zhu 2017, appendix 7.2), of any height and width, and the pool of their past."""

import torch
from torch import cat, nn

from echogan.errors import BadInput
from echogan.layers.dcgan import dcgan_init
from echogan.precision import mirrored

STRIDE = 4  # pixels that a feature of the inner blocks covers: sizes are padded to a multiple of it


class Translator(nn.Module):
    """Images (B, 1, H, W) -> the same, x + strength r(x) where `inside` is true, and x where it is not.

    `width` channels at full size, 4 x `width` in `blocks` residual blocks at a quarter. `up` is "resize" (a convolution, then
    bilinear doubling, to which what the encoder saw at that size is added: no checkerboard) or "transposed" (the paper's,
    with its kernels of 7 at both ends). Where not `residual`, r(x) = tanh(network) - x.
    """

    def __init__(self, width=16, blocks=4, up="resize", residual=True):
        super().__init__()
        self.residual, self.skips = residual, up == "resize"
        sizes, ends, grown = [width, 2 * width, 4 * width], (3 if self.skips else 7), UPS[up]
        down = [_convolved(1, width, ends), *(_convolved(a, b, 3, 2) for a, b in zip(sizes, sizes[1:]))]
        self.down = nn.ModuleList(down)
        self.blocks = nn.Sequential(*(Block(4 * width) for _ in range(blocks)))
        self.up = nn.ModuleList(grown(a, b) for a, b in zip(sizes[:0:-1], sizes[-2::-1]))
        self.out = Mirrored(width, 1, ends)
        self.apply(dcgan_init)

    def forward(self, x, inside, strength=1.0):
        """`inside`: boolean (B, 1, H, W); values may leave [-1, 1] a little."""
        return x + strength * self.change(x) * inside

    def change(self, x):
        """r(x), (B, 1, H, W)."""
        height, width = x.shape[2:]
        *seen, h = self.features(mirrored(x, (0, -width % STRIDE, 0, -height % STRIDE)))
        for step, beside in zip(self.up, seen[1::-1]):
            h = step(h) + beside if self.skips else step(h)
        made = self.out(h)[..., :height, :width]
        return made if self.residual else torch.tanh(made) - x

    def features(self, x):
        """What the encoder sees at full, half and quarter size, and what the blocks make of it: [(B, C, h, w)]."""
        seen = [x]
        for step in (*self.down, self.blocks):
            seen.append(step(seen[-1]))
        return seen[1:]


class Pair(nn.Module):
    """Two translators of one `shape` (the arguments of `Translator`): AB, and BA as the way `back`, else None.

    `heads`, where `headed`: what vectors of the four layers of AB's encoder are compared by (Park 2020, section 3.1).
    """

    def __init__(self, shape, back=True, headed=False):
        super().__init__()
        width, *_ = shape
        self.AB = Translator(*shape)
        self.BA = Translator(*shape) if back else None
        widths = [width, 2 * width, 4 * width, 4 * width] if headed else []
        heads = (nn.Sequential(nn.Linear(n, 32), nn.ReLU(), nn.Linear(32, 32)) for n in widths)
        self.heads = nn.ModuleList(heads)


def together(generator, *inputs):
    """What a generator makes of several batches of images, each with its sectors."""
    images, sectors = zip(*inputs)
    return generator(cat(images), cat(sectors)).chunk(len(inputs))


def check_images(x):
    """A `BadInput` where x is no batch of grey images."""
    if x.ndim != 4 or x.shape[1] != 1:
        raise BadInput(f"an enhancer wants images (B, 1, H, W) of one grey channel, got {tuple(x.shape)}")
    if min(x.shape[2:]) < 8:
        raise BadInput(f"images of {x.shape[3]} x {x.shape[2]} pixels are too small; an enhancer wants at least 8")
    if not bool(x.isfinite().all()):
        raise BadInput("the images hold values that are not numbers; remove those frames, or mend them, first")


class Block(nn.Module):
    """Two convolutions beside a direct way (He 2016)."""

    def __init__(self, channels):
        super().__init__()
        self.first = _convolved(channels, channels, 3)
        self.second = nn.Sequential(_conv(channels, channels, 3), nn.InstanceNorm2d(channels))

    def forward(self, x):
        return x + self.second(self.first(x))


class Mirrored(nn.Conv2d):
    """A convolution that sees the border mirrored."""

    def forward(self, input):
        return self._conv_forward(mirrored(input, (self.kernel_size[0] // 2,) * 4), self.weight, self.bias)


def _conv(a, b, kernel, stride=1):
    # The norm after it would take a bias out again.
    return Mirrored(a, b, kernel, stride, bias=False)


def _convolved(a, b, kernel, stride=1):
    return nn.Sequential(_conv(a, b, kernel, stride), nn.InstanceNorm2d(b), nn.ReLU())


def _resized(a, b):
    return nn.Sequential(_convolved(a, b, 3), nn.Upsample(scale_factor=2, mode="bilinear"))


def _transposed(a, b):
    return nn.Sequential(nn.ConvTranspose2d(a, b, 3, 2, 1, 1, bias=False), nn.InstanceNorm2d(b), nn.ReLU())


UPS = {"resize": _resized, "transposed": _transposed}


class Pool(nn.Module):
    """Generated images of the past: of those `shown` to the discriminator half are old (Shrivastava 2017, section 2.3).

    A newcomer that is not shown takes the place of the old one that is. Every row of the batch has places of its own, so
    that no two of a batch meet; a batch of one is the published rule. `channels`: images of one row, kept together.
    """

    def __init__(self, size, batch, channels, resolution):
        super().__init__()
        self.depth, self.batch = size // batch, batch
        self.images: torch.Tensor
        self.shown: torch.Tensor
        self.filled: torch.Tensor  # places of each row
        self.register_buffer("images", torch.zeros(self.depth * batch, channels, resolution, resolution))
        self.register_buffer("shown", torch.zeros(batch, channels, resolution, resolution))
        self.register_buffer("filled", torch.zeros((), dtype=torch.long))

    def turn(self, fresh, chance):
        """Take in `fresh` images (batch, channels, H, W) and choose those to show; `chance` uniform (batch, 2)."""
        self.shown.copy_(fresh)
        if not self.depth:
            return
        full = self.filled >= self.depth
        level = torch.where(full, (chance[:, 0] * self.depth).long(), self.filled)
        places = level * self.batch + torch.arange(self.batch, device=fresh.device)
        swap, old = _per_image(full & (chance[:, 1] < 0.5)), self.images[places]
        self.shown.copy_(torch.where(swap, old, fresh))
        self.images[places] = torch.where(swap | ~full, fresh.to(old), old)
        self.filled.add_(1).clamp_(max=self.depth)


def _per_image(flags):
    return flags[:, None, None, None]
