"""Pure measures of enhanced pictures, all inside the sector: outside of it everything is black and agrees.

Pictures are uint8 (H, W), masks bool (H, W). What a measure cannot say of a picture is NaN.
"""

import cv2
import numpy as np
from skimage.metrics import structural_similarity

LEAST = 60  # pixels of a region below which it says nothing
CAP = 100.0  # dB


def psnr(picture, truth, mask):
    """10 log10(255^2 / MSE) in dB inside the mask, at most `CAP`."""
    error = float(np.square(picture[mask].astype(float) - truth[mask]).mean())
    return min(10 * np.log10(255**2 / error), CAP) if error else CAP


def ssim(picture, truth, mask):
    """Mean over the mask of the SSIM map of Wang 2004 (Gaussian window, deviation 1.5)."""
    settings = dict(gaussian_weights=True, sigma=1.5, use_sample_covariance=False, data_range=255, full=True)
    return float(structural_similarity(picture, truth, **settings)[1][mask].mean())


def mae(picture, truth, mask):
    """Mean absolute difference inside the mask, grey levels."""
    return float(np.abs(picture[mask].astype(float) - truth[mask]).mean())


def aligned(picture, truth, mask):
    """`picture` on the line a x + b that is nearest to `truth` inside the mask, uint8: what no brightness knob explains."""
    x, y = picture[mask].astype(float), truth[mask].astype(float)
    spread = x.var()
    a = float(((x - x.mean()) * (y - y.mean())).mean() / spread) if spread else 0.0
    return np.where(mask, np.clip(np.rint(a * (picture - x.mean()) + y.mean()), 0, 255), picture).astype(np.uint8)


def cnr(picture, one, other):
    """|m1 - m2| / sqrt(v1 + v2) of two regions."""
    x, y = picture[one].astype(float), picture[other].astype(float)
    if min(x.size, y.size) < LEAST:
        return float("nan")
    spread = np.sqrt(x.var() + y.var())
    return float(abs(x.mean() - y.mean()) / spread) if spread else float("nan")


def gcnr(picture, one, other):
    """1 - sum min(p1, p2) of the histograms of two regions (Rodriguez-Molares 2020): 256 bins over their common range.

    It survives every monotone change of grey levels, by which CNR can be made as large as one likes.
    """
    x, y = picture[one], picture[other]
    if min(x.size, y.size) < LEAST:
        return float("nan")
    ends = float(min(x.min(), y.min())), float(max(x.max(), y.max()))
    if ends[0] == ends[1]:
        return 0.0
    p, q = (np.histogram(v, 256, ends)[0] / v.size for v in (x, y))
    return float(1 - np.minimum(p, q).sum())


def ks(before, after, region):
    """Two-sample Kolmogorov-Smirnov statistic of the grey levels of a region, before and after."""
    if region.sum() < LEAST:
        return float("nan")
    counts = [np.bincount(p[region], minlength=256).cumsum() / region.sum() for p in (before, after)]
    return float(np.abs(counts[0] - counts[1]).max())


def edges(picture, truth, mask):
    """Correlation of the gradient magnitudes of both pictures inside the mask: 1 = the same edges, whatever the gain."""
    inner = cv2.erode(mask.astype(np.uint8), np.ones((5, 5)), borderValue=0).astype(bool)
    a, b = (_gradient(p)[inner] for p in (picture, truth))
    return float(np.corrcoef(a, b)[0, 1]) if a.std() and b.std() else float("nan")


def _gradient(picture):
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), 1)
    return np.hypot(cv2.Sobel(smooth, -1, 1, 0), cv2.Sobel(smooth, -1, 0, 1))


def area_length(region):
    """Volume of a ventricle whose atrium is not known, 8 A^2 / (3 pi L) in pixels cubed; L along the principal axis."""
    y, x = np.nonzero(region)
    if len(x) < LEAST // 4:
        return float("nan")
    points = np.stack([x - x.mean(), y - y.mean()]).astype(float)
    axis = np.linalg.eigh(points @ points.T)[1][:, -1]
    return 8 * len(x) ** 2 / (3 * np.pi * (np.ptp(axis @ points) + 1))
