"""What the frozen networks share: convolutions with their batch normalisation folded in, resizing."""

import torch
import torch.nn.functional as F

EPSILON = 1e-3  # of every batch normalisation that came from TensorFlow


def folded(weight, normalisation, epsilon=EPSILON):
    """(kernel, bias) of a convolution followed by batch normalisation in evaluation mode.

    `normalisation` maps weight, bias, running_mean and running_var to tensors (channels out,).
    """
    scale = normalisation["weight"] / torch.sqrt(normalisation["running_var"] + epsilon)
    return weight * scale[:, None, None, None], normalisation["bias"] - normalisation["running_mean"] * scale


def on_grey(weight):
    """The kernel that sees one grey channel as `weight` sees three equal ones."""
    return weight.sum(1, keepdim=True)


def placed(kernels, device):
    """{name: (kernel, bias)} on the device, kernels in the channels_last layout."""
    return {
        name: (kernel.to(device, memory_format=torch.channels_last), bias.to(device))
        for name, (kernel, bias) in kernels.items()
    }


def same_padding(x, kernel, stride):
    """`x` (n, c, h, w) padded with zeros as TensorFlow's "SAME" does, the odd pixel at the far end."""
    pad = []
    for size in (x.shape[-1], x.shape[-2]):
        whole = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        pad += [whole // 2, whole - whole // 2]
    return F.pad(x, pad) if any(pad) else x
