"""`judge`: every metric of a set of images in one pass, each beside its error and what real images reach.

The fakes are generated, encoded and summed up on one device. The real side (its features, and the floor: real images
against real images) is computed once for a set of frames, split, n, size and encoder of ours, and kept in data/.features.
"""

import hashlib
import json
from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from echogan import encoders
from echogan.config import RunFolder, folder
from echogan.data.clip import SPLITS
from echogan.encoders import lpips as perceptual
from echogan.engine import once
from echogan.engine.evaluate import spread
from echogan.engine.feed import resized
from echogan.engine.lock import kept_in
from echogan.engine.recorder import METRICS, Table
from echogan.engine.sampling import BEST, find_weights
from echogan.engine.source import enhanced_of, fakes_of, frames_of
from echogan.errors import BadInput
from echogan.files import atomic
from echogan.metrics import (
    frechet,
    histogram,
    jpeg2000,
    kernel,
    manifold,
    paired,
    sliced,
    speckle,
    spectrum,
    variety,
)
from echogan.metrics.estimate import half_sample_error
from echogan.preprocessing.splits import larger
from echogan.sector import study_mask

LEAST = 16  # images a side
ENOUGH = 4096  # images a side: half of them outnumber the dimensions of the Inception's features, as FID_inf wants it
VERSION = 1  # of what a kept real side holds: raise it when a metric changes
OF_PIXELS = {  # what is taken of every image, and the distance between two sets of it
    "SWD": (sliced.shadows, sliced.between),
    "JSD": (histogram.grey_levels, histogram.divergence),
    "spectrum_dB": (spectrum.rings, spectrum.decibels),
}


@dataclass(frozen=True)
class Side:
    """One set of images on the device, with what is known of it."""

    images: torch.Tensor  # uint8 (n, H, W)
    patients: np.ndarray | None = None  # of each image, where known: its frames count as one observation of an error
    features: torch.Tensor | None = None  # (n, dim)


def networks(device="cpu", encoder=None):
    """The networks `judge` takes, as far as their weights are on this machine: {"encoder": ..., "lpips": ...}, else None.

    The encoder is Inception-2015 where no other is given.
    """
    if encoder is None and encoders.available("inception2015"):
        encoder = encoders.find("inception2015", device)
    return {"encoder": encoder, "lpips": perceptual.lpips(device) if perceptual.available() else None}


def judge(source, frames, split="TEST", n=None, encoder=None, lpips=None, device="cpu", wanted=BEST, callback=None):
    """One row of metrics.csv: the images of `source` against the frames of one split.

    `source` is an array of images uint8 (N, H, W), a run, a .safetensors file, a folder or a ZIP; `frames` a `FrameSet`, its
    folder, or any folder of pictures (then all of them are the reference). At most `n` images a side, by default as many as
    the split has. Images are compared at the smaller of both sizes. Without an `encoder` and `lpips` (`networks`) the
    metrics that need none are given. Columns: a metric, its standard error (`<metric>_error`) and its floor
    (`floor_<metric>`): as many real images of `floor_of` in place of the fakes. SSIM, PSNR and LPIPS are those of random
    pairs within a set (`paired` = diversity). A run that reconstructs or translates (`stage` = translate) is shown the frames
    themselves; then pairs are an image and what it aims at (`paired` = reconstruction), FID is that of reconstructions, and an
    autoencoder stands beside JPEG 2000 in the same `bits` an image. An enhancer is shown the frames of domain A, and those
    of B are the reference. Progress goes to `callback(done, total)` in encoded images.
    A reading of TEST is counted in the test_reads.csv of its run.
    """
    frames, device = frames_of(frames), torch.device(device)
    enhanced = enhanced_of(source, _of_split(frames, split), n, wanted, device)
    frames = frames.domain("B") if enhanced else frames
    part = _reference(frames, split, n)
    real = Side(torch.from_numpy(part.images), part.index["patient"].to_numpy())
    images, known = enhanced or fakes_of(source, n or len(part), wanted, device, part)
    stand_in = _stand_in(frames, split, len(images))
    _refuse_unfit(images, real.images)
    size, in_sector = min(images.shape[-1], real.images.shape[-1]), "mask" in frames.manifest
    fakes, real, stand_in = (_at(side, size, device) for side in (Side(images), real, stand_in))
    encode = _Encoding(encoder, callback)
    fakes = encode(fakes)
    key = (frames.fingerprint(), split, len(real.images), len(images), size, in_sector)
    real, floor = _kept(key, encoder, lambda: _measured_real(encode, real, stand_in, in_sector), real)
    row = {
        **known,
        "split": "ALL" if _undivided(frames) else split,
        "encoder": encode.name,
        "encoder_sha256": encoder.sha256 if encoder else "",
        "size": size,
        "n_real": len(real.images),
        "n_fake": len(fakes.images),
        **measure(fakes, real, encode.name, in_sector),
        **floor,
        **_of_pairs(fakes, real, lpips, known),
    }
    if known and row["split"] == "TEST":
        try:
            once.count(find_weights(source, wanted.kimg), known)
        except BadInput as error:  # a run that only others may write to
            row["uncounted"] = str(error)
    return row


def check_enough(frames, split="TEST"):
    """A `BadInput`, before anything is trained, where `judge` would find too few frames in a split."""
    _reference(frames, split, None)


def keep(source, row):
    """Append a row of `judge` to the metrics.csv of the run it is of, which nobody may be training; returns the file."""
    run = RunFolder.find(source)
    with kept_in(run):
        Table(run.metrics, METRICS).add({k: v for k, v in row.items() if k not in ("arch", "config")})
    return run.metrics


def measure(fakes, real, encoder="", in_sector=False):
    """Every metric of one `Side` against another and its standard error, as columns of metrics.csv.

    FID, KID and the shares have these names for Inception-2015; of another encoder they carry its name, as in FD_lite0.
    """
    row = {**_of_pixels(fakes, real), **(_of_sector(fakes, real) if in_sector else {})}
    return {**row, **(_of_features(fakes, real, encoder) if fakes.features is not None else {})}


def readable(row):
    """[(metric, value, half of its 95 % interval or None, its floor or None)]: a row as a person reads it."""
    lines = []
    for name, value in row.items():
        if isinstance(value, float) and name != "kimg" and not (name.startswith("floor_") or name.endswith("_error")):
            error = row.get(f"{name}_error")
            lines.append((name, value, None if error is None else 1.96 * error, row.get(f"floor_{name}")))
    return lines


def cautions(row):
    """What to say beside a row: sentences on small sets and on what could not be measured."""
    missing = [("inception2015", "FID, KID, precision, recall, density, coverage and Vendi")] * (not row["encoder"])
    missing += [("alexnet", "LPIPS")] * ("LPIPS" not in row)
    get = "`echogan weights --install {}`; in a notebook: tick install_weights, then Run all"
    sentences = [f"without weights there is no {what}: {get.format(name)}" for name, what in missing]
    if "uncounted" in row:
        sentences.append(f"this reading of TEST is not on record: {row['uncounted']}")
    if row["encoder"] and min(row["n_real"], row["n_fake"]) < ENOUGH:
        sentences.append(
            f"Frechet distances of {row['n_fake']} against {row['n_real']} images are biased upward, also when extrapolated "
            f"({ENOUGH:,} a side are enough): compare equal n only, beside the floor; kernel distances are unbiased at any n"
        )
    if row["n_floor"] < row["n_fake"]:
        sentences.append(
            f"the floor is that of {row['n_floor']} images ({row['floor_of']}), fewer than the {row['n_fake']} judged: "
            "its Frechet distances are larger for that alone"
        )
    return sentences


# ------------------------------------------------------------------------------------------------ the metrics


def _of_pixels(fakes, real):
    """Of grey levels and texture over the whole image."""
    return _columns(
        {
            name: _with_error(distance, part(fakes.images), part(real.images), real)
            for name, (part, distance) in OF_PIXELS.items()
        }
    )


def _of_sector(fakes, real):
    """Of what lies inside the sector: outside of it all images are black and agree."""
    mask = study_mask(fakes.images.shape[-1])
    of_fakes, of_real = (histogram.grey_levels(s.images, mask) for s in (fakes, real))
    found = {"JSD_sector": _with_error(histogram.divergence, of_fakes, of_real, real)}
    grains = speckle.grains(fakes.images)
    values = speckle.summary(grains)
    for name in speckle.STATISTICS:
        error = half_sample_error(lambda part, name=name: speckle.summary(part)[name], grains)
        found[name] = values[name], error
    return _columns(found)


def _of_features(fakes, real, encoder):
    """Of where an encoder sees both sets."""
    x, y, patients = fakes.features, real.features, real.patients
    suffix = "" if encoder == "inception2015" else f"_{encoder}"
    fd, infinite = ("FID", "FID_inf") if not suffix else (f"FD{suffix}", f"FD_inf{suffix}")
    found = _columns({fd: frechet.frechet(x, y, patients), f"KID{suffix}": kernel.kernel_distance(x, y, patients)})
    shares = {f"{name}{suffix}": share for name, share in manifold.manifold(x, y, patients).items()}
    return {
        **found,
        infinite: frechet.frechet_infinity(x, y)[0],
        **_columns(shares),
        f"vendi{suffix}": variety.vendi(x),
    }


def _with_error(metric, x, y, real):
    return metric(x, y), half_sample_error(metric, x, y, groups=(None, real.patients))


def _columns(estimates):
    pairs = ({name: value, f"{name}_error": error} for name, (value, error) in estimates.items())
    return {key: number for pair in pairs for key, number in pair.items()}


def _of_pairs(fakes, real, lpips, known):
    """SSIM, PSNR and LPIPS of the pairs that mean something: with the true image where there is one, else within a set."""
    if known.get("stage") != "translate":
        return paired.diversity(fakes.images, real.images, lpips, real.patients)
    row = paired.reconstruction(fakes.images, real.images, lpips, real.patients)
    if "bits" not in known:
        return row
    kept, bits = jpeg2000.at_bits(real.images.cpu().numpy(), known["bits"])
    beside = paired.reconstruction(torch.from_numpy(kept).to(real.images.device), real.images, lpips)
    named = {f"JPEG2000_{name}": beside[name] for name in ("SSIM", "PSNR", "LPIPS") if name in beside}
    return {**row, **named, "JPEG2000_bits": float(np.mean(bits))}


# ------------------------------------------------------------------------------------------------ the real side


def _undivided(frames):
    """Whether the frames are pictures without splits."""
    return set(frames.index["split"]) == {"ALL"}


def _of_split(frames, split):
    if not _undivided(frames) and split not in SPLITS:
        raise BadInput(f"there is no split {split!r}; choose from {', '.join(SPLITS)}")
    return frames if _undivided(frames) else frames.split(split)


def _reference(frames, split, n):
    """`n` frames of a split (all where n is None)."""
    part = _of_split(frames, split)
    if 0 < len(part) < LEAST:
        of, remedy = "", "give more images"
        if not _undivided(frames):
            patients = part.index["patient"].nunique() or len(part)
            of, remedy = f" of {split}", larger(split, patients * LEAST / len(part))
        raise BadInput(f"the reference has {len(part)} images{of}; metrics need at least {LEAST}, so {remedy}")
    part = part.where(np.isin(np.arange(len(part)), spread(np.arange(len(part)), n or len(part))))
    if len(part) and part.index["patient"].nunique(dropna=False) < 2:
        named = part.index["split"].iloc[0]
        raise BadInput(f"the reference, {named}, is of one patient, which tells no error; give frames of two or more")
    return part


def _stand_in(frames, split, n):
    """`n` images of TRAIN, other patients than those of VAL and TEST, to stand in for fakes; empty where there are none."""
    if split == "TRAIN" or "TRAIN" not in set(frames.index["split"]):
        return Side(torch.from_numpy(frames.images[:0]))
    return Side(torch.from_numpy(spread(frames.split("TRAIN").images, n)))


def _measured_real(encode, real, stand_in, in_sector):
    """(the real side with its features, the columns of its floor).

    Without a `stand_in` one half of the patients is compared with the other: the floor of half as many images.
    """
    real, who = encode(real), "TRAIN"
    against = real
    if not len(stand_in.images):
        codes = np.unique(real.patients, return_inverse=True)[1]
        first = np.random.default_rng(0).permutation(codes.max() + 1)[codes] % 2 == 0
        stand_in, against, who = _rows(real, first), _rows(real, ~first), "halves"
    else:
        stand_in = encode(stand_in)
    row = measure(stand_in, against, encode.name, in_sector)
    floor = {f"floor_{key}": value for key, value in row.items() if not key.endswith("_error")}
    return real, {"floor_of": who, "n_floor": len(stand_in.images), **floor}


def _rows(side, keep):
    mask = torch.from_numpy(keep).to(side.images.device)
    features = None if side.features is None else side.features[mask]
    return Side(side.images[mask], side.patients[keep], features)


def _kept(key, encoder, compute, real):
    """`compute()`, or what it gave for the same real side and encoder before; a user's is asked anew: its code may change."""
    if encoder is None or type(encoder.network) not in encoders.NETWORKS.values():
        return compute()
    words = json.dumps([VERSION, *map(str, key), encoder.name, encoder.sha256, encoder.preprocessing])
    path = folder("data") / ".features" / f"{key[0]}_{hashlib.sha256(words.encode()).hexdigest()[:16]}.safetensors"
    try:
        with safe_open(path, "pt") as kept:
            features, floor = kept.get_tensor("features"), json.loads(kept.metadata()["floor"])
    except (OSError, SafetensorError):  # not there yet, or damaged: it can be made again
        real, floor = compute()
        with suppress(BadInput, SafetensorError), atomic(path) as temporary:  # it only saves time
            save_file({"features": real.features.cpu()}, temporary, {"floor": json.dumps(floor)})
        return real, floor
    return replace(real, features=features.to(real.images.device)), floor


# ------------------------------------------------------------------------------------------------ images


class _Encoding:
    """Encodes sides one after the other; progress counts over all of them."""

    def __init__(self, encoder, callback):
        self.encoder, self.callback, self.done = encoder, callback, 0
        self.name = encoder.name if encoder else ""

    def __call__(self, side):
        if self.encoder is None:
            return side
        before, self.done = self.done, self.done + len(side.images)
        tell = self.callback and (lambda done, total: self.callback(before + done, before + total))
        return replace(side, features=self.encoder(side.images, tell))


def _refuse_unfit(images, real):
    for what, some in (("images to judge", images), ("reference", real)):
        if len(some) < LEAST:
            raise BadInput(f"the {what} hold {len(some)} images; metrics need at least {LEAST}")
        if some.shape[-1] != some.shape[-2]:
            raise BadInput(f"the {what} hold images of {some.shape[-1]} x {some.shape[-2]} pixels; make them square")
        if bool((some.flatten(1).amax(1) == some.flatten(1).amin(1)).all()):
            raise BadInput(f"the {what} are flat, each of a single grey: there is nothing to measure")


def _at(side, size, device):
    """The side on the device, its images `size` pixels wide."""
    images = side.images
    fits = images.shape[-1] == size or not len(images)
    at = images.to(device) if fits else resized(images.cpu().numpy(), size, device)
    return replace(side, images=at)
