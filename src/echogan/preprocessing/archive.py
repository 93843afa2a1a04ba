"""ZIP archives: a study read without unpacking it, frames packed for another machine, data sets for StyleGAN2-ADA."""

import json
import zipfile
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from echogan.data.echonet import open_study, read_recording
from echogan.data.images import png_bytes
from echogan.data.stills import DATASET, INDEX, LABELS, MANIFEST, list_stills
from echogan.data.tree import Archive
from echogan.errors import BadInput
from echogan.files import atomic, atomic_folder
from echogan.preprocessing.jobs import Job, Source

TABLES = ("FileList.csv", "VolumeTracings.csv", "phantom.json")
CARD = "data_card.md"


# ------------------------------------------------------------------------------------------------ studies


def is_study(names):
    """Whether these names are those of a study in EchoNet-Dynamic's layout."""
    return any(PurePosixPath(name).name == TABLES[0] for name in names)


def zipped_study(path):
    """The `Source` of a ZIP in EchoNet-Dynamic's layout; each job unpacks its own video, for as long as it is read."""
    tree = Archive(path)
    members = _members(tree)
    with TemporaryDirectory() as scratch:
        (Path(scratch) / "Videos").mkdir()
        for name, member in members.items():
            if name.endswith(".avi"):
                (Path(scratch) / "Videos" / name).touch()  # that it is there is all the tables' reader asks
            elif name in TABLES:
                with tree.local(member) as table:
                    (Path(scratch) / name).write_bytes(table.read_bytes())
        try:
            study = open_study(scratch)
        except BadInput as error:
            raise BadInput(str(error).replace(scratch, str(path))) from error
    jobs = [
        Job(name, r.split, partial(_read, tree, members[r.path.name], r), partial(tree.digest, members[r.path.name]))
        for name, r in study.recordings.items()
    ]
    skipped = [(name, f"{name}.avi is missing in the ZIP; download it again") for name in study.missing]
    tables = "".join(tree.digest(members[table]) for table in TABLES if table in members)
    return Source(
        Path(path), study.kind, jobs, TABLES[0], tables=tables, skipped=skipped, warnings=study.warnings
    )  # fmt: skip


def _members(tree):
    """file name -> its name in the ZIP, of the tables of the study that lies highest and of the videos beside them."""
    lists = [PurePosixPath(name) for name in tree.names() if PurePosixPath(name).name == TABLES[0]]
    highest = min(len(name.parts) for name in lists)
    tops = [name.parent for name in lists if len(name.parts) == highest]
    if len(tops) > 1:
        raise BadInput(f"{tree.root} holds the studies {tops[0]} and {tops[1]}; pack each by itself")
    names = [PurePosixPath(name) for name in tree.names()]
    wanted = [n for n in names if n.parent == tops[0] / "Videos" or (n.parent == tops[0] and n.name in TABLES)]
    return {name.name: str(name) for name in wanted}


def _read(tree, member, recording):
    with tree.local(member) as video:
        return read_recording(replace(recording, path=video))


# ------------------------------------------------------------------------------------------------ sets of frames


def holds_frames(path):
    """Whether the ZIP is a packed set of frames, with images under their own names."""
    names = Archive(path).names()
    return MANIFEST in names and INDEX in names and DATASET not in names


def unpack(path, folder):
    """Unpack a ZIP of frames, as `pack` or any archiver makes it, into the new folder."""
    tree = Archive(path)
    list_stills(tree)  # refuses tables that are broken or name what is not there
    kept = [name for name in tree.names() if _is_of_frames(name)]
    with atomic_folder(folder) as temporary:
        for name in kept:
            (temporary / name).parent.mkdir(exist_ok=True)
            (temporary / name).write_bytes(tree.read(name))


def _is_of_frames(name):
    above, slash, file = name.rpartition("/")
    return above in ("images", "masks") if slash else file in (INDEX, MANIFEST, LABELS, CARD)


def pack(frames, path):
    """Write a `FrameSet` to the new ZIP `path`, as `unpack` reads it; one that is there is never replaced."""
    with _new_zip(path) as opened:
        _add_tables(opened, frames)
        for kind, pictures in (("images", frames.images), ("masks", frames.masks)):
            for name, picture in zip(frames.index["file"], pictures if pictures is not None else ()):
                _add(opened, f"{kind}/{name}", png_bytes(picture))


def write_dataset(frames, path, condition=None):
    """Write a `FrameSet` to the new ZIP `path` as StyleGAN2-ADA's own tool packs a data set; returns the class names.

    Stored, not deflated; `00000/img00000000.png` and so on, grey; `dataset.json` lists [name, class] for the classes
    of `condition` (as in `FrameSet.classes`), null without one. The tables of the frames are in it too, so that
    EchoGAN reads back patients and splits; the official loader looks at pictures and `dataset.json` alone.
    """
    if frames.size & (frames.size - 1):
        raise BadInput(
            f"StyleGAN2-ADA needs sides of a power of two, not {frames.size}; extract at 64, 128 or 256 pixels"
        )
    names, codes = frames.classes(condition) if condition else ((), [None] * len(frames))
    files = [f"{i // 1000:05d}/img{i:08d}.png" for i in range(len(frames))]
    labels = [[file, int(code)] for file, code in zip(files, codes)] if condition else None
    with _new_zip(path) as opened:
        for file, picture in zip(files, frames.images):
            _add(opened, file, png_bytes(picture))
        said = {"labels": labels, "condition": condition, "classes": list(names)}
        _add(opened, DATASET, json.dumps(said).encode())
        _add_tables(opened, replace(frames, masks=None, labels=None))
    return names


@contextmanager
def _new_zip(path):
    """A ZIP that is there whole or not at all; PNGs do not shrink further, so everything is stored."""
    if Path(path).exists():
        raise BadInput(f"{path} exists and is left as it is; choose another name")
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w", zipfile.ZIP_STORED) as opened:
        yield opened


def tables_of(frames):
    """{name: bytes} of the tables of a `FrameSet`, as they are packed."""
    from echogan.data.frames import save_index  # brings pandas, which the processes that decode never need

    with TemporaryDirectory() as scratch:
        save_index(scratch, frames.index, frames.manifest, frames.labels)
        return {table.name: table.read_bytes() for table in sorted(Path(scratch).iterdir())}


def _add_tables(opened, frames):
    for name, data in tables_of(frames).items():
        _add(opened, name, data)


def _add(opened, name, data):
    opened.writestr(zipfile.ZipInfo(name), data)  # without a time of its own: equal frames give equal archives
