"""One call from a name to a `FrameSet`, for notebooks and the demo: the phantom, a folder of frames, or recordings."""

from pathlib import Path

from echogan.config import folder
from echogan.data.frames import load_frames
from echogan.data.phantom.study import write_echonet
from echogan.errors import BadInput
from echogan.preprocessing.extract import extract


def prepare(data="phantom", patients=240, seed=0, size=128, callback=None):
    """The frames of `data`, made first where they are not there yet (kept in the data folder for the next time).

    data: "phantom" (a synthetic study of so many patients), a folder of frames, or recordings: an EchoNet-Dynamic folder, a
    DICOM, a video, or a folder of them. `callback(step, done, total)` follows the work.
    """
    tell = callback or (lambda step, done, total: None)
    if data == "phantom":
        study = folder("data") / f"phantom_{patients}_seed{seed}"
        if not (study / "FileList.csv").is_file():
            write_echonet(study, patients, seed, callback=lambda done, total: tell("phantom", done, total))
        frames = study.with_name(f"{study.name}_{size}px")
    elif (Path(data) / "manifest.json").is_file():
        return load_frames(data)
    elif Path(data).exists():
        study, frames = Path(data), folder("data") / f"{Path(data).resolve().name}_{size}px"
    else:
        raise BadInput(f'{data} does not exist; use "phantom", a folder of frames, or recordings')
    if not (frames / "manifest.json").is_file():
        extract(study, frames, size=size, callback=lambda done, total: tell("extract", done, total))
    return load_frames(frames)
