"""Volumes by discs against solids whose volume is known, and against the phantom's exact one."""

import numpy as np
import pytest

from echogan.data.phantom.camus import HALF_ANGLE, _patient, camus_sector
from echogan.data.phantom.phantom import Phantom
from echogan.data.phantom.scan import sample_scan
from echogan.errors import BadInput
from echogan.metrics.volume import ejection_fraction, ventricle, volume

LABELS = {"background": 0, "left ventricle": 1, "myocardium": 2, "left atrium": 3}


def half_ellipsoid(across, length, turn=0.0, size=300):
    """A mask of half an ellipse (apex up, `length` deep, 2 `across` wide at its base) on an atrium, turned by degrees."""
    y, x = np.mgrid[:size, :size] - size / 2 + 0.5
    t = np.radians(turn)
    along, aside = x * np.sin(t) + y * np.cos(t), x * np.cos(t) - y * np.sin(t)
    mask = np.zeros((size, size), np.uint8)
    mask[(along < 0) & ((aside / across) ** 2 + (along / length) ** 2 < 1)] = 1
    mask[(along >= 0) & (along < 25) & (abs(aside) < across)] = 3
    return mask


@pytest.mark.parametrize("turn", [0, 17, -31])
def test_one_view_is_a_solid_of_revolution(turn):
    found = ventricle(half_ellipsoid(40, 110, turn), LABELS, spacing=0.5)
    exact = 2 / 3 * np.pi * 20 * 20 * 55 / 1000  # half an ellipsoid in mL
    assert volume(found) == pytest.approx(exact, rel=0.02) and found.length == pytest.approx(55, rel=0.02)


def test_two_views_are_two_axes_of_an_ellipsoid():
    views = [ventricle(half_ellipsoid(across, 110), LABELS, 0.5) for across in (30, 48)]
    exact = 2 / 3 * np.pi * 15 * 24 * 55 / 1000
    assert volume(*views) == pytest.approx(exact, rel=0.02)
    assert volume(*views) == pytest.approx(volume(*views[::-1]))


def phantom_views(index, view):
    """(mask, exact mL, mm per pixel) of end diastole and end systole of one phantom patient."""
    patient = _patient(0, index, view)
    phantom = Phantom(patient, sample_scan(patient.seed, 0.8), HALF_ANGLE)
    sector = camus_sector(phantom.heart.depth)
    beat = phantom.at(np.array([0.0, phantom.end_systole]))
    return [(phantom.labels(i, sector), phantom.volume(i), phantom.spacing_mm(sector)[1]) for i in (beat[0], beat[1])]


@pytest.mark.parametrize("index", range(6))
def test_the_phantom_has_its_exact_volumes_and_ejection_fraction(index):
    ends = phantom_views(index, "4CH")
    found = [volume(ventricle(mask, LABELS, mm)) for mask, _, mm in ends]
    exact = [ml for _, ml, _ in ends]
    np.testing.assert_allclose(found, exact, rtol=0.025)
    assert abs(ejection_fraction(*found) - ejection_fraction(*exact)) < 0.5
    second = phantom_views(index, "2CH")
    both = [volume(ventricle(a[0], LABELS, a[2]), ventricle(b[0], LABELS, b[2])) for a, b in zip(ends, second)]
    assert abs(ejection_fraction(*both) - ejection_fraction(*exact)) < 1


def test_without_a_spacing_the_ejection_fraction_is_the_same():
    ends = phantom_views(2, "4CH")
    with_mm, without = ([volume(ventricle(m, LABELS, s)) for m, s in ((m, mm if use else None) for m, _, mm in ends)]
                        for use in (True, False))  # fmt: skip
    assert with_mm[0] != pytest.approx(without[0])
    assert ejection_fraction(*with_mm) == pytest.approx(ejection_fraction(*without))


def test_small_pictures_cost_few_points_of_ejection_fraction():
    """Ventricles some twenty pixels long, whose discs are little thicker than a pixel (slices of whole pixels: 7 points)."""
    wrong = []
    for turn in (0, 2, 7, 15):
        for length in range(20, 32):
            ends = [half_ellipsoid(s * length / 3, s * length, turn, size=64) for s in (1, 0.86)]
            found = ejection_fraction(*(volume(ventricle(mask, LABELS)) for mask in ends))
            wrong.append(found - 100 * (1 - 0.86**3))
    assert np.abs(wrong).max() < 3.5


def test_a_cavity_of_one_pixel_has_a_volume_and_none_has_no_ejection_fraction():
    mask = np.zeros((64, 64), np.uint8)
    mask[30, 30], mask[34:40, 28:34] = 1, 3
    assert 0 < volume(ventricle(mask, LABELS)) < 0.1
    assert np.isnan(ejection_fraction(0.0, 0.0)) and ejection_fraction(100.0, 40.0) == 60


def test_specks_do_not_count():
    mask = half_ellipsoid(40, 110)
    speckled = mask.copy()
    speckled[2:5, 2:5] = 1
    speckled[290:, 290:] = 3
    assert volume(ventricle(speckled, LABELS)) == volume(ventricle(mask, LABELS))


def test_what_has_no_volume_is_refused():
    mask = half_ellipsoid(40, 110)
    for broken, sentence in (
        ((mask == 3) * np.uint8(3), "no left ventricle"),
        ((mask == 1) * np.uint8(1), "no left atrium"),
    ):
        with pytest.raises(BadInput, match=sentence):
            ventricle(broken, LABELS)
    with pytest.raises(BadInput, match="the labels name no left ventricle"):
        ventricle(mask, {"background": 0, "head": 1})
    with pytest.raises(BadInput, match="one or two views, got 0"):
        volume()
