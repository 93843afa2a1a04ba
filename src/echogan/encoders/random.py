"""A small network of seeded random kernels: for tests of everything that needs an encoder, never in place of a real one."""

import torch
import torch.nn.functional as F

CHANNELS = (1, 16, 32, 64)


def kernels(seed=0):
    """{layer: (channels out, channels in, 3, 3)}, normal with the deviation of He 2015."""
    rng = torch.Generator().manual_seed(seed)
    shapes = [(out, into, 3, 3) for into, out in zip(CHANNELS, CHANNELS[1:])]
    return {str(i): torch.randn(s, generator=rng) * (2 / (9 * s[1])) ** 0.5 for i, s in enumerate(shapes)}


class Random:
    """uint8 (n, H, W) -> float32 (n, 64): three strided convolutions, leaky rectifiers, the mean over the image."""

    weights = ""  # none on disk
    dim = CHANNELS[-1]
    preprocessing = "x / 127.5 - 1 at the size of the image"

    def __init__(self, tensors, device="cpu"):
        self.kernels = [kernel.to(device) for kernel in tensors.values()]

    def __call__(self, images):
        x = images[:, None].float() / 127.5 - 1
        for kernel in self.kernels:
            x = F.leaky_relu(F.conv2d(x, kernel, stride=2, padding=1), 0.2)
        return x.mean((2, 3))
