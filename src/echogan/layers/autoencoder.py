"""Encoder and decoder of VQGAN (Esser 2021, table 7), a codebook between them: residual blocks, halving or doubling, attention.

Channels double with every halving, from `width` up to 4 x `width`.
"""

import torch.nn.functional as F
from torch import nn

from echogan.layers.patch import normalisation
from echogan.layers.quantise import Quantiser


class Residual(nn.Module):
    """(B, a, H, W) -> (B, b, H, W): x + conv(swish(norm(conv(swish(norm(x))))))."""

    def __init__(self, a, b):
        super().__init__()
        self.first = nn.Sequential(normalisation("group", a), nn.SiLU(), nn.Conv2d(a, b, 3, 1, 1))
        self.second = nn.Sequential(normalisation("group", b), nn.SiLU(), nn.Conv2d(b, b, 3, 1, 1))
        self.short = nn.Identity() if a == b else nn.Conv2d(a, b, 1)

    def forward(self, x):
        return self.short(x) + self.second(self.first(x))


class Attention(nn.Module):
    """(B, c, H, W) -> the same: every place looks at every other."""

    def __init__(self, channels):
        super().__init__()
        self.norm = normalisation("group", channels)
        self.ask = nn.Conv2d(channels, 3 * channels, 1)
        self.tell = nn.Conv2d(channels, channels, 1)

    def forward(self, x):
        q, k, v = (part.flatten(2).transpose(1, 2) for part in self.ask(self.norm(x)).chunk(3, 1))  # (B, H W, c)
        seen = F.scaled_dot_product_attention(q[:, None], k[:, None], v[:, None])[:, 0]
        return x + self.tell(seen.transpose(1, 2).unflatten(2, x.shape[2:]))


def widths_of(width, halvings):
    """Channels at the full resolution, at half of it, ... : doubling to 4 x `width`."""
    return [width * min(2**i, 4) for i in range(halvings + 1)]


def encoder(width, halvings, blocks, attention, dim):
    """Module (B, 1, H, W) -> (B, dim, H / 2^halvings, W / 2^halvings)."""
    widths = widths_of(width, halvings)
    layers: list[nn.Module] = [nn.Conv2d(1, width, 3, 1, 1)]
    for i, (a, b) in enumerate(zip([width, *widths], widths)):
        layers += [nn.Conv2d(a, a, 3, 2, 1)] if i else []
        layers += _stage(a, b, blocks, attention and i == halvings)
    return nn.Sequential(
        *layers, *_middle(widths[-1], attention), *_end(widths[-1]), nn.Conv2d(widths[-1], dim, 3, 1, 1)
    )


def decoder(width, halvings, blocks, attention, dim):
    """Module (B, dim, h, w) -> (B, width, h 2^halvings, w 2^halvings), which one more convolution makes an image of."""
    widths = widths_of(width, halvings)[::-1]
    layers: list[nn.Module] = [nn.Conv2d(dim, widths[0], 3, 1, 1), *_middle(widths[0], attention)]
    for i, (a, b) in enumerate(zip([widths[0], *widths], widths)):
        layers += [nn.Upsample(scale_factor=2), nn.Conv2d(a, a, 3, 1, 1)] if i else []
        layers += _stage(a, b, blocks, attention and not i)
    return nn.Sequential(*layers, *_end(width))


def _stage(a, b, blocks, attention):
    for i in range(blocks):
        yield Residual(b if i else a, b)
        if attention:
            yield Attention(b)


def _middle(channels, attention):
    looking = [Attention(channels)] if attention else []
    return [Residual(channels, channels), *looking, Residual(channels, channels)]


def _end(channels):
    return [normalisation("group", channels), nn.SiLU()]


class Autoencoder(nn.Module):
    """(B, 1, H, W) -> (images made again, tokens (B, dim, h, w), their codes of the same shape, these codes' numbers).

    `c`: a config with width, blocks, attention, dim, codes and pull; h = H / 2^`halvings`.
    """

    def __init__(self, c, halvings):
        super().__init__()
        shape = (c.width, halvings, c.blocks, c.attention, c.dim)
        self.encoder, self.decoder = encoder(*shape), decoder(*shape)
        self.paint = nn.Conv2d(c.width, 1, 3, 1, 1)
        self.book = Quantiser(c.codes, c.dim, averaged=not c.pull)

    def forward(self, x):
        z = self.encoder(x)
        code, index = self.book(z)
        return self.paint(self.decoder(z + (code - z).detach())), z, code, index

    def unpainted(self, x):
        """What the last convolution sees, (B, width, H, W)."""
        return self.decoder(self.book(self.encoder(x))[0])

    def sentences(self, x):
        """(B, 1, H, W) -> numbers of its codes, row by row, int64 (B, h w)."""
        return self.book.nearest(self.encoder(x)).flatten(1)

    def told(self, sentences, grid):
        """(B, grid^2) -> images (B, 1, H, W)."""
        return self.paint(self.decoder(self.book.look_up(sentences.unflatten(1, (grid, grid)))))
