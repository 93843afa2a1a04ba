"""Encoder and decoder of VQGAN (Esser 2021, table 7): residual blocks, halving or doubling between them, and attention.

Channels double with every halving, from `width` up to 4 x `width`.
"""

import torch.nn.functional as F
from torch import nn

from echogan.layers.patch import normalisation


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
