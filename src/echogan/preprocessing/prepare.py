"""One call from a name to a `FrameSet`, for notebooks and the demo: the phantom, a folder of frames, or recordings."""

from functools import partial

from echogan.config import folder
from echogan.data.phantom.study import write_echonet
from echogan.preprocessing.archive import holds_frames, unpack
from echogan.preprocessing.extract import extract
from echogan.preprocessing.inspect import is_frames
from echogan.preprocessing.prepared import found, kept, read, sized


def prepare(data="phantom", patients=240, seed=0, size=128, callback=None):
    """The frames of `data`, made first where they are not there yet (kept in the data folder for the next time).

    data: "phantom" (a synthetic study of so many patients); a folder of frames or their ZIP; an EchoNet-Dynamic folder
    or ZIP (never unpacked as a whole), a DICOM, a video, pictures, or a folder or ZIP of them; HC18 (folder or .npz).
    `callback(step, done, total)` follows the work.
    """
    tell = callback or (lambda step, done, total: None)
    if data == "phantom":
        study = folder("data") / f"phantom_{patients}_seed{seed}"
        if not (study / "FileList.csv").is_file():
            write_echonet(study, patients, seed, callback=partial(tell, "phantom"))
        return read(_extracted(study, sized(study, size), size, tell), tell)
    path = found(data, "a folder of frames, or recordings")
    if is_frames(path):
        return read(path, tell)
    if path.suffix.lower() == ".zip" and holds_frames(path):
        return read(_unpacked(path, kept(path)), tell)
    return read(_extracted(path, sized(kept(path), size), size, tell), tell)


def _extracted(study, frames, size, tell):
    if not (frames / "manifest.json").is_file():
        extract(study, frames, size=size, callback=partial(tell, "extract"))
    return frames


def _unpacked(archive, frames):
    if not (frames / "manifest.json").is_file():
        unpack(archive, frames)
    return frames
