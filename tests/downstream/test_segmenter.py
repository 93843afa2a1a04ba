"""The segmenter: its loss, its augmentation, what it learns, and that it is trained like everything else."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from echogan.config import Settings
from echogan.contract import Batch
from echogan.data.images import read_png
from echogan.downstream import segmenter as unet
from echogan.downstream.masks import load_segmenter, train_segmenter
from echogan.downstream.segmenter import Config, Segmenter, affine, moved, soft_dice
from echogan.engine.feed import to_signed
from echogan.engine.fit import fit
from echogan.engine.recorder import Table
from echogan.errors import BadInput
from tests.downstream.conftest import SMALL
from tests.downstream.hearts import LABELS, hearts


def test_soft_dice_is_its_formula():
    torch.manual_seed(0)
    logits, target = torch.randn(3, 4, 6, 5, requires_grad=True), torch.randint(0, 3, (3, 6, 5))
    p, overlaps = logits.detach().softmax(1).numpy(), []
    for i in range(3):
        for c in range(4):  # class 3 is in no target
            y = (target[i] == c).numpy()
            overlaps.append((2 * (p[i, c] * y).sum() + 1) / (p[i, c].sum() + y.sum() + 1))
    loss = soft_dice(logits, target)
    assert loss.item() == pytest.approx(1 - np.mean(overlaps), rel=1e-5)
    loss.backward()
    assert logits.grad.abs().sum() > 0
    perfect = 50.0 * F.one_hot(target, 4).movedim(-1, 1)
    assert float(soft_dice(perfect, target)) == pytest.approx(0, abs=1e-6)


def test_picture_and_mask_move_together():
    mask = torch.from_numpy(hearts(8, 1, 1).masks[:16]).long()
    image = torch.where(mask == 1, 1.0, -1.0)[:, None]
    u = torch.linspace(-1, 1, 16)[torch.stack([torch.randperm(16) for _ in range(5)], 1)]
    pictures, masks = moved(image, mask, affine(u))
    there, painted = masks == 1, pictures[:, 0] > 0
    overlap = 2 * (there & painted).sum((1, 2)) / (there.sum((1, 2)) + painted.sum((1, 2)))
    assert overlap.min() > 0.9
    assert (masks != mask).float().mean() > 0.03 and set(masks.unique().tolist()) <= set(range(5))


def test_autocast_moves_no_pixel():
    image, mask, maps = torch.rand(4, 1, 64, 64), torch.randint(3, (4, 64, 64)), affine(2 * torch.rand(4, 5) - 1)
    with torch.autocast("cpu", torch.bfloat16):
        pictures, masks = moved(image, mask, maps)
    assert torch.equal(pictures, moved(image, mask, maps)[0]) and torch.equal(masks, moved(image, mask, maps)[1])


def test_affine_maps_are_a_turn_a_shear_a_scale_and_a_shift():
    maps = affine(torch.tensor([[1.0, 0, 0, 0, 0], [0, 0, 1, 1, -1]]))
    middle, most = np.mean(unet.SCALE), unet.SCALE[1]
    a = np.radians(unet.TURN)
    np.testing.assert_allclose(maps[0, :, :2] * middle, [[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]], rtol=1e-5)
    np.testing.assert_allclose(maps[1], [[1 / most, 0, 2 * unet.SHIFT], [0, 1 / most, -2 * unet.SHIFT]], rtol=1e-5)


def test_label_ids_need_not_be_neighbours():
    model = Segmenter(Config({"tissue": 9, "background": 0, "head": 200}, **{**SMALL, "augment": False}))
    batch = Batch({"image": torch.zeros(2, 1, 32, 32), "mask": torch.full((2, 32, 32), 9, dtype=torch.uint8)}, 2)
    with torch.no_grad():
        model.S.head.bias.copy_(torch.tensor([0.0, 50.0, 0.0]))
        model.S.head.weight.zero_()
    loss, stats = model.loss(batch)
    assert stats["cross_entropy"].item() == pytest.approx(0, abs=1e-6) and loss.item() < 1e-3
    assert set(model.masks(batch["image"]).unique().tolist()) == {9}


def test_it_learns_and_keeps_what_does_best_on_val(trained):
    run, _ = trained
    table = Table(run.metrics, ())
    errors = table.numbers("error")
    assert errors[0] > 0.5 and min(errors) < 0.12 and "Dice_left_ventricle" in table.columns
    assert run.read()["chosen_by"] == "error of the VAL readings" and run.read()["arch"] == "segmenter"
    assert read_png(sorted(run.samples.glob("*.png"))[-1]).std() > 20


def looked(frames, masks, monkeypatch):
    """What a run's reading says of a network that obtains these masks."""
    monkeypatch.setattr(unet, "applied", lambda function, images: masks)
    gallery = unet.Gallery(frames, Config(frames.labels, **SMALL), ("image", "mask"))
    return gallery.look(SimpleNamespace(masks=None), 0.0)[1]


def test_a_single_val_picture_has_no_variety_to_compare_and_is_read(monkeypatch):
    frames = hearts(2, 1, 1)
    one = frames.where(frames.index["file"] == "p2_diastole.png")
    row = looked(one, one.masks, monkeypatch)
    assert (row["n_real"], row["error"], row["variety"]) == (1, 0, 1)


def test_a_structure_that_val_has_not_counts_where_it_is_painted_alone(monkeypatch):
    frames = hearts(2, 3, 1)
    frames.labels["thrombus"] = 9
    truth = frames.split("VAL").masks
    painted = np.where(np.arange(32)[:, None] < 2, 9, truth)
    assert looked(frames, truth, monkeypatch)["error"] == 0
    assert looked(frames, painted, monkeypatch)["error"] > 0.2  # a Dice of 0 among those of at most five structures


def test_logits_are_differentiable_at_any_size(segmenter, trained):
    image = to_signed(torch.from_numpy(trained[1].images[:2]))
    image.requires_grad_()
    own = segmenter.logits(image)
    assert own.shape == (2, 5, 32, 32)
    own[:, 1].sum().backward()
    assert image.grad.abs().sum() > 0 and not any(p.requires_grad for p in segmenter.parameters())
    with torch.no_grad():
        larger = F.interpolate(image, (48, 48), mode="bilinear")
        there = F.interpolate(larger, (32, 32), mode="bilinear", antialias=True)
        expected = F.interpolate(segmenter.S(there), (48, 48), mode="bilinear")
        torch.testing.assert_close(segmenter.logits(larger), expected)


def test_a_resumed_run_equals_an_unbroken_one(tmp_path):
    frames, config = hearts(8, 2, 2), Config(LABELS, **SMALL)
    runs = []
    for name, stops in (("whole", (0.128,)), ("broken", (0.064, 0.128))):
        for kimg in stops:
            settings = Settings(kimg=kimg, device="cpu", row_kimg=0.032)
            runs.append(train_segmenter(frames, name, settings, config, tmp_path))
    whole, broken = (load_segmenter(run.weights("last")) for run in (runs[0], runs[-1]))
    for (key, a), b in zip(whole.state_dict().items(), broken.state_dict().values()):
        assert torch.equal(a, b), key
    with pytest.raises(BadInput, match="made otherwise"):
        fit(
            unet, "whole", frames, Settings(kimg=0.128, device="cpu"), Config(LABELS, **{**SMALL, "width": 4}), tmp_path
        )
