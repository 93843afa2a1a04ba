"""What an enhancer does that it should not: the evidence, as numbers and pictures, of one run on one set of pictures.

Each check is a function of `enhance` (images uint8 (N, H, W) -> the same) that needs no truth, so it serves real recordings.
`trust` runs them all; `flag` tells pictures in which something was painted or erased.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np

from echogan.enhancement.lesions import RADIUS, TONES, lost, planted, somewhere, survival
from echogan.enhancement.measures import area_length
from echogan.metrics.segmentation import dice
from echogan.metrics.volume import ejection_fraction

BLUR = 0.7  # pixels: what a hidden message does not survive, and anatomy does
PREVALENCES = (0.0, 0.5, 1.0)
SHOWN = 4  # pictures
CALM = ("bilateral", "Haar", "CLAHE")  # they paint nothing, keep small lesions (a median does not), and are quick
HUBER = 2.0  # deviations beyond which a pixel counts less in what explains a change: those may be the lesion
HONEST = 95.0  # per cent of honest pictures that a threshold of suspicion lets pass


@dataclass(frozen=True)
class Means:
    """What the checks may use beside the enhancer itself; each function takes and gives uint8 (N, H, W)."""

    back: Callable | None = None  # the way from good to poor, of a cycle
    segment: Callable | None = None  # -> label ids, trained without this enhancer
    cavity: int = 1  # id of the left ventricle in them
    others: tuple = ()  # the same enhancer at other moments of its training
    limit: float = float("nan")  # of `suspicion`, from `threshold` on other runs and patients
    prevalence: bool = True  # also `prevalence_shift`, which takes more passes than all the rest


ALONE = Means()


@dataclass
class Trust:
    """`row`: every number; `shown`: pictures of the same rows, (n, H, W) each; `prevalence`: rows of that table."""

    row: dict
    shown: dict
    prevalence: list = field(default_factory=list)


def trust(images, mask, enhance, means=ALONE, phases=None, seed=0, patients=None):
    """The `Trust` in `enhance` on pictures uint8 (N, H, W) whose sector is `mask`.

    phases: (index of end diastole, index of end systole) of each patient among the images, for the ejection fraction; "beat"
    where all images are of one recording, in which the segmenter's largest and smallest ventricle are taken. patients: whose
    each image is, where they are of several: none is shown twice before all were.
    """
    better = enhance(images)
    residual = better.astype(np.float32) - images
    kept = survival(enhance, images, mask, seed)
    spread = uncertainty(images, mask, enhance, means.others)
    scores = np.array([suspicion(a, b, mask) for a, b in zip(images, better)])
    row = {
        "n": len(images),
        "change": float(np.abs(residual[:, mask]).mean()),
        "change_outside": float(np.abs(residual[:, ~mask]).max(initial=0)),
        "idempotence": idempotence(enhance, better, residual, mask),
        "uncertainty": float(spread[:, mask].mean()),
        **{f"kept_{tone}": float(np.nanmean(kept[tone])) for tone in TONES},
        **{f"kept_{tone}_least": float(np.nanmin(kept[tone])) for tone in TONES},
        "lost": float(lost(kept).mean()),
        "suspicion": float(scores.max()),
        "suspicion_limit": means.limit,
        "flagged": float((scores > means.limit).mean()) if np.isfinite(means.limit) else float("nan"),
    }
    shown = {"input": images, "enhanced": better, "residual": residual, "uncertainty": spread}
    if means.back:
        exact, hidden = cycle(images, better, means.back)
        row |= {"cycle": float(exact[:, mask].mean()), "cycle_8bit_blurred": float(hidden[:, mask].mean())}
        shown["cycle"] = hidden
    if means.segment:
        row |= anatomy(images, better, means.segment, means.cavity, phases)
    order = worst(scores, patients)[:SHOWN]
    pictures = {name: values[order] for name, values in shown.items()}
    return Trust(row, pictures, prevalence_shift(enhance, images, mask, seed) if means.prevalence else [])


# ------------------------------------------------------------------------------------------------ the checks


def idempotence(enhance, better, residual, mask):
    """Mean |G(G(x)) - G(x)| over mean |G(x) - x| inside the sector: 0 = what is good stays as it is."""
    again = np.abs(enhance(better).astype(np.float32) - better)[:, mask].mean()
    first = np.abs(residual[:, mask]).mean()
    return float(again / first) if first else 0.0


def cycle(images, better, back):
    """Errors of the way back from G(x), and from G(x) blurred by `BLUR` pixels, each float (N, H, W).

    A cycle can hide its input in the last bits of the output (Chu 2017): both are of 8 bits, and a hidden message does not
    survive the blur. An error much larger than the blur itself explains means that the cycle's own loss proves nothing.
    """
    blurred = np.stack([cv2.GaussianBlur(image, (0, 0), BLUR) for image in better])
    return tuple(np.abs(back(source).astype(np.float32) - images) for source in (better, blurred))


def uncertainty(images, mask, enhance, others=()):
    """Deviation of the enhanced picture over mirroring and over other weights, grey levels, float (N, H, W).

    0 where the sector and its mirror image do not overlap: there nothing can be compared.
    """
    made = [enhance(images), enhance(np.ascontiguousarray(images[..., ::-1]))[..., ::-1]]
    made += [other(images) for other in others]
    return np.std(np.stack(made).astype(np.float32), axis=0) * (mask & mask[:, ::-1])


def anatomy(images, better, segment, cavity, phases):
    """Dice of the ventricle found before and after, and how far ejection fractions move (points)."""
    before, after = (segment(pictures) == cavity for pictures in (images, better))
    row = {"agreement": float(np.nanmean(dice(before, after)))}
    if phases == "beat":
        areas = before.sum((1, 2))
        phases = [(int(areas.argmax()), int(areas.argmin()))]
    if phases:
        found = [[area_length(regions[i]) for i in pair] for regions in (before, after) for pair in phases]
        of_before, of_after = np.split(np.array([ejection_fraction(*volumes) for volumes in found]), 2)
        moved = of_after - of_before
        row |= {"EF_change": float(np.nanmean(moved)), "EF_change_abs": float(np.nanmean(np.abs(moved)))}
    return row


def prevalence_shift(enhance, images, mask, seed=0):
    """Does the output show lesions as often as the input? Rows {"tone", "planted", "n", shares, counts}.

    One place of each of n pictures is looked at, by a matched filter whose limit 5 % of the pictures without a lesion exceed, and
    lesions are planted in a share of these places. What a run erases, or paints all over, it finds at every share alike.
    Shares "input", "enhanced": of pictures where something is found; counts "only_input", "only_enhanced": pictures where it is
    found in that one alone, which tell whether the shares differ, where pictures are independent (McNemar 1947).
    """
    rows, rng = [], np.random.default_rng(seed)
    plain = enhance(images)
    for tone in TONES:
        spots = [somewhere(mask, tone, rng, image) for image in images]
        limits = [np.percentile(_contrasts(pictures, mask, spots), HONEST) for pictures in (images, plain)]
        for share in PREVALENCES:
            ill = images.copy()
            for i in rng.permutation(len(images))[: round(share * len(images))]:
                ill[i] = planted(images[i], spots[i])
            a, b = (_contrasts(p, mask, spots) > limit for p, limit in zip((ill, enhance(ill)), limits))
            found = {
                "input": a.mean(),
                "enhanced": b.mean(),
                "only_input": (a & ~b).sum(),
                "only_enhanced": (b & ~a).sum(),
            }
            rows.append({"tone": tone, "planted": share, "n": len(images), **found})
    return rows


def _contrasts(pictures, mask, spots):
    """How much brighter (dark: darker) than around it the place of each lesion is, (N,)."""
    found = []
    for picture, spot in zip(pictures, spots):
        sign = 1 if spot.tone == "bright" else -1
        found.append(sign * _matched(picture.astype(np.float32), mask)[round(spot.y), round(spot.x)])
    return np.array(found)


# ------------------------------------------------------------------------------------------------ suspicion


def suspicion(before, after, mask):
    """How far the strongest spot of the change stands out of the rest of it; pictures uint8 (H, W).

    Change and input are filtered at the size of lesions, and what a gain explains is taken away: spots of the input that became
    stronger or weaker all alike. The largest absolute value of the rest is divided by its robust deviation.
    """
    spots = np.abs(_unexplained(before, after, mask))[_deep(mask)]
    deviation = 1.4826 * np.median(spots) + 0.25  # rounding alone makes a quarter of a grey level
    return float(spots.max() / deviation)


def worst(scores, patients=None):
    """Positions of pictures from the highest score down; with `patients`, the highest of each of them before any second one."""
    order = np.argsort(-scores, kind="stable")
    if patients is None:
        return order
    first = np.zeros(len(order), bool)
    first[np.unique(np.asarray(patients)[order], return_index=True)[1]] = True
    return np.concatenate([order[first], order[~first]])


def threshold(scores):
    """The suspicion that `HONEST` per cent of honest pictures stay below."""
    return float(np.percentile(scores, HONEST))


def limit_on(images, mask, methods):
    """`threshold` of the honest `methods` {name: f(images, mask)} on pictures uint8 (N, H, W) of other patients."""
    filters = [method for name, method in methods.items() if name in CALM]
    pairs = ((a, b) for method in filters for a, b in zip(images, method(images, mask)))
    return threshold([suspicion(a, b, mask) for a, b in pairs])


def _unexplained(before, after, mask):
    """The change at the size of lesions, less the multiple of the input's own spots that is nearest to it (robust fit)."""
    x = before.astype(np.float32)
    # by spots, not by grey levels: a curve of those would explain a lesion as well
    spots, change = (_matched(values, mask)[mask] for values in (x, after - x))
    weight, rest = np.ones_like(change), change
    for _ in range(3):  # Huber's weights: a lesion in the input must not bend the fit towards its own loss
        rest = change - (weight * spots * change).sum() / max((weight * spots**2).sum(), 1e-6) * spots
        far = HUBER * 1.4826 * np.median(np.abs(rest)) + 1e-6
        weight = np.minimum(1, far / np.maximum(np.abs(rest), far))
    whole = np.zeros_like(x)
    whole[mask] = rest
    return whole


def _matched(values, mask):
    """Mean over a lesion less the mean around it, at every pixel."""
    size = RADIUS * len(mask)
    return _smooth(values, mask, 0.7 * size) - _smooth(values, mask, 2 * size)


def _smooth(values, mask, width):
    """Gaussian mean of those pixels that are inside the mask."""
    share = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), width)
    return cv2.GaussianBlur(np.where(mask, values, 0).astype(np.float32), (0, 0), width) / np.maximum(share, 1e-3)


def _deep(mask):
    """Where a whole lesion fits."""
    room = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 5)[1:-1, 1:-1]
    return room > RADIUS * len(mask)
