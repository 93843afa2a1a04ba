"""A convolution whose every derivative is again a convolution, for penalties that differentiate a gradient.

A convolution is one partial derivative of a trilinear form,

    T(x, w, y) = <conv(x, w), y>        dT/dy = conv(x, w),   dT/dx = its transpose (y, w),   dT/dw = correlation (x, y)

and each of the three is bilinear, its own derivatives being the other two: the set is closed at any order. PyTorch's
second derivative leaves the set: it convolves with kernels as large as the image, and walks groups one by one.
"""

from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch.nn.grad import conv2d_weight


class _Geometry(NamedTuple):
    kernel: torch.Size  # (out, in / groups, height, width)
    stride: int
    padding: int
    groups: int


def conv(x, weight, stride=1, padding=0, groups=1):
    """(B, in, H, W) and (out, in / groups, k, k) -> (B, out, H', W').

    H + 2 padding - k must be a multiple of the stride, so that the transpose returns to H.
    """
    if torch.compiler.is_compiling():  # compiled code is differentiated once, so torch's own operator will do
        return F.conv2d(x, weight, None, stride, padding, 1, groups)
    return _Partial.apply("y", _Geometry(weight.shape, stride, padding, groups), _laid(x), weight, None)


def conv_transposed(y, weight, stride=1, padding=0, groups=1):
    """The transpose of `conv` with the same weight: (B, out, H', W') and (out, in / groups, k, k) -> (B, in, H, W)."""
    if torch.compiler.is_compiling():
        return F.conv_transpose2d(y, weight, None, stride, padding, 0, groups)
    return _Partial.apply("x", _Geometry(weight.shape, stride, padding, groups), None, weight, _laid(y))


def _laid(x):
    # A filter of each channel alone is ten times as fast in this layout (CPU, 64 px, 16 channels), and no operator slower.
    return x.contiguous(memory_format=torch.channels_last)


class _Partial(torch.autograd.Function):
    """dT / d`wanted`, a bilinear function of the two operands that are not None."""

    weights = True  # whether backward passes compute dT/dw

    @staticmethod
    def forward(ctx, wanted, geometry, x, w, y):
        ctx.wanted, ctx.geometry = wanted, geometry
        ctx.save_for_backward(x, w, y)
        kernel, *place = geometry
        stride, padding, groups = place
        if wanted == "y":
            return F.conv2d(x, w, None, stride, padding, 1, groups)
        if wanted == "x":
            # oneDNN has no strided filter of each channel alone in reduced precision, and what steps in is 50x as slow.
            dtype = torch.float32 if groups > 1 and y.dtype.itemsize < 4 and y.device.type == "cpu" else y.dtype
            return F.conv_transpose2d(y.to(dtype), w.to(dtype), None, stride, padding, 0, groups).to(y.dtype)
        return conv2d_weight(x, kernel, y, stride, padding, 1, groups)

    @staticmethod
    def backward(ctx, *grad_outputs):
        operands, (g,) = dict(zip("xwy", ctx.saved_tensors)), grad_outputs
        operands[ctx.wanted] = g if ctx.wanted == "w" else _laid(g)
        needed = dict(zip("xwy", ctx.needs_input_grad[2:]))
        needed["w"] &= _Partial.weights
        grads = (
            _Partial.apply(k, ctx.geometry, *({**operands, k: None}.values())) if needed[k] else None for k in "xwy"
        )
        return None, None, *grads


@contextmanager
def input_gradients_only():
    """While a gradient by images or latents is taken, the gradients by weights, which nobody asked for, are not."""
    _Partial.weights = False
    try:
        yield
    finally:
        _Partial.weights = True
