"""Images of an official snapshot, drawn by the official code itself."""

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from echogan.data.images import grid, read_png, write_png
from echogan.engine.launch import pick_device
from echogan.errors import BadInput
from echogan.files import check_images_out, folder_or_zip, write_json
from echogan.official.repository import find_repository, run_script
from echogan.official.snapshot import read_snapshot


def generate(snapshot, out, n=36, seed=0, truncation=1.0, device="auto", repository=None):
    """Write `n` images of a .pkl, those of its seeds `seed` ... `seed + n - 1`, to `out`: a .png sheet, a .zip or a new
    folder.

    The snapshot is looked through first: one that asks for more than tensors and the constructors of networks is
    refused. What it does hold is then run by the official code, source text included, so use only what you trust.
    """
    check_images_out(out)
    repository, source = find_repository(repository), Path(snapshot).resolve()
    read_snapshot(source)
    if n < 1 or seed < 0:
        raise BadInput(f"n must be 1 or more and seed 0 or more, got {n} and {seed}")
    with TemporaryDirectory() as scratch:
        words = ["generate.py", f"--outdir={scratch}", f"--network={source}", f"--seeds={seed}-{seed + n - 1}"]
        log = Path(out).with_name(f"{Path(out).stem}_official.log")
        log.parent.mkdir(parents=True, exist_ok=True)
        run_script(repository, [*words, f"--trunc={truncation:g}", "--noise-mode=const"], log, pick_device(device))
        images = np.stack([read_png(Path(scratch) / f"seed{seed + i:04d}.png") for i in range(n)])
    log.unlink()
    if str(out).endswith(".png"):
        return write_png(out, grid(images))
    with folder_or_zip(out) as folder:
        for i, image in enumerate(images):
            write_png(folder / f"img_{i:05d}.png", image)
        told = {"snapshot": source.name, "n": n, "seed": seed, "truncation": truncation, "noise": "constant"}
        write_json(folder / "manifest.json", {**told, "code": f"official StyleGAN2-ADA, {repository.flavour.name}"})
