"""The cardiac cycle: two phase scalars and a valve opening as functions of time.

Everything that moves follows the contraction s (0 at end diastole, 1 at end systole) and the atrial kick k
(0..1).
"""

from dataclasses import dataclass

import numpy as np

LONGEST_SYSTOLE = 0.42  # s


@dataclass(frozen=True)
class Beat:
    """What the heart does at a series of times, arrays of length T; indexing gives one instant or a shorter series."""

    time: np.ndarray  # s after an end diastole
    contraction: np.ndarray  # s: 0 at end diastole, 1 at end systole
    kick: np.ndarray  # k: atrial contraction, 0..1
    opening: np.ndarray  # of the mitral and tricuspid valves, 0..1
    shift: np.ndarray  # (T, 2) rigid motion of the heart in cm: x, depth

    def __len__(self):
        return len(self.time)

    def __getitem__(self, which):
        return Beat(self.time[which], self.contraction[which], self.kick[which], self.opening[which], self.shift[which])


@dataclass(frozen=True)
class Timing:
    """Durations within one beat, in seconds."""

    period: float
    systole: float
    isovolumic: float  # relaxation with both valves shut: the heart stays at end systole
    early: float  # early filling, the E wave
    atrial: float  # filling by the atrial contraction, the A wave

    @classmethod
    def of(cls, heart_rate):
        """The durations at `heart_rate` beats per minute.

        Systole scales with the square root of the period (Bazett) around 0.30 s at 70 beats per minute.
        """
        period = 60.0 / heart_rate
        systole = float(np.clip(0.30 * np.sqrt(period / 0.86), 0.22, LONGEST_SYSTOLE))
        diastole = period - systole
        return cls(period, systole, 0.06 * period**0.5, min(0.20, 0.35 * diastole), min(0.12, 0.18 * diastole))


def beat_at(time, timing):
    """The `Beat` at times (any shape, s; 0 is an end diastole), without rigid motion.

    Emptying is a smooth step over systole. After isovolumic relaxation 72 % of the stroke volume's contraction
    is undone by early filling and 28 % by the atrial kick; the valves open fully in the E wave, to 30 % in
    diastasis and to 75 % in the A wave.
    """
    time = np.asarray(time, float)
    x = np.mod(time, timing.period)
    opens = timing.systole + timing.isovolumic
    kicks = timing.period - timing.atrial
    relaxed = 0.72 * _step((x - opens) / timing.early) + 0.28 * _step((x - kicks) / timing.atrial)
    contraction = np.where(x <= timing.systole, _step(x / timing.systole) ** 0.9, 1 - relaxed)
    kick = np.sin(np.pi * np.clip((x - kicks) / timing.atrial, 0, 1))
    e_wave = np.exp(-(((x - opens) / timing.early - 0.45) ** 2) / 0.55**2)
    a_wave = 0.75 * np.exp(-(((x - kicks) / timing.atrial - 0.45) ** 2) / 0.5**2)
    diastasis = 0.30 * ((x > opens + 0.5 * timing.early) & (x < kicks))
    opening = np.where(x > opens - 0.4 * timing.isovolumic, np.maximum(e_wave + diastasis, a_wave), 0.0)
    return Beat(time, contraction, kick, np.clip(opening, 0, 1), np.zeros((*time.shape, 2)))


def _step(x):
    x = np.clip(x, 0, 1)
    return x**2 * (3 - 2 * x)
