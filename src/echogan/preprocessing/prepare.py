"""One call from a name to a `FrameSet`, for notebooks and the demo: the phantom, a folder of frames, or recordings."""

from functools import partial
from pathlib import Path

from echogan.config import folder
from echogan.data.frames import load_frames
from echogan.data.phantom.study import write_echonet
from echogan.errors import BadInput
from echogan.preprocessing.archive import holds_frames, unpack
from echogan.preprocessing.extract import extract
from echogan.preprocessing.inspect import is_frames


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
        return load_frames(_extracted(study, size, tell))
    if is_frames(data):
        return load_frames(data)
    if not Path(data).exists():
        raise BadInput(f'{data} does not exist; use "phantom", a folder of frames, or recordings')
    if str(data).lower().endswith(".zip") and holds_frames(data):
        return load_frames(_unpacked(Path(data)))
    return load_frames(_extracted(Path(data), size, tell))


def _extracted(study, size, tell):
    frames = folder("data") / f"{study.resolve().stem}_{size}px"
    if not (frames / "manifest.json").is_file():
        extract(study, frames, size=size, callback=partial(tell, "extract"))
    return frames


def _unpacked(archive):
    frames = folder("data") / archive.stem
    if not (frames / "manifest.json").is_file():
        unpack(archive, frames)
    return frames
