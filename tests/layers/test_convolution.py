"""Convolutions that are closed under differentiation: values against torch, derivatives against finite differences."""

import pytest
import torch
import torch.nn.functional as F

from echogan.layers.convolution import conv, conv_transposed, input_gradients_only

CASES = [(1, 1, 1, 3, 4), (2, 0, 1, 3, 5), (1, 2, 2, 4, 4), (2, 1, 2, 4, 4)]  # stride, padding, groups, kernel, size


def operands(groups, kernel, size, seed=0):
    torch.manual_seed(seed)
    x = torch.randn(1, 2, size, size, dtype=torch.double, requires_grad=True)
    w = torch.randn(2, 2 // groups, kernel, kernel, dtype=torch.double, requires_grad=True)
    return x, w


@pytest.mark.parametrize("stride, padding, groups, kernel, size", CASES)
def test_values_are_those_of_torch(stride, padding, groups, kernel, size):
    x, w = operands(groups, kernel, size)
    y = conv(x, w, stride, padding, groups)
    torch.testing.assert_close(y, F.conv2d(x, w, None, stride, padding, 1, groups))
    back = conv_transposed(y, w, stride, padding, groups)
    torch.testing.assert_close(back, F.conv_transpose2d(y, w, None, stride, padding, 0, groups))
    assert back.shape == x.shape


@pytest.mark.parametrize("stride, padding, groups, kernel, size", CASES)
def test_first_and_second_derivatives_match_finite_differences(stride, padding, groups, kernel, size):
    x, w = operands(groups, kernel, size)
    y = conv(x, w, stride, padding, groups).detach().requires_grad_()
    for function, inputs in ((conv, (x, w)), (conv_transposed, (y, w))):
        assert torch.autograd.gradcheck(lambda a, b, f=function: f(a, b, stride, padding, groups), inputs)
        assert torch.autograd.gradgradcheck(lambda a, b, f=function: f(a, b, stride, padding, groups), inputs)


def test_third_derivatives_exist():
    x, w = operands(1, 3, 5)

    def second(w):
        (g,) = torch.autograd.grad(conv(x, w, 1, 1).tanh().sum(), x, create_graph=True)
        return torch.autograd.grad(g.square().sum(), x, create_graph=True)[0].square().sum()

    assert torch.autograd.gradcheck(second, (w,))


def test_weight_gradients_are_left_out_only_where_asked():
    x, w = operands(1, 3, 6)
    with input_gradients_only():
        assert torch.autograd.grad(conv(x, w).sum(), (x, w), allow_unused=True)[1] is None
        (g,) = torch.autograd.grad(conv(x, w).square().sum(), x, create_graph=True)
    (expected,) = torch.autograd.grad(F.conv2d(x, w).square().sum(), x, create_graph=True)
    torch.testing.assert_close(
        torch.autograd.grad(g.square().sum(), w)[0], torch.autograd.grad(expected.square().sum(), w)[0]
    )


def test_a_penalty_needs_no_kernel_per_channel():
    """The second derivative of a filter on many channels takes as many operators as on few."""

    def operators(channels):
        x = torch.randn(1, channels, 8, 8, requires_grad=True)
        w = torch.ones(channels, 1, 4, 4)
        with torch.profiler.profile() as profile:
            (g,) = torch.autograd.grad(conv(x, w, 1, 2, channels).tanh().sum(), x, create_graph=True)
            g.square().sum().backward()
        return len(profile.events())

    assert operators(64) == operators(4)
