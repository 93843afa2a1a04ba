"""ZIP archives: a study that is read without unpacking it, and sets of frames packed for the way to another machine."""

import zipfile
import zlib
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2

from echogan.data.echonet import open_study, read_recording
from echogan.errors import BadInput
from echogan.files import atomic, atomic_folder
from echogan.preprocessing.jobs import Job, Source

TABLES = ("FileList.csv", "VolumeTracings.csv", "phantom.json")


def zipped_study(archive):
    """The `Source` of a ZIP in EchoNet-Dynamic's layout; each job unpacks its own video, for as long as it is read."""
    names = [name for name in _opened(archive).namelist() if "__MACOSX" not in name and not name.endswith("/")]
    members = {Path(name).name: name for name in names}
    with TemporaryDirectory() as scratch:
        (Path(scratch) / "Videos").mkdir()
        for name, member in members.items():
            if name.endswith(".avi"):
                (Path(scratch) / "Videos" / name).touch()  # that it is there is all the tables' reader asks
            elif name in TABLES:
                (Path(scratch) / name).write_bytes(_opened(archive).read(member))
        try:
            study = open_study(scratch)
        except BadInput as error:
            raise BadInput(str(error).replace(scratch, str(archive))) from error
    read = {name: partial(_read, archive, members[r.path.name], r) for name, r in study.recordings.items()}
    jobs = [Job(name, r.split, read[name]) for name, r in study.recordings.items()]
    skipped = [(name, f"{name}.avi is missing in the ZIP; download it again") for name in study.missing]
    return Source(Path(archive), study.kind, jobs, skipped=skipped, warnings=study.warnings)


def holds_frames(archive):
    """Whether the ZIP is a packed set of frames."""
    return "manifest.json" in _opened(archive).namelist()


def unpack(archive, folder):
    """Unpack a ZIP of frames into the new folder."""
    with atomic_folder(folder) as temporary:
        _opened(archive).extractall(temporary)


def pack(frames, archive):
    """Write a `FrameSet` to the new ZIP `archive`, as `unpack` reads it; one that is there is never replaced."""
    from echogan.data.frames import save_index  # brings pandas, which the processes that decode never need

    if Path(archive).exists():
        raise BadInput(f"{archive} exists and is left as it is; choose another name")
    with atomic(archive) as temporary, zipfile.ZipFile(temporary, "w") as opened, TemporaryDirectory() as scratch:
        save_index(scratch, frames.index, frames.manifest)
        for table in ("manifest.json", "index.csv"):
            opened.write(Path(scratch) / table, table)
        for name, image in zip(frames.index["file"], frames.images):
            opened.writestr(f"images/{name}", cv2.imencode(".png", image)[1].tobytes())  # PNGs do not shrink further


def _read(archive, member, recording):
    with TemporaryDirectory() as scratch:
        video = Path(scratch) / recording.path.name
        try:
            video.write_bytes(_opened(archive).read(member))
        except (zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
            raise BadInput(f"{member} in {archive} cannot be unpacked ({error}); download the ZIP again") from error
        return read_recording(replace(recording, path=video))


@lru_cache(maxsize=1)  # 10,000 members: a process reads the directory once, not once for every video
def _opened(archive):
    try:
        return zipfile.ZipFile(archive)
    except (OSError, zipfile.BadZipFile) as error:
        raise BadInput(f"{archive} is not a readable ZIP ({error}); give another, or download it again") from error
