"""A U-Net (Ronneberger 2015) that names every pixel of an echocardiogram, small enough to train on a CPU in minutes.

    min  CE(f(x), y) + 1 - mean_c (2 <p_c, y_c> + 1) / (|p_c| + |y_c| + 1),   p = softmax f(x)

It works on squares of `fold` x `fold` pixels as channels, so the widest layers see a quarter of the positions: outlines of
chambers are smooth, and CPU time falls fourfold. `engine.fit` trains this module as it trains those of `models`.
"""

from dataclasses import dataclass
from math import radians

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from echogan.contract import BLOCK, Architecture, Average, Optim, Phase
from echogan.data.images import grid
from echogan.data.labels import structures
from echogan.engine import watch
from echogan.engine.feed import plain_feed, to_signed
from echogan.errors import BadInput
from echogan.losses import surprise
from echogan.metrics.segmentation import column, compared
from echogan.precision import by_hand

# Ranges of a random affine map: degrees, and shares of the picture's side (after Stojanovski 2023).
TURN, SHEAR, SCALE, SHIFT = 10.0, 5.0, (0.85, 1.1), 0.05
SHOWN = 12  # pictures of a sheet, each beside its mask and the one obtained
ENLARGES = True  # pictures smaller than its resolution are brought to it, in training as in use


@dataclass(frozen=True)
class Config:
    """One segmenter; `structures` is the schema of its data, name -> id, whose lowest id is what lies around everything."""

    structures: dict
    augment: bool = True  # random affine maps of picture and mask
    width: int = 16
    levels: int = 4
    fold: int = 2
    lr: float = 2e-3
    batch: int = 16
    ema_kimg: float = 1.0
    resolution: int = 128

    def __post_init__(self):
        step = self.fold * 2 ** (self.levels - 1)
        if self.resolution % step or self.resolution < 1:
            raise BadInput(
                f"this segmenter works at a multiple of {step} pixels, got {self.resolution}; change resolution"
            )


class UNet(nn.Module):
    """(B, 1, R, R) in [-1, 1] -> logits (B, classes, R, R)."""

    def __init__(self, classes, width, levels, fold):
        super().__init__()
        self.fold = fold
        widths = [width * min(2**level, 4) for level in range(levels)]
        self.down = nn.ModuleList(double(a, b) for a, b in zip([fold**2, *widths], widths))
        self.up = nn.ModuleList(double(a + b, a) for a, b in zip(widths[-2::-1], widths[:0:-1]))
        self.head = nn.Conv2d(width, classes * fold**2, 1)

    def encode(self, x):
        """What each level sees, the widest first."""
        seen = [self.down[0](F.pixel_unshuffle(x, self.fold))]
        for block in self.down[1:]:
            seen.append(block(F.max_pool2d(seen[-1], 2)))
        return seen

    def forward(self, x):
        """Down, and up again with what each level saw."""
        *seen, x = self.encode(x)
        for block in self.up:
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0), seen.pop()], 1))
        return F.pixel_shuffle(self.head(x), self.fold)


def double(a, b):
    """Two 3x3 convolutions with batch norm."""
    layers = [
        layer for i in (a, b) for layer in (nn.Conv2d(i, b, 3, padding=1, bias=False), nn.BatchNorm2d(b), nn.ReLU())
    ]
    return nn.Sequential(*layers)


def soft_dice(logits, target):
    """1 - mean over images and classes of (2 <p, y> + 1) / (|p| + |y| + 1) (after Milletari 2016, eq. 3).

    A class that is in neither counts as overlap 1. logits (B, C, H, W), target (B, H, W) of class numbers.
    """
    p = logits.softmax(1)
    y = F.one_hot(target, p.shape[1]).movedim(-1, 1).to(p)
    both, sizes = (p * y).sum((2, 3)), (p + y).sum((2, 3))
    return 1 - ((2 * both + 1) / (sizes + 1)).mean()


def affine(u):
    """Inverse affine maps (B, 2, 3) from numbers u (B, 5) in [-1, 1]: turn, shear, scale and two shifts."""
    turn, shear = radians(TURN) * u[:, 0], (radians(SHEAR) * u[:, 1]).tan()
    scale = SCALE[0] + (SCALE[1] - SCALE[0]) * (u[:, 2] + 1) / 2
    cos, sin = turn.cos() / scale, turn.sin() / scale
    rows = [torch.stack([cos, shear * cos - sin], 1), torch.stack([sin, shear * sin + cos], 1)]
    return torch.cat([torch.stack(rows, 1), 2 * SHIFT * u[:, 3:, None]], 2)


def moved(image, mask, maps):
    """The affine maps (B, 2, 3) applied to images (B, 1, H, W) in [-1, 1] and class numbers (B, H, W) alike.

    What comes into view is black and of class 0.
    """
    with by_hand(maps):  # places rounded to bf16 are off by up to half a pixel
        places = F.affine_grid(maps, image.shape, align_corners=False)
    image = F.grid_sample(image + 1, places, align_corners=False) - 1
    mask = F.grid_sample(mask[:, None].float(), places, mode="nearest", align_corners=False)
    return image, mask[:, 0].long()


class Segmenter(Architecture):
    """`S`: pictures -> logits; `logits`, `masks` and `features` are its uses."""

    exports, inputs = ("S",), ("image", "mask")

    def __init__(self, config):
        super().__init__()
        self.config = c = config
        self.S = UNet(len(c.structures), c.width, c.levels, c.fold)
        self.register_buffer("ids", torch.tensor(sorted(c.structures.values()), dtype=torch.uint8), persistent=False)
        self.optim = {"S": Optim(c.lr, (0.9, 0.99))}
        self.ema = Average(("S",), c.ema_kimg)
        self.phases = (Phase("S", "S", self.loss),)

    def loss(self, batch):
        """Cross-entropy + soft Dice."""
        image, target = batch["image"], torch.bucketize(batch["mask"], self.ids)
        if self.config.augment:
            image, target = moved(image, target, affine(2 * batch.rand(5) - 1))
        logits = self.S(image)
        entropy, overlap = surprise(logits, target).mean(), soft_dice(logits, target)
        return entropy + overlap, {"cross_entropy": entropy, "soft_dice": overlap}

    def logits(self, images):
        """Differentiable: (B, 1, H, W) in [-1, 1] -> (B, classes, H, W), classes in the order of their ids.

        Squares of another size are brought to the segmenter's resolution, its logits back to theirs (both bilinear, the
        way down without aliasing).
        """
        return _resized(self.S(self._own(images)), images.shape[-2:])

    @torch.no_grad()
    def features(self, images):
        """(B, 1, H, W) in [-1, 1] -> (B, d): the mean of the deepest level over its positions, for a picture of sets."""
        return self.S.encode(self._own(images))[-1].mean((2, 3))

    @torch.no_grad()
    def masks(self, images):
        """(B, 1, H, W) in [-1, 1] -> label ids uint8 (B, H, W)."""
        return self.ids[self.logits(images).argmax(1)]

    def _own(self, images):
        return _resized(images, (self.config.resolution,) * 2)


build = Segmenter


def applied(function, images):
    """Apply a method of a segmenter, such as `segmenter.masks`, in evaluation mode, to images uint8 (N, H, W): N rows."""
    segmenter = function.__self__
    device, mode = segmenter.ids.device, segmenter.training
    segmenter.eval()
    blocks = (torch.from_numpy(np.ascontiguousarray(images[i : i + BLOCK])) for i in range(0, len(images), BLOCK))
    rows = [function(to_signed(block.to(device))).cpu().numpy() for block in blocks]
    segmenter.train(mode)
    return np.concatenate(rows)


def _resized(images, size):
    return images if images.shape[-2:] == size else F.interpolate(images, size, mode="bilinear", antialias=True)


class Gallery:
    """The VAL side of a segmenter's run: `error` is 1 - the mean Dice of the structures."""

    criterion = staticmethod(lambda: "error")
    chosen_by = "error"

    def __init__(self, frames, config, inputs, device="cpu", seed=0, encoder=None):
        feed = plain_feed(frames.split("VAL"), config, inputs, device, seed)
        self.images, self.truth = (feed.columns[name].cpu().numpy() for name in ("image", "mask"))
        self.labels = config.structures

    def look(self, model, kimg):
        """(sheet of picture, mask and obtained mask, {column: value} of metrics.csv) of a model, in evaluation mode."""
        obtained = applied(model.masks, self.images)
        scores = compared(obtained, self.truth, self.labels).mean()
        dices = [scores[column("Dice", name)] for name in structures(self.labels)]
        row = {"split": "VAL", "n_real": len(self.images), "error": 1 - float(np.nanmean(dices)), **scores}
        real = watch.variety(self.truth)  # 0 of a single picture
        variety = watch.variety(obtained) / real if real else 1.0
        return self._sheet(obtained), {**row, "variety": variety}

    def _sheet(self, obtained):
        cells = np.stack([self.images, self._grey(self.truth), self._grey(obtained)], 1)[:SHOWN]
        return grid(cells.reshape(-1, *self.images.shape[1:]), columns=6)

    def _grey(self, masks):
        return (masks.astype(float) * 255 / max(self.labels.values())).astype(np.uint8)
