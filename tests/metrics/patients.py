"""Patients that differ in the grains of their speckle alone: the hardest case for telling them apart, made in no time."""

import cv2
import numpy as np


def speckle(n, size=64, seed=0):
    """uint8 (n, size, size): Rayleigh speckle of grains some 3 pixels wide, in one anatomy shared by all, inside a fan."""
    rng = np.random.default_rng(seed)
    grain = size / 64 * 1.2
    fields = rng.standard_normal((n, size, size, 2)).astype(np.float32)
    amplitude = np.stack([np.linalg.norm(cv2.GaussianBlur(f, (0, 0), grain), axis=-1) for f in fields])
    y, x = np.mgrid[:size, :size] / size
    anatomy = 0.15 + 0.85 * (np.hypot((x - 0.5) / 0.25, (y - 0.45) / 0.3) > 1)
    fan = np.abs(x - 0.5) < 0.08 + 0.6 * y
    image = amplitude / amplitude.mean() * anatomy * fan * 80
    return image.clip(0, 255).astype(np.uint8)


def patients_of(images, frames):
    """Each image as `frames` equal ones of one patient, and who that is."""
    return np.repeat(images, frames, axis=0), np.repeat([f"p{i}" for i in range(len(images))], frames)
