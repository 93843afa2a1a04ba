"""Layers with an equalised learning rate (Karras 2018, section 4.1), plain and modulated by a style (Karras 2020, section 2.2).

A leaky ReLU is positively homogeneous, so the factor sqrt(2) that restores the variance after it, and every other
constant, is folded into what comes before: the activations, by far the largest tensors, are touched once less.
"""

from math import sqrt

import torch
import torch.nn.functional as F
from torch import nn

from echogan.layers.convolution import conv
from echogan.layers.resample import binomial, conv_double, conv_halve

CLAMP = 256.0  # of activations in fp16, whose range ends at 65,504 (Karras 2020b, section D.1)


def leaky(x):
    """Leaky ReLU of slope 0.2, in place."""
    return in_range(F.leaky_relu_(x, 0.2))


def in_range(x):
    """Clamped in fp16, else as it is."""
    return x.clamp(-CLAMP, CLAMP) if x.dtype == torch.float16 else x


class Dense(nn.Module):
    """(B, inputs) -> (B, outputs); `lr` multiplies the learning rate, `active` adds a leaky ReLU of gain sqrt(2).

    `bias` is its first value; None: there is none.
    """

    def __init__(self, inputs, outputs, lr=1.0, bias=0.0, active=False):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr)
        self.bias = None if bias is None else nn.Parameter(torch.full((outputs,), bias))
        gain = sqrt(2) if active else 1.0
        self.active, self.weight_gain, self.bias_gain = active, gain * lr / sqrt(inputs), gain * lr

    def forward(self, x):
        """(B, inputs) -> (B, outputs)."""
        bias = None if self.bias is None else self.bias * self.bias_gain
        x = F.linear(x, self.weight * self.weight_gain, bias)
        return F.leaky_relu(x, 0.2) if self.active else x


class Conv(nn.Module):
    """A 3x3 convolution with leaky ReLU and gain sqrt(2): (B, inputs, H, W) -> (B, outputs, H, W), or half of H and W.

    `gain` scales the result further.
    """

    def __init__(self, inputs, outputs, down=False, gain=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.gain = gain * sqrt(2)
        self.weight_gain = self.gain / sqrt(inputs * 9)
        self.register_buffer("blur", binomial() if down else None, persistent=False)

    def forward(self, x):
        """(B, inputs, H, W) -> (B, outputs, H', W') of the input's type."""
        weight, bias = (self.weight * self.weight_gain).to(x.dtype), (self.bias * self.gain).to(x.dtype)
        x = conv(x, weight, 1, 1) if self.blur is None else conv_halve(x, weight, self.blur)
        return leaky(x.add_(bias[:, None, None]))


class Pixelwise(nn.Module):
    """A 1x1 convolution, written as the matrix product it is: (B, inputs, H, W) -> (B, outputs, H, W) in channels_last.

    `active` adds a bias and a leaky ReLU of gain sqrt(2); `gain` scales the result further.
    """

    def __init__(self, inputs, outputs, active=False, gain=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs))
        self.bias = nn.Parameter(torch.zeros(outputs)) if active else None
        self.gain = gain * (sqrt(2) if active else 1.0)
        self.weight_gain = self.gain / sqrt(inputs)

    def forward(self, x):
        """(B, inputs, H, W) -> (B, outputs, H, W) of the input's type."""
        bias = None if self.bias is None else (self.bias * self.gain).to(x.dtype)
        x = F.linear(x.permute(0, 2, 3, 1), (self.weight * self.weight_gain).to(x.dtype), bias).permute(0, 3, 1, 2)
        return x if bias is None else leaky(x)


class Modulated(nn.Module):
    """A 3x3 convolution whose input channels are scaled by a style, its output back to unit variance, plus noise.

    Scaling activations before and after one ordinary convolution equals convolving each sample with a kernel of its own
    (Karras 2020, eqs. 1 and 3); `up` doubles the resolution first.
    """

    def __init__(self, inputs, outputs, latent, up=False):
        super().__init__()
        self.style = Dense(latent, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(()))
        self.register_buffer("blur", binomial() if up else None, persistent=False)

    def forward(self, x, w, noise):
        """(B, inputs, H, W), latents (B, latent), noise (B, 1, H', W') -> (B, outputs, H', W') of the input's type."""
        weight, style = self.weight, self.style(w)
        if x.dtype == torch.float16:  # demodulation undoes any scale; this one keeps its range
            weight = weight / (sqrt(weight[0].numel()) * weight.abs().amax((1, 2, 3), keepdim=True))
            style = style / style.abs().amax(1, keepdim=True)
        scale = sqrt(2) * demodulation(weight, style)
        x = x * _per_channel(style, x)
        x = conv(x, weight.to(x.dtype), 1, 1) if self.blur is None else conv_double(x, weight.to(x.dtype), self.blur)
        bias, noise = self.bias * sqrt(2), noise * (self.strength * sqrt(2))
        return leaky(torch.addcmul(_per_channel(bias[None], x), x, _per_channel(scale, x)).add_(noise.to(x.dtype)))


def demodulation(weight, style):
    """1 / the standard deviation of each output channel under unit-variance input: (B, out); sum_ik (s_i w_oik)^2."""
    return (style.square() @ weight.square().sum((2, 3)).T + 1e-8).rsqrt()


class ToGrey(nn.Module):
    """The grey image of a feature map: a 1x1 convolution modulated by a style, without demodulation."""

    def __init__(self, inputs, latent):
        super().__init__()
        self.style = Dense(latent, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(inputs))
        self.bias = nn.Parameter(torch.zeros(()))

    def forward(self, x, w):
        """(B, inputs, H, W), latents (B, latent) -> (B, 1, H, W) of the latents' type."""
        mix = self.style(w) * self.weight / sqrt(self.weight.numel())  # one output channel: mixing each sample is cheap
        image = in_range(mix.to(x.dtype)[:, None] @ x.flatten(2)).view(len(x), 1, *x.shape[2:])
        return image.to(w.dtype) + self.bias


def _per_channel(values, x):
    return values.to(x.dtype)[:, :, None, None]
