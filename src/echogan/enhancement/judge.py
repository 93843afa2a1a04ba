"""The table of enhancers: every method by every measure, mean and interval over patients.

The truth of a phantom (`data.truth`) is handed in for judgement only; no method sees that of the pictures it is judged on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import cv2
import numpy as np
import torch

from echogan.enhancement import measures
from echogan.enhancement.lesions import TONES, survival
from echogan.enhancement.steady import flicker
from echogan.enhancement.stream import FULL, enhance_array
from echogan.enhancement.table import GOAL
from echogan.errors import BadInput
from echogan.metrics.estimate import Estimate, half_sample_error, mean
from echogan.metrics.frechet import frechet
from echogan.metrics.kernel import kernel_distance
from echogan.metrics.segmentation import dice
from echogan.metrics.speckle import grains, summary
from echogan.metrics.spectrum import decibels, rings
from echogan.metrics.volume import ejection_fraction
from echogan.sector import ECHONET

MUSCLE, CAVITY = "myocardium", "left ventricle"


@dataclass
class Case:
    """What methods are judged on: low pictures uint8 (N, H, W) of patients that none has seen, and their truth."""

    low: np.ndarray
    truth: np.ndarray
    good: np.ndarray  # held-out Good frames of other patients (M, H, W): what pictures should look like
    patients: np.ndarray  # (N,)
    phases: np.ndarray  # (N,) "diastole", "systole" or anything else
    masks: np.ndarray | None = None  # label ids (N, H, W)
    labels: dict = field(default_factory=dict)  # name -> id
    kind: str = ""
    clips: tuple = ()  # low-quality clips uint8 (T, H, W), for the flicker
    good_patients: np.ndarray | None = None  # (M,); None: each good frame is of another

    @property
    def sector(self):
        """True inside EchoNet-Dynamic's sector, (H, W)."""
        return ECHONET.resized(self.low.shape[-1]).mask()

    def region(self, i, name):
        """The inner part of a labelled structure of picture i, bool (H, W): what lies on a border is no structure's."""
        if self.masks is None or name not in self.labels:
            return np.zeros_like(self.sector)
        here = (self.masks[i] == self.labels[name]).astype(np.uint8)
        radius = max(1, self.low.shape[-1] // 64)
        return cv2.erode(here, np.ones((2 * radius + 1,) * 2, np.uint8)).astype(bool)


def case_of(frames, truth, split="TEST", clips=()):
    """The `Case` of one split of frames with two domains; `truth` uint8 (N, H, W) is that of the rows of its domain A."""
    part = frames.split(split)
    low, good = part.domain("A"), part.domain("B")
    if len(truth) != len(low):
        raise BadInput(f"{len(truth)} pictures of truth do not belong to {len(low)} low ones of {split}; give those")
    index = low.index
    return Case(
        low.images, truth, good.images, index["patient"].to_numpy(), index["phase"].to_numpy(), low.masks,
        low.labels or {}, frames.kind, tuple(clips), good.index["patient"].to_numpy(),
    )  # fmt: skip


def resting(case):
    """{measures: bool (N,)}: the pictures that they rest on, whose regions have the `measures.LEAST` pixels to say anything."""
    large = {
        name: np.array([case.region(i, name).sum() >= measures.LEAST for i in range(len(case.low))])
        for name in (MUSCLE, CAVITY)
    }
    return {"CNR and gCNR": large[MUSCLE] & large[CAVITY], "KS_A": large[MUSCLE], "KS_B": large[CAVITY]}


def method_of(enhance, wanted=FULL):
    """An `enhance` callable as a method f(images, mask), like those of `baselines`."""
    return lambda images, mask: enhance_array(images, mask, enhance, wanted)


def rate(case, methods, segment: Callable | None = None, encoder=None, callback=None):
    """{method: {measure: Estimate}} of `methods` {name: f(images, mask)}, and of the truth itself.

    segment: images uint8 (N, H, W) -> label ids, a network that no method was trained with. encoder: for FID and KID (those of
    another than inception2015 carry its name). What cannot be measured is left out. callback(done, total) hears of methods.
    """
    table, seen = {}, _good(case, encoder)
    anatomy = _anatomist(case, segment)
    jobs = {**methods, GOAL: None}
    for done, (name, method) in enumerate(jobs.items(), 1):
        made, milliseconds = _timed(method, case) if method else (case.truth, float("nan"))
        row = {**_pairs(case, made), **anatomy(made), **_texture(case, made, encoder, seen)}
        if method:
            row |= _lesions(case, method) | _flicker(case, method) | {"ms": Estimate(milliseconds, float("nan"))}
        table[name] = row
        if callback:
            callback(done, len(jobs))
    return table


# ------------------------------------------------------------------------------------------------ measures of a set


def _estimate(values, patients):
    """Mean and its error over patients of those values (n,) that are numbers; None where none is."""
    values = np.asarray(values, float)
    sound = np.isfinite(values)
    return mean(torch.from_numpy(values[sound]), np.asarray(patients)[sound]) if sound.any() else None


def _named(columns, patients):
    found = {name: _estimate(values, patients) for name, values in columns.items()}
    return {name: estimate for name, estimate in found.items() if estimate is not None}


def _timed(method, case):
    method(case.low[:2], case.sector)  # what is made once is made here
    started = time.perf_counter()
    made = method(case.low, case.sector)
    return made, 1000 * (time.perf_counter() - started) / len(case.low)


def _pairs(case, made):
    """Picture by picture, against the truth and against the input."""
    rows = [_of_picture(case, i, made[i]) for i in range(len(made))]
    return _named({name: [row[name] for row in rows] for name in rows[0]}, case.patients)


def _of_picture(case, i, picture):
    mask, truth, low = case.sector, case.truth[i], case.low[i]
    level, as_low = measures.aligned(picture, truth, mask), measures.aligned(picture, low, mask)
    muscle, cavity = case.region(i, MUSCLE), case.region(i, CAVITY)
    return {
        "PSNR": measures.psnr(picture, truth, mask), "PSNR_aligned": measures.psnr(level, truth, mask),
        "SSIM": measures.ssim(picture, truth, mask), "SSIM_aligned": measures.ssim(level, truth, mask),
        "MAE": measures.mae(picture, truth, mask), "MAE_aligned": measures.mae(level, truth, mask),
        "edges": measures.edges(picture, truth, mask),
        "CNR": measures.cnr(picture, muscle, cavity), "gCNR": measures.gcnr(picture, muscle, cavity),
        "KS_A": measures.ks(low, picture, muscle), "KS_B": measures.ks(low, picture, cavity),
        "KS_A_aligned": measures.ks(low, as_low, muscle), "KS_B_aligned": measures.ks(low, as_low, cavity),
    }  # fmt: skip


def _anatomist(case, segment):
    """Pictures made of the case's -> what an independent segmenter says of them.

    Dice of the ventricle and its gain over that of the input; of patients with both phases the error of the ejection fraction,
    its bias, and its shift against that of the input.
    """
    if segment is None or case.masks is None:
        return lambda made: {}
    code = case.labels[CAVITY]
    drawn = case.masks == code
    before = segment(case.low) == code
    overlap, fractions = dice(before, drawn), _fractions(case, before)
    by_hand, who = _fractions(case, drawn), np.unique(case.patients)

    def anatomy(made):
        found = segment(made) == code
        now, ejected = dice(found, drawn), _fractions(case, found)
        wrong = ejected - by_hand
        return _named({"Dice": now, "Dice_gain": now - overlap}, case.patients) | _named(
            {"EF_error": np.abs(wrong), "EF_bias": wrong, "EF_shift": ejected - fractions}, who
        )

    return anatomy


def _fractions(case, ventricles):
    """Ejection fraction in % of each patient, in order of name, by masks bool (N, H, W); NaN without both phases."""
    return np.array([_fraction(case, who, ventricles) for who in np.unique(case.patients)])


def _fraction(case, who, ventricles):
    at = [np.flatnonzero((case.patients == who) & (case.phases == phase)) for phase in ("diastole", "systole")]
    if not all(map(len, at)):
        return float("nan")
    return ejection_fraction(*(measures.area_length(ventricles[rows[0]]) for rows in at))


def _good(case, encoder):
    features = encoder(case.good) if encoder else None
    return grains(case.good), rings(case.good), features


def _texture(case, made, encoder, seen):
    """How far speckle widths, spectrum and an encoder's features are from those of held-out Good frames."""
    good_grains, good_rings, good_features = seen
    goal, own, power = summary(good_grains), grains(made), rings(made)
    row = {}
    for name, statistic in (("axial_error", "speckle_axial"), ("lateral_error", "speckle_lateral")):

        def away(part, statistic=statistic):
            return abs(summary(part)[statistic] - goal[statistic])

        row[name] = Estimate(away(own), half_sample_error(away, own, groups=(case.patients,)))
    error = half_sample_error(decibels, power, good_rings, groups=(case.patients, case.good_patients))
    row["spectrum_dB"] = Estimate(decibels(power, good_rings), error)
    if encoder:
        features = encoder(made)
        inception = encoder.name == "inception2015"
        fid, kid = ("FID", "KID") if inception else (f"FD_{encoder.name}", f"KID_{encoder.name}")
        row[fid] = frechet(good_features, features, case.patients, case.good_patients)
        row[kid] = kernel_distance(good_features, features, case.patients, case.good_patients)
    return row


def _lesions(case, method):
    kept = survival(lambda images: method(images, case.sector), case.low, case.sector, places=1)  # a mean over pictures
    return _named({f"kept_{tone}": kept[tone] for tone in TONES}, case.patients)


def _flicker(case, method):
    """Over clips, each of another patient."""
    if not case.clips:
        return {}
    masks = [ECHONET.resized(clip.shape[-1]).mask() for clip in case.clips]
    found = np.array([flicker(clip, method(clip, mask), mask) for clip, mask in zip(case.clips, masks)])
    return _named(dict(zip(("jitter", "shake"), found.T)), np.arange(len(found)))
