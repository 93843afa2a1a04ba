"""Pixels of every coding against the conversion of PS3.3 C.7.6.3.1.2, colour refused, damage noticed, memory flat."""

import tracemalloc

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file
from pydicom.pixels import pixel_array

from echogan.data import jpeg as codestream
from echogan.data.dicom import open_dicom, read_dicom
from echogan.errors import BadInput
from tests.data.dicoms import jpeg, region, scan, write

CINE = get_testdata_file("examples_ybr_color.dcm", download=False)
NATIVE = ("explicit", "implicit", "big endian")


@pytest.fixture(scope="module")
def frames():
    """Speckle in a fan, of even width."""
    return scan(3)[:, 40:168, 80:240]


def tinted(grey):
    """RGB a little bluish, as a monitor photographs: within the chroma that counts as grey."""
    return np.stack([grey, np.clip(grey.astype(int) + 1, 0, 255), np.clip(grey.astype(int) + 4, 0, 255)], -1).astype(
        np.uint8
    )


def ybr(rgb):
    """PS3.3 C.7.6.3.1.2, YBR_FULL."""
    matrix = [[0.2990, 0.5870, 0.1140], [-0.1687, -0.3313, 0.5000], [0.5000, -0.4187, -0.0813]]
    return np.clip(np.rint(rgb @ np.transpose(matrix) + [0, 128, 128]), 0, 255).astype(np.uint8)


def subsampled(frame):
    """YBR_FULL_422 as stored uncompressed: Y Y Cb Cr for each pair of pixels."""
    pairs = frame.reshape(len(frame), -1, 2, 3)
    return np.stack([pairs[:, :, 0, 0], pairs[:, :, 1, 0], pairs[:, :, 0, 1], pairs[:, :, 0, 2]], -1).tobytes()


@pytest.mark.parametrize("syntax", [*NATIVE, "RLE", "JPEG 2000"])
def test_monochrome_comes_back_exactly(tmp_path, frames, syntax):
    read = read_dicom(write(tmp_path / "a.dcm", frames, region(0, 0, 159, 127), syntax=syntax)).frames
    np.testing.assert_array_equal(read, frames)
    np.testing.assert_array_equal(
        read_dicom(write(tmp_path / "b.dcm", 255 - frames, syntax=syntax, photometric="MONOCHROME1")).frames, frames
    )


@pytest.mark.parametrize("syntax", [*NATIVE, "RLE", "JPEG 2000"])
def test_rgb_becomes_its_luma(tmp_path, frames, syntax):
    rgb = tinted(frames)
    read = read_dicom(write(tmp_path / "a.dcm", rgb, syntax=syntax, photometric="RGB")).frames
    assert np.abs(read - rgb @ [0.299, 0.587, 0.114]).max() <= 0.51


def test_planes_one_after_another_are_the_same_picture(tmp_path, frames):
    rgb = tinted(frames)
    codes = [frame.transpose(2, 0, 1).tobytes() for frame in rgb]
    path = write(tmp_path / "a.dcm", rgb, photometric="RGB", codes=codes, PlanarConfiguration=1)
    assert np.abs(read_dicom(path).frames - rgb @ [0.299, 0.587, 0.114]).max() <= 0.51


@pytest.mark.parametrize("syntax", [*NATIVE, "RLE"])
def test_ybr_full_is_its_luma(tmp_path, frames, syntax):
    pixels = ybr(tinted(frames))
    read = read_dicom(write(tmp_path / "a.dcm", pixels, syntax=syntax, photometric="YBR_FULL")).frames
    assert np.abs(read - tinted(frames) @ [0.299, 0.587, 0.114]).max() <= 0.51


def test_uncompressed_ybr_full_422_is_its_luma(tmp_path, frames):
    pixels = ybr(tinted(frames))
    path = write(tmp_path / "a.dcm", pixels, photometric="YBR_FULL_422", codes=[subsampled(p) for p in pixels])
    np.testing.assert_array_equal(read_dicom(path).frames, pixels[..., 0])


@pytest.mark.parametrize("photometric", ["YBR_FULL_422", "YBR_FULL"])
def test_jpeg_colour_is_its_luma_within_the_loss_of_jpeg(tmp_path, frames, photometric):
    read = read_dicom(write(tmp_path / "a.dcm", ybr(tinted(frames)), syntax="JPEG", photometric=photometric)).frames
    assert np.abs(read - tinted(frames) @ [0.299, 0.587, 0.114]).mean() < 2


def test_jpeg_grey_is_grey_within_the_loss_of_jpeg(tmp_path, frames):
    assert np.abs(read_dicom(write(tmp_path / "a.dcm", frames, syntax="JPEG")).frames.astype(int) - frames).mean() < 2


def test_reversible_colour_of_jpeg_2000_is_its_luma(tmp_path, frames):
    rgb = tinted(frames)
    read = read_dicom(write(tmp_path / "a.dcm", rgb, syntax="JPEG 2000", photometric="YBR_RCT")).frames
    assert np.abs(read - rgb @ [0.299, 0.587, 0.114]).max() <= 0.51


@pytest.mark.parametrize("bits", [8, 16])
def test_palette_indices_become_what_they_stand_for(tmp_path, frames, bits):
    table = (np.arange(256)[::-1] * (257 if bits == 16 else 1)).astype(f"<u{bits // 8}")  # 255 stands for black
    name = "PaletteColorLookupTable"
    tags = {f"{c}{name}Descriptor": [256, 0, bits] for c in ("Red", "Green", "Blue")}
    tags |= {f"{c}{name}Data": table.tobytes() for c in ("Red", "Green", "Blue")}
    read = read_dicom(write(tmp_path / "a.dcm", 255 - frames, photometric="PALETTE COLOR", **tags)).frames
    np.testing.assert_array_equal(read, frames)


def test_a_segmented_palette_is_refused(tmp_path, frames):
    tags = {f"{c}PaletteColorLookupTableDescriptor": [256, 0, 16] for c in ("Red", "Green", "Blue")}
    tags |= {f"Segmented{c}PaletteColorLookupTableData": b"\0\0" * 6 for c in ("Red", "Green", "Blue")}
    with pytest.raises(BadInput, match="segmented palette"):
        read_dicom(write(tmp_path / "a.dcm", frames, photometric="PALETTE COLOR", **tags))


@pytest.mark.parametrize("syntax", [*NATIVE, "RLE"])
def test_more_than_eight_bits_are_scaled_to_eight(tmp_path, frames, syntax):
    deep = frames.astype(np.uint16) << 4
    read = read_dicom(write(tmp_path / "a.dcm", deep, syntax=syntax, BitsStored=12)).frames
    assert np.abs(read - deep * (255 / 4095)).max() <= 0.51


def test_bytes_in_big_endian_words_are_swapped_back(tmp_path, frames):
    codes = [frame.view(np.uint16).byteswap().tobytes() for frame in frames]
    path = write(tmp_path / "a.dcm", frames, syntax="big endian", codes=codes, vr="OW")
    np.testing.assert_array_equal(read_dicom(path).frames, frames)


def test_a_window_says_which_of_sixteen_bits_are_grey(tmp_path, frames):
    deep = frames.astype(np.uint16) * 4 + 1000
    read = read_dicom(write(tmp_path / "a.dcm", deep, WindowCenter=1510.5, WindowWidth=1021)).frames
    assert np.abs(read.astype(int) - frames).max() <= 1


def test_the_real_cine_is_the_luma_of_its_codestream():
    np.testing.assert_array_equal(read_dicom(CINE).frames, pixel_array(CINE, raw=True)[..., 0])


# ------------------------------------------------------------------------------------------------ colour


def flow(frames, share):
    """RGB with a red and blue box over `share` of the picture."""
    rgb = np.repeat(frames[..., None], 3, -1)
    height = round(share * frames[0].size / 40)
    rgb[:, 20 : 20 + height, 60:80] = (220, 60, 20)
    rgb[:, 20 : 20 + height, 80:100] = (20, 80, 220)
    return rgb


@pytest.mark.parametrize("share", [0.02, 0.1, 0.5])
@pytest.mark.parametrize("photometric, syntax", [("RGB", "explicit"), ("YBR_FULL", "RLE"), ("YBR_FULL_422", "JPEG")])
def test_flow_is_refused_however_small_its_box(tmp_path, frames, share, photometric, syntax):
    rgb = flow(frames, share)
    pixels = rgb if photometric == "RGB" else ybr(rgb)
    with pytest.raises(BadInput, match=r"frame 0 of .*a\.dcm has colour in \d+% of its ultrasound"):
        read_dicom(write(tmp_path / "a.dcm", pixels, syntax=syntax, photometric=photometric))


def test_flow_that_begins_late_is_refused(tmp_path, frames):
    rgb = flow(frames, 0.1)
    rgb[:2] = frames[:2, ..., None]
    with pytest.raises(BadInput, match=r"frame 2 of .* has colour"):
        read_dicom(write(tmp_path / "a.dcm", rgb, photometric="RGB"))


def test_a_tint_of_the_whole_picture_is_refused(tmp_path, frames):
    rgb = np.stack([frames, frames, frames // 2], -1)
    with pytest.raises(BadInput, match="or a tint"):
        read_dicom(write(tmp_path / "a.dcm", rgb, photometric="RGB"))


def test_scanner_marks_outside_the_region_may_have_colour(tmp_path, frames):
    rgb = np.repeat(frames[..., None], 3, -1)
    rgb[:, :, :30] = (0, 255, 120)
    clip = read_dicom(write(tmp_path / "a.dcm", rgb, region(40, 0, 150, 120), photometric="RGB"))
    np.testing.assert_array_equal(clip.frames[..., 30:], frames[..., 30:])


@pytest.mark.parametrize("tagged, truly", [("RGB", "YBR_FULL"), ("YBR_FULL", "RGB")])
def test_a_wrong_photometric_tag_is_seen_through(tmp_path, frames, tagged, truly):
    rgb = np.repeat(frames[..., None], 3, -1)
    pixels = rgb if truly == "RGB" else ybr(rgb)
    clip = read_dicom(write(tmp_path / "a.dcm", pixels, photometric=tagged))
    assert np.abs(clip.frames.astype(int) - frames).max() <= 1
    assert clip.warnings == [f"a.dcm is tagged {tagged} but grey only when read as {truly}; it was read so"]


# ------------------------------------------------------------------------------------------------ damage


def test_the_size_inside_a_codestream_is_found():
    assert codestream.size(jpeg(np.zeros((48, 64), np.uint8))) == (48, 64)
    assert codestream.size(b"") is None and codestream.size(b"\xff\xd8\xff") is None


@pytest.mark.parametrize("quality", [30, 75, 100])
@pytest.mark.parametrize("colour", [False, True])
def test_whole_jpegs_are_sound(frames, quality, colour):
    for picture in (frames[0], np.zeros_like(frames[0]), np.random.default_rng(0).integers(0, 256, (17, 33), np.uint8)):
        picture = np.repeat(picture[..., None], 3, -1) if colour else picture
        code = jpeg(picture, quality)
        assert codestream.sound(code)
        assert codestream.sound(code + b"\0")  # padded to even length


def test_frames_of_a_real_scanner_are_sound():
    data = pydicom.dcmread(CINE)
    assert all(map(codestream.sound, pydicom.encaps.generate_frames(data.PixelData, number_of_frames=30)))


def test_a_scan_that_lost_or_gained_bytes_is_not_sound(frames):
    code = jpeg(frames[0])
    middle = len(code) // 2
    assert not codestream.sound(code[:middle] + code[middle + 40 :])
    assert not codestream.sound(code[:middle] + code[middle - 40 :])
    assert not codestream.sound(code[:middle])


def test_damage_in_a_compressed_frame_names_the_frame(tmp_path, frames):
    codes = [jpeg(frame) for frame in frames]
    middle = len(codes[1]) // 2
    codes[1] = codes[1][:middle] + codes[1][middle + 100 :]
    with pytest.raises(BadInput, match=r"frame 1 of .*a\.dcm is damaged"):
        read_dicom(write(tmp_path / "a.dcm", frames, syntax="JPEG", codes=codes))


# ------------------------------------------------------------------------------------------------ memory


@pytest.mark.parametrize("syntax", ["explicit", "JPEG"])
def test_memory_is_flat_in_the_number_of_frames(tmp_path, frames, syntax):
    peaks = {}
    for count in (5, 50, 500):
        many = np.resize(frames, (count, *frames.shape[1:]))
        cine = open_dicom(write(tmp_path / f"{count}.dcm", many, syntax=syntax))
        tracemalloc.start()
        assert sum(1 for _ in cine.frames()) == count
        peaks[count] = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    # The offset table grows by some words for each frame; a frame itself is 20,480 bytes.
    assert peaks[500] - peaks[50] < 500 * 400
