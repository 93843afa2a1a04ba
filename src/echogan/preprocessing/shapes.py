"""Masks to draw from: those of a data set as they are, new ones from principal components of shape, small deformations.

All work on the masks of one recording together (end diastole and end systole), so that what is drawn contracts as hearts of
the data set do, and new masks keep the `Law` of those they come from.
"""

import cv2
import numpy as np

from echogan.data.labels import structures
from echogan.errors import BadInput
from echogan.preprocessing.masks import Law

DETAIL = 64  # pixels a side at which distances are decomposed; they are smooth, so larger masks need no more
REACH = 16  # pixels beyond which a distance says no more
TRIES = 200  # draws for one plausible recording


class Copies:
    """Recordings of a set, masks uint8 (N, P, H, W), as they are."""

    def __init__(self, masks, labels):
        self.masks = masks

    def draw(self, number, rng):
        """Recording `number`, uint8 (P, H, W)."""
        return self.masks[number]


class Shapes:
    """Mean and principal components of the signed distances to every label (Leventon 2000).

    Fitted on masks uint8 (N, P, H, W): P masks of each of N recordings. A mask is the label that a pixel lies deepest in. All
    components that carry variance are drawn from, each normal with the variance that it has in the data.
    """

    def __init__(self, masks, labels):
        if len(masks) < 3:
            raise BadInput(f"{len(masks)} recordings are too few for a law of their shapes; give at least 3")
        self.size, self.ids = masks.shape[-1], sorted(labels.values())
        self.laws = [Law.of(masks[:, p], labels) for p in range(masks.shape[1])]
        distances = np.stack([[self._distances(mask) for mask in group] for group in masks])  # (N, P, labels, h, w)
        self.mean, self.shape = distances.mean(0).ravel(), distances.shape[1:]
        self.modes = _modes(distances.reshape(len(masks), -1) - self.mean)

    def draw(self, number, rng):
        """Masks of one new recording, uint8 (P, H, W); it stands for none of the old ones, whatever `number` says."""
        return plausible(lambda: self._decoded(rng.standard_normal(len(self.modes))), self.laws)

    def _distances(self, mask):
        """How deep every pixel lies in every label, negative outside, (labels, h, w) float32 in pixels of `DETAIL`."""
        detail = min(self.size, DETAIL)
        depths = (cv2.resize(_depth(mask == k), (detail, detail), interpolation=cv2.INTER_AREA) for k in self.ids)
        return np.clip(np.stack(list(depths)) * (detail / self.size), -REACH, REACH)

    def _decoded(self, scores):
        depths = (self.mean + scores.astype(np.float32) @ self.modes).reshape(self.shape)
        size = (self.size, self.size)
        large = [[cv2.resize(depth, size, interpolation=cv2.INTER_LINEAR) for depth in mask] for mask in depths]
        return np.array(self.ids, np.uint8)[np.argmax(large, axis=1)]


def _modes(centred):
    """Principal components of rows (N, D), each scaled to its standard deviation; those without variance left out."""
    squares, vectors = np.linalg.eigh(centred @ centred.T / (len(centred) - 1))
    kept = squares > 1e-6 * squares[-1]
    return (vectors[:, kept].T @ centred / np.sqrt(len(centred) - 1)).astype(np.float32)


def _depth(region):
    """Distance to the border, positive inside; a border halfway between pixels."""
    inside, outside = (cv2.distanceTransform(part.astype(np.uint8), cv2.DIST_L2, 5) for part in (region, ~region))
    if region.all() or not region.any():  # no border within the picture
        return np.full(region.shape, REACH if region.all() else -REACH, np.float32)
    return np.where(region, inside - 0.5, 0.5 - outside)


# ------------------------------------------------------------------------------------------------ deformation


class Deformed:
    """Recordings of a set, each with its structures turned, scaled, moved and bent a little; the sector stays as it is.

    All masks of a recording are deformed alike, so its ejection fraction hardly changes.
    """

    TURN, SCALE, SHIFT, BEND = 8.0, 0.08, 0.04, 0.015  # degrees; shares; of the size; of the size, one sigma

    def __init__(self, masks, labels):
        self.masks, self.labels = masks, labels
        self.laws = [Law.of(masks[:, p], labels) for p in range(masks.shape[1])]

    def draw(self, number, rng):
        """Recording `number` deformed, uint8 (P, H, W)."""
        return plausible(lambda: self._deformed(self.masks[number], rng), self.laws)

    def _deformed(self, masks, rng):
        x, y = self._places(masks.shape[-1], rng)
        return np.stack([self._moved(mask, x, y) for mask in masks])

    def _moved(self, mask, x, y):
        heart = list(structures(self.labels).values())
        around = self.labels.get("inside", 0)  # what lies under a structure that moves away
        ground = np.where(np.isin(mask, heart), np.uint8(around), mask)
        moved = cv2.remap(mask, x, y, cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT, borderValue=int(around))
        return np.where(np.isin(moved, heart) & (ground == around), moved, ground)

    def _places(self, size, rng):
        """Where every pixel comes from, x and y (H, W) float32: an affine map about the centre, and a smooth field."""
        matrix = cv2.getRotationMatrix2D(
            ((size - 1) / 2,) * 2, rng.uniform(-self.TURN, self.TURN), 1 + rng.uniform(-self.SCALE, self.SCALE)
        )
        matrix[:, 2] += rng.uniform(-self.SHIFT, self.SHIFT, 2) * size
        field = [cv2.GaussianBlur(rng.standard_normal((size, size)), (0, 0), size / 8) for _ in range(2)]
        field = [self.BEND * size * f / f.std() for f in field]
        rows, columns = np.mgrid[:size, :size]
        places = matrix @ np.stack([columns, rows, np.ones_like(rows)]).reshape(3, -1)
        return [(p.reshape(size, size) + f).astype(np.float32) for p, f in zip(places, field)]


def plausible(draw, laws):
    """The first of at most `TRIES` draws (P, H, W) each of whose masks keeps its law."""
    said = ""
    for _ in range(TRIES):
        masks = draw()
        said = next((breach for law, mask in zip(laws, masks) if (breach := law.breach(mask))), "")
        if not said:
            return masks
    raise BadInput(f"no plausible mask in {TRIES} draws (the last one {said}); give more masks to draw from")
