"""Masks beside their images: every column named, the true image where there is one, structures told apart by colour."""

import numpy as np

from echogan.engine.synthesis import Beside
from echogan.report.masks import figure, palette
from tests.preprocessing.hearts import CAMUS, hearts
from tests.report.test_figures import words


def pictures(real):
    masks = hearts(3)[:, 0]
    told = ("spade/oasis at 8 kimg", "synthetic phantom", "VAL", "synthetic phantom", "a CPU")
    return Beside(masks, np.stack([masks * 50] * 2), masks * 50 if real else None, CAMUS, *told)


def test_columns_are_mask_synthetic_and_real():
    drawn = figure(pictures(real=True))
    assert [ax.get_title() for ax in drawn.axes[:4]] == ["mask", "synthetic 1", "synthetic 2", "real"]
    assert len(drawn.axes) == 12 and "spade/oasis at 8 kimg" in words(drawn)
    assert len(figure(pictures(real=False)).axes) == 9


def test_the_caption_says_whose_masks_they_are_at_what_size_and_where_images_were_made():
    caption = figure(pictures(real=True)).get_supxlabel().replace("\n", " ")
    assert caption.startswith("Masks: 3 of synthetic phantom (simulated, not echocardiograms), VAL. Trained on: ")
    assert f"{hearts(3).shape[-1]} px. Hardware: a CPU. Colours: outside black, " in caption


def test_every_structure_has_its_own_colour():
    colours = palette(CAMUS)[list(CAMUS.values())]
    assert len(np.unique(colours, axis=0)) == 5 and not colours[0].any()
