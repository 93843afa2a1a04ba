"""The DCGAN pair (Radford 2016): a ladder of strided convolutions up, and one down."""

from math import log2

from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

from echogan.precision import by_hand, full, scores


def steps_to(resolution):
    """How often 4 px doubles to reach `resolution`."""
    return int(log2(resolution)) - 2


class Generator(nn.Module):
    """(B, latent) -> (B, 1, resolution, resolution) in [-1, 1].

    `width` is the number of channels at half the resolution; it doubles with every halving down to 4 px.
    """

    def __init__(self, resolution, latent, width, norm="batch"):
        super().__init__()
        widths = [width * 2**i for i in reversed(range(steps_to(resolution)))]  # 4 px first
        layers = [
            nn.ConvTranspose2d(latent, widths[0], 4, 1, 0, bias=False),
            *_after(widths[0], norm, nn.ReLU(True)),
        ]
        for a, b in zip(widths, widths[1:]):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), *_after(b, norm, nn.ReLU(True))]
        layers += [nn.ConvTranspose2d(widths[-1], 1, 4, 2, 1, bias=False), nn.Tanh()]
        self.net = nn.Sequential(*layers).apply(dcgan_init)

    def forward(self, z):
        """(B, latent) -> (B, 1, H, W)."""
        return self.net(z[:, :, None, None])


class Critic(nn.Module):
    """(B, 1, resolution, resolution) -> (B,) scores, one per image, unbounded.

    `norm` is "batch" (as the original study had it), "none", or "spectral" (Miyato 2018). Where nothing rescales the
    activations they must keep their size by themselves: at DCGAN's 0.02 they, and the scores' slope, fade layer by layer.
    """

    def __init__(self, resolution, width, norm="none"):
        super().__init__()
        self.spectral = norm == "spectral"
        wrap, bias = (spectral_norm if norm == "spectral" else (lambda layer: layer)), norm != "batch"
        widths = [width * 2**i for i in range(steps_to(resolution))]
        layers = [wrap(nn.Conv2d(1, width, 4, 2, 1, bias=bias)), nn.LeakyReLU(0.2, True)]
        for a, b in zip(widths, widths[1:]):
            layers += [wrap(nn.Conv2d(a, b, 4, 2, 1, bias=bias)), *_after(b, norm, nn.LeakyReLU(0.2, True))]
        layers += [wrap(nn.Conv2d(widths[-1], 1, 4, 1, 0, bias=False))]  # a score's level means nothing
        self.net = nn.Sequential(*layers).apply(he_init if norm == "none" else dcgan_init)

    def forward(self, x):
        """(B, 1, H, W) -> (B,)."""
        if self.spectral:  # a norm in reduced precision would be a bound that holds to two digits
            with by_hand(x):
                return self.net(full(x)).flatten()
        return scores(self.net[-1], self.net[:-1](x)).flatten()


def _after(channels, norm, activation):
    return [nn.BatchNorm2d(channels), activation] if norm == "batch" else [activation]


def dcgan_init(module):
    """Convolutions N(0, 0.02), gains of norms N(1, 0.02), biases 0 (Radford 2016, section 4)."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        for parameter in module.parameters():  # under spectral norm the weight has another name
            nn.init.normal_(parameter, 0.0, 0.02) if parameter.ndim > 1 else nn.init.zeros_(parameter)
    elif isinstance(module, (nn.BatchNorm2d, nn.InstanceNorm2d)) and module.affine:
        nn.init.normal_(module.weight, 1.0, 0.02)


def he_init(module):
    """Convolutions before LeakyReLU(0.2): N(0, 2 / (1.04 fan_in)), so that activations keep their size (He 2015, eq. 14)."""
    if isinstance(module, nn.Conv2d):
        nn.init.kaiming_normal_(module.weight, 0.2)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
