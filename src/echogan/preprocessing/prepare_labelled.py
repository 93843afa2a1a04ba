"""One call from a name to a `FrameSet` with masks, for notebooks: the phantom in the layout of CAMUS, CAMUS itself, HC18."""

from functools import partial

from echogan.config import folder
from echogan.data.camus.hdf5 import SUFFIXES
from echogan.data.phantom.camus import write_camus_hdf5
from echogan.errors import BadInput
from echogan.preprocessing.camus import prepare_camus
from echogan.preprocessing.inspect import is_frames
from echogan.preprocessing.prepare import prepare
from echogan.preprocessing.prepared import found, kept, read, sized


def prepare_labelled(data="phantom", patients=200, seed=0, size=128, callback=None):
    """The frames of `data` with their masks, made first where they are not there yet (see `prepare`).

    data: "phantom" (a synthetic study in the layout of CAMUS); CAMUS, as its HDF5 file or the folder of a release; HC18 (folder
    or .npz); a folder of frames with masks or their ZIP.
    """
    tell = callback or (lambda step, done, total: None)
    if data == "phantom":
        source = folder("data") / f"phantom_camus_{patients}_seed{seed}"
        frames = sized(source, size)
        if not (source / "phantom.json").is_file():
            write_camus_hdf5(source, patients, seed, callback=partial(tell, "phantom"))
    else:
        source = found(data, "CAMUS, HC18, or a folder of frames with masks")
        frames = sized(kept(source), size)
        if is_frames(source) or not _is_camus(source):
            return _with_masks(prepare(data, patients, seed, size, callback), data)
    if not (frames / "manifest.json").is_file():
        prepare_camus(source, frames, size, callback=partial(tell, "camus"))
    return read(frames, tell)


def _is_camus(path):
    places = ("*.hdf5", "*.h5", "patient*", "database_nifti/patient*", "training/patient*")
    return path.suffix.lower() in SUFFIXES or any(any(path.glob(place)) for place in places)


def _with_masks(frames, data):
    if frames.masks is None:
        raise BadInput(f"{data} has no masks; give CAMUS, HC18, or a folder of frames with masks")
    return frames
