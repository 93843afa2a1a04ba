"""Which frames of a recording are kept, under which names."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Pick:
    """One frame to keep: its place `order` among the kept ones (`<video>_f<order>.png`), its phase and index."""

    order: int
    phase: str
    frame: int


def four(count, phases):
    """First, systole, diastole and last of `count` frames, in the order of the original study."""
    kept = {"first": 0, "systole": phases.systole, "diastole": phases.diastole, "last": count - 1}
    return [Pick(order, phase, frame) for order, (phase, frame) in enumerate(kept.items())]


def one(count, phases):
    """End diastole alone."""
    return [Pick(0, "diastole", phases.diastole)]


def every(count, phases):
    """All `count` frames in time; systole and diastole are named, the rest are "other"."""
    named = {phases.diastole: "diastole", phases.systole: "systole"}
    return [Pick(frame, named.get(frame, "other"), frame) for frame in range(count)]


KEPT = {"1": one, "4": four, "all": every}  # by frames per clip


def names(video, picks):
    """`<video>_f0.png` and so on, with leading zeros beyond ten frames so that names sort in time."""
    digits = len(str(len(picks) - 1))
    return [f"{video}_f{pick.order:0{digits}d}.png" for pick in picks]
