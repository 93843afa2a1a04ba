from dataclasses import replace

import cv2
import numpy as np
import pytest
from pydicom.data import get_testdata_file

from echogan.data.clip import Clip
from echogan.data.dicom import read_dicom
from echogan.errors import BadInput
from echogan.preprocessing.align import find_sector, onto_echonet, resample
from echogan.sector import ECHONET, Sector
from tests.data.studies import beating


@pytest.fixture(scope="module")
def cine():
    return read_dicom(get_testdata_file("examples_ybr_color.dcm", download=False))


def recording(fan, frames=6, seed=0, **known):
    """Moving speckle inside `fan`, with a static bright mark outside of it."""
    rng = np.random.default_rng(seed)
    speckle = rng.gamma(1, 60, (frames, fan.height, fan.width)).clip(0, 255)
    clip = np.stack([cv2.GaussianBlur(s, (0, 0), 0.8) for s in speckle]) * fan.mask()
    clip[:, 5:15, 5:25] = 255
    return Clip(clip.astype(np.uint8), "a", "a", "test", **known)


def corners(fan):
    """Apex and both ends of the arc."""
    side = np.array([0, -1, 1]) * fan.half_angle
    reach = np.array([0, 1, 1]) * fan.radius
    return np.stack([fan.apex_x + reach * np.sin(side), fan.apex_y + fan.stretch * reach * np.cos(side)], 1)


@pytest.mark.parametrize("degrees", [28, 37, 45])
def test_a_known_fan_is_found_within_a_pixel(degrees):
    fan = Sector(170, 12, 200, np.deg2rad(degrees), 340, 240)
    assert np.abs(corners(find_sector(recording(fan))) - corners(fan)).max() < 1.5


def test_pixels_that_are_not_square_are_taken_into_account():
    fan = Sector(130, 16, 190, np.deg2rad(40), 260, 420, stretch=2.0)
    found = find_sector(recording(fan, spacing_mm=(0.15, 0.3)))
    assert found.stretch == 2 and np.abs(corners(found) - corners(fan)).max() < 3


def test_a_still_has_a_sector_too():
    fan = Sector(170, 12, 200, np.deg2rad(40), 340, 240)
    still = recording(fan, frames=1)
    still.frames[:, :20, :30] = 0
    assert np.abs(corners(find_sector(still)) - corners(fan)).max() < 2


def test_the_fan_of_the_real_cine(cine):
    fan = find_sector(cine)
    assert np.hypot(fan.apex_x - 170, fan.apex_y - 8) < 2
    assert np.rad2deg(fan.half_angle) == pytest.approx(42, abs=1)


def test_the_real_cine_lands_on_the_echonet_sector(cine):
    aligned = onto_echonet(cine, 128)
    assert aligned.shape == (30, 128, 128) and aligned.dtype == np.uint8
    target = ECHONET.resized(128)
    assert not aligned[:, ~target.mask()].any()
    found = find_sector(replace(cine, frames=aligned, region=None))
    # Both borders, measured where each leaves the frame or reaches the depth of the left one.
    for side in (-1, 1):
        for radius in (0, 40, 80):
            measured, wanted = (
                np.array([f.apex_x + side * radius * np.sin(f.half_angle), f.apex_y + radius * np.cos(f.half_angle)])
                for f in (found, target)
            )
            assert np.abs(measured - wanted).max() < 2
    # The scanner's text, menu and green orientation mark are outside of the fan.
    assert cine.frames[0, :30].max() > 60 and aligned[:, :5].max() == 0


def test_resampling_moves_a_point_to_the_same_fraction_of_radius_and_angle():
    source = Sector(170, 12, 200, np.deg2rad(40), 340, 240)
    radius, angle = 0.6 * source.radius, 0.5 * source.half_angle
    x, y = source.apex_x + radius * np.sin(angle), source.apex_y + radius * np.cos(angle)
    yy, xx = np.mgrid[:240, :340]
    spot = (255 * np.exp(-((xx - x) ** 2 + (yy - y) ** 2) / 50)).astype(np.uint8)
    moved = resample(spot[None], source, ECHONET)[0].astype(float)
    yy, xx = np.mgrid[:112, :112]
    centre = np.array([(moved * xx).sum(), (moved * yy).sum()]) / moved.sum()
    radius, angle = 0.6 * ECHONET.radius, 0.5 * ECHONET.half_angle
    wanted = [ECHONET.apex_x + radius * np.sin(angle), ECHONET.apex_y + radius * np.cos(angle)]
    np.testing.assert_allclose(centre, wanted, atol=0.3)


def test_a_recording_on_the_sector_is_not_touched():
    clip = Clip(beating(3), "a", "a", "test", sector=ECHONET)
    assert onto_echonet(clip, 128) is clip.frames


def test_a_recording_of_unknown_sector_is_found_again_on_it():
    aligned = onto_echonet(Clip(beating(30), "a", "a", "test"), 64)
    assert aligned.shape == (30, 112, 112)
    difference = np.abs(aligned.astype(int) - beating(30)).mean()
    assert difference < 6, "the same frames, resampled in place"


@pytest.mark.parametrize("picture", ["nothing", "a rectangle", "half a fan"])
def test_what_is_no_sector_is_refused(picture):
    frames = np.random.default_rng(0).integers(0, 256, (4, 200, 200), dtype=np.uint8)
    if picture == "nothing":
        frames[:] = 9
    if picture == "half a fan":
        frames = frames * (np.subtract(*np.mgrid[:200, :200]) > 0).astype(np.uint8)
    with pytest.raises(BadInput, match=r"shows no (ultrasound|symmetric) sector; crop it"):
        find_sector(Clip(frames, "a", "a", "test"))
