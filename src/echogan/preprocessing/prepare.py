"""One call from a name to a `FrameSet`, for notebooks and the demo: the phantom, a folder of frames, recordings, masks."""

from functools import partial
from pathlib import Path

from echogan.config import folder
from echogan.data.camus.hdf5 import SUFFIXES
from echogan.data.frames import load_frames
from echogan.data.phantom.camus import write_camus_hdf5
from echogan.data.phantom.study import write_echonet
from echogan.errors import BadInput
from echogan.preprocessing.archive import holds_frames, unpack
from echogan.preprocessing.camus import prepare_camus
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


def prepare_labelled(data="phantom", patients=200, seed=0, size=128, callback=None):
    """The same of frames with masks.

    data: "phantom" (a synthetic study in the layout of CAMUS); CAMUS, as its HDF5 file or the folder of a release; HC18 (folder
    or .npz); a folder of frames with masks or their ZIP.
    """
    tell = callback or (lambda step, done, total: None)
    if data == "phantom":
        data = folder("data") / f"phantom_camus_{patients}_seed{seed}"
        if not (data / "phantom.json").is_file():
            write_camus_hdf5(data, patients, seed, callback=partial(tell, "phantom"))
    elif is_frames(data) or not _is_camus(Path(data)):
        return _with_masks(prepare(data, patients, seed, size, callback), data)
    frames = folder("data") / f"{Path(data).resolve().stem}_{size}px"
    if not (frames / "manifest.json").is_file():
        prepare_camus(data, frames, size, callback=partial(tell, "camus"))
    return load_frames(frames)


def _is_camus(path):
    places = ("*.hdf5", "*.h5", "patient*", "database_nifti/patient*", "training/patient*")
    return path.suffix.lower() in SUFFIXES or any(any(path.glob(place)) for place in places)


def _with_masks(frames, data):
    if frames.masks is None:
        raise BadInput(f"{data} has no masks; give CAMUS, HC18, or a folder of frames with masks")
    return frames


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
