"""The four-chamber end-diastolic subset: one HDF5 file of pictures and one of masks for each split.

{train,test,valid}_4CH_FD.hdf5        patientXXXX_4CH_im_channel0 -> (H, W, 1) float32 in 0..1
anno_{train,test,valid}_4CH_FD.hdf5   patientXXXX_4CH_gt_channel0 -> (H, W) uint8 label ids

Readers also take keys of the bare patient, which later files of this kind have.
"""

import io
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from echogan.data.camus.hdf5 import GROUPS, opened, pictures
from echogan.data.camus.view import KIND, LABELS, Camus, View, grey, label_ids
from echogan.data.clip import Clip
from echogan.data.echonet import kind_of
from echogan.errors import BadInput
from echogan.files import atomic

VIEW = "4CH"
IMAGE_KEY, MASK_KEY = f"_{VIEW}_im_channel0", f"_{VIEW}_gt_channel0"


def names(group):
    """File names of one group ("train", "test" or "valid"): pictures, masks."""
    return f"{group}_{VIEW}_FD.hdf5", f"anno_{group}_{VIEW}_FD.hdf5"


def write_subset(folder, frames):
    """Write a `FrameSet` of one picture with mask for each patient as the six files of the subset into `folder`.

    Labels that CAMUS does not have (the background inside the sector) become background, as in the original files.
    """
    masks = np.where(np.isin(frames.masks, list(LABELS.values())), frames.masks, LABELS["background"])
    frames = replace(frames, masks=masks)

    for group, split in GROUPS.items():
        part = frames.split(split)
        image_file, mask_file = (Path(folder) / name for name in names(group))
        patients = part.index["patient"]
        stored = ((image[..., None] / np.float32(255)).astype(np.float32) for image in part.images)
        _write(image_file, zip(patients, stored), IMAGE_KEY)
        _write(mask_file, zip(patients, part.masks), MASK_KEY)


def _write(path, named, suffix):
    """Write (patient, values) pairs; built in memory, as HDF5 ends the whole program where a disk is full as it closes."""
    import h5py

    with atomic(path) as temporary:
        built = io.BytesIO()
        with h5py.File(built, "w") as file:
            for patient, values in named:
                file.create_dataset(patient + suffix, data=values, compression="gzip")
        temporary.write_bytes(built.getbuffer())


def is_subset(folder):
    """Whether `folder` holds the subset's files."""
    return (Path(folder) / names("train")[0]).is_file()


def open_subset(folder):
    """The views in the six files of `folder`."""
    folder = Path(folder)
    kind, views = kind_of(folder, KIND), []
    for group, split in GROUPS.items():
        files = [folder / name for name in names(group)]
        image_keys, mask_keys = (_keys(file, suffix) for file, suffix in zip(files, (IMAGE_KEY, MASK_KEY)))
        if image_keys.keys() != mask_keys.keys():
            odd = sorted(image_keys.keys() ^ mask_keys.keys())[0]
            raise BadInput(f"{files[0]} and {files[1]} do not hold the same patients: {odd} is in one only")
        for patient in sorted(image_keys):
            read = partial(_read, files, (image_keys[patient], mask_keys[patient]), patient, kind, split)
            views.append(View(patient, VIEW, split, read))
    return Camus(folder, kind, "CAMUS subset", views)


def _keys(path, suffix):
    """patient -> key of the file."""
    with opened(path) as file:
        keys = {key.removesuffix(suffix): key for key in file}
    if not keys:
        raise BadInput(f"{path} holds no patients; prepare the subset again")
    return keys


def _read(files, keys, patient, kind, split, every=False):
    if every:
        raise BadInput(f"{files[0]} holds end diastole only; take the NIfTI release for whole sequences")
    values = []
    for path, key in zip(files, keys):
        with opened(path) as file:
            values.append(pictures(file, key, path, rank=2))
    frame, mask = grey(values[0], files[0]), label_ids(values[1], f"{files[1]}:{keys[1]}")
    if frame.shape != mask.shape:
        raise BadInput(
            f"{files[1]} has a mask {mask.shape} of {patient}, its picture is {frame.shape}; prepare it again"
        )
    return Clip(
        frame[None], f"{patient}_{VIEW}", patient, kind, str(files[0]), view=VIEW, split=split, ed=0, masks={0: mask}
    )  # fmt: skip
