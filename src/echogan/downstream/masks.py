"""Masks from pictures: train a segmenter, load one, and compare what was requested of synthetic echoes with what is there."""

from functools import partial

import numpy as np

from echogan.config import Settings
from echogan.downstream import segmenter as unet
from echogan.downstream.segmenter import Config, Segmenter, applied
from echogan.engine.checkpoint import load_weights
from echogan.engine.fit import fit
from echogan.engine.sampling import find_weights
from echogan.errors import BadInput
from echogan.metrics.segmentation import compared

KIMG = 8.0  # about three CPU-minutes at 128 px
AUTOMATIC = Settings(kimg=KIMG)


def train_segmenter(frames, name="unet", settings=AUTOMATIC, config=None, experiments=None, callback=None):
    """Train a segmenter on the TRAIN frames of a `FrameSet` with masks; VAL chooses the best. Returns its `RunFolder`.

    The run is `experiments/segmenter/<name>`; see `engine.fit`. config: a `Config`, by default one of the frames' labels.
    """
    config = config or Config(schema(frames))
    if config.structures != schema(frames):
        raise BadInput(
            f"the segmenter is to name {_told(config.structures)}, but the frames have {_told(frames.labels)}"
        )
    return fit(unet, name, frames, settings, config, experiments, callback)


def load_segmenter(source, device="cpu", labels=None) -> Segmenter:
    """A frozen segmenter in evaluation mode, from a run (folder, or segmenter/<name>) or a .safetensors file.

    labels: the schema, name -> id, of the masks that its own will be compared with; another one is refused.
    """
    path = find_weights(source)
    model, _ = load_weights(path, device, unet)
    if labels is not None and labels != model.config.structures:
        raise BadInput(
            f"{path} names {_told(model.config.structures)}, but the masks have {_told(labels)}; train one on these frames"
        )
    return model.requires_grad_(False)


def masker(source, device="cpu"):
    """(function: uint8 images (N, H, W) -> label ids (N, H, W); the labels, name -> id) of a trained segmenter."""
    model = load_segmenter(source, device)
    return partial(segment, model), model.config.structures


def segment(segmenter, images):
    """Label ids uint8 (N, H, W) of images uint8 (N, H, W), which must be square.

    Images of another size than the segmenter's resolution are brought to it (bilinear, without aliasing) and its logits back
    to theirs, so that the masks are of the images' own size.
    """
    return applied(segmenter.masks, _square(images))


def features(segmenter, images):
    """What the segmenter's deepest level sees, float (N, d), of images uint8 (N, H, W), which must be square."""
    return applied(segmenter.features, _square(images))


def obtained(segmenter, images, requested, spacing=None):
    """Requested against obtained: what the segmenter finds in synthetic images, beside the masks they were made from.

    uint8 (N, H, W) both. One row per image: `Dice_<structure>` and `HD95_<structure>`, see `metrics.segmentation.compared`.
    """
    return compared(segment(segmenter, images), requested, segmenter.config.structures, spacing)


def schema(frames):
    """The labels of frames with masks, name -> id."""
    if frames.masks is None:
        raise BadInput("these frames have no masks; prepare a data set that has them, e.g. with `echogan camus`")
    unknown = np.setdiff1d(np.flatnonzero(np.bincount(frames.masks.ravel())), list(frames.labels.values()))
    if len(unknown):
        raise BadInput(f"the masks have the label {unknown[0]}, which their labels.json does not name; add it")
    return dict(frames.labels)


def at(frames, resolution):
    """The default `Config` for frames, at `resolution` pixels."""
    return Config(schema(frames), resolution=resolution)


def _square(images):
    images = np.asarray(images)
    if images.ndim != 3 or images.dtype != np.uint8 or images.shape[1] != images.shape[2] or not len(images):
        raise BadInput(
            f"a segmenter takes square grey images uint8 (N, H, H), got {images.dtype} {images.shape}; pad them to squares"
        )
    return images


def _told(labels):
    return ", ".join(f"{code} {name}" for name, code in labels.items())
