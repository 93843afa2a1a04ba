"""The phantom's truths (volumes, labels, motion) against independent geometry, and its refusals."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from echogan.data.phantom.cycle import Timing
from echogan.data.phantom.heart import APEX, WALL_LEVELS, Heart, method_of_discs, outline
from echogan.data.phantom.patient import PRIORS, sample_patient
from echogan.data.phantom.phantom import HYPERTROPHIC_WALL, LABELS, Phantom, make_phantom
from echogan.data.phantom.scan import sample_scan
from echogan.errors import BadInput
from echogan.sector import ECHONET, Sector

PATIENTS = range(100, 160)
CAMUS_LIKE = Sector(330.0, 2.0, 508.0, float(np.deg2rad(40.0)), 660, 512)


def width_at(polygon, origin, down, depth):
    """Length of the chord that the line `depth` along `down` from `origin`, square to it, cuts from a closed polygon."""
    along, aside = (polygon - origin) @ down, (polygon - origin) @ np.array([down[1], -down[0]])
    ends = []
    for i in range(len(polygon)):
        a, b = along[i - 1] - depth, along[i] - depth
        if a * b < 0:
            ends.append(aside[i - 1] + (aside[i] - aside[i - 1]) * a / (a - b))
    return max(ends) - min(ends)


def volume_of_revolution(polygon, apex, base, discs=20):
    """Method of discs by intersecting a polygon with lines: no code in common with the phantom's."""
    length = np.linalg.norm(base - apex)
    down = (base - apex) / length
    widths = [width_at(polygon, apex, down, (i + 0.5) * length / discs) for i in range(discs)]
    return np.pi / 4 * np.sum(np.square(widths)) * length / discs


@pytest.fixture(scope="module")
def phantom():
    return make_phantom(3)


# -------------------------------------------------------------------------------------------------- same and other


def test_equal_seeds_give_bit_identical_videos(phantom):
    again, beat = make_phantom(3).video(6)
    frames, _ = phantom.video(6)
    np.testing.assert_array_equal(frames, again)
    assert frames.shape == (6, 112, 112) and frames.dtype == np.uint8 and len(beat) == 6


def test_another_seed_is_another_patient(phantom):
    assert make_phantom(4).patient != replace(phantom.patient, seed=4)
    assert (make_phantom(4).still() != phantom.still()).mean() > 0.3


def test_a_video_does_not_depend_on_what_was_rendered_before(phantom):
    first, _ = phantom.video(3)
    phantom.still(0.2)
    np.testing.assert_array_equal(phantom.video(3)[0], first)


def test_quality_changes_the_picture_and_not_the_heart():
    poor, good = make_phantom(3, quality=0.0), make_phantom(3, quality=1.0)
    assert poor.patient == good.patient
    np.testing.assert_array_equal(poor.labels(poor.at(0.0)), good.labels(good.at(0.0)))
    blood = good.labels(good.at(0.0)) == LABELS["lv"]
    assert poor.still()[blood].mean() > 1.3 * good.still()[blood].mean()


def test_marks_are_burned_in_outside_the_fan_only():
    plain, marked = make_phantom(3).still(), make_phantom(3, marks=True).still()
    changed = plain != marked
    assert changed.any() and not changed[ECHONET.mask()].any()


# --------------------------------------------------------------------------------------------------------- volumes


@pytest.mark.parametrize("ef", [12.0, 35.0, 60.0, 80.0])
def test_traced_ejection_fraction_is_the_requested_one(ef):
    assert traced_ef(Heart(sample_patient(5, ef=ef))) == pytest.approx(ef, abs=0.5)


def test_traced_ejection_fraction_is_the_drawn_one_for_sixty_patients():
    errors = [traced_ef(Heart(patient)) - patient.ef for patient in map(sample_patient, PATIENTS)]
    assert np.abs(errors).max() < 0.5


def traced_ef(heart):
    volumes = []
    for contraction in (0.0, 1.0):
        lv = heart.contours(contraction, 0.0)["lv"]
        volumes.append(volume_of_revolution(lv, lv[APEX], (lv[0] + lv[-1]) / 2))
    return 100 * (1 - volumes[1] / volumes[0])


def test_twenty_discs_agree_with_the_integral_of_the_cavity():
    for patient in map(sample_patient, PATIENTS[:10]):
        heart = Heart(replace(patient, bend=0.0, tilt=0.0))
        lv = heart.contours(0.0, 0.0)["lv"]
        septal, lateral = lv[APEX::-1], lv[APEX:]
        y = np.linspace(lv[APEX, 1], lv[0, 1], 5001)
        diameter = np.interp(y, lateral[:, 1], lateral[:, 0]) - np.interp(y, septal[:, 1], septal[:, 0])
        integral = np.trapezoid(np.pi / 4 * diameter**2, y)
        assert heart.volume(0.0) == pytest.approx(patient.edv, rel=1e-6)
        assert integral == pytest.approx(patient.edv, rel=0.01)


def test_tracing_has_the_shape_of_the_published_ones(phantom):
    rows = phantom.tracing(phantom.at(0.0))
    assert rows.shape == (21, 4)
    assert rows[0, 1] < rows[0, 3], "long axis from the apex down"
    assert (rows[1:, 0] < rows[1:, 2]).all(), "x1 left of x2"
    assert (np.diff(rows[1:, [1, 3]].mean(1)) > 0).all(), "from the apex to the base"


def test_discs_of_an_ellipsoid():
    angle = np.linspace(np.pi, 0, 401)
    half = np.stack([2 * np.cos(angle), 5 * (1 - np.sin(angle))], 1)  # apex at y = 0, base at y = 5
    _, volume = method_of_discs(half)
    assert volume == pytest.approx(2 / 3 * np.pi * 2**2 * 5, rel=0.01)


def test_chambers_shrink_and_grow_in_turn():
    for seed in PATIENTS[:20]:
        patient = sample_patient(seed)
        heart = Heart(patient)
        diastole, systole = heart.contours(0.0, 0.0), heart.contours(1.0, 0.0)
        area = {
            (name, i): cv2.contourArea(outline(curves, name).astype(np.float32))
            for i, curves in enumerate((diastole, systole))
            for name in ("lv", "la", "rv", "ra")
        }
        assert area["lv", 0] > area["lv", 1] and area["rv", 0] > area["rv", 1], "ventricles are largest at ED"
        assert area["la", 0] < area["la", 1] and area["ra", 0] < area["ra", 1], "atria at ES"


def test_the_ventricle_lies_inside_the_fan():
    for half_angle in (ECHONET.half_angle, CAMUS_LIKE.half_angle):
        for seed in PATIENTS:
            cavity = Heart(sample_patient(seed), half_angle).contours(0.0, 0.0)["lv"]
            assert np.abs(np.arctan2(*cavity.T)).max() < half_angle


# --------------------------------------------------------------------------------------------------------- patients


def test_patients_follow_the_published_distributions():
    patients = [sample_patient(seed) for seed in range(800)]
    ef, edv = np.array([p.ef for p in patients]), np.array([p.edv for p in patients])
    esv = edv * (1 - ef / 100)
    for values, mean, deviation in ((ef, 55.7, 12.5), (edv, 91.0, 45.7), (esv, 43.3, 34.5)):
        assert abs(values.mean() - mean) < 0.15 * deviation
        assert 0.6 < values.std() / deviation < 1.2
    for name, (_, _, low, high) in PRIORS.items():
        drawn = [getattr(p, name) for p in patients]
        assert low <= min(drawn) and (max(drawn) <= high or name == "wall")


def test_about_a_tenth_of_the_ventricles_are_hypertrophic():
    walls = np.array([Heart(sample_patient(seed)).wall_thickness() for seed in range(600)])
    assert 0.06 < np.mean(walls >= HYPERTROPHIC_WALL) < 0.14


def test_chambers_agree_with_the_labels(phantom):
    sizes = phantom.chambers()
    labels = phantom.labels(phantom.at(0.0), right=True)
    row, column = phantom.spacing_mm()
    for name, tolerance in (("lv", 0.005), ("la", 0.1)):  # the wall's base covers some of the atrium, the frame cuts it
        counted = np.count_nonzero(labels == LABELS[name]) * row * column / 100
        assert counted == pytest.approx(sizes[f"{name.upper()}_area_ED_cm2"], rel=tolerance)
    assert sizes["LV_volume_ED_mL"] == pytest.approx(phantom.patient.edv)
    assert sizes["lvh"] == (sizes["LV_wall_ED_cm"] >= HYPERTROPHIC_WALL)


# ------------------------------------------------------------------------------------------------------------ time


@pytest.mark.parametrize("rate", [45, 70, 125])
def test_a_beat_has_room_for_all_its_phases(rate):
    timing = Timing.of(rate)
    assert timing.period == pytest.approx(60 / rate)
    assert timing.systole + timing.isovolumic + timing.early + timing.atrial < timing.period


def test_contraction_over_one_beat(phantom):
    time = np.linspace(0, phantom.timing.period, 400, endpoint=False)
    beat = phantom.at(time)
    assert beat.contraction[0] == 0 and beat.contraction[-1] < 0.01
    assert phantom.at(phantom.end_systole).contraction == 1
    systole = time < phantom.end_systole
    assert (np.diff(beat.contraction[systole]) >= 0).all()
    assert (np.diff(beat.contraction[~systole]) <= 0).all()
    assert beat.opening[systole].max() == 0, "the valves are shut while the ventricle empties"
    assert beat.opening[~systole].max() > 0.9 and beat.kick.max() > 0.99


def test_start_sets_the_phase_of_the_first_frame(phantom):
    _, beat = phantom.video(2, fps=50, start=phantom.end_systole)
    assert beat.contraction[0] == 1 and beat.time[1] == pytest.approx(phantom.end_systole + 0.02)


# ---------------------------------------------------------------------------------------------------------- labels


def test_labels_follow_the_walls():
    """At ED and ES the septum reaches half its grey level within 0.3 px of the traced endocardium (mean of 60)."""
    away = np.arange(-6, 4.01, 0.1)
    profiles = np.zeros((2, len(away)))
    for seed in range(900, 960):
        phantom = make_phantom(seed, quality=1.0)
        for i, time in enumerate((0.0, phantom.end_systole)):
            profiles[i] += septal_profile(phantom, time, away)
    for profile in profiles / 60:
        half = 0.5 * (profile[away < -4].mean() + profile[(away > 0.8) & (away < 2.5)].max())
        rises = away[np.argmax(profile > half)] - 0.05
        assert abs(rises) < 0.3


def septal_profile(phantom, time, away):
    """Mean grey level `away` pixels outside the septal endocardium, between 35 % and 85 % of its length."""
    endo = phantom.curves(phantom.at(time))["lv"]
    along = np.gradient(endo, axis=0)
    normal = np.stack([along[:, 1], -along[:, 0]], 1) / np.hypot(*along.T)[:, None]
    normal *= np.sign(np.sum((endo - endo.mean(0)) * normal, 1, keepdims=True))
    middle = slice(None, APEX)
    chosen = (WALL_LEVELS[middle] > 0.35) & (WALL_LEVELS[middle] < 0.85)
    points = endo[middle][chosen][:, None] + away[:, None] * normal[middle][chosen][:, None]
    x, y = np.moveaxis(points.astype(np.float32), -1, 0)
    return cv2.remap(phantom.still(time).astype(np.float32), x, y, cv2.INTER_LINEAR).mean(0)


def test_labels_are_the_camus_codes(phantom):
    assert set(np.unique(phantom.labels(phantom.at(0.0)))) == {0, 1, 2, 3}
    assert set(np.unique(phantom.labels(phantom.at(0.0), right=True))) == {0, 1, 2, 3, 4, 5}


def test_two_chamber_view_has_no_right_heart():
    phantom = make_phantom(3, view="2CH")
    assert set(np.unique(phantom.labels(phantom.at(0.0), right=True))) == {0, 1, 2, 3}
    assert not any(name.startswith("R") for name in phantom.chambers())
    assert phantom.still().any()


# --------------------------------------------------------------------------------------------------------- sectors


def test_another_sector_shows_the_same_heart():
    phantom = Phantom(sample_patient(21), sample_scan(21), CAMUS_LIKE.half_angle)
    picture = phantom.still(0.0, CAMUS_LIKE)
    labels, small = phantom.labels(phantom.at(0.0), CAMUS_LIKE), phantom.labels(phantom.at(0.0))
    assert picture.shape == labels.shape == (512, 660)
    assert not picture[~CAMUS_LIKE.mask()].any()
    areas = [
        np.count_nonzero(x == 1) * np.prod(phantom.spacing_mm(s)) for x, s in ((labels, CAMUS_LIKE), (small, ECHONET))
    ]
    assert areas[0] == pytest.approx(areas[1], rel=0.03)


def test_stretched_pixels_show_the_same_picture_twice_as_tall():
    phantom = make_phantom(3, quality=-0.25)  # the poorest scan sharpens nothing: a filter in pixels would differ
    flat = Sector(60.0, 6.0, 110.0, float(np.deg2rad(40.0)), 120, 120)
    tall = replace(flat, apex_y=12.0, height=240, stretch=2.0)
    np.testing.assert_allclose(phantom.still(0.1, tall)[::2].astype(int), phantom.still(0.1, flat).astype(int), atol=1)
    assert phantom.spacing_mm(tall)[0] == pytest.approx(phantom.spacing_mm(flat)[0] / 2)


@pytest.mark.parametrize(
    "arguments, named",
    [
        ({"view": "3CH"}, "3CH"),
        ({"seed": -1}, "-1"),
        ({"ef": 95}, "95"),
        ({"quality": 2}, "2"),
        ({"quality": float("nan")}, "nan"),
    ],
)
def test_impossible_wishes_are_refused_by_name(arguments, named):
    with pytest.raises(BadInput, match=named):
        make_phantom(**({"seed": 3} | arguments))


def test_a_sector_wider_than_the_fan_is_refused(phantom):
    wide = replace(ECHONET, half_angle=1.0)
    for show in (
        phantom.still,
        lambda sector: phantom.video(1, sector=sector),
        lambda sector: phantom.labels(phantom.at(0.0), sector),
    ):
        with pytest.raises(BadInput, match="45"):
            show(sector=wide)
