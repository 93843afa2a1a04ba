"""Images to judge, wherever they come from: a run, its weights, a folder or a ZIP of pictures of any project."""

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from echogan.data.frames import COLUMNS, FrameSet, load_frames
from echogan.data.images import IMAGE_SUFFIXES, decode
from echogan.data.stills import Still, list_stills
from echogan.data.tree import open_tree
from echogan.engine.checkpoint import load_weights
from echogan.engine.evaluate import spread
from echogan.engine.launch import hardware
from echogan.engine.sampling import BEST, class_of, find_weights, generated, refuse_translator
from echogan.engine.translating import inputs_of, translated
from echogan.errors import BadInput


def fakes_of(source, n, wanted=BEST, device="cpu", given=None):
    """(uint8 tensor (N, H, W) on the device, what config made it): at most `n` images, generated where needed.

    `source` is an array or tensor of images, a run (folder or <arch>/<config>), a .safetensors file, or a folder or ZIP of
    pictures, e.g. a StyleGAN2-ADA data set. A run that reconstructs or translates makes one image of each of the frames
    `given`, a `FrameSet`; then `stage` is "translate", and image i aims at frame i.
    """
    if isinstance(source, (np.ndarray, torch.Tensor)):
        return torch.as_tensor(spread(source, n, wanted.seed)).to(device), {}
    if _holds_pictures(source):
        images, _ = read_pictures(Path(source), n, wanted.seed)
        return torch.from_numpy(images).to(device), {}
    model, header = load_weights(find_weights(source, wanted.kimg), device)
    known = {"arch": header["arch"], "config": header["name"], "kimg": header["kimg"]}
    stage = wanted.stage or model.makes(header["kimg"])
    if given is not None and stage == "translate" and model.paired:
        bits = {"bits": model.config.bits} if hasattr(model.config, "bits") else {}
        images, speed = _timed(partial(translated, model, inputs_of(model, given, device, header), wanted), device)
        return images, {**known, "stage": stage, **bits, **speed}
    if wanted.stage == "translate":
        raise BadInput(f"{known['arch']}/{known['config']} aims at no true image to be judged by; leave the stage out")
    refuse_translator(model, header)
    images, speed = _timed(partial(generated, model, n, wanted, class_of(header, wanted.label)), device)
    return images, {**known, "stage": "generate", **speed}


def enhanced_of(source, low, n, wanted=BEST, device="cpu"):
    """What the run or weights `source` make of at most `n` frames of the FrameSet `low`, as `fakes_of` returns it.

    None where `source` is no enhancer: its architecture does not translate domain A.
    """
    if isinstance(source, (np.ndarray, torch.Tensor)) or _holds_pictures(source):
        return None
    model, header = load_weights(find_weights(source, wanted.kimg), device)
    if "A" not in model.inputs:
        return None
    low = low.domain("A")
    some = low.where(np.isin(np.arange(len(low)), spread(np.arange(len(low)), n or len(low), wanted.seed)))
    known = {"arch": header["arch"], "config": header["name"], "kimg": header["kimg"]}  # no pairs, so no stage
    images, speed = _timed(partial(translated, model, inputs_of(model, some, device), wanted), device)
    return images, {**known, **speed}


def _timed(make, device):
    """(the images of `make()`, {how many of them a second, on what})."""
    place = torch.device(device)
    if place.type == "cuda":
        make()  # chooses its kernels
        torch.cuda.synchronize(place)
    began = time.perf_counter()
    images = make()
    if place.type == "cuda":
        torch.cuda.synchronize(place)
    speed = len(images) / (time.perf_counter() - began)
    return images, {"images_per_s": speed, "hardware": hardware(place)}


def _holds_pictures(source):
    path = Path(source)
    return path.suffix.lower() == ".zip" or (path.is_dir() and not (path / "config.json").is_file())


def frames_of(source):
    """The `FrameSet` of a reference: frames that were extracted, or any picture, folder or ZIP of them (one split, "ALL")."""
    if isinstance(source, FrameSet):
        return source
    path = Path(source)
    if path.is_dir() and (path / "manifest.json").is_file() and (path / "index.csv").is_file():
        return load_frames(path)
    images, stills = read_pictures(path)
    known = all(still.split for still in stills)
    rows = [(s.file, s.name, s.patient or s.name, s.split if known else "ALL") for s in stills]
    table = pd.DataFrame(rows, columns=["file", "video", "patient", "split"]).reindex(columns=list(COLUMNS))
    return FrameSet(images, table, {"kind": "pictures"})


def read_pictures(path, n=None, seed=0):
    """(uint8 (N, H, W), the `Still` of each) of a folder or ZIP: all pictures of one size, or `n` of them chosen by the seed.

    A single picture is a folder of one.
    """
    if Path(path).suffix.lower() in IMAGE_SUFFIXES and Path(path).is_file():
        return decode(Path(path).read_bytes(), path)[None], [Still(Path(path).name, Path(path).stem, "")]
    tree = open_tree(path)
    stills = list_stills(tree).stills
    if not stills:
        raise BadInput(f"{path} holds no PNG or JPEG pictures; give a run, weights, or a folder or ZIP of pictures")
    stills = list(spread(np.array(stills, object), n, seed)) if n else stills
    with ThreadPoolExecutor() as pool:
        images = list(pool.map(lambda still: decode(tree.read(still.file), tree.path(still.file)), stills))
    sizes = {f"{image.shape[1]} x {image.shape[0]}": tree.path(s.file) for s, image in zip(stills, images)}
    if len(sizes) > 1:
        (one, first), (other, second) = list(sizes.items())[:2]
        raise BadInput(f"{first} has {one} pixels, {second} {other}; bring all to one size first")
    return np.stack(images), stills
