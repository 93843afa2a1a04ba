"""Pictures in: folders, ZIPs, StyleGAN2-ADA data sets, extracted frames; and what is refused, with its sentence."""

import io
import re
import zipfile
from collections import Counter

import numpy as np
import pytest
from PIL import Image

from echogan.data.frames import load_frames
from echogan.errors import BadInput
from echogan.preprocessing.extract import extract
from echogan.preprocessing.sources import find_source
from tests.preprocessing.pictures import dataset, jpeg, picture, png, raw_png, write, zipped


def frames_of(source, out, size=64, **more):
    extract(source, out, size=size, workers=1, **more)
    return load_frames(out)


def test_a_folder_of_pictures_keeps_their_content_and_is_split_by_patient(tmp_path):
    files = {f"0X{i:02d}_f{k}.png": png(picture(10 * i + k, (64, 64))) for i in range(20) for k in range(2)}
    found = frames_of(write(tmp_path / "in", files), tmp_path / "out")
    for file, image in zip(found.index["file"], found.images):
        np.testing.assert_array_equal(png(image), files[file])
    assert (found.index.groupby("patient")["split"].nunique() == 1).all() and found.index["patient"].nunique() == 20
    assert found.kind == "ultrasound pictures" and found.manifest["counts"]["split"]["TRAIN"]["patients"] >= 12
    assert "file names, up to _f<number>" in found.manifest["splits"] and "mask" not in found.manifest
    assert found.manifest["warnings"][0] == "20 patients, by file names, up to _f<number>"


def test_folders_called_as_splits_are_the_splits(tmp_path):
    names = [f"{split}/{name}.png" for split in ("train", "Val", "TEST") for name in "ab"]
    files = {name: png(picture(seed)) for seed, name in enumerate(names)}
    found = frames_of(write(tmp_path / "in", {**files, "notes.txt": b"x"}), tmp_path / "out")
    assert Counter(found.index["split"]) == {"TRAIN": 2, "VAL": 2, "TEST": 2}
    assert found.manifest["splits"] == "as the source has them"
    guessed = "6 patients, by file names: no two files are known to be of one patient"
    assert found.manifest["warnings"] == [guessed, "1 files were left out, first notes.txt"]
    assert found.index["patient"].nunique() == 6


def test_an_index_says_what_names_cannot(tmp_path):
    rows = "file,patient,split,phase,EF\na.png,p1,TRAIN,diastole,61\nb.png,p1,TRAIN,,\nc.png,p2,TEST,systole,40\n"
    files = {f"{name}.png": png(picture(i)) for i, name in enumerate("abcd")}
    found = frames_of(write(tmp_path / "in", {**files, "index.csv": rows.encode()}), tmp_path / "out")
    assert list(found.index["patient"]) == ["p1", "p1", "p2"] and list(found.index["split"]) == [
        "TRAIN",
        "TRAIN",
        "TEST",
    ]
    assert list(found.index["phase"].fillna("-")) == ["diastole", "-", "systole"] and found.index["EF"][2] == 40
    assert found.manifest["warnings"] == ["1 files were left out, first d.png"]


@pytest.mark.parametrize("kind", ["folder", "zip", "zip in a folder", "deflated"])
def test_a_zip_gives_what_its_folder_gives(tmp_path, kind):
    files = {f"p{i}/{k}.png": png(picture(10 * i + k)) for i in range(5) for k in range(2)}
    source = write(tmp_path / "in", files)
    expected = frames_of(source, tmp_path / "expected")
    if kind != "folder":
        inside = {f"study/{name}": data for name, data in files.items()} if "folder" in kind else files
        compression = zipfile.ZIP_DEFLATED if kind == "deflated" else zipfile.ZIP_STORED
        source = zipped(tmp_path / "in.zip", {**inside, "__MACOSX/._x.png": b"?"}, compression)
    found = frames_of(source, tmp_path / "found")
    assert found.index.equals(expected.index) and found.fingerprint() == expected.fingerprint()
    assert found.manifest["source_fingerprint"] == expected.manifest["source_fingerprint"]


def test_a_data_set_for_stylegan2_ada(tmp_path):
    labels = [[name, 1] for name in dataset(12) if name.endswith("png")]
    found = frames_of(zipped(tmp_path / "in.zip", dataset(12, labels)), tmp_path / "out")
    assert len(found) == 12 and found.index["file"][3] == "00000_img00000003.png"
    assert "no two files are known to be of one patient" in found.manifest["splits"]
    assert find_source(zipped(tmp_path / "many.zip", dataset(1001))).warnings[0].startswith("1001 patients, by")
    assert found.manifest["warnings"][0].startswith("the labels of dataset.json are left out")


def test_frames_can_be_made_smaller_with_their_masks_and_labels(tmp_path):
    table = "file,patient,split,phase,duplicate_of\na.png,p,TRAIN,first,\nb.png,q,TEST,last,\n"
    mask = np.zeros((128, 128), np.uint8)
    mask[40:80, 30:90] = 3
    files = {
        "index.csv": table.encode(),
        "manifest.json": b'{"kind": "synthetic phantom"}',
        "labels.json": b'{"background": 0, "atrium": 3}',
        **{f"images/{n}.png": png(picture(i, (128, 128))) for i, n in enumerate("ab")},
        **{f"masks/{n}.png": png(mask) for n in "ab"},
    }
    found = frames_of(write(tmp_path / "in", files), tmp_path / "out")
    assert found.kind == "synthetic phantom" and found.labels == {"background": 0, "atrium": 3}
    np.testing.assert_array_equal(found.masks[1], mask[::2, ::2])
    assert list(found.index["phase"]) == ["first", "last"]


def test_frames_of_another_size_keep_their_recordings_and_marks_and_measure_the_same(tmp_path):
    table = (
        "file,video,patient,split,duplicate_of,spacing_mm\n"
        "v_0.jpg,v,p,TRAIN,,0.5\nv_1.jpg,v,p,TRAIN,w_0.jpg,0.5\nw_0.jpg,w,q,TEST,,0.5\n"
    )
    pictures = {"v_0": picture(0, (128, 128)), "v_1": picture(1, (128, 128)), "w_0": picture(1, (128, 128))}
    files = {f"{name}.jpg": jpeg(image) for name, image in pictures.items()}
    source = write(tmp_path / "in", {"index.csv": table.encode(), **files})
    found = frames_of(source, tmp_path / "out").index
    assert list(found["video"]) == ["v", "v", "w"] and list(found["spacing_mm"]) == [1.0] * 3
    assert list(found["duplicate_of"].fillna("")) == ["", "w_0.png", ""]
    assert found.equals(frames_of(tmp_path / "out", tmp_path / "again").index)


def test_pictures_of_other_shapes_stand_in_the_middle_of_a_black_square(tmp_path):
    write(tmp_path / "in", {"a.png": png(np.full((64, 32), 200, np.uint8))})
    (image,) = frames_of(tmp_path / "in", tmp_path / "out").images
    assert (image[:, 16:48] == 200).all() and image[:, :16].max() == image[:, 48:].max() == 0


def test_grey_pictures_in_other_codings_are_read_as_they_are(tmp_path):
    image = picture(size=(64, 64))
    palette = Image.fromarray(image).convert("P")
    buffer = io.BytesIO()
    palette.save(buffer, "PNG")
    opaque = np.dstack([image] * 3 + [np.full_like(image, 255)])
    files = {
        "a.png": png(image),
        "b.png": png(np.dstack([image] * 3)),
        "c.png": png(opaque),
        "d.png": buffer.getvalue(),
    }
    found = frames_of(write(tmp_path / "in", files), tmp_path / "out")
    for one in found.images:
        np.testing.assert_array_equal(one, image)
    smooth = np.tile(np.arange(64, dtype=np.uint8), (64, 1))
    write(tmp_path / "jpeg", {"a.jpg": jpeg(smooth), "b.jpeg": jpeg(np.dstack([smooth] * 3))})
    assert np.abs(frames_of(tmp_path / "jpeg", tmp_path / "out2").images.astype(int) - smooth).max() <= 4


# ------------------------------------------------------------------------------------------------ bad input

COLOURED = np.zeros((32, 32, 3), np.uint8)
COLOURED[:8, :8, 0] = 255
SEE_THROUGH = np.dstack([picture()] * 3 + [np.full((32, 32), 255, np.uint8)])
SEE_THROUGH[0, 0, 3] = 254
UNUSABLE = {
    "truncated png": (png(picture())[:300], "is damaged or no PNG or JPEG; make it again, or remove it"),
    "truncated jpeg": (jpeg(picture())[:300], "is damaged or no PNG or JPEG"),
    "no image": (b"MZ an executable", "is damaged or no PNG or JPEG"),
    "empty": (b"", "is damaged or no PNG or JPEG"),
    "another format": (b"GIF89a" + bytes(20), "is damaged or no PNG or JPEG"),
    "16 bits": (png(picture().astype(np.uint16) * 257), "has 16 bits a pixel; save it with 8"),
    "16 bits in colour": (png(np.dstack([picture().astype(np.uint16)] * 3)), "has 16 bits a pixel"),
    "see-through": (png(SEE_THROUGH), "has see-through pixels; flatten it onto black"),
    "coloured": (png(COLOURED), "has colour in 6% of its pixels (Doppler?); give a grey-scale picture"),
    "bomb": (raw_png(60_000, 60_000), "claims more than 8,388,608 pixels"),
    "large": (raw_png(4_000, 4_000), "claims more than 8,388,608 pixels"),
    "no width": (raw_png(0, 10), "is damaged or no PNG or JPEG"),
    "rows missing": (raw_png(32, 32), "is damaged or no PNG or JPEG"),
}


@pytest.mark.parametrize("place", ["folder", "zip"])
@pytest.mark.parametrize("case", UNUSABLE)
def test_a_picture_that_cannot_be_used_is_skipped_and_named(tmp_path, case, place):
    data, sentence = UNUSABLE[case]
    files = {"good.png": png(picture()), "bad.png": data}
    source = write(tmp_path / "in", files) if place == "folder" else zipped(tmp_path / "in.zip", files)
    summary = extract(source, tmp_path / "out", size=64, workers=1)
    (name, reason), images = summary.skipped[0], summary.images
    assert (name, images, reason[: len("bad.png ")]) == ("bad", 1, "bad.png ") and sentence in reason
    with pytest.raises(BadInput, match=r"bad\.png"):
        extract(write(tmp_path / "alone", {"bad.png": data}), tmp_path / "out2", size=64, workers=1)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted({"in.zip" if place == "zip" else "in", "alone", "out"})


TWO = {f"images/{n}.png": png(picture(i)) for i, n in enumerate("ab")}


def index(text, **more):
    return {**TWO, "index.csv": text.encode(), **more}


HOPELESS = {
    "nothing": ({"a.txt": b"x"}, "holds no recording and no picture"),
    "picture in two splits": (
        {"train/a.png": png(picture()), "test/b.png": png(picture()), "val/c.png": png(picture(1))},
        "1 pictures of .* are in two splits; remove one of each: train_a.png (TRAIN) = test_b.png (TEST)",
    ),
    "patient in two splits": (
        {"train/x_f0.png": png(picture()), "test/x_f1.png": png(picture(1))},
        "1 patients of .* are in two splits; give each patient one: x (TEST, TRAIN)",
    ),
    "index: patient in two splits": (
        index("file,patient,split\na.png,p,TRAIN\nb.png,p,VAL\n"),
        "1 patients of .* are in two splits; give each patient one: p (TRAIN, VAL)",
    ),
    "index: no file": (index("name,patient\na.png,p\n"), "index.csv needs a column `file`"),
    "index: twice": (index("file\na.png\na.png\n"), "index.csv lists 'a.png' twice"),
    "index: gone": (index("file\nc.png\n"), "index.csv names 'c.png', which is not there whole"),
    "index: outside": (index("file\n../../etc/passwd\n"), "index.csv names '../../etc/passwd', which is not there"),
    "index: split": (index("file,split\na.png,train\nb.png,TEST\n"), "has the split 'train'; write TRAIN, VAL, TEST"),
    "index: half a split": (index("file,split\na.png,TRAIN\nb.png,\n"), "has the split None; write TRAIN, VAL, TEST"),
    "index: empty": (index(""), "index.csv needs a column `file`"),
    "index: not text": ({**TWO, "index.csv": b"file\n\xff\xfe\n"}, "index.csv is not a table"),
    "index: spacing": (
        index("file,spacing_mm\na.png,wide\n"),
        "has the spacing_mm 'wide'; write millimetres per pixel",
    ),
    "index: a long row": (index("file,patient\na.png,p,q\n"), "index.csv needs a column `file`"),
    "labels": (index("file\na.png\n", **{"labels.json": b'{"a": 900}'}), "labels.json must map names to numbers"),
    "manifest": (index("file\na.png\n", **{"manifest.json": b"{"}), "manifest.json is not valid JSON"),
    "two of a name": (
        {"a/b.png": png(picture()), "a_b.png": png(picture(1))},
        "two files of .* would be called a_b",
    ),
}


@pytest.mark.parametrize("place", ["folder", "zip"])
@pytest.mark.parametrize("case", HOPELESS)
def test_a_source_that_cannot_be_used_is_one_sentence_and_leaves_nothing(tmp_path, case, place):
    files, sentence = HOPELESS[case]
    source = write(tmp_path / "in", files) if place == "folder" else zipped(tmp_path / "in.zip", files)
    expected = re.escape(sentence).replace(r"\.\*", ".*")
    with pytest.raises(BadInput, match=expected):
        extract(source, tmp_path / "out", size=64, workers=1)
    assert [p.name for p in tmp_path.iterdir()] == [source.name]


def test_pictures_that_our_own_splits_would_tear_apart_stay_in_one(tmp_path):
    files = {f"{i:02d}.png": png(picture(i % 10)) for i in range(40)}
    found = frames_of(write(tmp_path / "in", files), tmp_path / "out")
    used = found.index[found.index["duplicate_of"].isna()]
    assert (
        len(used) == 10 and "frames are in two splits; each is kept in TEST, else VAL" in found.manifest["warnings"][-1]
    )
    assert len(found.manifest["shared_between_splits"]) >= 1


def zip_with(names, data=b"x"):
    return lambda path: zipped(path, dict.fromkeys(names, data))


def zip_twice(path):
    with zipfile.ZipFile(path, "w") as opened, pytest.warns(UserWarning, match="Duplicate name"):
        opened.writestr("a.png", png(picture()))
        opened.writestr("a.png", png(picture(1)))
    return path


def bomb(path):
    return zipped(path, {"index.csv": bytes(2**27)}, zipfile.ZIP_DEFLATED)


def cut(path):
    whole = zipped(path, {"a.png": png(picture()), "b.png": png(picture(1))}).read_bytes()
    path.write_bytes(whole[:-30])
    return path


def encrypted(path):
    data = bytearray(zipped(path, {"a.png": png(picture())}).read_bytes())
    data[6] |= 1  # the flag in the member's header and in the directory
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(bytes(data))
    return path


def nameless(path):
    data = zipped(path, {"a.png": png(picture())}).read_bytes()
    path.write_bytes(data.replace(b"a.png", b"\0.png"))  # a name ends at its first zero
    return path


ARCHIVES = {
    "path traversal": (zip_with(["../../evil.png"]), "holds '../../evil.png', a name that leads outside of it"),
    "an absolute path": (zip_with(["/etc/evil.png"]), "a name that leads outside of it; do not trust this ZIP"),
    "a Windows path": (zip_with(["..\\evil.png"]), "a name that leads outside of it"),
    "a drive": (zip_with(["C:evil.png"]), "a name that leads outside of it"),
    "a name twice": (zip_twice, "holds 'a.png' twice; pack it again"),
    "a bomb": (bomb, "index.csv would unpack to 0.1 GB; remove it from the ZIP"),
    "a name that is none": (nameless, "a name that is empty, too long or has control characters; pack it again"),
    "cut short": (cut, "is not a readable ZIP"),
    "encrypted": (encrypted, "a.png cannot be unpacked"),
    "empty": (zip_with([]), "holds no recording and no picture"),
}


@pytest.mark.parametrize("case", ARCHIVES)
def test_an_archive_that_cannot_be_trusted_is_one_sentence_and_nothing_is_written(tmp_path, case):
    make, sentence = ARCHIVES[case]
    source = make(tmp_path / "in.zip")
    with pytest.raises(BadInput, match=re.escape(sentence)):
        extract(source, tmp_path / "out", size=64, workers=1)
    assert [p.name for p in tmp_path.iterdir()] == ["in.zip"]


def test_nothing_is_decoded_before_it_is_needed(tmp_path):
    source = find_source(write(tmp_path / "in", {"a.png": b"broken", "b.png": b"broken"}))
    assert len(source.jobs) == 2 and source.unit == "picture"
