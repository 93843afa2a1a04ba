"""CAMUS in, a `FrameSet` folder with masks out; and the subset that SPADE was first trained on for echo.

Pictures keep their proportions: they are brought to pixels as wide as high, set in the middle of a black square and
resized; masks go the same way by nearest neighbour. CAMUS calls everything around the heart 0. Here the background
inside the scan sector has a label of its own: without it a generator must invent the fan for every mask anew.
"""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import cv2
import numpy as np

from echogan.data.camus.study import open_camus
from echogan.data.camus.subset import write_subset
from echogan.data.camus.view import GRADES, View
from echogan.data.camus.view import LABELS as CAMUS_LABELS
from echogan.data.frames import load_frames
from echogan.data.images import png_bytes, squared
from echogan.errors import BadInput, nearest
from echogan.files import atomic_folder
from echogan.preprocessing.card import Summary, complete
from echogan.preprocessing.extract import VERSIONS
from echogan.preprocessing.normalise import check_size
from echogan.preprocessing.splits import check_patients, mark_repeats, seeded

LABELS = {"outside": 0, **{name: code for name, code in CAMUS_LABELS.items() if code}, "inside": 4}
HIGH = ("Good",)


@dataclass(frozen=True)
class Settings:
    """Which pictures become frames, how large, and which grades are the low domain of an enhancer."""

    size: int = 256
    every: bool = False
    subset: bool = False
    low: tuple = ()
    seed: int = 0


def prepare_camus(source, out, size=256, subset=False, low=(), every=False, seed=0, callback=None):
    """Prepare the CAMUS data set `source` (see `open_camus`) as the FrameSet folder `out` and return a `Summary`.

    size: pixels, one of `normalise.SIZES`. subset: four-chamber end diastole only, and its six HDF5 files in `out`/hdf5.
    low: grades that are domain A, against "Good" as domain B; what lies between has no domain. every: all frames between
    end diastole and end systole. seed: of the split of a data set without lists. callback(done, total) hears of views.
    """
    settings = Settings(check_size(size), every, subset, _grades(low), seed)
    if subset and every:
        raise BadInput("the subset is of end diastole; leave out one of `subset` and `every`")
    study = open_camus(source)
    views, warnings = _split(source, [v for v in study.views if v.view == "4CH" or not subset], seed)
    if not views:
        raise BadInput(f"{source} has no four-chamber views; prepare it without the subset")
    with atomic_folder(out) as folder:
        (folder / "images").mkdir()
        (folder / "masks").mkdir()
        rows, digest = _work(views, settings, folder, callback)
        _check_domains(rows, source, settings.low)
        warnings = [*study.warnings, *warnings, *mark_repeats(rows, source)]
        complete(folder, rows, _manifest(study, settings, rows, digest, warnings), LABELS)
        if subset:
            (folder / "hdf5").mkdir()
            write_subset(folder / "hdf5", load_frames(folder))
    domains = {name: sum(row["domain"] == name for row in rows) for name in ("A", "B")} if settings.low else {}
    return Summary(Path(out), study.kind, len({v.patient for v in views}), len(rows), domains, warnings)


def _grades(low):
    """("Poor",) from "Poor", "Poor+Medium" or a tuple of grades."""
    low = tuple(low.split("+")) if isinstance(low, str) else tuple(low)
    for grade in low:
        if grade not in GRADES or grade in HIGH:
            raise BadInput(f"low cannot be {grade!r}{nearest(grade, [g for g in GRADES if g not in HIGH])}")
    return low


def _split(source, views, seed):
    """The views with a split each, and a sentence where it is ours."""
    warnings = []
    if any(view.split is None for view in views):
        split, moved = seeded(sorted({view.patient for view in views}), seed)
        views = [replace(view, split=split[view.patient]) for view in views]
        warnings = [f"the data set has no lists of its splits; patients were split 80/10/10 by seed {seed}", *moved]
    check_patients(source, [(view.patient, view.split) for view in views])
    return views, warnings


# ------------------------------------------------------------------------------------------------ one view


def _work(views, settings, folder, callback):
    """Rows of index.csv and a fingerprint of what was read."""
    rows, digest = [], hashlib.blake2b(digest_size=8)
    with ThreadPoolExecutor() as pool:  # unpacking, resizing and writing all leave Python's lock
        for done, (found, read) in enumerate(pool.map(partial(prepare_view, settings, folder), views), start=1):
            rows += found
            digest.update(read)
            if callback:
                callback(done, len(views))
    return rows, digest.hexdigest()


def prepare_view(settings, folder, view: View):
    """Write the pictures and masks of one view; its rows of index.csv and the hash of its pixels."""
    clip = view.read(every=settings.every)
    masks = np.stack([clip.masks[i] for i in range(len(clip.frames))])
    read = hashlib.blake2b(clip.frames.tobytes() + masks.tobytes(), digest_size=16).digest()
    inside = sector_of(clip.frames)
    rows = []
    for number in [0] if settings.subset else range(len(clip.frames)):
        mask = np.where(inside & (masks[number] == 0), np.uint8(LABELS["inside"]), masks[number])
        mask = upright(mask, clip.spacing_mm, settings.size, cv2.INTER_NEAREST_EXACT)
        image = upright(clip.frames[number], clip.spacing_mm, settings.size)
        row = _row(view, clip, number, settings)
        (folder / "images" / row["file"]).write_bytes(png_bytes(image))
        (folder / "masks" / row["file"]).write_bytes(png_bytes(mask))
        rows.append(row | {"hash": hashlib.blake2b(image.tobytes(), digest_size=16).hexdigest()})
    return rows, read


def _row(view, clip, number, settings):
    phase, short = {clip.ed: ("diastole", "ED"), clip.es: ("systole", "ES")}.get(number, ("other", f"{number:03d}"))
    return {
        "file": f"{view.name}_{short}.png", "video": view.name, "patient": view.patient, "split": view.split,
        "view": view.view, "phase": phase, "frame": number, "EF": clip.ef, "quality": view.quality,
        "duplicate_of": None, "domain": _domain(view.quality, settings.low),
        "spacing_mm": spacing_of(clip, settings.size),
    }  # fmt: skip


def _domain(quality, low):
    return None if not low else "A" if quality in low else "B" if quality in HIGH else None


def sector_of(frames):
    """The scan sector of frames (T, H, W), bool (H, W): the convex hull of all that is lit and its mirror image.

    A fan is convex, whatever its pixels' proportions; a poor window hides an edge of it seldom on both sides.
    """
    lit = cv2.morphologyEx((frames.max(axis=0) > 0).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
    y, x = np.nonzero(lit)
    sector = np.zeros(lit.shape, np.uint8)
    if len(y):
        top = x[y <= y.min() + lit.shape[0] // 25]
        mirrored = int(top.min()) + int(top.max()) - x
        corners = np.concatenate([np.stack([x, y], 1), np.stack([mirrored, y], 1)])
        cv2.fillConvexPoly(sector, cv2.convexHull(corners.astype(np.int32)), 1)
    return sector > 0


def upright(image, spacing, size, interpolation=cv2.INTER_AREA):
    """`image` with square pixels, in the middle of a black square of `size` pixels."""
    row, column = spacing or (1.0, 1.0)
    finest = min(row, column)
    height, width = (round(n * mm / finest) for n, mm in zip(image.shape, (row, column)))
    if (height, width) != image.shape:
        enlarge = cv2.INTER_LINEAR if interpolation == cv2.INTER_AREA else interpolation
        image = cv2.resize(image, (width, height), interpolation=enlarge)
    return squared(image, size, interpolation)


def spacing_of(clip, size):
    """mm per pixel of what `upright` makes of the clip, None where its file does not say."""
    if clip.spacing_mm is None:
        return None
    return max(n * mm for n, mm in zip(clip.frames.shape[1:], clip.spacing_mm)) / size


# ------------------------------------------------------------------------------------------------ what is said of it


def _check_domains(rows, source, low):
    for name, grades in (("A", low), ("B", HIGH)):
        if low and not any(row["domain"] == name for row in rows):
            raise BadInput(f"{source} has no view graded {' or '.join(grades)}; without it there is no domain {name}")


def prevalence(rows):
    """What may tell the domains apart besides quality: patients, pictures of each view, mean EF; by domain.

    A translator trained to match distributions adds and removes what one domain has more of (Cohen et al., MICCAI 2018).
    """
    told = {}
    for name in sorted({row["domain"] for row in rows if row["domain"]}):
        part = [row for row in rows if row["domain"] == name]
        ef = [row["EF"] for row in part if row["EF"] is not None]
        told[name] = {
            "patients": len({row["patient"] for row in part}),
            "views": {view: sum(row["view"] == view for row in part) for view in sorted({row["view"] for row in part})},
            "EF_mean": round(float(np.mean(ef)), 1) if ef else None,
        }
    return told


def _manifest(study, settings, rows, digest, warnings):
    return {
        "kind": study.kind,
        "source": study.root.resolve().name,
        "source_fingerprint": digest,
        "layout": study.layout,
        "recordings": len({row["video"] for row in rows}),
        "images": len(rows),
        "duplicates": sum(row["duplicate_of"] is not None for row in rows),
        "splits": "lists of the data set" if study.views[0].split else f"80/10/10 by seed {settings.seed}",
        "size": settings.size,
        "frames_per_clip": "all" if settings.every else "1" if settings.subset else "2",
        "masks": "CAMUS, and the background inside the sector (convex hull of what is lit)",
        "subset": "4CH end diastole" if settings.subset else None,
        "low": "+".join(settings.low) or None,
        "high": "+".join(HIGH) if settings.low else None,
        "domains": prevalence(rows) or None,
        "warnings": warnings,
        "versions": VERSIONS,
    }
