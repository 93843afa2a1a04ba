"""A projection on disk: the frames, what was found of them and their nearest TRAIN frame, side by side and in numbers."""

from pathlib import Path

import numpy as np
from safetensors.torch import save_file

from echogan.data.images import grid, write_png
from echogan.engine.evaluate import spread
from echogan.engine.feed import resized
from echogan.errors import at_least
from echogan.files import atomic_folder, check_new
from echogan.latent.project import nearest_frames, project


def projected(space, frames, lpips, out, split="TEST", n=20, steps=500, plus=False, seed=0, callback=None):
    """Write sheet.png, distances.csv and latents.safetensors of `n` frames of a split into the new folder `out`.

    Returns the table (file, patient, LPIPS of the projection, LPIPS of the nearest TRAIN frame) and the pictures, uint8
    (n, 3, H, W): each frame, its projection, its nearest TRAIN frame.
    """
    check_new(Path(out))
    at_least(1, n=n)
    part = frames.split(split)
    keep = part.index.index.isin(spread(part.index.index.to_numpy(), n))
    part, train = part.where(keep), frames.split("TRAIN")
    found = project(space, part.images, lpips, steps, plus, seed, callback)
    near, distance = nearest_frames(found.targets, resized(train.images, space.size).numpy(), lpips)
    table = part.index[["file", "patient"]].assign(LPIPS=found.distance, LPIPS_nearest=distance)
    threes = np.stack([found.targets, found.images, near], 1)
    with atomic_folder(out) as folder:
        write_png(folder / "sheet.png", grid(threes.reshape(-1, *threes.shape[2:]), columns=6))
        table.to_csv(folder / "distances.csv", index=False, float_format="%.5f", lineterminator="\n")
        save_file({"w": found.ws.cpu().contiguous(), "noise": found.grain.cpu()}, folder / "latents.safetensors")
    return table, threes
