"""Halving and doubling resolution without aliasing: every step is smoothed by [1, 3, 3, 1] (Karras 2020, section 4.2)."""

import torch

from echogan.layers.convolution import conv, conv_transposed


def binomial():
    """The separable [1, 3, 3, 1] low-pass filter, (4, 4), sum 1."""
    taps = torch.tensor([1.0, 3.0, 3.0, 1.0])
    return torch.outer(taps, taps) / taps.sum() ** 2


def smooth(x, blur, padding):
    """Each channel of (B, C, H, W) filtered by `blur` (4, 4): H grows by 2 padding - 3."""
    return conv(x, _each(x, blur), 1, padding, x.shape[1])


def halve(x, blur):
    """(B, C, H, W) -> (B, C, H/2, W/2), smoothed before every second pixel is dropped."""
    return conv(x, _each(x, blur), 2, 1, x.shape[1])


def double(x, blur):
    """(B, C, H, W) -> (B, C, 2H, 2W): zeros between the pixels, then smoothed; 4 makes up for the zeros."""
    return conv_transposed(x, _each(x, 4 * blur), 2, 1, x.shape[1])


def conv_halve(x, weight, blur):
    """A 3x3 convolution at half the resolution: (B, in, H, W) and (out, in, 3, 3) -> (B, out, H/2, W/2)."""
    return conv(smooth(x, blur, 2), weight, 2)


def conv_double(x, weight, blur):
    """A 3x3 convolution at twice the resolution: (B, in, H, W) and (out, in, 3, 3) -> (B, out, 2H, 2W)."""
    return smooth(conv_transposed(x, weight.transpose(0, 1), 2), 4 * blur, 1)


def _each(x, blur):
    return blur.to(x.dtype).expand(x.shape[1], 1, *blur.shape)
