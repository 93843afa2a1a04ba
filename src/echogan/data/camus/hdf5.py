"""The HDF5 file of 256 x 256 pictures: {train,test,valid}/patientXXXX/{2CH,4CH}/{im,gt,im_ref,gt_ref}.

`im` is (2, H, W) or (2, H, W, 1), uint8 or float in 0..1, `gt` the label ids of the same pixels; index 0 is end
diastole, 1 end systole. `im_ref` and `gt_ref` are the pair before it was resized. Pictures were squeezed into a square,
and the file does not say how large their pixels are. Attributes ImageQuality and EF of a view are read where a file has them.
"""

from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from echogan.data.camus.view import GRADES, KIND, VIEWS, Camus, View, check_shape, grey, label_ids
from echogan.data.clip import Clip
from echogan.data.echonet import kind_of
from echogan.errors import BadInput, first_line, nearest

SUFFIXES = (".hdf5", ".h5")
GROUPS = {"train": "TRAIN", "valid": "VAL", "test": "TEST"}


def open_hdf5(path):
    """The views in the file `path`; pictures are read when a view is read."""
    path = Path(path)
    with opened(path) as file:
        missing = [name for name in GROUPS if name not in file]
        if missing:
            raise BadInput(f"{path} has no group {missing[0]}; it needs {', '.join(GROUPS)} with patients in each")
        kind = kind_of(path.parent, KIND)
        views = [view for name in GROUPS for view in _views(path, file[name], GROUPS[name], kind)]
    splits = {}
    for view in views:
        if splits.setdefault(view.patient, view.split) != view.split:
            raise BadInput(f"{path} has {view.patient} in two groups; keep it in one")
    return Camus(path, kind, "CAMUS HDF5", views)


def _views(path, group, split, kind):
    found = []
    for patient in sorted(group):
        for view in VIEWS:
            place = f"{group.name.strip('/')}/{patient}/{view}"
            if f"{patient}/{view}/im" in group and f"{patient}/{view}/gt" in group:
                quality, ef = _attributes(path, place, group[f"{patient}/{view}"].attrs)
                found.append(View(patient, view, split, partial(_read, path, place, kind, split, ef), quality))
    if not found:
        raise BadInput(f"{path} has no patient with im and gt in {group.name.strip('/')}; restore the original file")
    return found


def _attributes(path, place, attributes):
    """Grade and EF of one view, None where the file does not say."""
    grade, ef = attributes.get("ImageQuality"), attributes.get("EF")
    if grade is not None and grade not in GRADES:
        raise BadInput(f"{path} has the ImageQuality {grade!r} in {place}{nearest(grade, GRADES)}")
    return grade, None if ef is None else float(ef)


def _read(path, place, kind, split, ef, every=False):
    if every:
        raise BadInput(f"{path} holds end diastole and end systole only; take the NIfTI release for whole sequences")
    with opened(path) as file:
        frames = grey(pictures(file, f"{place}/im", path), f"{path}:{place}/im")
        masks = label_ids(pictures(file, f"{place}/gt", path), f"{path}:{place}/gt")
    if len(frames) != 2 or frames.shape != masks.shape:
        raise BadInput(f"{path} has pictures {frames.shape} and masks {masks.shape} in {place}; both must be (2, H, W)")
    patient, view = place.rsplit("/", 2)[1:]
    return Clip(
        frames, f"{patient}_{view}", patient, kind, str(path), view=view, split=split, ef=ef, ed=0, es=1,
        masks=dict(enumerate(masks)),
    )  # fmt: skip


def pictures(file, name, path, rank=3):
    """The dataset `name` without a trailing axis of one, of `rank` dimensions."""
    data = file[name]
    shape = getattr(data, "shape", None)
    if shape is None or len(shape) - (len(shape) == rank + 1 and shape[-1] == 1) != rank:
        wanted = ("H", "W") if rank == 2 else ("2", "H", "W")
        raise BadInput(
            f"{path} has {name} of shape {shape}; it must be ({', '.join(wanted)}), with or without a last 1"
        )
    check_shape(shape, f"{path}:{name}")
    if data.dtype.kind not in "fiub":
        raise BadInput(f"{path} has {name} of type {data.dtype}; it must hold numbers")
    return np.asarray(data).reshape(shape[:rank])


@contextmanager
def opened(path):
    """The open file; whatever the library finds broken, then or later, is a `BadInput`."""
    import h5py

    try:
        with h5py.File(path) as file:
            yield file
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; check the name, or restore the file") from error
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, MemoryError) as error:
        raise BadInput(f"{path} is no readable HDF5 file ({first_line(error)}); restore the original file") from error
