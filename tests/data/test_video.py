import numpy as np
import pytest

from echogan.data import limits, video
from echogan.data.video import open_video, read_video, read_video_clip, video_writer
from echogan.errors import BadInput
from echogan.sector import ECHONET
from tests.data.studies import beating, files_of_at_most, write_avi


@pytest.fixture
def avi(tmp_path):
    return write_avi(tmp_path / "heart.avi", beating(20), fps=40)


def test_motion_jpeg_comes_back_grey_with_its_frame_rate(avi):
    frames, fps = read_video(avi)
    assert frames.shape == (20, 112, 112) and frames.dtype == np.uint8 and fps == 40
    assert np.abs(frames.astype(int) - beating(20)).mean() < 3


@pytest.mark.parametrize("without", ["the luma path", "FFmpeg"])
def test_every_path_reads_the_same_picture(avi, monkeypatch, without):
    fast, fps = read_video(avi)
    monkeypatch.setattr(video, "_motion_jpeg", lambda path: None)
    if without == "FFmpeg":
        monkeypatch.setattr(video, "_BACKENDS", video._BACKENDS[-1:])
    slow, slow_fps = read_video(avi)
    assert np.abs(fast.astype(int) - slow).max() <= 2 and slow_fps == fps


def test_an_animated_gif_is_a_video(tmp_path):
    from PIL import Image

    pictures = [Image.fromarray(frame) for frame in beating(6)]
    pictures[0].save(tmp_path / "heart.gif", save_all=True, append_images=pictures[1:], duration=40)
    frames, _ = read_video(tmp_path / "heart.gif")
    assert frames.shape == (6, 112, 112)
    assert np.abs(frames.astype(int) - beating(6)).mean() < 4


def test_a_loose_video_of_112_pixels_has_the_echonet_sector(avi, tmp_path):
    clip = read_video_clip(avi)
    assert (clip.name, clip.patient, clip.sector) == ("heart", "heart", ECHONET)
    wide = np.zeros((3, 96, 128), np.uint8)
    assert read_video_clip(write_avi(tmp_path / "wide.avi", wide)).sector is None


@pytest.mark.parametrize("content", [b"", b"hello\n" * 99, np.random.default_rng(0).bytes(20_000)])
def test_what_does_not_decode_is_named_with_the_remedy(tmp_path, content, capfd):
    (tmp_path / "broken.avi").write_bytes(content)
    with pytest.raises(BadInput, match=r"broken\.avi does not decode as a video; export it again"):
        read_video(tmp_path / "broken.avi")
    assert capfd.readouterr() == ("", "")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"gone\.avi is missing"):
        read_video(tmp_path / "gone.avi")


def test_a_video_that_breaks_off_is_refused(avi):
    content = avi.read_bytes()
    avi.write_bytes(content[: len(content) // 2])
    with pytest.raises(BadInput, match=r"heart\.avi breaks off after \d+ of 20 frames"):
        read_video(avi)


def test_damage_in_the_middle_is_refused(avi):
    content = bytearray(avi.read_bytes())
    middle = len(content) // 2
    content[middle : middle + len(content) // 5] = bytes(len(content) // 5)
    avi.write_bytes(content)
    with pytest.raises(BadInput, match=r"heart\.avi breaks off"):
        read_video(avi)


def claiming(content, sides):
    """The bytes of a Motion JPEG AVI whose pictures claim another height and width."""
    content = bytearray(content)
    at = content.find(b"\xff\xc0")
    while at >= 0:
        content[at + 5 : at + 9] = b"".join(side.to_bytes(2, "big") for side in sides)
        at = content.find(b"\xff\xc0", at + 9)
    return bytes(content)


def test_pictures_that_claim_more_than_their_file_are_refused(avi):
    avi.write_bytes(claiming(avi.read_bytes(), (65500, 65500)))
    with pytest.raises(BadInput, match=r"heart\.avi"):
        read_video(avi)


def test_sizes_that_no_scanner_has_are_refused(avi, monkeypatch):
    content = avi.read_bytes()
    monkeypatch.setattr(limits, "LARGEST_PICTURE", 100 * 100)
    with pytest.raises(BadInput, match=r"heart\.avi claims 1 frames of 112 x 112 pixels"):
        read_video(avi)
    monkeypatch.undo()
    monkeypatch.setattr(limits, "LARGEST_RECORDING", 10 * 112 * 112)
    monkeypatch.setattr(video, "_motion_jpeg", lambda path: None)
    with pytest.raises(BadInput, match=r"heart\.avi claims 11 frames of 112 x 112 pixels"):
        read_video(avi)
    assert avi.read_bytes() == content


def test_what_is_written_is_what_the_readers_of_the_study_expect(tmp_path):
    video.write_avi(tmp_path / "a.avi", beating(7), fps=25)
    frames, fps = read_video(tmp_path / "a.avi")
    assert fps == 25 and np.abs(frames.astype(int) - beating(7)).mean() < 3


def test_nothing_is_muttered_after_a_file_was_written(tmp_path, capfd):
    """FFmpeg asks for its level of talk when its first file is opened, by whoever."""
    video.write_avi(tmp_path / "a.avi", beating(7), fps=25)
    (tmp_path / "cut.mp4").write_bytes(b"\0\0\0\x20ftypisom" + bytes(200))
    with pytest.raises(BadInput, match=r"cut\.mp4 does not decode"):
        read_video(tmp_path / "cut.mp4")
    assert capfd.readouterr() == ("", "")


def test_walking_through_a_video_gives_the_frames_of_reading_it(avi, tmp_path):
    film = open_video(avi)
    frames, fps = read_video(avi)
    assert film.shape == frames.shape and film.fps == fps and film.colours(3).shape == (3, *frames.shape[1:], 3)
    assert np.array_equal(np.stack(list(film.frames())), frames) and len(list(film.frames())) == len(frames)


def test_walking_refuses_what_reading_refuses(avi, tmp_path):
    content = avi.read_bytes()
    for name, some, sentence in (
        ("cut.avi", content[: len(content) // 2], "breaks off"),
        ("no.avi", b"no", "not decode"),
    ):
        (tmp_path / name).write_bytes(some)
        with pytest.raises(BadInput, match=sentence):
            open_video(tmp_path / name)
    with pytest.raises(BadInput, match="is missing"):
        open_video(tmp_path / "nowhere.avi")


def test_an_avi_is_written_without_loss_or_not_at_all(tmp_path, monkeypatch):
    frames = np.random.default_rng(0).integers(0, 256, (4, 30, 44)).astype(np.uint8)
    with video_writer(tmp_path / "a.avi", (30, 44), 12.5) as write:
        for frame in frames:
            write(frame)
    again, fps = read_video(tmp_path / "a.avi")
    assert np.array_equal(again, frames) and fps == 12.5
    with pytest.raises(BadInput, match="even sides"), video_writer(tmp_path / "b.avi", (31, 44), 25):
        pass
    monkeypatch.setattr(video, "_hashed", lambda path: "another")
    with pytest.raises(BadInput, match="without loss"), video_writer(tmp_path / "c.avi", (30, 44), 25) as write:
        write(frames[0])


def write_streamed(path, frames, fps):
    with video_writer(path, frames.shape[1:], fps) as write:
        for frame in frames:
            write(frame)


@pytest.mark.parametrize(
    "write, name", [(video.write_avi, "a.avi"), (write_streamed, "a.avi"), (write_streamed, "a.mp4")]
)
def test_a_video_that_the_disk_does_not_take_whole_is_not_reported_as_written(tmp_path, write, name):
    frames = beating(20)
    write(tmp_path / name, frames, 50)
    whole = (tmp_path / name).stat().st_size
    for share in (0.3, 0.9):
        with files_of_at_most(int(share * whole)):
            with pytest.raises(BadInput, match=rf"cannot write .*{name}: it breaks off; free some space"):
                write(tmp_path / name, frames, 50)
        assert (tmp_path / name).stat().st_size < whole
