"""Measures against formulas worked out by hand, and against SciPy and scikit-image."""

import cv2
import numpy as np
import pytest
from scipy.stats import ks_2samp
from skimage.metrics import peak_signal_noise_ratio

from echogan.enhancement import measures
from echogan.enhancement.lesions import contrast, planted, somewhere, survival
from echogan.metrics.volume import ejection_fraction
from echogan.sector import ECHONET
from tests.data.studies import beating
from tests.enhancement.stand_ins import blur, gain, painter

RNG = np.random.default_rng(0)
A, B = (RNG.integers(0, 200, (64, 64)).astype(np.uint8) for _ in range(2))
WHOLE = np.ones((64, 64), bool)
LEFT, RIGHT = np.arange(64)[None] < 32, np.arange(64)[None] >= 32
LEFT, RIGHT = LEFT.repeat(64, 0), RIGHT.repeat(64, 0)


def test_psnr_and_mae_see_the_mask_only():
    assert measures.psnr(A, B, WHOLE) == pytest.approx(peak_signal_noise_ratio(B, A, data_range=255))
    other = np.where(LEFT, A, 255 - A).astype(np.uint8)
    assert measures.psnr(other, A, LEFT) == measures.CAP and measures.mae(other, A, LEFT) == 0
    assert measures.mae(A, A + np.uint8(5), WHOLE) == 5


def test_alignment_undoes_any_gain_and_offset_and_nothing_else():
    dull = np.rint(0.6 * A + 40).astype(np.uint8)
    assert measures.psnr(dull, A, WHOLE) < 25 < 45 < measures.psnr(measures.aligned(dull, A, WHOLE), A, WHOLE)
    assert measures.psnr(measures.aligned(B, A, WHOLE), A, WHOLE) < 15
    flat = np.full_like(A, 7)
    assert np.ptp(measures.aligned(flat, A, WHOLE)) == 0


def test_ssim_of_equals_is_1():
    assert measures.ssim(A, A, LEFT) == pytest.approx(1) and measures.ssim(A, B, WHOLE) < 0.1


def test_cnr_of_known_regions():
    picture = np.where(LEFT, RNG.normal(60, 3, A.shape), RNG.normal(100, 4, A.shape)).round().astype(np.uint8)
    assert measures.cnr(picture, LEFT, RIGHT) == pytest.approx(40 / 5, rel=0.05)
    assert np.isnan(measures.cnr(picture, np.zeros_like(LEFT), RIGHT))


def test_gcnr_survives_gamma_where_cnr_does_not():
    picture = np.where(LEFT, RNG.normal(80, 20, A.shape), RNG.normal(120, 20, A.shape)).clip(0, 255).astype(np.uint8)
    gamma = np.rint(255 * (picture / 255) ** 1.5).astype(np.uint8)
    assert measures.gcnr(gamma, LEFT, RIGHT) == pytest.approx(measures.gcnr(picture, LEFT, RIGHT), abs=0.03)
    assert measures.gcnr(np.where(LEFT, 0, 9).astype(np.uint8), LEFT, RIGHT) == 1
    # two normal distributions 2 deviations apart overlap by 2 Phi(-1)
    assert measures.gcnr(picture, LEFT, RIGHT) == pytest.approx(1 - 0.3173, abs=0.08)


def test_ks_is_scipys():
    assert measures.ks(A, B, LEFT) == pytest.approx(ks_2samp(A[LEFT], B[LEFT]).statistic)


def test_edges_ignore_gain_and_punish_blur_and_displacement():
    clip = beating(1)[0]
    mask = ECHONET.mask()
    assert measures.edges(clip // 2, clip, mask) > 0.98
    assert measures.edges(np.roll(clip, 5, axis=1), clip, mask) < 0.9
    sharp, soft, softer = (measures.edges(cv2.GaussianBlur(clip, (0, 0), s), clip, mask) for s in (0.5, 2, 4))
    assert sharp > 0.98 and sharp > soft + 0.02 and soft > softer + 0.02


def test_the_volume_of_an_ellipse():
    y, x = np.mgrid[:128, :128]
    big, small = (((x - 64) / (20 * k)) ** 2 + ((y - 64) / (40 * k)) ** 2 < 1 for k in (1, 0.8))
    assert measures.area_length(big) == pytest.approx(
        4 / 3 * np.pi * 20**2 * 40, rel=0.03
    )  # of the solid of revolution
    full, empty = measures.area_length(big), measures.area_length(small)
    assert ejection_fraction(full, empty) == pytest.approx(100 * (1 - 0.8**3), abs=1.5)


# ------------------------------------------------------------------------------------------------ lesions


def as_images(enhance, strength=1.0):
    import torch

    def apply(images):
        x = torch.from_numpy(images).float()[:, None] / 127.5 - 1
        return ((enhance(x, strength) + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)[:, 0].numpy()

    return apply


def test_lesions_change_their_place_and_nothing_far_from_it():
    image, rng = beating(1)[0], np.random.default_rng(3)
    for tone, sign in (("bright", 1), ("dark", -1)):
        lesion = somewhere(ECHONET.mask(), tone, rng, image)
        ill = planted(image, lesion)
        assert sign * contrast(ill, image, lesion) > 8
        y, x = np.mgrid[:112, :112]
        far = np.hypot(x - lesion.x, y - lesion.y) > 3 * lesion.radius
        assert np.array_equal(ill[far], image[far])


def test_survival_is_1_for_the_input_the_gain_for_a_gain_and_less_for_what_smooths_or_paints_over():
    images, mask = beating(4) // 2, ECHONET.mask()
    kept = {name: survival(as_images(f), images, mask) for name, f in (("gain", gain), ("blur", blur))}
    assert all(np.allclose(v, 1) for v in survival(lambda x: x, images, mask).values())
    assert all(np.allclose(v, 1.2, atol=0.06) for v in kept["gain"].values())
    assert all((v < 0.9).all() for v in kept["blur"].values())
    erased = survival(lambda x: np.full_like(x, 80), images, mask)
    assert all(np.allclose(v, 0) for v in erased.values())
    assert painter(images_as_tensor(images), 1.0).shape == (4, 1, 112, 112)


def images_as_tensor(images):
    import torch

    return torch.from_numpy(images).float()[:, None] / 127.5 - 1
