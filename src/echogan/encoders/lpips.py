"""LPIPS v0.1 on AlexNet (Zhang 2018): a perceptual distance, as a metric of uint8 pairs and as a guest of a loss."""

import torch
import torch.nn.functional as F
from torch import nn

from echogan.encoders import weights
from echogan.errors import BadInput
from echogan.precision import full_float32

SMALLEST = 31  # pixels: below, nothing is left after the second pooling
CONVOLUTIONS = {0: (4, 2), 3: (1, 2), 6: (1, 1), 8: (1, 1), 10: (1, 1)}  # torchvision's number -> stride, padding
POOLED = (3, 6)  # layers that see their input at half the size


class Lpips(nn.Module):
    """Distances (B,) of two batches (B, 1 or 3, H, W) in [-1, 1]; grey is taken as three equal channels.

        d(x, y) = sum over layers l of  mean over places of  w_l . (f_l(x) / |f_l(x)| - f_l(y) / |f_l(y)|)^2

    (Zhang 2018, eq. 1.) Nothing of it is trained: all numbers are buffers, and gradients flow to x and y alone.
    """

    def __init__(self, alexnet, heads):
        super().__init__()
        self.register_buffer("shift", torch.tensor([-0.030, -0.088, -0.188]).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor([0.458, 0.448, 0.450]).view(1, 3, 1, 1))
        for i, layer in enumerate(CONVOLUTIONS):
            self.register_buffer(f"kernel{layer}", alexnet[f"features.{layer}.weight"])
            self.register_buffer(f"bias{layer}", alexnet[f"features.{layer}.bias"])
            self.register_buffer(f"head{layer}", heads[f"lin{i}.model.1.weight"])

    def forward(self, x, y):
        layers = zip(CONVOLUTIONS, self._directions(x), self._directions(y), strict=True)
        return torch.stack([self._weighted((a - b).square(), n) for n, a, b in layers]).sum(0)

    def _weighted(self, squares, layer):
        return (squares * getattr(self, f"head{layer}")).sum(1).mean((1, 2))

    def _directions(self, x):
        """Features of unit length at every place, layer by layer."""
        if min(x.shape[-2:]) < SMALLEST:
            raise BadInput(f"LPIPS needs images of {SMALLEST} pixels or more, got {x.shape[-1]} x {x.shape[-2]}")
        x = (x - self.shift) / self.scale
        for layer, (stride, padding) in CONVOLUTIONS.items():
            x = F.max_pool2d(x, 3, 2) if layer in POOLED else x
            x = F.relu(F.conv2d(x, getattr(self, f"kernel{layer}"), getattr(self, f"bias{layer}"), stride, padding))
            full = x.float()  # squares of half precision would overflow
            yield full / (full.square().sum(1, keepdim=True) + 1e-20).sqrt()  # no infinite slope where nothing is seen

    @torch.no_grad()
    def between(self, images, reference, batch=64):
        """float64 (N,) of pairs of uint8 tensors (N, H, W), computed on this network's device."""
        with full_float32():
            found = [
                self(self._centred(a), self._centred(b)) for a, b in zip(images.split(batch), reference.split(batch))
            ]
        return torch.cat(found).double()

    def _centred(self, images):
        return images[:, None].to(self.shift.device).float() / 127.5 - 1


def available():
    """Whether the weights of `lpips` are on this machine."""
    return all(map(weights.locate, ("alexnet", "lpips_alex")))


def lpips(device="cpu"):
    """The `Lpips` of the verified weights; a `BadInput` says how to get them where they are missing."""
    return Lpips(weights.tensors("alexnet"), weights.tensors("lpips_alex")).to(device).eval()
