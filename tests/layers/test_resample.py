"""Resampling against scipy's upfirdn, an up- or down-sampling convolution against the slow way round."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.signal import upfirdn

from echogan.layers.resample import binomial, conv_double, conv_halve, double, halve, smooth

TAPS = np.array([1, 3, 3, 1]) / 8


def upfirdn2(image, gain, up, down, keep):
    """scipy's one-dimensional filter along both axes, cropped to `keep` outputs from the padding's start."""
    for axis in (0, 1):
        image = np.apply_along_axis(lambda line: upfirdn(gain * TAPS, line, up, down), axis, image)
    return image[keep, keep]


def pictures(size=8, channels=3, seed=0):
    return torch.randn(2, channels, size, size, dtype=torch.double, generator=torch.Generator().manual_seed(seed))


def each(x, function):
    return torch.from_numpy(np.stack([[function(c.numpy()) for c in image] for image in x]))


def test_the_filter_is_the_binomial_one():
    np.testing.assert_allclose(binomial().numpy(), np.outer(TAPS, TAPS), rtol=1e-6)


def test_double_halve_and_smooth_are_upfirdn():
    x, blur = pictures(), binomial().double()
    torch.testing.assert_close(double(x, blur), each(x, lambda c: upfirdn2(c, 2, 2, 1, slice(1, 17))))
    torch.testing.assert_close(halve(x, blur), each(x, lambda c: upfirdn2(np.pad(c, 1), 1, 1, 1, slice(3, 11, 2))))
    torch.testing.assert_close(smooth(x, blur, 2), each(x, lambda c: upfirdn2(c, 1, 1, 1, slice(1, 10))))


def test_a_constant_stays_what_it_is():
    x, blur = torch.ones(1, 2, 16, 16), binomial()
    for y in (double(x, blur), halve(x, blur)):
        assert torch.allclose(y[..., 2:-2, 2:-2], torch.ones(()))


@pytest.mark.parametrize("seed", [0, 1])
def test_convolution_and_resampling_in_one_are_the_two_in_turn(seed):
    x, blur = pictures(seed=seed), binomial().double()
    w = torch.randn(4, 3, 3, 3, dtype=torch.double)
    halved = F.conv2d(smooth(x, blur, 2), w)[..., ::2, ::2]
    torch.testing.assert_close(conv_halve(x, w, blur), halved)
    spread = torch.zeros(2, 3, 15, 15, dtype=torch.double)
    spread[..., ::2, ::2] = x
    # The kernel is mirrored: a transposed convolution, as in the official code, so that its weights fit ours.
    doubled = smooth(F.conv2d(spread, w.flip(2, 3), padding=2), 4 * blur, 1)
    torch.testing.assert_close(conv_double(x, w, blur), doubled)


def test_the_filter_is_its_own_adjoint():
    """<S x, y> = <x, S y> with the padding exchanged, and double is 4 times the adjoint of halve."""
    blur, x, y = binomial().double(), pictures(8), pictures(9, seed=1)
    torch.testing.assert_close((smooth(x, blur, 2) * y).sum(), (x * smooth(y, blur, 1)).sum())
    small = pictures(4, seed=2)
    torch.testing.assert_close(4 * (halve(x, blur) * small).sum(), (x * double(small, blur)).sum())


def test_filters_differentiate_twice():
    blur, x = binomial().double(), pictures(4, 2).requires_grad_()
    for function in (lambda x: smooth(x, blur, 2), lambda x: halve(x, blur), lambda x: double(x, blur)):
        assert torch.autograd.gradgradcheck(function, (x,))
