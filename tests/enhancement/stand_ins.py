"""Enhancers whose effect is known exactly, and recordings to try them on."""

import cv2
import numpy as np
import torch.nn.functional as F

from echogan.preprocessing.align import resample
from echogan.sector import ECHONET, Sector
from tests.data.studies import beating

FAN = Sector(80.0, 12.0, 100.0, 0.72, 160, 120)  # of `scan`


def gain(images, strength):
    """Everything a fifth brighter."""
    return images + strength * 0.2 * (images + 1)


def identity(images, strength):
    """What changes nothing."""
    return images


def blur(images, strength):
    """A mean over 5 pixels, as far as the strength says."""
    return images + strength * (F.avg_pool2d(images, 5, 1, 2, count_include_pad=False) - images)


def sharpen(images, strength):
    """Twice the texture."""
    return images + strength * (images - blur(images, 1.0))


def restless(images, strength):
    """A residual of its own in every frame: what frame-by-frame networks do to speckle."""
    noise = np.random.default_rng(0).normal(0, 0.1, images.shape).astype(np.float32)
    return images + strength * images.new_tensor(noise)


def painter(images, strength):
    """A bright disc at the same place of every picture, whatever was there."""
    y, x = np.mgrid[: images.shape[2], : images.shape[3]]
    disc = ((x - 0.5 * images.shape[3]) ** 2 + (y - 0.6 * images.shape[2]) ** 2 < (0.06 * images.shape[2]) ** 2) * 0.8
    return (images + strength * images.new_tensor(disc.astype(np.float32))).clamp(-1, 1)


def scan(frames=8, seed=0):
    """A scanner's picture uint8 (T, 120, 160): a fan on black with a date beside it."""
    clip = resample(beating(frames, seed), ECHONET, FAN)
    for picture in clip:
        cv2.putText(picture, "03/21", (2, 112), cv2.FONT_HERSHEY_SIMPLEX, 0.35, 200, 1)
    return clip


def write_png(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), picture)
    return path
