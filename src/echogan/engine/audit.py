"""`audit`: do the images of a model copy its training patients? The rate, how far it can be trusted, and the worst pairs."""

from dataclasses import dataclass, field

import numpy as np

from echogan.config import RunFolder
from echogan.data.clip import SPLITS
from echogan.data.frames import FrameSet, load_frames
from echogan.engine.lock import kept_in
from echogan.engine.recorder import Table
from echogan.engine.sampling import BEST
from echogan.engine.source import fakes_of
from echogan.errors import BadInput
from echogan.metrics import copies, privacy
from echogan.metrics.registration import Gallery

WORST = 4  # pairs to show
PLANTED = 100  # copies of each kind


@dataclass
class Audit:
    """`row`: the numbers; the rest: what the picture shows."""

    row: dict
    threshold: float
    fakes: np.ndarray  # (n,) distance of each generated image to its nearest training frame
    heldout: np.ndarray  # (m,) the same of one real frame of each unseen patient
    kind: str
    known: dict  # what config made the images, at which kimg; empty for pictures from elsewhere
    worst: list = field(default_factory=list)  # `Pair`, nearest first


@dataclass(frozen=True)
class Pair:
    """A generated image beside the nearest real ones: (picture, distance)."""

    fake: np.ndarray
    training: tuple
    heldout: tuple


def audit(source, training, heldout=None, n=1000, wanted=BEST, device="cpu", callback=None):
    """The `Audit` of at most `n` images of `source` (as in `judge`) against the TRAIN frames of `training`.

    `training` and `heldout` (default: `training`) are `FrameSet`s or their folders; the VAL and TEST patients of `heldout`, one
    random frame each, say how near unseen real images come. Images may be of another size than the frames: all are compared
    at 32 pixels. Progress goes to `callback(done, total)` in searched images; `total` is an estimate.
    """
    train = _frames(training).split("TRAIN")
    unseen = _unseen(_frames(heldout if heldout is not None else training))
    privacy.refuse_shared(train.index["patient"], unseen.index["patient"])
    queries = unseen.images[privacy.one_each(unseen.index["patient"], wanted.seed)]
    given, known = fakes_of(source, n, wanted, device)
    images = _fit(given.cpu().numpy(), train.images)
    search = _Search(train, device, callback, total=2 * (len(images) + len(queries)) + len(copies.KINDS) * PLANTED)
    real = search(queries)
    limit = privacy.threshold(real.distance)  # before the long search: too few patients are no threshold
    made = search(images)
    row = {
        "n_fake": len(images),
        "n_training": len(train),
        "training_patients": train.index["patient"].nunique(),
        "heldout_patients": len(queries),
        **privacy.Share(int((made.distance < limit).sum()), len(images)).columns("flagged"),
        **privacy.false_flags(real.distance).columns("false_flags"),
        "threshold": limit,
        "distance_ratio": float(np.median(made.distance) / np.median(real.distance)),
        **_authenticity(search, made, real),
        "C_T": _copying(train.images, images, queries, made, real),
        **_caught(search, limit, wanted.seed),
    }
    found = Audit(row, limit, made.distance, real.distance, train.kind, known)
    found.worst = _worst(found, images, made, train.images, unseen.images, device)
    return found


def keep(source, found):
    """Append the numbers of an `Audit` to audit.csv of the run it is of, which nobody may be training; returns the file."""
    run = RunFolder.find(source)
    with kept_in(run):
        Table(run.audit, ("kimg",)).add({"kimg": found.known["kimg"], **found.row})
    return run.audit


def _authenticity(search, made, real):
    """AuthPct of the generated images, and of unseen real ones, which is its floor."""
    frames = np.unique(np.concatenate([made.index, real.index]))
    own = np.full(len(search.train), np.nan, np.float32)
    own[frames] = search(search.train.images[frames], search.patients[frames]).distance
    share, floor = (privacy.authentic(found.distance, own[found.index]) for found in (made, real))
    return {**share.columns("AuthPct"), "floor_AuthPct": 100 * floor.value}


def _copying(training, images, queries, made, real):
    fake_cells, real_cells = privacy.cells(training, images, queries)
    if len(images) < privacy.CELLS * 2 * privacy.IN_A_CELL:  # too few for cells
        fake_cells = real_cells = None
    return privacy.data_copying(made.distance, real.distance, fake_cells, real_cells)


def _caught(search, limit, seed):
    """Shares of planted copies of training frames, one frame a patient, that are flagged."""
    chosen = privacy.one_each(search.patients, seed)
    chosen = chosen[np.random.default_rng(seed).permutation(len(chosen))[:PLANTED]]
    images = search.train.images[chosen]
    distance = search(np.concatenate([copies.planted(images, kind, seed) for kind in copies.KINDS])).distance
    shares = (privacy.Share(int(caught), len(chosen)) for caught in (distance < limit).reshape(-1, len(chosen)).sum(1))
    return {k: v for kind, share in zip(copies.KINDS, shares) for k, v in share.columns(f"caught_{kind}").items()}


def _worst(found, images, made, training, unseen, device):
    order = np.argsort(found.fakes, kind="stable")[:WORST]
    beside = Gallery.of(unseen, device=device).nearest(images[order])
    return [
        Pair(images[i], (training[made.index[i]], float(made.distance[i])), (unseen[j], float(distance)))
        for i, j, distance in zip(order, beside.index, beside.distance)
    ]


class _Search:
    """Nearest training frames, with progress over all questions asked."""

    def __init__(self, train, device, callback, total):
        self.train, self.patients = train, train.index["patient"].to_numpy()
        self.gallery = Gallery.of(train.images, self.patients, device)
        self.callback, self.done, self.total = callback, 0, total

    def __call__(self, images, patients=None):
        before = self.done
        self.done += len(images)
        tell = (
            None if self.callback is None else lambda done, _: self.callback(before + done, max(self.total, self.done))
        )
        return self.gallery.nearest(images, patients, tell)


def _frames(source):
    return source if isinstance(source, FrameSet) else load_frames(source)


def _unseen(frames):
    keep = frames.index["split"].isin(SPLITS[1:]) & frames.index["duplicate_of"].isna()
    if not keep.any():
        raise BadInput("the held-out frames have no VAL and no TEST patients; give --heldout frames that have")
    return frames.where(keep)


def _fit(images, training):
    if len(images) < privacy.LEAST:
        raise BadInput(f"an audit needs {privacy.LEAST} images or more, got {len(images)}")
    if images.shape[1] != images.shape[2]:
        raise BadInput(f"the images to audit have {images.shape[2]} x {images.shape[1]} pixels; make them square")
    for what, some in (("images to audit", images), ("training frames", training)):
        if (np.ptp(some.reshape(len(some), -1), axis=1) == 0).all():
            raise BadInput(f"the {what} are flat, each of a single grey: there is nothing to compare")
    return images
