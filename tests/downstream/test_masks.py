"""Handing a segmenter around: sizes, schemas, weights, requested against obtained."""

import json

import cv2
import numpy as np
import pytest
import torch
from safetensors import safe_open

from echogan.config import Settings
from echogan.downstream.masks import at, features, load_segmenter, obtained, segment, train_segmenter
from echogan.downstream.segmenter import Config
from echogan.engine.checkpoint import export
from echogan.errors import BadInput
from echogan.metrics.segmentation import dice
from echogan.models import wgan
from tests.conftest import framed
from tests.downstream.conftest import SMALL
from tests.downstream.hearts import LABELS, hearts, rendered


def test_masks_are_of_the_images_own_size(segmenter, trained):
    test = trained[1].split("TEST")
    masks = segment(segmenter, test.images)
    assert masks.dtype == np.uint8 and masks.shape == test.images.shape
    assert dice(masks == 1, test.masks == 1).mean() > 0.88
    larger = np.stack([cv2.resize(image, (80, 80), interpolation=cv2.INTER_LINEAR) for image in test.images])
    truth = np.stack([cv2.resize(mask, (80, 80), interpolation=cv2.INTER_NEAREST_EXACT) for mask in test.masks])
    again = segment(segmenter, larger)
    assert again.shape == larger.shape and dice(again == 1, truth == 1).mean() > 0.85


def test_one_image_has_one_mask_whatever_else_is_segmented(segmenter, trained):
    images = trained[1].images[:70]
    assert (segment(segmenter, images)[66:] == segment(segmenter, images[66:])).all()
    assert features(segmenter, images).shape == (len(images), 32)


def test_images_that_are_no_squares_are_refused(segmenter):
    for images in (np.zeros((2, 32, 48), np.uint8), np.zeros((2, 32, 32), np.float32), np.zeros((32, 32), np.uint8)):
        with pytest.raises(BadInput, match="takes square grey images uint8"):
            segment(segmenter, images)


def test_the_schema_is_in_the_header_and_another_one_is_refused(trained):
    run, frames = trained
    with safe_open(run.weights("best"), "pt") as file:
        assert json.loads(file.metadata()["config"])["structures"] == LABELS
    assert load_segmenter(run.weights("best"), labels=frames.labels).config.structures == LABELS
    with pytest.raises(BadInput, match=r"best.safetensors names 0 outside, .* but the masks have 0 background, 1 head"):
        load_segmenter(run.path, labels={"background": 0, "head": 1})


def test_weights_of_a_generator_are_refused(tmp_path):
    torch.manual_seed(0)
    origin = {"arch": "wgan", "name": "demo", "kimg": "1", "data": "test"}
    export(tmp_path / "g.safetensors", wgan.build(wgan.CONFIGS["demo"].tiny()), origin)
    with pytest.raises(BadInput, match="holds a wgan, not a segmenter"):
        load_segmenter(tmp_path / "g.safetensors")


def test_frames_that_cannot_train_one_are_refused(tmp_path):
    frames, settings = hearts(4, 1, 1), Settings(kimg=0.1, device="cpu")
    with pytest.raises(BadInput, match="have no masks"):
        train_segmenter(framed(), "a", settings, experiments=tmp_path)
    with pytest.raises(BadInput, match="is to name 0 background, 1 head, but the frames have 0 outside"):
        train_segmenter(frames, "a", settings, Config({"background": 0, "head": 1}, **SMALL), tmp_path)
    with pytest.raises(BadInput, match="multiple of 16 pixels, got 40"):
        at(frames, 40)
    frames.masks[0, 0, 0] = 77
    with pytest.raises(BadInput, match="the label 77, which"):
        train_segmenter(frames, "a", settings, experiments=tmp_path)
    assert not list(tmp_path.iterdir())


def test_requested_and_obtained_masks_agree_for_images_that_obey(segmenter):
    requested = hearts(1, 1, 12, seed=9).split("TEST").masks
    images = rendered(requested, np.random.default_rng(1))
    obedient = obtained(segmenter, images, requested, spacing=0.5)
    disobedient = obtained(segmenter, images, np.roll(requested, 6, axis=2))
    assert obedient["Dice_left_ventricle"].mean() > 0.88 > 0.7 > disobedient["Dice_left_ventricle"].mean()
    assert obedient["HD95_left_ventricle"].mean() < 1.5 and len(obedient) == len(images)
