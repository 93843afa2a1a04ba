"""The distance that finds copies: how well the texture of two images agrees once one is turned, zoomed and moved onto the other.

Speckle is a fingerprint: two patients look alike, but no grain of one lies where the other's does. So images are compared by
their local texture, which neither brightness nor gamma changes, at `SIDE` pixels, where noise and blur change it little, and
each pair in the best of many poses, since a copy may be cropped or turned.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F

from echogan.metrics.pictures import pictures

SIDE = 32  # pixels that images are compared at, whatever their size
SIGMA = 1.5  # pixels: what counts as local
FAINT = 0.04  # contrast below which texture fades out: the black around the sector has none
# Copies up to 10 degrees and a crop of 85 % of the area: sides of 0.92, centres up to 0.08 of the half width away.
ANGLES = torch.arange(-10, 10.1, 2.5)  # degrees
ZOOMS = torch.tensor([0.92, 0.96, 1.0])  # side of the crop
SHIFTS = torch.tensor([-1.0, 0.0, 1.0]) * 2 / SIDE  # of its centre, in half widths
CANDIDATES = 4  # gallery images aligned exactly for each query
STEPS = 6  # of Gauss-Newton
OVERLAP = 0.7  # share of the gallery image that a pose must cover; on less, agreement is cheap
BLOCK = 256  # queries at once


class Nearest(NamedTuple):
    """Of each query the distance to its nearest gallery image (0 = the same texture, about 1 = unrelated), and which."""

    distance: np.ndarray  # float32 (n,)
    index: np.ndarray  # int64 (n,)


@dataclass(frozen=True)
class Gallery:
    """Images to look for copies of; `gallery.nearest(queries)`."""

    textures: torch.Tensor  # (N, SIDE, SIDE)
    poses: torch.Tensor  # (P, 2, 3)
    norms: torch.Tensor  # (N, P): length of each texture inside what a pose covers
    patients: np.ndarray | None  # of each image, where known

    @classmethod
    def of(cls, images, patients=None, device="cpu"):
        """The gallery of uint8 images (N, H, W), square; `patients` (N,) where frames of one patient shall count as one."""
        textures, grid = texture(images, device), poses().to(device)
        covered = warp(torch.ones(len(grid), SIDE, SIDE, device=device), grid)[1]
        norms = (textures.square().flatten(1) @ covered.flatten(1).T).sqrt().clamp_min(1e-6)
        return cls(textures, grid, norms, None if patients is None else np.asarray(patients))

    def nearest(self, queries, patients=None, callback=None):
        """`Nearest` of uint8 images (n, H, W), square, of any size; gallery images of a query's own patient are left out.

        Memory: about 20 bytes for each of `BLOCK` queries times each gallery image, and 5 kB for each gallery image.
        """
        found = []
        for start in range(0, len(queries), BLOCK):
            part = slice(start, start + BLOCK)
            own = None if patients is None else np.asarray(patients)[part, None] == self.patients
            found.append(self._nearest(texture(queries[part], self.textures.device), own))
            if callback:
                callback(min(start + BLOCK, len(queries)), len(queries))
        return Nearest(*(torch.cat(column).cpu().numpy() for column in zip(*found)))

    def _nearest(self, queries, own):
        best, pose = self._in_best_pose(queries)
        if own is not None:
            best[torch.from_numpy(own).to(best.device)] = -torch.inf
        top = best.topk(min(CANDIDATES, best.shape[1]), dim=1).indices
        start = self.poses[pose.gather(1, top).flatten().long()]
        exact = align(queries.repeat_interleave(top.shape[1], 0), self.textures[top.flatten()], start)
        agreement, which = exact.view(top.shape).masked_fill(best.gather(1, top) == -torch.inf, -1).max(1)
        return (1 - agreement).clamp_min(0), top.gather(1, which[:, None])[:, 0]

    def _in_best_pose(self, queries):
        """Correlation (n, N) of every query with every gallery image in the best pose, and which pose that is."""
        gallery = self.textures.flatten(1).T
        best = torch.full((len(queries), gallery.shape[1]), -1.0, device=gallery.device)
        pose = torch.zeros_like(best, dtype=torch.uint8)
        for i, theta in enumerate(self.poses):
            moved, covered = warp(queries, theta.expand(len(queries), 2, 3))
            agreement = F.normalize((moved * covered).flatten(1)) @ gallery / self.norms[:, i]
            better = agreement > best
            best, pose = torch.where(better, agreement, best), pose.masked_fill_(better, i)
        return best, pose


def texture(images, device="cpu"):
    """Local texture float32 (N, SIDE, SIDE): deviation of the root of the grey level from its local mean, in local deviations.

    A root evens out speckle's contrast; inside a window of a few pixels gamma is a straight line, which drops out.
    """
    x = pictures(images).to(device)[:, None].float()
    x = (F.interpolate(x, size=(SIDE, SIDE), mode="area")[:, 0] / 255).sqrt()
    near = torch.arange(SIDE, device=device)
    near = torch.exp(-((near - near[:, None]) ** 2) / (2 * SIGMA**2))
    near = near / near.sum(1, keepdim=True)
    deviation = x - near @ x @ near.T
    return deviation / ((near @ deviation.square() @ near.T).sqrt() + FAINT)


def poses():
    """Every turn, crop and shift as an affine map (P, 2, 3): place in the gallery image -> place in the query."""
    angle, zoom, x, y = torch.cartesian_prod(torch.deg2rad(ANGLES), ZOOMS, SHIFTS, SHIFTS).T
    turn = torch.stack([angle.cos(), angle.sin(), -angle.sin(), angle.cos()], -1).view(-1, 2, 2) / zoom[:, None, None]
    return torch.cat([turn, -turn @ torch.stack([x, y], -1)[..., None]], -1)


def warp(images, theta):
    """Images (n, S, S) seen through the maps (n, 2, 3), zero where they have nothing, and where they have something."""
    places = F.affine_grid(theta, [len(images), 1, *images.shape[1:]], align_corners=False)
    moved = F.grid_sample(images[:, None], places, padding_mode="zeros", align_corners=False)[:, 0]
    return moved, (places.abs().amax(-1) <= 1).float()


def correlation(a, b, covered):
    """Cosine (n,) of pairs of textures (n, S, S) inside what is covered."""
    a, b = a * covered, b * covered
    return (a * b).sum((1, 2)) / (a.square().sum((1, 2)) * b.square().sum((1, 2))).sqrt().clamp_min(1e-6)


def align(queries, targets, theta):
    """The highest correlation (n,) that Gauss-Newton on all six numbers of the maps `theta` meets on its way.

    Lucas and Kanade (1981) with a gain for contrast: solve J^T J d = J^T (gain * target - query), J = dquery/dtheta. Six
    numbers, not four, since a crop that keeps no aspect ratio is a copy too.
    """
    slopes = torch.stack(torch.gradient(queries, dim=(2, 1)), 1) * SIDE / 2  # d/dx, d/dy in half widths
    moved, covered = warp(queries, theta)
    best = correlation(moved, targets, covered)
    for _ in range(STEPS):
        theta = theta + _step(slopes, moved, targets, covered, theta)
        moved, covered = warp(queries, theta)
        agreement = correlation(moved, targets, covered)
        best = torch.where(covered.mean((1, 2)) > OVERLAP, torch.maximum(best, agreement), best)
    return best


def _step(slopes, moved, targets, covered, theta):
    """One damped Gauss-Newton step (n, 2, 3)."""
    places = F.affine_grid(torch.eye(2, 3, device=theta.device)[None], [1, 1, SIDE, SIDE], align_corners=False)[0]
    basis = torch.cat([places, torch.ones_like(places[..., :1])], -1).view(-1, 3)  # x, y, 1
    sides = [(warp(slopes[:, k], theta)[0] * covered).flatten(1)[..., None] * basis for k in (0, 1)]
    jacobian = torch.cat(sides, -1)  # (n, SIDE^2, 6)
    query, target = (moved * covered).flatten(1), (targets * covered).flatten(1)
    gain = query.square().sum(1) / (query * target).sum(1).clamp_min(1e-3)
    error = gain.clamp(0.2, 5)[:, None] * target - query
    normal = jacobian.mT @ jacobian
    damping = torch.diag_embed(0.1 * normal.diagonal(dim1=1, dim2=2) + 1e-3)
    return torch.linalg.solve(normal + damping, jacobian.mT @ error[..., None]).view(-1, 2, 3)
