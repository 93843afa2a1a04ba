"""EfficientNet-Lite0 (Tan and Le 2019, the form without squeeze-and-excitation) up to its pooled features: a small encoder."""

import torch
import torch.nn.functional as F

from echogan.encoders.convolution import folded, on_grey, placed, same_padding

SIZE = 128  # a third of the time of 224, and differences stand out as many errors above the floor
# stride and repeats of its seven stages; channels, kernel sizes and expansions are those of the tensors
STAGES = ((1, 1), (2, 2), (2, 2), (2, 3), (1, 3), (2, 4), (1, 1))
STRIDES = [stride if i == 0 else 1 for stride, repeats in STAGES for i in range(repeats)]

NORMALISED = {  # which batch normalisation follows which convolution
    **{"_conv_stem": "_bn0", "_conv_head": "_bn1"},
    **{"_expand_conv": "_bn0", "_depthwise_conv": "_bn1", "_project_conv": "_bn2"},
}


class Lite0:
    """uint8 (n, H, W) -> float32 (n, 1280), grey taken as three equal channels."""

    weights = "lite0"
    dim = 1280
    preprocessing = f"bilinear to {SIZE} x {SIZE} (half-pixel centres, anti-aliased), (x - 127) / 128"

    def __init__(self, tensors, device="cpu"):
        kernels = {name: _folded(tensors, name, bn) for name, bn in _names(tensors)}
        kernels["_conv_stem"] = on_grey(kernels["_conv_stem"][0]), kernels["_conv_stem"][1]
        self.kernels = placed(kernels, device)

    def __call__(self, images):
        x = F.interpolate(images[:, None].float(), (SIZE, SIZE), mode="bilinear", antialias=True)
        x = ((x - 127) / 128).contiguous(memory_format=torch.channels_last)
        x = F.relu6(self._conv("_conv_stem", x, stride=2))
        for i, stride in enumerate(STRIDES):
            x = self._block(f"_blocks.{i}.", x, stride)
        return F.relu6(self._conv("_conv_head", x)).mean((2, 3))

    def _block(self, block, x, stride):
        """Inverted residual: expand, filter every channel by itself, project (Sandler 2018)."""
        inner = x
        if f"{block}_expand_conv" in self.kernels:
            inner = F.relu6(self._conv(f"{block}_expand_conv", inner))
        inner = F.relu6(self._conv(f"{block}_depthwise_conv", inner, stride))
        inner = self._conv(f"{block}_project_conv", inner)
        return inner + x if inner.shape == x.shape and stride == 1 else inner

    def _conv(self, name, x, stride=1):
        kernel, bias = self.kernels[name]
        groups = x.shape[1] // kernel.shape[1]
        return F.conv2d(same_padding(x, kernel.shape[-1], stride), kernel, bias, stride, groups=groups)


def _names(tensors):
    """(convolution, its batch normalisation) of every convolution."""
    for key in tensors:
        path = key.removesuffix(".weight")
        name = path.rpartition(".")[2]
        if name in NORMALISED:
            yield path, path.removesuffix(name) + NORMALISED[name]


def _folded(tensors, name, bn):
    values = {k: tensors[f"{bn}.{k}"] for k in ("weight", "bias", "running_mean", "running_var")}
    return folded(tensors[f"{name}.weight"], values)
