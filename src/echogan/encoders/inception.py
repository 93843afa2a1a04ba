"""The Inception v3 of FID (TensorFlow, 2015-12-05) up to pool3, and TensorFlow 1's way of resizing an image."""

import re

import torch
import torch.nn.functional as F

from echogan.encoders.convolution import folded, on_grey, placed

SIZE = 299

# Every block is a set of branches side by side; a branch is a chain of convolutions, and + forks its end.
_A = "1x1 | 5x5_1 5x5_2 | 3x3dbl_1 3x3dbl_2 3x3dbl_3 | _pool"
_B = "3x3 | 3x3dbl_1 3x3dbl_2 3x3dbl_3"
_C = "1x1 | 7x7_1 7x7_2 7x7_3 | 7x7dbl_1 7x7dbl_2 7x7dbl_3 7x7dbl_4 7x7dbl_5 | _pool"
_D = "3x3_1 3x3_2 | 7x7x3_1 7x7x3_2 7x7x3_3 7x7x3_4"
_E = "1x1 | 3x3_1 3x3_2a+3x3_2b | 3x3dbl_1 3x3dbl_2 3x3dbl_3a+3x3dbl_3b | _pool"
STEM = ("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "Conv2d_3b_1x1", "Conv2d_4a_3x3")
BLOCKS = dict(zip("5b 5c 5d 6a 6b 6c 6d 6e 7a 7b 7c".split(), (_A, _A, _A, _B, _C, _C, _C, _C, _D, _E, _E)))
HALVING = ("6a", "7a")  # the last convolution of each branch has stride 2 and no padding

# pytorch-fid's names of the 94 convolutions, in the order of TensorFlow's graph
CONVOLUTIONS = (*STEM, *(f"Mixed_{b}.branch{part}" for b, text in BLOCKS.items() for part in re.split(r"[ |+]+", text)))


class Inception:
    """uint8 (n, H, W) -> float32 (n, 2048): the features of FID and KID, grey taken as three equal channels.

    Resized as TTUR, torch-fidelity and StyleGAN's fid50k_full do it.
    """

    weights = "inception2015"
    dim = 2048
    preprocessing = f"TensorFlow 1 bilinear to {SIZE} x {SIZE}, (x - 128) / 128"

    @staticmethod
    def prepare(x):
        """Grey levels, float (n, 1, H, W) -> what the network takes, (n, 1, 299, 299)."""
        return (tf1_bilinear(x, SIZE) - 128) / 128

    def __init__(self, tensors, device="cpu"):
        kernels = {}
        for name in CONVOLUTIONS:
            bn = {k: tensors[f"{name}.bn.{k}"] for k in ("weight", "bias", "running_mean", "running_var")}
            kernels[name] = folded(tensors[f"{name}.conv.weight"], bn)
        kernels[STEM[0]] = on_grey(kernels[STEM[0]][0]), kernels[STEM[0]][1]
        self.kernels = placed(kernels, device)

    def __call__(self, images):
        x = self.prepare(images[:, None].float())
        x = self._conv(STEM[0], x.contiguous(memory_format=torch.channels_last), stride=2, padding=0)
        x = self._conv(STEM[2], self._conv(STEM[1], x, padding=0))
        x = self._conv(STEM[4], self._conv(STEM[3], F.max_pool2d(x, 3, 2)), padding=0)
        x = F.max_pool2d(x, 3, 2)
        for block in BLOCKS:
            x = self._mixed(block, x)
        return x.mean((2, 3))

    def _conv(self, name, x, stride=1, padding=None):
        return F.relu_(self._linear(name, x, stride, padding))

    def _linear(self, name, x, stride=1, padding=None):
        kernel, bias = self.kernels[name]
        same = tuple(k // 2 for k in kernel.shape[2:])
        return F.conv2d(x, kernel, bias, stride, same if padding is None else padding)

    def _mixed(self, block, x):
        outputs = [part for branch in BLOCKS[block].split("|") for part in self._branch(block, branch.split(), x)]
        return torch.cat([*outputs, F.max_pool2d(x, 3, 2)] if block in HALVING else outputs, 1)

    def _branch(self, block, chain, x):
        """What a branch gives: one tensor, or two where its end forks."""
        name = f"Mixed_{block}.branch"
        if chain == ["_pool"]:
            return [self._pooled(name + "_pool", x, block)]
        for step in chain[:-1]:
            x = self._conv(name + step, x)
        how = {"stride": 2, "padding": 0} if block in HALVING else {}
        return [self._conv(name + part, x, **how) for part in chain[-1].split("+")]

    def _pooled(self, name, x, block):
        if block == "7c":  # the port of 2015 takes the maximum in its last block
            return self._conv(name, F.max_pool2d(x, 3, 1, 1))
        # A mean and a 1x1 convolution commute, and after it there are fewer channels to average.
        return F.relu_(F.avg_pool2d(self._linear(name, x), 3, 1, 1, count_include_pad=False))


class HalfPixelInception(Inception):
    """The same network as pytorch-fid feeds it: a Frechet distance apart by some per cent.

    torchmetrics' default resizes alike up to 299 px, but scales as TensorFlow.
    """

    preprocessing = f"bilinear to {SIZE} x {SIZE} (half-pixel centres), 2 x / 255 - 1"

    @staticmethod
    def prepare(x):
        """As `Inception.prepare`."""
        return F.interpolate(x, (SIZE, SIZE), mode="bilinear", align_corners=False) * (2 / 255) - 1


class CleanInception(Inception):
    """The same network as clean-fid's default feeds it (Parmar 2022)."""

    preprocessing = f"bicubic to {SIZE} x {SIZE} (anti-aliased, as Pillow), clipped, (x - 128) / 128"

    @staticmethod
    def prepare(x):
        """As `Inception.prepare`."""
        return (F.interpolate(x, (SIZE, SIZE), mode="bicubic", antialias=True).clamp(0, 255) - 128) / 128


def tf1_bilinear(x, size):
    """float (n, c, h, w) -> (n, c, size, size): bilinear with source = i h / size, no half-pixel shift (TensorFlow 1)."""
    for axis in (-2, -1):
        n = x.shape[axis]
        source = torch.arange(size, device=x.device, dtype=torch.float32) * (n / size)
        low = source.long()
        weight = (source - low).view(-1, *[1] * (-1 - axis))
        x = x.index_select(axis, low) * (1 - weight) + x.index_select(axis, (low + 1).clamp(max=n - 1)) * weight
    return x
