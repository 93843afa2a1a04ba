"""The U-Net of pix2pix (Isola 2017, section 6.1): an encoder to one pixel and a decoder that sees its every step."""

import torch
import torch.nn.functional as F
from torch import nn

from echogan.errors import BadInput, one_of
from echogan.layers.dcgan import dcgan_init
from echogan.layers.patch import normalisation

DROPPED = 3  # innermost steps of the decoder that drop out


class UNet(nn.Module):
    """(B, channels, resolution, resolution) -> (B, 1, resolution, resolution) in [-1, 1].

    `width` channels at half the resolution, doubling to 8 x `width`, down to 1 pixel. `up` is "transposed" (the paper's) or
    "resize" (nearest neighbour, then a convolution: no checkerboard).
    """

    def __init__(self, resolution, channels, width=64, norm="batch", up="transposed"):
        super().__init__()
        if resolution < 4 or resolution.bit_count() != 1:
            raise BadInput(f"a U-Net halves its images down to one pixel; {resolution} pixels do not, take 64 or 128")
        depth = resolution.bit_length() - 1
        widths = [width * min(2**i, 8) for i in range(depth)]
        # A norm over a single pixel would leave nothing of it, hence none at the bottom.
        norms = ["none", *[norm] * (depth - 2), "none"]
        self.down = nn.ModuleList(_down(a, b, n) for a, b, n in zip([channels, *widths], widths, norms))
        behind = [*widths[-2::-1], 1]  # channels after each step up
        ahead = [widths[-1], *(2 * c for c in behind[:-1])]  # and before it, with what the encoder saw there
        self.up = nn.ModuleList(_up(a, b, n, up) for a, b, n in zip(ahead, behind, [norm] * (depth - 1) + ["none"]))
        self.drops = [(c, 2 ** (i + 1)) for i, c in enumerate(behind[:-1][:DROPPED])]  # channels, pixels a side
        self.apply(dcgan_init)

    @property
    def draws(self):
        """Uniform numbers an image, which decide what is dropped."""
        return sum(channels * side**2 for channels, side in self.drops)

    def forward(self, x, chance=None):
        """`chance`: (B, draws) uniform numbers, for dropout at one half; None: nothing is dropped."""
        seen = []
        for i, step in enumerate(self.down):
            x = step(F.leaky_relu(x, 0.2) if i else x)
            seen.append(x)
        masks = iter([] if chance is None else self._masks(chance))
        x = seen.pop()
        for step in self.up:
            x = step(F.relu(x))
            if (mask := next(masks, None)) is not None:
                x = 2 * (x * mask)
            x = torch.cat([x, seen.pop()], 1) if seen else x
        return torch.tanh(x)

    def _masks(self, chance):
        """Which activations stay, boolean (B, channels, side, side) for each of the innermost steps."""
        parts = chance.split([channels * side**2 for channels, side in self.drops], 1)
        return [(p >= 0.5).unflatten(1, (c, side, side)) for p, (c, side) in zip(parts, self.drops)]


def _down(a, b, norm):
    return nn.Sequential(nn.Conv2d(a, b, 4, 2, 1, bias=norm in ("none", "group")), normalisation(norm, b))


def _up(a, b, norm, kind):
    bias = norm in ("none", "group")
    if one_of(kind, ("transposed", "resize"), "way up") == "transposed":
        return nn.Sequential(nn.ConvTranspose2d(a, b, 4, 2, 1, bias=bias), normalisation(norm, b))
    return nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1, bias=bias), normalisation(norm, b))
