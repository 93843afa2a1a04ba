"""Images made of images: of any picture, in order, written with their names; and judged as what they are."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from echogan import models
from echogan.data.frames import save_index
from echogan.data.images import read_png, write_png
from echogan.engine import checkpoint
from echogan.engine.judge import judge
from echogan.engine.sampling import Wanted
from echogan.engine.source import frames_of
from echogan.engine.translating import PANELS, inputs_of, sheet, translated, write_translations
from echogan.errors import BadInput
from echogan.metrics import jpeg2000
from tests.conftest import blobs, framed


def weights(tmp_path, arch, name, kimg="1", **changes):
    """Untrained weights of a tiny config, as training exports them."""
    torch.manual_seed(0)
    model = models.load(arch).build(replace(models.config_of(arch, name).tiny(), **changes))
    if arch == "vqgan":
        with torch.no_grad():
            model.vq.book.codes.normal_(0, 0.1)
    path = tmp_path / f"{arch}_{name}.safetensors"
    checkpoint.export(path, model, {"arch": arch, "name": name, "kimg": kimg, "data": "test blobs"})
    return path, model.eval()


def with_masks(frames):
    """The same frames with masks of two labels."""
    return replace(frames, masks=frames.images // 128, labels={"none": 0, "blob": 1})


def test_every_row_is_translated_in_order(tmp_path):
    _, model = weights(tmp_path, "vqgan", "grid16")
    frames = framed(70, 2, 2)  # more than a block
    images = translated(model, inputs_of(model, frames))
    assert images.shape == (74, 32, 32)
    part = frames.where(np.arange(74) >= 66)
    few = translated(model, inputs_of(model, part))
    assert (images[66:].int() - few.int()).abs().max() <= 1


def test_pictures_come_back_under_their_names(tmp_path):
    path, _ = weights(tmp_path, "vqgan", "phase", classes=2, condition="phase")  # pictures have no phase
    for i, image in enumerate(blobs(5, 48)):
        write_png(tmp_path / "in" / f"heart{i}.png", image)
    header, row = write_translations(path, frames_of(tmp_path / "in"), tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"manifest.json", *(f"heart{i}.png" for i in range(5))}
    manifest = json.loads((tmp_path / "out/manifest.json").read_text())
    assert manifest["n"] == 5 and manifest["SSIM"] == pytest.approx(row["SSIM"]) and header["name"] == "phase"
    assert read_png(tmp_path / "out/heart0.png").shape == (32, 32)


def test_edges_are_those_of_the_input_and_dropout_is_a_choice(tmp_path):
    path, _ = weights(tmp_path, "pix2pix", "edges")
    frames = framed(8, 2, 2)
    write_translations(path, frames, tmp_path / "still")
    write_translations(path, frames, tmp_path / "noisy", Wanted(choices={"noise": "dropout"}))
    still, noisy = (read_png(tmp_path / name / "p0_f0.png") for name in ("still", "noisy"))
    assert not np.array_equal(still, noisy)
    with pytest.raises(BadInput, match="no choice 'nois'"):
        write_translations(path, frames, tmp_path / "x", Wanted(choices={"nois": "dropout"}))
    assert not (tmp_path / "x").exists()


def test_a_sheet_shows_what_a_folder_would_hold(tmp_path):
    path, _ = weights(tmp_path, "pix2pix", "edges")
    frames, noisy = framed(8, 4, 4), Wanted(choices={"noise": "dropout"})
    write_translations(path, frames, tmp_path / "noisy", noisy)
    for name, wanted in (("still", Wanted()), ("noisy", noisy)):
        write_translations(path, frames, tmp_path / f"{name}.png", wanted)
    still, noisy = (read_png(tmp_path / f"{name}.png") for name in ("still", "noisy"))
    assert not np.array_equal(still, noisy) and noisy.shape[0] == 6 * 33 - 1  # 12 of 16, two abreast
    assert np.array_equal(noisy[:32, 33:65], read_png(tmp_path / "noisy/p0_f0.png"))


def test_a_sheet_keeps_no_graph_and_makes_only_what_it_shows(tmp_path, monkeypatch):
    _, model = weights(tmp_path, "cyclegan", "plain")
    panels = type(model).panel

    def panel(self, batch):
        before, after = panels(self, batch)
        assert len(batch["image"]) == PANELS and not torch.is_grad_enabled()
        return before, after

    monkeypatch.setattr(type(model), "panel", panel)
    feed = inputs_of(model, framed(20, 2, 2))
    assert sheet(model, feed, torch.zeros(24, 32, 32, dtype=torch.uint8)).shape == (6 * 33 - 1, 6 * 33 - 1)


def test_a_reconstruction_has_no_temperature(tmp_path):
    path, _ = weights(tmp_path, "vqgan", "grid16")
    with pytest.raises(BadInput, match="temperature is for images from the prior"):
        write_translations(path, framed(), tmp_path / "out", Wanted(choices={"temperature": 0.5}))


def test_masks_of_another_kind_are_refused(tmp_path):
    path, _ = weights(tmp_path, "pix2pix", "masks", labels=4)
    with pytest.raises(BadInput, match="these masks have 2 labels, the model was trained with 4"):
        write_translations(path, with_masks(framed()), tmp_path / "out")
    with pytest.raises(BadInput, match="have no masks"):
        write_translations(path, framed(), tmp_path / "out")


def test_masks_whose_labels_mean_something_else_are_refused(tmp_path):
    learnt = '{"background": 0, "head": 1}'
    path, _ = weights(tmp_path, "pix2pix", "masks", labels=2)
    model, header = checkpoint.load_weights(path)
    checkpoint.export(path, model, {**header, "kimg": "1", "config": "", "labels": learnt})
    frames = with_masks(framed(32, 2, 24))
    for use in (lambda: write_translations(path, frames, tmp_path / "out"), lambda: judge(path, frames, "TEST")):
        with pytest.raises(BadInput, match=r"was trained with the labels .*head.*, the masks have .*blob"):
            use()
    alike = replace(frames, labels={"head": 1, "background": 0})
    write_translations(path, alike, tmp_path / "out.png")
    assert judge(path, alike, "TEST")["n_pairs"] == 24 and not (tmp_path / "out").exists()


def test_a_truncation_is_no_choice_of_a_translation(tmp_path):
    path, _ = weights(tmp_path, "pix2pix", "edges")
    with pytest.raises(BadInput, match="truncation is no choice"):
        write_translations(path, framed(8, 2, 2), tmp_path / "out", Wanted(choices={"truncation": 0.5}))


def test_an_out_that_cannot_be_is_refused_before_anything_is_made(tmp_path, monkeypatch):
    (tmp_path / "sheet.png").mkdir()
    (tmp_path / "full").write_text("")
    monkeypatch.setattr("echogan.engine.translating.load_weights", lambda *_: pytest.fail("weights were read"))
    for out, said in (("sheet.png", "is a folder"), ("full", "is not empty"), ("full/out", "full is a file")):
        with pytest.raises(BadInput, match=said):
            write_translations("none.safetensors", framed(), tmp_path / out)


def test_oblong_pictures_are_refused(tmp_path):
    path, _ = weights(tmp_path, "vqgan", "grid16")
    for i in range(4):
        write_png(tmp_path / "in" / f"{i}.png", blobs(1, 48)[0][:32])
    with pytest.raises(BadInput, match="48 x 32 pixels; make them square"):
        write_translations(path, frames_of(tmp_path / "in"), tmp_path / "out")


def test_who_only_generates_translates_nothing(tmp_path):
    path, _ = weights(tmp_path, "wgan", "gp")
    with pytest.raises(BadInput, match="it translates none"):
        write_translations(path, framed(), tmp_path / "out")


# ------------------------------------------------------------------------------------------------ judged


def test_reconstructions_are_judged_by_their_originals_beside_jpeg_2000(tmp_path):
    path, model = weights(tmp_path, "vqgan", "grid16", kimg="0.01")  # before its prior
    frames = framed(32, 2, 24)
    row = judge(path, frames, "TEST")
    assert (row["stage"], row["paired"], row["n_pairs"], row["n_fake"]) == ("translate", "reconstruction", 24, 24)
    test = frames.split("TEST")
    again = translated(model, inputs_of(model, test)).numpy()
    error = np.square(again.astype(float) - test.images).mean((1, 2))
    assert row["PSNR"] == pytest.approx(np.mean(10 * np.log10(255**2 / error)), rel=1e-3)
    assert row["bits"] == 16 * 5  # 4 x 4 tokens of 32 codes
    kept, used = jpeg2000.at_bits(test.images, 80)
    error = np.square(kept.astype(float) - test.images).mean((1, 2))
    assert row["JPEG2000_PSNR"] == pytest.approx(np.mean(10 * np.log10(255**2 / error)), rel=1e-3)
    assert row["JPEG2000_bits"] == used.mean()


def test_a_run_of_two_stages_is_judged_by_either(tmp_path):
    path, _ = weights(tmp_path, "vqgan", "grid16", kimg="1")
    frames = framed(32, 2, 24)
    rows = [judge(path, frames, "TEST", wanted=Wanted(stage=stage)) for stage in ("", "generate", "translate")]
    assert [row["stage"] for row in rows] == ["generate", "generate", "translate"]
    assert [row["paired"] for row in rows] == ["diversity", "diversity", "reconstruction"]
    assert "bits" not in rows[1]


def test_a_translator_is_judged_by_its_goals(tmp_path):
    path, _ = weights(tmp_path, "pix2pix", "masks", labels=2)
    frames = with_masks(framed(32, 2, 24))
    row = judge(path, frames, "TEST", n=20)
    assert (row["stage"], row["paired"], row["n_pairs"]) == ("translate", "reconstruction", 20)
    assert "JPEG2000_SSIM" not in row
    with pytest.raises(BadInput, match="use `echogan reconstruct`"):
        judge(path, frames, "TEST", wanted=Wanted(stage="generate"))


def test_who_only_generates_is_not_judged_by_reconstructions(tmp_path):
    path, _ = weights(tmp_path, "wgan", "gp")
    with pytest.raises(BadInput, match="wgan/gp aims at no true image"):
        judge(path, framed(32, 2, 24), "TEST", wanted=Wanted(stage="translate"))


def test_frames_on_disk_are_taken_as_they_are(tmp_path):
    path, _ = weights(tmp_path, "pix2pix", "edges")
    frames = framed(8, 2, 2)
    for name, image in zip(frames.index["file"], frames.images):
        write_png(tmp_path / "frames/images" / name, image)
    save_index(tmp_path / "frames", frames.index, frames.manifest)
    write_translations(path, frames_of(tmp_path / "frames"), tmp_path / "out.png")
    assert read_png(tmp_path / "out.png").shape[1] == 6 * 33 - 1  # edges, image, goal; two abreast
