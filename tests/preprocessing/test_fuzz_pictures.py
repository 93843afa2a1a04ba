"""Damaged pictures, archives and tables: read, or refused in one sentence; nothing outside of the output, no memory kept."""

import io
import shutil
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from echogan.data.echonet import open_study
from echogan.data.images import decode
from echogan.data.stills import list_stills
from echogan.data.tree import Folder, open_tree
from echogan.errors import BadInput
from echogan.preprocessing.extract import extract
from echogan.preprocessing.inspect import describe
from tests.data.fuzz import few, many
from tests.data.studies import write_study
from tests.data.test_fuzz_readers import fuzz
from tests.preprocessing.pictures import jpeg, picture, png, zipped


@pytest.fixture
def place(tmp_path):
    (tmp_path / "given").mkdir()
    return tmp_path


# ------------------------------------------------------------------------------------------------ pictures


def coded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pictures():
    """A picture of each coding, with where its pixels begin."""
    speckle = cv2.GaussianBlur(picture(size=(48, 48)), (0, 0), 2)
    grey = Image.fromarray(speckle)
    pngs = [
        png(speckle),
        png(np.dstack([speckle] * 3)),
        coded(grey.convert("P"), "PNG"),
        coded(grey.convert("1"), "PNG"),
    ]
    pngs += [coded(grey, "PNG", transparency=7), coded(grey.convert("RGBA"), "PNG")]
    jpegs = [jpeg(speckle), coded(grey, "JPEG", progressive=True), coded(grey.convert("CMYK"), "JPEG")]
    yield from ((data, data.index(b"IDAT") + 4) for data in pngs)
    yield from ((data, data.index(b"\xff\xda")) for data in jpegs)


def opens_as_picture(path):
    try:
        Image.open(path).close()
    except Exception:
        return False
    return True


def check_pictures(place, knobs):
    return fuzz(
        list(pictures()), knobs, place / "given" / "a.png", lambda p: decode(p.read_bytes(), p), opens_as_picture
    )


# ------------------------------------------------------------------------------------------------ archives

TABLE = "file,patient,split,phase,EF,duplicate_of\na.png,p,TRAIN,first,50.5,\nb.png,q,TEST,last,,\n"


def archives(folder):
    """Frames, a StyleGAN2-ADA data set and plain pictures, stored and deflated; where the first file's content begins."""
    images = {f"{n}.png": png(picture(i, (16, 16))) for i, n in enumerate("ab")}
    frames = {f"images/{name}": data for name, data in images.items()}
    frames |= {"index.csv": TABLE.encode(), "manifest.json": b'{"kind": "a test"}'}
    numbered = {f"00000/img{i:08d}.png": data for i, data in enumerate(images.values())}
    numbered |= {"dataset.json": b'{"labels": [["00000/img00000000.png", 1]]}'}
    for files in (frames, numbered, images):
        for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            yield zipped(folder / "valid.zip", files, compression).read_bytes(), 40
    (folder / "valid.zip").unlink()


def opens_as_archive(path):
    try:
        return bool(zipfile.ZipFile(path).namelist())
    except Exception:
        return False


def read_archive(place):
    """Extract the archive; whatever happens, all that is left is a folder of frames or nothing."""

    def read(path):
        try:
            extract(path, place / "out", size=64, workers=1)
            assert (place / "out" / "index.csv").is_file()
        finally:
            assert {p.name for p in place.iterdir()} <= {"given", "out"}
            shutil.rmtree(place / "out", ignore_errors=True)

    return read


def check_archives(place, knobs):
    return fuzz(list(archives(place)), knobs, place / "given" / "a.zip", read_archive(place), opens_as_archive)


# ------------------------------------------------------------------------------------------------ tables


def check_index(place, knobs):
    tree = place / "tree"
    (tree / "images").mkdir(parents=True)
    for i, name in enumerate("ab"):
        (tree / "images" / f"{name}.png").write_bytes(png(picture(i)))

    def read(path):
        shutil.copy(path, tree / "index.csv")
        list_stills(Folder(tree))

    def opens(path):
        return path.read_bytes().startswith(b"file,patient")

    return fuzz(
        [(TABLE.encode(), 46), (TABLE.replace("\n", "\r\n").encode(), 47)],
        knobs,
        place / "given" / "index.csv",
        read,
        opens,
    )


def check_tables(place, knobs, name):
    study = write_study(place / "study", videos=2, frames=2)
    content = (study / name).read_bytes()

    def read(path):
        shutil.copy(path, study / name)
        open_study(study)

    def opens(path):
        return path.read_bytes().startswith(content.split(b"\n")[0])

    header = content.index(b"\n") + 1
    return fuzz(
        [(content, header), (content[: len(content) * 2 // 3], header)], knobs, place / "given" / name, read, opens
    )


CHECKS = {
    "pictures": check_pictures,
    "archives": check_archives,
    "index.csv": check_index,
    "FileList.csv": lambda place, knobs: check_tables(place, knobs, "FileList.csv"),
    "VolumeTracings.csv": lambda place, knobs: check_tables(place, knobs, "VolumeTracings.csv"),
}


@pytest.mark.parametrize("kind", CHECKS)
def test_a_few_damaged(place, kind):
    CHECKS[kind](place, few)


@pytest.mark.slow
@pytest.mark.parametrize("kind", CHECKS)
def test_a_thousand_damaged(place, kind):
    tally, grown = CHECKS[kind](place, many)
    assert tally.given >= 1000 and grown < 50, (tally, grown)


# ------------------------------------------------------------------------------------------------ claims


def test_a_member_that_claims_too_much_is_refused_before_it_is_unpacked(tmp_path):
    path = zipped(tmp_path / "a.zip", {"a.png": png(picture()), "b.png": png(picture(1))})
    data = bytearray(path.read_bytes())
    size = data.index(b"PK\1\2") + 24  # of the unpacked member, in the directory
    data[size : size + 4] = (2**31).to_bytes(4, "little")
    path.write_bytes(bytes(data))
    with pytest.raises(BadInput, match=r"a\.zip:a\.png would unpack to 2\.1 GB; remove it from the ZIP"):
        open_tree(path).read("a.png")
    assert "2 pictures" in describe(path)
