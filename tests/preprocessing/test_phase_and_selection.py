import numpy as np

from echogan.data.clip import Clip
from echogan.preprocessing import phase, selection
from echogan.preprocessing.phase import Phases
from echogan.sector import study_mask
from tests.data.studies import ED, ES, beating


def test_white_pixels_are_those_above_30_inside_the_mask():
    frames = np.random.default_rng(0).integers(0, 61, (7, 112, 112), dtype=np.uint8)
    expected = [((frame > 30) & (study_mask() > 0)).sum() for frame in frames]
    np.testing.assert_array_equal(phase.white_pixels(frames), expected)


def test_grey_30_is_not_white_and_light_outside_the_mask_does_not_count():
    frames = np.where(study_mask() > 0, 30, 255).astype(np.uint8)[None]
    assert phase.white_pixels(frames) == [0]


def test_counting_finds_the_beat_of_a_heart_that_alone_moves():
    found = phase.counted(beating(20))
    assert abs(found.systole - ES) <= 1 and abs(found.diastole - ED) <= 1 and found.method == "counted"


def test_tracings_are_taken_as_they_are_and_need_both_phases():
    clip = Clip(beating(1), "a", "a", "test", ed=12, es=3)
    assert phase.traced(clip) == Phases(systole=3, diastole=12, method="traced")
    clip.es = None
    assert phase.traced(clip) is None


def test_agreement_is_the_median_and_the_share_within_two_frames():
    apart = [phase.distances(Phases(10, 20, "counted"), Phases(12, 17, "traced")), (0, 9)]
    assert apart[0] == (2, 3)
    assert phase.agreement(apart) == {"phases": 4, "median_frames_apart": 2.5, "within_2_frames": 0.5}
    assert phase.agreement([]) is None


def test_the_four_frames_stand_in_the_order_of_the_study():
    picks = selection.four(30, Phases(systole=15, diastole=5, method="traced"))
    assert [(p.phase, p.frame) for p in picks] == [("first", 0), ("systole", 15), ("diastole", 5), ("last", 29)]
    assert selection.names("0XAB", picks) == ["0XAB_f0.png", "0XAB_f1.png", "0XAB_f2.png", "0XAB_f3.png"]


def test_all_frames_keep_their_time_order_in_their_names():
    picks = selection.every(120, Phases(systole=15, diastole=5, method="counted"))
    names = selection.names("a", picks)
    assert names == sorted(names) and names[7] == "a_f007.png"
    assert [p.phase for p in picks].count("other") == 118 and picks[15].phase == "systole"


def test_one_frame_is_diastole_and_all_are_all():
    phases = Phases(systole=15, diastole=5, method="traced")
    assert selection.KEPT["1"](30, phases) == [selection.Pick(0, "diastole", 5)]
    assert selection.names("a", selection.KEPT["1"](30, phases)) == ["a_f0.png"]
    assert {name: len(pick(30, phases)) for name, pick in selection.KEPT.items()} == {"1": 1, "4": 4, "all": 30}
