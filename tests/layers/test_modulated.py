"""Modulated convolution against a loop over samples, and layers whose output keeps unit variance."""

from math import sqrt

import pytest
import torch
import torch.nn.functional as F

from echogan.layers.modulated import CLAMP, Conv, Dense, Modulated, Pixelwise, ToGrey
from echogan.layers.resample import conv_double


def by_sample(layer, x, w, noise):
    """Karras 2020, eqs. 1 and 3, one kernel for each sample."""
    images = []
    for xi, wi, ni in zip(x, w, noise):
        style = F.linear(wi, layer.style.weight / sqrt(wi.numel()), layer.style.bias)
        kernel = layer.weight * style[None, :, None, None]
        kernel = kernel / (kernel.square().sum((1, 2, 3), keepdim=True) + 1e-8).sqrt()
        if layer.blur is None:
            y = F.conv2d(xi[None], kernel, padding=1)
        else:
            y = conv_double(xi[None], kernel, layer.blur)
        y = F.leaky_relu(y + layer.strength * ni + layer.bias[None, :, None, None], 0.2) * sqrt(2)
        images.append(y)
    return torch.cat(images)


def wakened(module, seed=0):
    """Every parameter away from the zero it may start at."""
    torch.manual_seed(seed)
    for p in module.parameters():
        p.data.add_(0.3 * torch.randn_like(p))
    return module.double()


@pytest.mark.parametrize("up", [False, True])
def test_scaling_activations_is_a_kernel_for_each_sample(up):
    layer = wakened(Modulated(5, 3, 4, up))
    torch.manual_seed(1)
    x, w = torch.randn(3, 5, 6, 6, dtype=torch.double), torch.randn(3, 4, dtype=torch.double)
    noise = torch.randn(3, 1, 12 if up else 6, 12 if up else 6, dtype=torch.double)
    torch.testing.assert_close(layer(x, w, noise), by_sample(layer, x, w, noise))


def test_modulation_differentiates_twice_by_the_style():
    layer = wakened(Modulated(2, 2, 2))
    torch.manual_seed(1)
    x, w = torch.randn(2, 2, 3, 3, dtype=torch.double), torch.randn(2, 2, dtype=torch.double, requires_grad=True)
    noise = torch.zeros(2, 1, 3, 3, dtype=torch.double)
    assert torch.autograd.gradgradcheck(lambda w: layer(x, w, noise).square().sum(), (w,))


def test_grey_of_each_sample_is_a_weighted_sum_of_its_channels():
    layer = wakened(ToGrey(5, 4))
    x, w = torch.randn(3, 5, 6, 6, dtype=torch.double), torch.randn(3, 4, dtype=torch.double)
    for image, xi, wi in zip(layer(x, w), x, w):
        style = F.linear(wi, layer.style.weight / 2, layer.style.bias)
        expected = sum(s * v * c for s, v, c in zip(style, layer.weight, xi)) / sqrt(5) + layer.bias
        torch.testing.assert_close(image[0], expected)


def test_a_pixelwise_layer_is_a_1x1_convolution():
    layer = wakened(Pixelwise(3, 4, active=True, gain=0.5))
    x = torch.randn(2, 3, 5, 5, dtype=torch.double)
    expected = F.leaky_relu(F.conv2d(x, layer.weight[:, :, None, None] / sqrt(3), layer.bias), 0.2) * sqrt(2) * 0.5
    torch.testing.assert_close(layer(x), expected)


def test_the_learning_rate_of_a_dense_layer_scales_its_step_not_its_output():
    torch.manual_seed(0)
    x, slow, quick = torch.randn(64, 16), Dense(16, 16, lr=0.01), Dense(16, 16)
    quick.weight.data, quick.bias.data = slow.weight.data * 0.01, slow.bias.data * 0.01
    assert torch.allclose(slow(x), quick(x), atol=1e-5)
    (a,), (b,) = (torch.autograd.grad(layer(x).square().sum(), layer.weight) for layer in (slow, quick))
    assert torch.allclose(a, 0.01 * b, rtol=1e-4)


@pytest.mark.parametrize("layer", [Conv(32, 32), Conv(32, 32, down=True), Pixelwise(32, 32, active=True)])
def test_unit_variance_in_unit_mean_square_out(layer):
    torch.manual_seed(0)
    for p in layer.parameters():
        torch.nn.init.normal_(p) if p.ndim > 1 else torch.nn.init.zeros_(p)
    size = layer(torch.randn(8, 32, 32, 32)).square().mean().item()
    # Smoothing white noise takes (sum of squared taps)^2 = (20/64)^2 of its power.
    expected = (20 / 64) ** 2 if getattr(layer, "blur", None) is not None else 1.0
    assert size == pytest.approx(expected, rel=0.25)


def test_half_precision_stays_in_range():
    torch.manual_seed(0)
    layer = Modulated(16, 16, 4)
    layer.style.bias.data.fill_(3e4)
    x, w, noise = 200 * torch.randn(2, 16, 8, 8), torch.randn(2, 4), torch.zeros(2, 1, 8, 8)
    exact, half = layer(x, w, noise), layer(x.half(), w, noise)
    assert half.dtype == torch.float16 and half.isfinite().all()
    assert torch.allclose(half.float(), exact.clamp(-CLAMP, CLAMP), atol=2.0)
    assert half.abs().max() == CLAMP
