"""Every baseline leaves the outside alone; each does what it is named for."""

import cv2
import numpy as np
import pytest

from echogan.enhancement.baselines import DYNAMIC_RANGE, METHODS, diffused, fitted_gain
from echogan.sector import ECHONET
from tests.data.studies import beating

MASK = ECHONET.mask()


@pytest.fixture(scope="module")
def images():
    return beating(3)


@pytest.mark.parametrize("name", METHODS)
def test_outside_nothing_changes(images, name):
    noisy = images.copy()
    noisy[:, ~MASK] = np.random.default_rng(0).integers(0, 256, (3, (~MASK).sum()))
    out = METHODS[name](noisy, MASK)
    assert out.dtype == np.uint8 and out.shape == images.shape
    assert np.array_equal(out[:, ~MASK], noisy[:, ~MASK])
    assert np.array_equal(out, noisy) == (name == "identity")


@pytest.mark.parametrize("name", ["median", "NL-means", "TV", "SRAD", "Haar", "bilateral"])
def test_filters_smooth_speckle_and_keep_the_ventricle_dark(images, name):
    out = METHODS[name](images, MASK).astype(float)
    muscle, blood = np.s_[:, 90:100, 40:80], np.s_[:, 45:55, 58:66]
    assert out[muscle].std(axis=(1, 2)).mean() < 0.9 * images[muscle].std(axis=(1, 2)).mean()
    assert out[muscle].mean() == pytest.approx(images[muscle].mean(), rel=0.1) and out[blood].mean() < 25


def test_clahe_stretches_contrast(images):
    dull = (images // 4 + 60) * MASK
    assert METHODS["CLAHE"](dull, MASK)[:, MASK].std() > 1.2 * dull[:, MASK].std()


def test_fitted_gain_finds_the_gamma(images):
    truth = np.rint(255 * (images / 255) ** 0.6).astype(np.uint8)
    out = fitted_gain(images, truth, MASK)(images, MASK)
    assert np.abs(out[:, MASK].astype(int) - truth[:, MASK]).max() <= 1


def test_srad_evens_out_speckle_and_stops_at_edges():
    rng = np.random.default_rng(0)
    clean = np.where(np.arange(96) < 48, 1.0, 6.0)[None].repeat(96, 0)
    speckled = clean * np.sqrt(rng.rayleigh(1, clean.shape) ** 2 / 2 + 0.5)
    out = diffused(speckled, np.ones((96, 96), bool))
    inner = np.s_[8:-8, 8:40]
    assert out[inner].std() / out[inner].mean() < 0.5 * speckled[inner].std() / speckled[inner].mean()
    step = out[:, 56:88].mean() - out[:, 8:40].mean()
    edge = out[8:-8, 50].mean() - out[8:-8, 45].mean()
    blurred = cv2.GaussianBlur(speckled, (0, 0), 3)
    assert edge > 0.8 * step > blurred[8:-8, 50].mean() - blurred[8:-8, 45].mean()
    assert DYNAMIC_RANGE == 60


def test_diffusion_conserves_what_it_moves():
    image = np.random.default_rng(1).uniform(1, 2, (32, 32))
    assert diffused(image, np.ones((32, 32), bool), steps=20).sum() == pytest.approx(image.sum(), rel=0.01)
