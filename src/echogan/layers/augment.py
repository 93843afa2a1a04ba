"""Adaptive discriminator augmentation (Karras 2020b): every image the discriminator sees is warped and relit with probability p.

The pipeline is `bgc` of the paper for one channel: pixel blitting, general geometry, and of the colours what grey has.
Hue and saturation do nothing to grey. `SECTOR` leaves out what would show an ultrasound sector that no probe makes: mirror
images, quarter turns, full rotations, inverted grey. Where the paper resamples with a wavelet at twice the resolution on
both sides of the warp, ours interpolates to twice the resolution (Lanczos), then takes the output pixels bilinearly from
there: a quarter of the pixels, one matrix product each side, the identity exact, and no filter after the warp, since no
operation shrinks by much. It is made of plain indexing, so that it can be differentiated twice with any torch.
"""

from dataclasses import dataclass
from math import pi

import torch
from torch import nn

from echogan.precision import by_hand, full

REACH = 4  # lobes of the Lanczos kernel


@dataclass(frozen=True)
class Pipeline:
    """How often each operation takes part (times p), and how far it goes."""

    flip: float = 0.0  # left-right
    quarter: float = 0.0  # turns by 90 degrees
    invert: float = 0.0  # black for white (the paper's luma flip)
    shift: float = 1.0  # whole pixels, up to 1/8 of the width
    scale: float = 1.0  # by 2^N(0, 0.2)
    rotate: float = 1.0  # up to `turn` degrees either way
    stretch: float = 1.0  # anisotropic, by 2^N(0, 0.2)
    drift: float = 1.0  # fractional, N(0, 1/8) of the width
    brightness: float = 1.0  # + N(0, 0.2)
    contrast: float = 1.0  # x 2^N(0, 0.5)
    turn: float = 10.0


SECTOR = Pipeline()
BGC = Pipeline(flip=1.0, quarter=1.0, invert=1.0, turn=180.0)  # as the original study ran it
PIPELINES = {"sector": SECTOR, "bgc": BGC}


class Augment(nn.Module):
    """Images (B, 1, N, N) -> the same, each operation with probability `p` times its share; `p` is remembered."""

    def __init__(self, size, pipeline=SECTOR):
        super().__init__()
        c = self.pipeline = pipeline
        shares = [c.flip, c.quarter, c.invert, c.shift, c.shift, c.rotate, c.rotate]  # drawn uniformly
        shares += [c.scale, c.stretch, c.drift, c.drift, c.brightness, c.contrast]  # drawn normally
        self.register_buffer("p", torch.zeros(()))
        self.register_buffer("shares", torch.tensor(shares), persistent=False)
        self.register_buffer("finer", doubling(size), persistent=False)

    def forward(self, x, batch):
        """Augmented images, in float32 at least; random numbers come from `batch`."""
        with by_hand(x):  # places rounded to bf16 are off by up to half a pixel
            return self.augmented(full(x), *self.draw(batch))

    def augmented(self, x, uniform, normal):
        """Images warped and relit as the numbers say."""
        x = warp(x, self.finer, *self.geometry(uniform, normal, x.shape[-1]))
        brightness, contrast, inverted = 0.2 * normal[4], torch.exp2(0.5 * normal[5]), uniform[2] > 0
        gain = torch.where(inverted, -contrast, contrast)
        return gain[:, None, None, None] * (x + brightness[:, None, None, None])

    def draw(self, batch):
        """How far each operation goes, 7 uniform in [-1, 1) and 6 normal, (B,) each; 0 where it does not take part."""
        p = self.p * self.shares
        gates = batch.rand(11)[:, [0, 1, 2, 3, 3, 4, 5, 6, 7, 8, 8, 9, 10]]  # both directions of a shift together
        once = 1 - (1 - p[5:7]).clamp(min=0).sqrt()  # a rotation before or after the stretching, with probability p
        on = gates < torch.cat([p[:5], once, p[7:]])
        numbers = torch.cat([2 * batch.rand(7) - 1, batch.randn(6)], 1) * on
        return numbers[:, :7].unbind(1), numbers[:, 7:].unbind(1)

    def geometry(self, uniform, normal, n):
        """Where an output pixel comes from, in pixels from the centre: (matrix (B, 2, 2), offset (B, 2))."""
        flip, quarter, _, shift_x, shift_y, before, after = uniform
        scale, stretch, drift_x, drift_y = normal[:4]
        turn, size = self.pipeline.turn * pi / 180, torch.exp2(0.2 * scale)
        bend = torch.exp2(0.2 * stretch)
        whole = diagonal(1 - 2 * (flip > 0).to(flip), 1) @ rotation(torch.floor(2 * quarter) * pi / 2)
        matrix = whole @ rotation(before * turn) @ diagonal(size * bend, size / bend) @ rotation(after * turn)
        shift = torch.stack([shift_x, shift_y], 1) * n / 8
        drift = torch.stack([drift_x, drift_y], 1) * n / 8
        return matrix, -(whole @ shift.round()[:, :, None] + matrix @ drift[:, :, None])[:, :, 0]


def rotation(angle):
    """(B,) radians -> (B, 2, 2)."""
    c, s = angle.cos(), angle.sin()
    return torch.stack([c, -s, s, c], 1).view(-1, 2, 2)


def diagonal(x, y):
    """(B,) factors, either may be a number -> (B, 2, 2)."""
    x, y = torch.broadcast_tensors(*(v if torch.is_tensor(v) else x.new_full((), v) for v in (x, y)))
    return torch.diag_embed(torch.stack([x, y], 1))


def doubling(n):
    """(2n - 1, n): interpolation to twice the resolution along one axis, every second row a pixel as it is.

    Between pixels a Lanczos kernel of `REACH` lobes, normalised; the image is mirrored about its border pixels.
    """
    at = torch.arange(2 * n - 1, dtype=torch.double) / 2
    taps = at.floor()[:, None] + torch.arange(1 - REACH, REACH + 1)
    distance = at[:, None] - taps
    kernel = torch.sinc(distance) * torch.sinc(distance / REACH) * (distance.abs() < REACH)
    matrix = torch.zeros(2 * n - 1, n, dtype=torch.double)
    matrix.scatter_add_(1, mirrored(taps, n).long(), kernel / kernel.sum(1, keepdim=True))
    return matrix.float()


def mirrored(position, n):
    """Any position along an axis of n pixels -> the one within [0, n - 1] that a mirror at both ends shows there."""
    return (n - 1) - (position.remainder(2 * (n - 1)) - (n - 1)).abs()


def warp(x, finer, matrix, offset):
    """(B, 1, N, N) -> the same: out(p) = in(matrix p + offset), p in pixels from the centre, (x, y)."""
    n = x.shape[-1]
    axis = torch.arange(n, device=x.device, dtype=x.dtype) - (n - 1) / 2
    pixels = torch.stack([axis.expand(n, n), axis[:, None].expand(n, n)]).flatten(1)  # (2, N N)
    source = matrix.to(x.dtype) @ pixels + (offset.to(x.dtype) + (n - 1) / 2)[:, :, None]
    fine = finer.to(x.dtype) @ x[:, 0] @ finer.to(x.dtype).T
    return bilinear(fine, *mirrored(2 * source, 2 * n - 1).unbind(1)).view_as(x)


def bilinear(image, x, y):
    """(B, H, W) at positions x, y (B, K) within it -> (B, K)."""
    height, width = image.shape[1:]
    left, top = x.floor().clamp(max=width - 2), y.floor().clamp(max=height - 2)
    right, bottom = x - left, y - top  # weights of the later column and row
    corner = (top * width + left).long()
    corners = torch.stack([corner, corner + 1, corner + width, corner + width + 1], 1)
    weights = torch.stack([(1 - right) * (1 - bottom), right * (1 - bottom), (1 - right) * bottom, right * bottom], 1)
    return (image.flatten(1).gather(1, corners.flatten(1)).view_as(weights) * weights).sum(1)
