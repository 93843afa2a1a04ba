"""What SSIM, PSNR and LPIPS can say of generated images. Each needs pairs, and there are three kinds that mean something.

A row carries the name of its kind in the column `paired`; without it the numbers cannot be read. Of images that follow from
noise alone there is no reference picture, and a pair of a fake with any real image measures nothing.
"""

import numpy as np
import torch

from echogan.errors import BadInput
from echogan.metrics.estimate import mean
from echogan.metrics.pictures import BLOCK, pair, pictures
from echogan.metrics.similarity import SCALES, ms_ssim, psnr, smallest, ssim

LEAST = 4  # images: two pairs
PAIRS = 1000


def reconstruction(images, reference, lpips=None, patients=None):
    """Image i against its own reconstruction i: VQGAN, projection, translation with a true target. More alike is better.

    uint8 (N, H, W) both. Columns SSIM, MS_SSIM (from 88 pixels on), PSNR (dB) and, given a `Lpips`, LPIPS: means over the
    pairs, each with its standard error (`<metric>_error`), in which frames of one of the `patients` count as one.
    """
    row = {}
    for name, values in _each_pair(pictures(images, LEAST), pictures(reference, LEAST), lpips).items():
        row[name], row[f"{name}_error"] = mean(values, patients)
    return {"paired": "reconstruction", "n_pairs": len(images), **row}


def nearest(images, training, heldout=None, lpips=None):
    """Each image against the training image nearest to it (Euclidean, pixels): novelty, where too alike is copying.

    `floor_<metric>` is the same of real images of other patients, `heldout`: that is what no copying at all looks like.
    """
    row = _of_nearest(images, training, lpips)
    return _named("nearest", row, {} if heldout is None else _of_nearest(heldout, training, lpips))


def diversity(images, real, lpips=None, patients=None, pairs=PAIRS, seed=0):
    """Images against each other in random pairs: the goal is `floor_<metric>`, that of real pairs, neither more nor less.

    A generator that makes few different images has a low LPIPS and a high MS_SSIM. At most `pairs` pairs, no image in two of
    them; real pairs are of two different `patients`, where these are given.
    """
    fake = _among(images, None, lpips, pairs, seed)
    return _named("diversity", fake, _among(real, patients, lpips, pairs, seed))


def nearest_in(images, gallery):
    """Index (N,) of the nearest of `gallery` to each image: Euclidean distance of pixels, uint8 (N, H, W) and (M, H, W)."""
    images, gallery = pair(images, gallery)
    points = gallery.flatten(1).float() / 255
    lengths = points.square().sum(1)
    # |x - y|^2 without |x|^2, which is the same for every y
    return torch.cat([(lengths - 2 * (x.flatten(1).float() / 255) @ points.T).argmin(1) for x in images.split(BLOCK)])


def _of_nearest(images, training, lpips):
    images, training = pair(images, training)
    return reconstruction(images, training[nearest_in(images, training)], lpips)


def _among(images, patients, lpips, pairs, seed):
    images = pictures(images, LEAST)
    order = np.random.default_rng(seed).permutation(len(images))
    first, second = order[: len(order) // 2], order[len(order) // 2 : len(order) // 2 * 2]
    if patients is not None:
        different = np.asarray(patients)[first] != np.asarray(patients)[second]
        first, second = first[different], second[different]
    if len(first) < LEAST // 2:
        raise BadInput("diversity needs pairs of images of different patients; give images of more patients")
    return reconstruction(images[first[:pairs]], images[second[:pairs]], lpips)


def _each_pair(images, reference, lpips):
    metrics = {"SSIM": ssim, "MS_SSIM": ms_ssim, "PSNR": psnr}
    if min(images.shape[1:]) < smallest(SCALES):
        del metrics["MS_SSIM"]
    if lpips is not None:
        metrics["LPIPS"] = lpips.between
    return {name: metric(images, reference) for name, metric in metrics.items()}


def _named(kind, row, floor):
    beside = {f"floor_{k}": v for k, v in floor.items() if k not in ("paired", "n_pairs") and not k.endswith("_error")}
    return {**row, "paired": kind, **beside}
