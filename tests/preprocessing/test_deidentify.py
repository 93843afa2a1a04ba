"""Burnt-in text: found around the sector and in it, not invented where there is none, gone after blanking."""

import cv2
import numpy as np
import pytest

from echogan.data.clip import Clip
from echogan.data.dicom import read_dicom
from echogan.data.phantom.phantom import make_phantom
from echogan.preprocessing.align import find_sector, resample
from echogan.preprocessing.deidentify import extremes, find_marks, inside, leftover, sector_of
from echogan.sector import ECHONET, Sector
from tests.data.dicoms import FAN, annotated, scan
from tests.data.test_dicom import CINE

WIDE = Sector(400.0, 50.0, 500.0, 0.75, 800, 600)


def clip(frames, region=None):
    return Clip(frames, "a", "a", "test", region=region)


def marks(frames, sector=FAN):
    return find_marks(extremes(iter(frames))[0], inside(sector), cine=len(frames) > 1)


def with_text(frames, text, at, scale=0.45, level=255):
    out = frames.copy()
    for picture in out:
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, level, 1, cv2.LINE_AA)
    return out


def box_of(text, at, scale):
    (width, height), base = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    return at[0], at[1] - height, width, height + base


def overlap(one, other):
    """Share of `one` that `other` covers; boxes are (x, y, width, height)."""
    width = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    height = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    return max(0, width) * max(0, height) / (one[2] * one[3])


@pytest.fixture(scope="module")
def frames():
    return scan(20)


@pytest.fixture(scope="module")
def phantom():
    """A phantom as a scanner would show it, 600 x 800."""
    return resample(make_phantom(1).video(24, 50.0)[0], ECHONET, WIDE)


def test_extremes_are_those_of_numpy(frames):
    (low, high), count = extremes(iter(frames))
    np.testing.assert_array_equal(low, frames.min(0))
    np.testing.assert_array_equal(high, frames.max(0))
    assert count == 20


def test_the_sector_from_extremes_is_that_from_all_frames(frames):
    for some in (frames, frames[:1], annotated(frames)):
        assert sector_of(clip(some), extremes(iter(some))[0]) == find_sector(clip(some))


def test_a_recording_that_stands_still_is_read_like_a_still(frames):
    still = np.repeat(frames[:1], 5, 0)
    assert sector_of(clip(still), extremes(iter(still))[0]) == find_sector(clip(frames[:1]))


def test_the_region_bounds_the_sector():
    whole, part = inside(FAN), inside(FAN, (0, 0, 159, 119))
    assert part.sum() < whole.sum() and not part[120:].any() and not part[:, 160:].any()
    np.testing.assert_array_equal(part[:120, :160], whole[:120, :160])


def test_a_clean_recording_has_no_marks(frames, phantom):
    for found in (marks(frames), marks(phantom, WIDE)):
        assert (found.text, found.others, found.inside) == ((), 0, ())


@pytest.mark.parametrize(
    "text, at, scale", [("DOE JANE", (8, 20), 0.4), ("03/02/2021", (4, 230), 0.5), ("HR:72", (240, 30), 0.6)]
)
@pytest.mark.parametrize("level", [255, 110])
@pytest.mark.parametrize("quality", [None, 70])
def test_text_around_the_sector_is_found_where_it_is(frames, text, at, scale, level, quality):
    pictures = with_text(frames, text, at, scale, level)
    if quality:
        codes = [cv2.imencode(".jpg", p, [cv2.IMWRITE_JPEG_QUALITY, quality])[1] for p in pictures]
        pictures = np.stack([cv2.imdecode(code, cv2.IMREAD_GRAYSCALE) for code in codes])
    found = marks(pictures)
    assert max(overlap(box, box_of(text, at, scale)) for box in found.text) > 0.9
    assert sum(overlap(box_of(text, at, scale), box) for box in found.text) > 0.5


def test_ticks_and_a_grey_bar_are_marks_but_no_text(frames):
    pictures = frames.copy()
    pictures[:, 30:230:20, 312:318] = 180
    pictures[:, 60:160, 4:10] = 200
    found = marks(pictures)
    assert found.text == () and found.others == 11


def test_text_that_only_some_frames_show_is_found(frames):
    pictures = frames.copy()
    pictures[7:9] = with_text(frames[7:9], "DOE JANE", (8, 20))
    assert len(marks(pictures).text) >= 1


def test_text_inside_the_sector_is_seen_because_it_stands_still(phantom):
    pictures = with_text(phantom, "ID 4711", (330, 300), 0.6)
    found = marks(pictures, WIDE)
    assert found.text == () and len(found.inside) == 1
    assert overlap(found.inside[0], box_of("ID 4711", (330, 300), 0.6)) > 0.8
    assert marks(pictures[:1], WIDE).inside is None


def test_the_marks_of_a_real_scanner_are_found():
    real = read_dicom(CINE)
    seen, _ = extremes(iter(real.frames))
    found = find_marks(seen, inside(sector_of(real, seen), real.region), cine=True)
    assert len(found.text) >= 4 and found.inside == ()
    menu = (43, 227, 235, 13)  # the line of buttons below the picture
    assert max(overlap(menu, box) for box in found.text) > 0.9


def test_nothing_is_left_after_blanking_and_any_pixel_is_noticed(frames):
    mask = inside(FAN)
    blank = annotated(frames) * mask
    assert leftover(iter(blank), mask) == 0
    assert leftover(iter(annotated(frames)), mask) > 100
    blank[3, 5, 5] = 9
    assert leftover(iter(blank), mask) == 1


def test_ringing_of_a_codec_is_not_a_leftover_but_text_beside_the_sector_is(frames):
    mask = inside(FAN)
    codes = [cv2.imencode(".jpg", frame * mask, [cv2.IMWRITE_JPEG_QUALITY, 90])[1] for frame in frames]
    read = np.stack([cv2.imdecode(code, cv2.IMREAD_GRAYSCALE) for code in codes])
    assert leftover(iter(read), mask) > 0 and leftover(iter(read), mask, block=8) == 0
    edge = np.flatnonzero(mask[120])[0]
    read[5, 120, edge - 2] = 200
    assert leftover(iter(read), mask, block=8) == 1
