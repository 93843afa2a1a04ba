"""Scores of every discriminator, whose means and differences are taken: never rounded to the type of autocast."""

import pytest
import torch

from echogan.layers import dcgan, judges, spade, stylegan2

JUDGES = {
    "critic": lambda x: [dcgan.Critic(32, 4)(x)],
    "stylegan2": lambda x: [stylegan2.Discriminator(32, 128, reduced=2)(x)],
    "patch": lambda x: (*(verdict := judges.PatchJudge(4, 2, 3)(x)).maps, verdict.classes),
    "unet": lambda x: (*(verdict := judges.UNetJudge(4, 2, 3)(x)).maps, verdict.classes),
    "scales": lambda x: [features[-1] for features in spade.Patches(1, 4, 3, 2)(x)],
    "segmenter": lambda x: [spade.Segmenter(32, 3, 4)(x)],
}


@pytest.mark.parametrize("name", JUDGES)
def test_scores_are_float32_under_autocast(name):
    with torch.autocast("cpu", torch.bfloat16):
        scores = JUDGES[name](torch.rand(4, 1, 32, 32))
    assert scores and all(each.dtype == torch.float32 for each in scores)
    assert not any(torch.equal(each, each.bfloat16().float()) for each in scores)
