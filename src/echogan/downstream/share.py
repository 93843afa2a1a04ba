"""A share of the real patients, which is all that generator, mask sampler and segmenter of a cell may see."""

import shutil
from pathlib import Path

import numpy as np

from echogan.config import seed_of
from echogan.data.frames import load_frames, save_index
from echogan.errors import BadInput
from echogan.files import atomic_folder


def share_of(frames, share, seed=0):
    """The frames of a share of the TRAIN and VAL patients, at least one of each, and of all TEST patients.

    Of one seed, a smaller share is part of a larger one.
    """
    check_share(share)
    kept = set(frames.index.loc[frames.index["split"] == "TEST", "patient"])
    for split in ("TRAIN", "VAL"):
        patients = sorted(frames.split(split).index["patient"].unique())
        order = np.random.default_rng(seed_of(seed, "share", split)).permutation(patients)
        kept |= set(order[: max(1, round(share * len(order)))])
    return frames.where(frames.index["patient"].isin(kept))


def check_share(share):
    """A share above 0 and at most 1."""
    if not 0 < share <= 1:
        raise BadInput(f"a share of the real patients lies above 0 and is at most 1 (100 %), got {share:g}")


def write_share(source, out, share, seed=0):
    """Copy that share of the FrameSet folder `source` to the new folder `out`; returns it as a `FrameSet`."""
    part = share_of(load_frames(source), share, seed)
    with atomic_folder(out) as folder:
        for kind in ("images", "masks") if part.masks is not None else ("images",):
            (folder / kind).mkdir()
            for name in part.index["file"]:
                shutil.copyfile(Path(source) / kind / name, folder / kind / name)
        told = {"share": share, "share_seed": seed, "images": len(part)}
        save_index(folder, part.index, {**part.manifest, **told}, part.labels)
    return part
