"""Clips without flicker: what an enhancer adds changes slowly, and how much a clip flickers.

    e_t = (1 - a) e_{t-1} + a r_t             the residual r, smoothed
    s_t = (1 - c) s_{t-1} + c x_t             the input, smoothed
    y_t = (1 - b) x_t + b s_t + e_t + m_t     m_t keeps the mean over the sector at that of (1 - b) x_t + b s_t plus a constant

A residual that follows its input (any gain above 1) multiplies the flicker of the input; the small b takes it away again
while the residual is, at the fastest change, at most b (2 - 2 c) (2 - a) / (a (2 - c)) of the input: all of it for the values
below. Both grow with the strength, so that at a small one the input hardly changes.
"""

import numpy as np

FOLLOW = 0.15  # a
BLEND = 0.1  # b at full strength
SMOOTH = 0.3  # c
ROUNDS = 4  # until a mean is held although grey levels end at black and white


class Steady:
    """Frames and residuals of one clip in order, each float32 (T, H, W) in grey levels -> enhanced frames."""

    def __init__(self, mask, levels=255, strength=1.0):
        self.mask, self.levels, self.blend = mask, levels, BLEND * strength
        self.residual = self.smooth = None
        self.lift = 0.0

    def __call__(self, frames, residuals):
        if self.residual is None:  # a clip begins as its first block goes on, not with the noise of one frame
            self.residual, self.smooth = residuals.mean(0), frames[0].astype(np.float32)
            better = np.clip(frames + residuals, 0, self.levels)
            self.lift = float((better - frames)[:, self.mask].mean())
        return np.stack([self._one(x, r) for x, r in zip(frames, residuals)])

    def _one(self, x, r):
        self.residual = self.residual + FOLLOW * (r - self.residual)
        self.smooth = self.smooth + SMOOTH * (x - self.smooth)
        calm = x + self.blend * (self.smooth - x)
        y, aim = calm + self.residual, calm[self.mask].mean() + self.lift
        for _ in range(ROUNDS):
            y = y + (aim - np.clip(y[self.mask], 0, self.levels).mean())
        return y


class Flicker:
    """Adds up how one clip flickers, frame by frame: `jitter` (grey levels) and `shake` (grey levels squared).

    jitter: mean |m_t - m_{t-1}| of the mean m over the sector; shake: mean (x_t - 2 x_{t-1} + x_{t-2})^2 inside it.
    """

    def __init__(self, mask):
        self.mask, self.before = mask, []
        self.jumps, self.bends = [], []

    def add(self, frame):
        """The next frame, (H, W)."""
        x = frame[self.mask].astype(np.float32)
        if self.before:
            self.jumps.append(abs(float(x.mean() - self.before[-1].mean())))
        if len(self.before) == 2:
            self.bends.append(float(((x - 2 * self.before[1] + self.before[0]) ** 2).mean()))
        self.before = [*self.before[-1:], x]

    def over(self, other):
        """(jitter, shake) of this clip over those of another; 1 where both stand still, NaN for a still."""
        return tuple(_ratio(mine, theirs) for mine, theirs in ((self.jumps, other.jumps), (self.bends, other.bends)))


def flicker(before, after, mask):
    """(jitter, shake) of the clip `after` over those of `before`, each (T, H, W)."""
    meters = []
    for clip in (before, after):
        meters.append(Flicker(mask))
        for frame in clip:
            meters[-1].add(frame)
    return meters[1].over(meters[0])


def _ratio(mine, theirs):
    if not mine:
        return float("nan")
    a, b = np.mean(mine), np.mean(theirs)
    return float(a / b) if b else (1.0 if a == 0 else float("inf"))
