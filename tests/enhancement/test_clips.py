"""A recording in, a recording of the same kind out, and nothing else in it changed."""

import re
import tracemalloc
from dataclasses import replace
from zlib import crc32

import cv2
import numpy as np
import pytest

from echogan.data.video import open_video, read_video
from echogan.enhancement.clips import Report, enhance_file, enhance_path, sector_mask
from echogan.enhancement.media import open_medium
from echogan.enhancement.steady import flicker
from echogan.enhancement.stream import Wanted, enhance_array, enhanced
from echogan.enhancement.unfinished import plan_of, unfinished
from echogan.errors import BadInput, CannotWrite
from echogan.preprocessing.recordings import read_video as read_recording
from echogan.sector import ECHONET
from tests.data.studies import beating, write_avi
from tests.enhancement.stand_ins import FAN, blur, gain, identity, restless, scan, sharpen, write_png

HALF = np.arange(24)[:, None] * 3 // 2 + np.arange(31)[None] > 20  # an odd picture with a slanted sector


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_an_array_changes_by_the_gain_inside_and_by_nothing_outside(dtype):
    levels = np.iinfo(dtype).max
    frames = np.random.default_rng(0).integers(0, levels, (5, 24, 31)).astype(dtype)
    out = enhance_array(frames, HALF, gain)
    assert out.dtype == dtype and np.array_equal(out[:, ~HALF], frames[:, ~HALF])
    expected = np.minimum(frames[:, HALF] * 1.2, levels)
    assert np.abs(out[:, HALF] - expected).max() <= 0.51 * (
        1 + levels // 10000
    )  # float32 holds 24 of 16 bits' products
    half = enhance_array(frames, HALF, gain, Wanted(strength=0.5))
    assert np.abs(half[:, HALF] - np.minimum(frames[:, HALF] * 1.1, levels)).max() <= 0.51 * (1 + levels // 10000)


def test_strength_0_is_the_input_even_where_the_network_would_paint():
    frames = scan()
    out = enhance_array(frames, FAN.mask(), lambda x, s: x * 0 + 1, Wanted(strength=0))
    assert np.array_equal(out, frames)
    assert not np.array_equal(enhance_array(frames, FAN.mask(), lambda x, s: x * 0 + 1), frames)


def test_what_lies_outside_the_sector_does_not_reach_the_network():
    seen = []
    enhance_array(scan(), FAN.mask(), lambda x, s: seen.append(x) or x)
    box = seen[0].shape[-2:]
    assert box[0] < 120 and box[1] < 160
    mask = FAN.mask()
    rows, columns = np.nonzero(mask)
    inner = mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    assert float(seen[0][:, 0, ~inner].max()) == -1


@pytest.mark.parametrize("wrong", [lambda x, s: x * float("nan"), lambda x, s: x[..., 1:]])
def test_a_network_that_gives_no_picture_is_refused(wrong):
    with pytest.raises(BadInput, match="not a picture"):
        enhance_array(scan(2), FAN.mask(), wrong)


def test_float_frames_with_nan_are_refused():
    with pytest.raises(BadInput, match="uint8 or uint16"):
        enhance_array(np.full((2, 24, 31), np.nan), HALF, gain)


def test_avi_keeps_frames_rate_and_everything_outside_bit_for_bit(tmp_path):
    source = write_avi(tmp_path / "in.avi", scan(12), fps=37)
    done = enhance_file(source, tmp_path / "out.avi", gain)
    before, after = read_video(source)[0], read_video(tmp_path / "out.avi")[0]
    mask = sector_mask(open_medium(source))
    assert open_video(tmp_path / "out.avi").fps == open_video(source).fps == 37
    assert np.array_equal(before[:, ~mask], after[:, ~mask])
    assert np.array_equal(after, enhance_array(before, mask, gain))  # nothing is lost in the file
    assert done.changed == pytest.approx(np.abs(after[:, mask] - before[:, mask].astype(float)).mean(), rel=1e-4)
    both = mask & FAN.mask()
    assert both.sum() > 0.97 * max(mask.sum(), FAN.mask().sum())


def test_strength_0_gives_the_same_frames_back(tmp_path):
    source = write_avi(tmp_path / "in.avi", scan(4))
    enhance_file(source, tmp_path / "out.avi", gain, Wanted(strength=0))
    assert np.array_equal(read_video(source)[0], read_video(tmp_path / "out.avi")[0])


def test_mp4_keeps_size_length_and_rate(tmp_path):
    source = tmp_path / "in.mp4"
    writer = cv2.VideoWriter(str(source), cv2.VideoWriter.fourcc(*"mp4v"), 25, (160, 120), isColor=False)
    for frame in scan(6):
        writer.write(frame)
    writer.release()
    enhance_file(source, tmp_path / "out.mp4", gain)
    before, after = open_video(source), open_video(tmp_path / "out.mp4")
    assert after.shape == before.shape == (6, 120, 160) and after.fps == before.fps == 25
    loss = np.abs(read_video(source)[0].astype(int) - read_video(tmp_path / "out.mp4")[0])
    assert (
        loss[:, ~cv2.dilate(FAN.mask().astype(np.uint8), np.ones((17, 17))).astype(bool)].mean() < 4
    )  # lossy, not wrong


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_odd_png_of_either_depth_and_one_frame(tmp_path, dtype):
    picture = scan(1)[0, :119, :159].astype(dtype) * (1 if dtype == np.uint8 else 257)
    source = write_png(tmp_path / "in.png", picture)
    done = enhance_file(source, tmp_path / "out.png", gain)
    out = cv2.imread(str(done.path), cv2.IMREAD_UNCHANGED)
    mask = sector_mask(open_medium(source))
    assert out.dtype == dtype and out.shape == (119, 159)
    assert np.array_equal(out[~mask], picture[~mask]) and not np.array_equal(out, picture)
    assert np.isnan(done.shake)


def test_a_colour_png_keeps_its_channels_outside(tmp_path):
    picture = cv2.cvtColor(scan(1)[0], cv2.COLOR_GRAY2BGR)
    picture[2:6, 2:30] = (0, 90, 255)  # the manufacturer's mark
    source = write_png(tmp_path / "in.png", picture)
    out = cv2.imread(str(enhance_file(source, tmp_path / "out.png", gain).path), cv2.IMREAD_UNCHANGED)
    mask = sector_mask(open_medium(source))
    assert np.array_equal(out[~mask], picture[~mask]) and out[mask].mean() > picture[mask].mean()


def boxed(frames, top, left, side):
    """`frames` in colour, with a square of flow (red, by far below the mean that is a tint) in each."""
    pictures = np.repeat(frames[..., None], 3, axis=3)
    pictures[:, top : top + side, left : left + side] = (0, 0, 200)
    return pictures


def write_colour_avi(path, pictures, codec="FFV1"):
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*codec), 25, pictures.shape[2:0:-1])
    for picture in pictures:
        writer.write(picture)
    writer.release()
    return path


@pytest.mark.parametrize("kind", ["png", "avi"])
@pytest.mark.parametrize("side, flows", [(8, False), (13, True)])  # 64 and 169 of about 7,000 pixels
def test_a_small_box_of_flow_is_not_enhanced_as_tissue(tmp_path, kind, side, flows):
    pictures, out = boxed(scan(2), 60, 72, side), tmp_path / f"out.{kind}"
    if kind == "png":
        source = write_png(tmp_path / "in.png", pictures[0])
    else:
        source = write_colour_avi(tmp_path / "in.avi", pictures)
    if not flows:
        assert not enhance_file(source, out, gain).refused
        return
    with pytest.raises(BadInput, match=r"has colour in 2\.4% of its sector, above 1% .*, or --force it"):
        enhance_file(source, out, gain)
    assert not out.exists() and "colour" in enhance_file(source, out, gain, Wanted(force=True)).refused


@pytest.mark.parametrize("codec, kind", [("FFV1", "avi"), ("MJPG", "avi"), ("mp4v", "mp4")])
def test_flow_that_begins_late_is_refused_as_flow_from_the_start_is(tmp_path, codec, kind):
    grey, flow = boxed(scan(24), 60, 72, 0), boxed(scan(24), 60, 72, 13)
    late = write_colour_avi(tmp_path / f"late.{kind}", np.concatenate([grey[:9], flow[9:]]), codec)
    early = write_colour_avi(tmp_path / f"early.{kind}", flow, codec)
    for read in (lambda path: enhance_file(path, tmp_path / f"out.{kind}", gain), read_recording):
        said = []
        for path in (early, late):
            with pytest.raises(BadInput, match=r"(of|in) its (ultrasound|sector)") as refused:
                read(path)
            said.append(re.sub(r"late|early|[\d.]+", "", str(refused.value)))
        assert said[0] == said[1]


def test_the_coloured_probe_mark_of_echonet_is_no_flow(tmp_path):
    source = write_colour_avi(tmp_path / "in.avi", boxed(beating(3) // 2, 60, 50, 12))  # 2 % of the sector
    assert not enhance_file(source, tmp_path / "out.avi", gain).refused


def test_a_png_that_claims_a_billion_pixels_is_named_and_the_others_are_made(tmp_path):
    write_png(tmp_path / "in" / "good.png", scan(1)[0])
    code = bytearray((tmp_path / "in" / "good.png").read_bytes())
    code[16:24] = 2 * (60_000).to_bytes(4, "big")  # the sides in its header, whose sum follows its 13 bytes
    code[29:33] = crc32(code[12:29]).to_bytes(4, "big")
    (tmp_path / "in" / "bomb.png").write_bytes(code)
    result = enhance_path(tmp_path / "in", tmp_path / "out", gain)
    assert [done.path.name for done in result.done] == ["good.png"]
    assert len(result.failed) == 1 and "bomb.png is missing or no readable PNG" in result.failed[0]


def test_a_still_is_found_by_any_name(tmp_path, monkeypatch):
    source = write_png(tmp_path / "in.png", scan(1)[0])
    monkeypatch.setattr(cv2, "imread", lambda *words: None)  # as on a Windows whose code page lacks a letter
    assert np.array_equal(next(open_medium(source).frames()), scan(1)[0])


def test_side_by_side_and_residual_on_request(tmp_path):
    source = write_avi(tmp_path / "in.avi", scan(3))
    done = enhance_file(source, tmp_path / "out.avi", gain, Wanted(beside=True, residual=True))
    assert [p.name for p in done.files] == ["out.avi", "out_beside.avi", "out_residual.avi"]
    before, after, beside, residual = (read_video(p)[0] for p in (source, *done.files))
    assert np.array_equal(beside, np.concatenate([before, after], axis=2))
    assert np.array_equal(residual, np.clip((after.astype(int) - before) * 4 + 128, 0, 255))


def test_a_broken_file_among_good_ones(tmp_path):
    for i in range(2):
        write_avi(tmp_path / "in" / "deep" / f"{i}.avi", scan(3, seed=i))
    (tmp_path / "in" / "broken.avi").write_bytes(b"RIFF....AVI nonsense")
    write_png(tmp_path / "in" / "black.png", np.zeros((60, 80), np.uint8))
    result = enhance_path(tmp_path / "in", tmp_path / "out", gain)
    assert sorted(d.path.relative_to(tmp_path / "out").as_posix() for d in result.done) == ["deep/0.avi", "deep/1.avi"]
    assert len(result.failed) == 2 and "black.png shows no ultrasound sector" in " ".join(result.failed)
    assert sorted(p.name for p in (tmp_path / "out").rglob("*") if p.is_file()) == ["0.avi", "1.avi"]


def test_a_folder_that_was_stopped_goes_on_for_an_equal_call_alone(tmp_path):
    for name in ("a.png", "deep/b.png", "deep/c.png"):
        write_png(tmp_path / "in" / name, scan(1, seed=ord(name[-5]))[0])
    wanted, made, out = Wanted(origin="a run"), [], tmp_path / "out"
    report = Report(lambda done, page: page.write_text(done.path.name), "short")

    def stopped(images, strength):
        made.append(1)
        if len(made) == 2:
            raise KeyboardInterrupt
        return gain(images, strength)

    with pytest.raises(KeyboardInterrupt):
        enhance_path(tmp_path / "in", out, stopped, wanted, report=report)
    (out / "deep").mkdir(exist_ok=True)
    (out / "deep" / ".b.png.4711.partial.png").write_bytes(b"half")  # what kill -9 leaves
    write_png(out / "deep" / "b.png", scan(1)[0])  # whole, but stopped before its report
    for other in (replace(wanted, strength=0.5), replace(wanted, origin="another run"), Wanted()):
        with pytest.raises(BadInput, match=r"out holds unfinished work of other settings"):
            enhance_path(tmp_path / "in", out, gain, other, report=report)
    result = enhance_path(tmp_path / "in", out, stopped, wanted, report=report)
    assert len(made) == 4 and not result.failed  # one whole, one stopped, then the two that were left
    unbroken = enhance_path(tmp_path / "in", tmp_path / "whole", gain, wanted, report=report)
    contents = [
        {p.relative_to(f): p.read_bytes() for p in sorted(f.rglob("*")) if p.is_file()}
        for f in (out, tmp_path / "whole")
    ]
    assert contents[0] == contents[1] and len(contents[0]) == 6
    assert [done.changed for done in result.done] == [done.changed for done in unbroken.done]
    assert [done.source for done in result.done] == [done.source for done in unbroken.done]
    with pytest.raises(BadInput, match="out exists and is not empty; choose another folder"):
        enhance_path(tmp_path / "in", out, gain, wanted, report=report)


def test_a_full_disk_stops_a_folder_until_there_is_room_and_what_a_user_put_there_stays(tmp_path):
    source, out, wanted = tmp_path / "in", tmp_path / "in" / "out", Wanted(origin="a run")  # below what it is made of
    write_png(source / "a.png", np.zeros((60, 80), np.uint8))  # shows no sector
    for name in ("b.png", "b_trust.png", "c.png"):
        write_png(source / name, scan(1)[0])
    room = []

    def write(done, page):
        if done.path.name == "c.png" and not room:
            raise CannotWrite(f"cannot write {page}: no space left; free some")
        page.write_text(done.path.name)

    report = Report(write, "short")
    with pytest.raises(CannotWrite, match="no space left"):
        enhance_path(source, out, gain, wanted, report=report)
    write_png(out / "a.png", scan(1)[0])  # made by hand
    kept = {path: path.stat().st_mtime_ns for path in out.glob("[ab]*")}
    room.append("some")
    result = enhance_path(source, out, gain, wanted, report=report)
    assert [done.path.name for done in result.done] == ["b.png", "b_trust.png", "c.png"]
    assert len(result.failed) == 1 and "a.png" in result.failed[0]
    assert len(kept) == 5 and kept == {path: path.stat().st_mtime_ns for path in kept}
    assert not (out / ".unfinished").exists() and (out / "c_trust.html").read_text() == "c.png"


def test_a_folder_is_not_enhanced_into_itself_or_one_around_it(tmp_path):
    write_png(tmp_path / "in" / "a.png", scan(1)[0])
    for out in (tmp_path / "in", tmp_path):
        with pytest.raises(BadInput, match="exists and is not empty; choose another folder"):
            enhance_path(tmp_path / "in", out, gain)
    assert [path.name for path in tmp_path.rglob("*")] == ["in", "a.png"]


def test_two_programs_do_not_write_one_folder(tmp_path):
    write_png(tmp_path / "in" / "a.png", scan(1)[0])
    plan = plan_of(tmp_path / "in", ["a.png"], Wanted(origin="a run"), "")
    with unfinished(tmp_path / "out", plan), pytest.raises(BadInput, match=r"out is being written by another program"):
        enhance_path(tmp_path / "in", tmp_path / "out", gain, Wanted(origin="a run"))


def test_every_recording_has_a_report_of_its_own_and_none_is_replaced(tmp_path):
    for name in ("clip 1.avi", "deep/clip 1.avi"):
        write_avi(tmp_path / "in" / name, scan(2))
    write_png(tmp_path / "in" / "clip 1.png", scan(1)[0])
    report = Report(lambda done, page: page.write_text(done.path.name), "")
    enhance_path(tmp_path / "in", tmp_path / "out", gain, report=report)
    pages = {p.relative_to(tmp_path / "out").as_posix(): p.read_text() for p in (tmp_path / "out").rglob("*.html")}
    assert pages == {
        "clip 1.avi_trust.html": "clip 1.avi", "clip 1.png_trust.html": "clip 1.png",
        "deep/clip 1_trust.html": "clip 1.avi",
    }  # fmt: skip
    for there in ("one_trust.html", "one_trust.png"):
        (tmp_path / there).write_text("of another")
        with pytest.raises(BadInput, match=rf"{there} is there already; choose another name, nothing is replaced"):
            enhance_path(tmp_path / "in" / "clip 1.avi", tmp_path / "one.avi", gain, report=report)
        assert (tmp_path / there).read_text() == "of another" and not (tmp_path / "one.avi").exists()
        (tmp_path / there).unlink()


def test_a_failure_half_way_leaves_no_file(tmp_path):
    calls = []

    def breaks(images, strength):
        calls.append(1)
        return images if len(calls) < 2 else images * float("nan")

    source = write_avi(tmp_path / "in.avi", beating(300))
    with pytest.raises(BadInput, match="not a picture"):
        enhance_file(source, tmp_path / "out.avi", breaks, Wanted(beside=True))
    assert len(calls) == 2 and [p.name for p in tmp_path.iterdir()] == ["in.avi"]


def test_refusals_of_arguments(tmp_path):
    source = write_png(tmp_path / "in.png", scan(1)[0])
    for out, wanted, sentence in (
        ("out.avi", Wanted(), "of another kind"),
        ("in.png", Wanted(), "there already"),
        ("out.png", Wanted(strength=1.5), "strength is 0"),
        ("out.png", Wanted(sector="echonet"), "in a square"),
    ):
        with pytest.raises(BadInput, match=sentence):
            enhance_file(source, tmp_path / out, gain, wanted)
    write_png(tmp_path / "out_beside.png", scan(1)[0])
    with pytest.raises(BadInput, match=r"out_beside\.png is there already"):
        enhance_file(source, tmp_path / "out.png", gain, Wanted(beside=True))
    with pytest.raises(BadInput, match="not a recording to enhance"):
        enhance_file(tmp_path / "a.txt", tmp_path / "b.txt", gain)


def test_an_all_black_clip_stays_black_on_a_known_sector_and_is_named_on_another(tmp_path):
    source = write_avi(tmp_path / "in.avi", np.zeros((4, 112, 112), np.uint8))
    enhance_file(source, tmp_path / "out.avi", gain)
    assert read_video(tmp_path / "out.avi")[0].max() == 0
    source = write_avi(tmp_path / "other.avi", np.zeros((4, 120, 160), np.uint8))
    with pytest.raises(BadInput, match="no ultrasound sector"):
        enhance_file(source, tmp_path / "other_out.avi", gain)


def test_memory_does_not_grow_with_the_length():
    mask, frame = ECHONET.resized(256).mask(), np.full((256, 256), 90, np.uint8)

    def peak(n):
        tracemalloc.start()
        for _ in enhanced((frame + i % 9 for i in range(n)), mask, identity):
            pass
        top = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return top

    assert peak(320) < 1.2 * peak(64)


# ------------------------------------------------------------------------------------------------ flicker


def test_flicker_of_a_gain_is_its_gain_and_of_the_same_clip_is_1():
    frames, mask = beating(20) // 2, ECHONET.mask()
    assert flicker(frames, frames, mask) == (1, 1)
    jitter, shake = flicker(frames.astype(float), frames * 1.2, mask)
    assert jitter == pytest.approx(1.2, rel=1e-4) and shake == pytest.approx(1.44, rel=1e-4)


@pytest.mark.parametrize("enhance", [gain, restless, blur, sharpen])
def test_the_temporal_mode_flickers_no_more_than_its_input(enhance):
    frames, mask = beating(60) // 2, ECHONET.mask()  # halved: no gain saturates
    plain = flicker(frames, enhance_array(frames, mask, enhance), mask)
    steady = flicker(frames, enhance_array(frames, mask, enhance, Wanted(temporal=True)), mask)
    assert max(steady) <= 1.0
    assert enhance is blur or max(plain) > 1.1  # there was something to take away


def test_the_temporal_mode_changes_no_more_than_the_strength_says():
    frames, mask = beating(20) // 2, ECHONET.mask()
    clips = [enhance_array(frames, mask, gain, Wanted(strength, temporal=True)) for strength in (0.01, 0.5, 1.0)]
    changed = [np.abs(clip.astype(float) - frames)[:, mask].mean() for clip in clips]
    assert changed[0] < 0.1 and changed[1] < 0.7 * changed[2]


def test_the_temporal_mode_still_enhances():
    frames, mask = beating(40) // 2, ECHONET.mask()
    out = enhance_array(frames, mask, gain, Wanted(temporal=True))
    assert out[:, mask].mean() == pytest.approx(1.2 * frames[:, mask].mean(), rel=0.02)
    assert np.array_equal(out[:, ~mask], frames[:, ~mask])
