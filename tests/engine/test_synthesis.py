"""Masks to labelled studies: which masks, in which mix, with what known of them; what the readers make of the result."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from echogan.cli import main
from echogan.config import Settings
from echogan.data.camus.study import open_camus
from echogan.data.frames import load_frames
from echogan.data.images import read_png, write_png
from echogan.engine.checkpoint import export, load_weights
from echogan.engine.feed import resized, sampled
from echogan.engine.fit import fit
from echogan.engine.judge import judge
from echogan.engine.synthesis import Wish, beside, draw, filled, recordings, several, synthesize
from echogan.errors import BadInput
from echogan.models import config_of, load
from echogan.preprocessing.labelled import write_camus, write_frames
from tests.preprocessing.hearts import CAMUS, hearts, labelled


@pytest.fixture(scope="module")
def frames():
    return labelled(hearts(24), splits=("TRAIN", "TRAIN", "TRAIN", "TRAIN", "VAL", "TEST"))


def weights(path, arch="spade", name="oasis", **origin):
    torch.manual_seed(0)
    model = load(arch).build(config_of(arch, name).tiny())
    export(path, model, {"arch": arch, "name": name, "kimg": "1", "data": "drawn hearts", **origin})
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return weights(tmp_path_factory.mktemp("run") / "spade.safetensors")


# ------------------------------------------------------------------------------------------------ masks


def test_a_recording_is_a_pair_unless_its_phases_are_wanted_apart(frames):
    assert recordings(frames.index).tolist()[:2] == [[0, 1], [2, 3]]
    assert recordings(frames.index, apart=True).shape == (48, 1)
    assert recordings(frames.index.drop(5)).shape == (47, 1)


def test_masks_as_they_are_come_from_the_split_in_turn(frames):
    drawn = draw(frames, Wish(n=20, per_mask=2))
    train = frames.split("TRAIN").masks.reshape(16, 2, 64, 64)
    pairs = drawn.masks.reshape(20, 2, 2, 64, 64)
    assert np.array_equal(pairs[:, 0], pairs[:, 1])  # two images of each
    found = [[(pair == old).all() for old in train].index(True) for pair in pairs[:, 0]]
    assert sorted(found[:16]) == list(range(16))
    rows = drawn.rows
    assert [row["phase"] for row in rows[:2]] == ["diastole", "systole"] and {row["split"] for row in rows} == {"TRAIN"}
    assert len({row["file"] for row in rows}) == 80 and len({row["patient"] for row in rows}) == 20
    assert rows[0]["EF"] == frames.split("TRAIN").index["EF"][2 * found[0]]


def test_the_mix_is_the_wish(frames):
    drawn = draw(frames, Wish(n=12, condition="view", mix={"4CH": 3, "2CH": 1}))
    assert [row["view"] for row in drawn.rows].count("4CH") == 18 and len(drawn.rows) == 24
    drawn = draw(frames, Wish(n=8, condition="phase", mix={"systole": 1}))
    assert {row["phase"] for row in drawn.rows} == {"systole"} and len(drawn.masks) == 8
    natural = draw(frames, Wish(n=16, condition="ef"))
    reduced = [row["EF"] < 40 for row in natural.rows if row["phase"] == "systole"]
    assert np.mean(reduced) == pytest.approx((frames.split("TRAIN").index["EF"] < 40).mean(), abs=0.1)


def test_of_a_new_shape_only_what_its_class_shares_is_known(frames):
    drawn = draw(frames, Wish(n=4, source="shapes", condition="view", mix={"2CH": 1}))
    assert {(row["view"], row["phase"]) for row in drawn.rows} == {("2CH", "diastole"), ("2CH", "systole")}
    assert not any("EF" in row for row in drawn.rows)


def test_equal_seeds_draw_equal_masks(frames):
    one, same, other = (draw(frames, Wish(n=3, source="augmented", seed=seed)).masks for seed in (1, 1, 2))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize(
    "wish, said",
    [
        (Wish(source="shape"), "did you mean 'shapes'"),
        (Wish(n=0), "at least 1"),
        (Wish(seed=-1), "seed must be 0 or more, got -1"),
        (Wish(condition="view", mix={"3CH": 1}), "no view '3CH'"),
        (Wish(condition="view", mix={"4CH": 0}), "must be positive"),
        (Wish(condition="weather"), "no condition"),
        (Wish(mix={"4CH": 3, "2CH": 1}), r"a mix \(4CH, 2CH\) .* --condition"),
    ],
)
def test_a_wish_that_cannot_be_met_is_one_sentence(frames, wish, said):
    with pytest.raises(BadInput, match=said):
        draw(frames, wish)


def test_masks_with_two_ventricles_are_named():
    frames = labelled(hearts(6))
    frames.masks[4][50:56, 8:14] = 1
    with pytest.raises(BadInput, match=r"p2_0\.png .* 2 pieces of left ventricle"):
        draw(frames, Wish())


# ------------------------------------------------------------------------------------------------ images


def test_image_i_follows_from_seed_and_mask_alone(run):
    model, _ = load_weights(run)
    masks = hearts(40, 32).reshape(-1, 32, 32)
    images, kept = filled(model, masks, seed=1)
    assert images.shape == kept.shape == (80, 32, 32) and images.dtype == kept.dtype == np.uint8
    assert np.array_equal(kept, masks) and np.array_equal(images, filled(model, masks, seed=1)[0])
    model = load("spade").build(replace(model.config, noise=3)).eval()  # a row of an odd number of draws
    assert np.array_equal(filled(model, masks[:5])[0], filled(model, masks[:9])[0][:5])
    many, _ = several(model, masks[:4], 3)
    assert many.shape == (3, 4, 32, 32) and not np.array_equal(many[0], many[1])


def test_a_synthetic_study_is_a_set_of_frames_that_says_so(frames, run, tmp_path):
    made = synthesize(run, frames, Wish(n=5, source="shapes", per_mask=2))
    write_frames(made, tmp_path / "out")
    read = load_frames(tmp_path / "out")
    assert np.array_equal(read.images, made.images) and np.array_equal(read.masks, made.masks)
    assert read.labels == CAMUS and read.kind == "synthetic, by spade/oasis trained on drawn hearts"
    assert read.index["patient"].nunique() == 5 and len(read) == 20 and read.index["EF"].isna().all()


def test_a_study_in_the_layout_of_camus_is_read_as_one(frames, run, tmp_path):
    made = synthesize(run, frames, Wish(n=4))
    write_camus(made, tmp_path / "camus")
    study = open_camus(tmp_path / "camus")
    assert len(study.views) == 4 and study.kind == made.kind
    clip = study.views[0].read()
    assert np.array_equal(clip.frames, made.images[:2])
    assert np.array_equal(clip.masks[1], np.where(made.masks[1] == 4, 0, made.masks[1]))
    assert clip.view == made.index["view"][0] and clip.ef == pytest.approx(made.index["EF"][0], abs=0.1)


@pytest.mark.parametrize("source", ["masks", "augmented", "shapes"])
def test_a_synthetic_picture_is_as_many_millimetres_wide_as_its_source(frames, run, tmp_path, source):
    known = replace(frames, index=frames.index.assign(spacing_mm=0.5))  # of 64 px: 32 mm
    made = synthesize(run, known, Wish(n=3, source=source))
    assert made.size == 32 and (made.size * made.index["spacing_mm"] == 32).all()
    if source == "masks":
        write_camus(made, tmp_path / "camus")
        clip = open_camus(tmp_path / "camus").views[0].read()
        assert clip.frames.shape[1] * clip.spacing_mm[0] == clip.frames.shape[2] * clip.spacing_mm[1] == 32


def test_single_frames_and_other_labels_do_not_fit_camus(frames, run, tmp_path):
    with pytest.raises(BadInput, match="no pair of diastole and systole"):
        write_camus(synthesize(run, frames, Wish(n=2, condition="phase")), tmp_path / "camus")
    heads = labelled((hearts(4)[:, :1] == 1).astype(np.uint8), {"background": 0, "head": 1})
    with pytest.raises(BadInput, match="CAMUS cannot hold them"):
        write_camus(heads, tmp_path / "camus")
    assert not (tmp_path / "camus").exists()


# ------------------------------------------------------------------------------------------------ the command


def test_the_command_writes_a_folder_and_one_line(frames, run, tmp_path, capsys):
    write_frames(frames, tmp_path / "masks")
    words = ["synthesize", run, str(tmp_path / "masks"), str(tmp_path / "out"), "--n", "3", "--source", "augmented"]
    assert main([*words, "--condition", "view", "--mix", "4CH=2", "2CH=1"]) == 0
    assert (
        "6 images with masks (augmented of the TRAIN split of drawn hearts, 2 of each recording)"
        in capsys.readouterr().out
    )
    assert sorted(load_frames(tmp_path / "out").index["view"]) == ["2CH"] * 2 + ["4CH"] * 4
    assert main([*words[:3], str(tmp_path / "camus"), "--layout", "camus-nifti", "--n", "2"]) == 0
    assert len(open_camus(tmp_path / "camus").views) == 2


def test_training_refuses_masks_that_its_labels_do_not_tell_before_anything_is_written(frames, tmp_path):
    spoilt = labelled(hearts(24), {**CAMUS, "right ventricle": 5}, splits=("TRAIN", "VAL", "TEST"))
    with pytest.raises(BadInput, match=r"has the label 5 \(right ventricle\)"):
        fit("spade", "oasis", spoilt, Settings(kimg=0.01, device="cpu"), config_of("spade", "oasis").tiny(), tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_a_run_knows_its_labels_is_judged_on_held_out_masks_and_fills_them(tmp_path):
    frames = labelled(hearts(60, 32), splits=("TRAIN", "VAL", "TEST"))
    run = fit("spade", "tiny", frames, Settings(kimg=0.02, device="cpu"), config_of("spade", "oasis").tiny(), tmp_path)
    _, header = load_weights(run.weights("best"))
    assert json.loads(header["labels"]) == CAMUS and header["config"]["labels"] == 5
    row = judge(run.path, frames, "TEST")
    assert row["n_fake"] == row["n_pairs"] == 40 and row["paired"] == "reconstruction"
    assert synthesize(run.path, frames, Wish(n=2, split="TEST")).images.shape == (4, 32, 32)


def refusal(capsys, *words):
    assert main(["synthesize", *map(str, words)]) == 1
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("echogan: ") and "Traceback" not in said
    return said


def test_what_cannot_be_is_one_sentence(frames, run, tmp_path, capsys):
    write_frames(frames, tmp_path / "masks")
    plain, out = tmp_path / "plain", tmp_path / "out"
    other = weights(tmp_path / "wgan.safetensors", "wgan", "demo")
    assert "is wgan, which makes no images of masks" in refusal(capsys, other, tmp_path / "masks", out)
    both = weights(tmp_path / "both.safetensors", "pix2pix", "both")
    assert "of the edges of a true image" in refusal(capsys, both, tmp_path / "masks", out)
    heads = weights(tmp_path / "heads.safetensors", labels='{"background": 0, "head": 1}')
    assert "was trained with the labels" in refusal(capsys, heads, tmp_path / "masks", out)
    assert "--mix wants class=share" in refusal(capsys, run, tmp_path / "masks", out, "--mix", "4CH")
    write_frames(frames, plain)
    (plain / "labels.json").unlink()
    assert "have no masks" in refusal(capsys, run, plain, out)
    spoil(tmp_path / "masks" / "masks" / "p0_0.png", lambda mask: mask[:50])
    assert "must be of one size" in refusal(capsys, run, tmp_path / "masks", out)
    spoil(tmp_path / "masks" / "masks" / "p0_0.png", lambda mask: np.full((64, 64), 9, np.uint8))
    assert "p0_0.png has the label 9" in refusal(capsys, run, tmp_path / "masks", out)
    assert not out.exists()


def test_an_out_that_cannot_be_is_refused_before_anything_is_made(frames, run, tmp_path, capsys, monkeypatch):
    (tmp_path / "sheet.png").mkdir()
    (tmp_path / "full").write_text("")
    monkeypatch.setattr("echogan.data.frames.load_frames", lambda *_: pytest.fail("masks were read"))
    for out, said in (("sheet.png", "is a folder"), ("full", "is not empty"), ("full/out", "full is a file")):
        assert said in refusal(capsys, run, tmp_path / "masks", tmp_path / out)


def spoil(path, change):
    write_png(path, change(read_png(path)))


def test_the_truth_beside_a_mask_is_the_image_of_that_mask(frames, run):
    shown = beside(run, frames, Wish(n=5, per_mask=2, split="TEST", seed=3))
    assert shown.made.shape == (2, 5, 32, 32) and shown.masks.shape == shown.real.shape == (5, 32, 32)
    test = frames.split("TEST")
    for mask, image in zip(shown.masks, shown.real):
        row = [(sampled(test.masks[[i]], 32)[0] == mask).all() for i in range(len(test))].index(True)
        assert np.array_equal(image, resized(test.images[[row]], 32)[0].numpy())
    assert beside(run, frames, Wish(n=2, source="shapes")).real is None


def test_a_picture_shows_masks_images_and_the_truth(frames, run, tmp_path, capsys):
    write_frames(frames, tmp_path / "masks")
    words = [run, str(tmp_path / "masks"), str(tmp_path / "sheet.png"), "--n", "3", "--per-mask", "2"]
    assert main(["synthesize", *words, "--split", "test"]) == 0
    assert "spade/oasis at 1 kimg on 3 masks" in capsys.readouterr().out
    assert (tmp_path / "sheet.png").stat().st_size > 5_000
