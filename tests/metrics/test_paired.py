"""The three uses of paired metrics: what is paired with what, and what stands beside it."""

import numpy as np
import pytest
import torch

from echogan.errors import BadInput
from echogan.metrics.paired import diversity, nearest, nearest_in, reconstruction
from echogan.metrics.similarity import CAP, psnr, ssim


def noise(n, size=16, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (n, size, size)).astype(np.uint8)


class MeanDifference:
    """Stands for LPIPS: the mean absolute difference of each pair."""

    def between(self, images, reference):
        return (images.double() - reference.double()).abs().mean((1, 2))


def test_reconstruction_is_the_mean_over_true_pairs_with_its_error():
    a, b = noise(30), noise(30, seed=1)
    row = reconstruction(a, b, MeanDifference())
    values = ssim(a, b).numpy()
    assert row["paired"] == "reconstruction" and row["n_pairs"] == 30
    assert row["SSIM"] == pytest.approx(values.mean())
    assert row["SSIM_error"] == pytest.approx(values.std(ddof=1) / np.sqrt(30))
    assert row["LPIPS"] == pytest.approx(np.abs(a.astype(float) - b).mean())
    assert set(row) == {"paired", "n_pairs"} | {f"{m}{e}" for m in ("SSIM", "PSNR", "LPIPS") for e in ("", "_error")}


def test_frames_of_one_patient_count_as_one():
    a, b = np.repeat(noise(10), 3, axis=0), np.repeat(noise(10, seed=1), 3, axis=0)
    alone, together = reconstruction(a, b), reconstruction(a, b, patients=np.repeat(np.arange(10), 3))
    once = reconstruction(a[::3], b[::3])
    assert together["PSNR_error"] == pytest.approx(once["PSNR_error"], rel=1e-6)
    assert alone["PSNR_error"] < together["PSNR_error"]


def test_multi_scale_ssim_stands_where_the_image_is_large_enough():
    assert "MS_SSIM" in reconstruction(noise(4, 88), noise(4, 88))
    assert "MS_SSIM" not in reconstruction(noise(4, 87), noise(4, 87))


def test_the_nearest_image_is_that_of_a_loop():
    fakes, training = noise(9), noise(40, seed=1)
    expected = [min(range(40), key=lambda j: np.square(f.astype(float) - training[j]).sum()) for f in fakes]
    assert nearest_in(fakes, training).tolist() == expected


def test_novelty_is_read_against_unseen_real_images():
    training, heldout = noise(40), noise(10, seed=1)
    copied = nearest(training[:10], training, heldout)
    assert copied["paired"] == "nearest" and copied["PSNR"] == CAP and copied["SSIM"] == pytest.approx(1)
    pairs = training[nearest_in(heldout, training)]
    assert copied["floor_PSNR"] == pytest.approx(float(psnr(heldout, pairs).mean()))
    assert "floor_SSIM" not in nearest(heldout, training)


def test_diversity_of_one_repeated_image_is_none_and_of_the_data_that_of_the_data():
    real = noise(40)
    collapsed = diversity(np.repeat(real[:1], 12, 0), real, MeanDifference())
    assert collapsed["paired"] == "diversity" and collapsed["LPIPS"] == 0 and collapsed["PSNR"] == CAP
    same = diversity(real, real, MeanDifference(), seed=3)
    assert same["LPIPS"] == same["floor_LPIPS"] > 50


def test_no_image_is_in_two_pairs_and_no_real_pair_is_of_one_patient(monkeypatch):
    seen = []
    monkeypatch.setattr(
        "echogan.metrics.paired.reconstruction",
        lambda a, b, lpips: seen.append((a[:, 0, 0].tolist(), b[:, 0, 0].tolist())) or {"paired": "reconstruction"},
    )
    images = np.arange(20, dtype=np.uint8)[:, None, None].repeat(4, 1).repeat(4, 2)
    patients = np.arange(20) // 5
    diversity(torch.from_numpy(images), images, patients=patients, pairs=100)
    (fake_a, fake_b), (real_a, real_b) = seen
    assert sorted(fake_a + fake_b) == list(range(20))
    assert len(set(real_a + real_b)) == 2 * len(real_a) < 20
    assert all(patients[i] != patients[j] for i, j in zip(real_a, real_b))
    diversity(images, images, pairs=3)
    assert len(seen[2][0]) == 3


def test_too_few_images_are_refused():
    with pytest.raises(BadInput, match="at least 4 images, got 3"):
        reconstruction(noise(3), noise(3))
    with pytest.raises(BadInput, match="different patients"):
        diversity(noise(8), noise(8), patients=["one"] * 8)
