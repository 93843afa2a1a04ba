"""The latent tools on a small StyleGAN2: what is measured on images, found by gradients or taken from weights."""

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from echogan.cli import main
from echogan.data.frames import save_index
from echogan.data.images import write_png
from echogan.downstream import segmenter
from echogan.encoders.lpips import Lpips
from echogan.engine.checkpoint import export
from echogan.errors import BadInput
from echogan.latent import directions as latent
from echogan.latent.project import likeness, nearest_frames, normalised, project, rate
from echogan.latent.space import Space, mixed, neighbours, open_space, sweep
from echogan.models import wgan
from tests.conftest import framed
from tests.latent.conftest import model


@pytest.fixture
def space():
    return Space(model())


@pytest.fixture(scope="module")
def lpips():
    """The network of LPIPS with weights at random: no file is needed, and distances still mean something."""
    rng = torch.Generator().manual_seed(0)
    shapes = {0: (8, 3, 11), 3: (8, 8, 5), 6: (8, 8, 3), 8: (8, 8, 3), 10: (8, 8, 3)}
    alexnet = {f"features.{n}.weight": torch.randn(o, i, k, k, generator=rng) / k for n, (o, i, k) in shapes.items()}
    alexnet |= {f"features.{n}.bias": torch.zeros(o) for n, (o, _, _) in shapes.items()}
    heads = {f"lin{i}.model.1.weight": torch.full((1, 8, 1, 1), 0.2) for i in range(5)}
    return Lpips(alexnet, heads).eval()


# ------------------------------------------------------------------------------------------------ the space


def test_a_seed_is_one_image_whatever_is_drawn_beside_it(space):
    assert torch.allclose(space.of_seeds([7, 3])[1], space.of_seeds([3])[0], atol=1e-6)
    assert np.array_equal(space.draw(space.of_seeds([3])), space.draw(space.of_seeds([3])))
    assert not torch.allclose(space.of_seeds([3]), space.of_seeds([4]))


def test_truncation_leads_from_the_mean_to_the_image_itself(space):
    strip = sweep(space, [1, 2], [0.0, 0.5, 1.0])
    assert strip.shape == (2, 3, 32, 32)
    assert np.array_equal(strip[0, 0], strip[1, 0]) and np.array_equal(strip[:, 2], space.draw(space.of_seeds([1, 2])))
    assert np.array_equal(strip[:, 1], space.draw(space.of_seeds([1, 2], truncation=0.5)))


def test_mixing_a_seed_with_itself_changes_nothing_and_the_border_says_who_decides(space):
    table = mixed(space, [1, 2], [2, 3], border=4)
    assert table.shape == (2, 2, 32, 32)
    assert np.array_equal(table[1, 0], space.draw(space.of_seeds([2]))[0])
    row, column = (space.layered(space.of_seeds([s]))[0] for s in (1, 3))
    assert np.array_equal(table[0, 1], space.draw(torch.cat([row[:4], column[4:]])[None])[0])
    with pytest.raises(BadInput, match="1 to 7, got 8"):
        mixed(space, [1], [2], border=8)


def test_the_nearest_real_frame_of_a_copy_is_its_original(space):
    frames = framed(48, 8, 8)
    rng = np.random.default_rng(0)
    frames.images = rng.integers(0, 255, frames.images.shape, dtype=np.uint8)
    frames.images[17] = space.draw(space.of_seeds([5]))[0]
    samples, close, distance, rows = neighbours(space, [5, 6], frames)
    assert rows["file"].iloc[0] == frames.index["file"][17] and distance[0] < 0.01 < distance[1]
    assert np.array_equal(close[0], samples[0])


def test_other_families_and_classes_are_told():
    with pytest.raises(BadInput, match="WGAN has no latent space W"):
        Space(wgan.build(wgan.CONFIGS["demo"].tiny()))
    with pytest.raises(BadInput, match="one latent space for each class"):
        Space(model(classes=2))
    assert Space(model(classes=2), label=1).of_seeds([0]).shape == (1, 16)


def test_a_class_is_chosen_by_its_name_and_named_where_none_is_chosen(conditional, weights):
    (end, _), (start, _) = (open_space(conditional, label=name) for name in ("systole", "diastole"))
    assert (end.label, start.label) == (1, 0)
    assert not torch.allclose(end.of_seeds([0]), start.of_seeds([0]))
    with pytest.raises(BadInput, match=r"choose one by --label \(in a notebook: label\): diastole, systole$"):
        open_space(conditional)
    with pytest.raises(BadInput, match="has no class 'sistole'; did you mean 'systole'"):
        open_space(conditional, label="sistole")
    with pytest.raises(BadInput, match=r"trained without conditions.* has no class 'systole'; leave the label out"):
        open_space(weights, label="systole")


# ------------------------------------------------------------------------------------------------ directions


def test_the_first_direction_moves_styles_most_of_all_unit_vectors(space):
    found = latent.directions(space, k=16)
    styles = [layer.style for block in space.G.blocks for layer in (block.up, block.conv) if layer is not None]
    moved = lambda d: sum((s(d[None]) - s(torch.zeros(1, 16))).square().sum().item() for s in styles)  # noqa: E731
    strengths = [moved(d) for d in found.vectors]
    assert np.allclose(strengths, found.strengths, rtol=1e-3) and strengths == sorted(strengths, reverse=True)
    random = torch.nn.functional.normalize(torch.randn(50, 16, generator=torch.Generator().manual_seed(1)))
    assert max(moved(d) for d in random) < strengths[0]
    assert torch.allclose(found.vectors @ found.vectors.T, torch.eye(16), atol=1e-5)


def test_strips_move_only_the_layers_of_their_part(space):
    coarse, fine = (latent.directions(space, 2, part) for part in ("coarse", "fine"))
    assert (coarse.layers, fine.layers) == (slice(0, 2), slice(5, 8))
    strips = latent.strips(space, coarse, [0, 1], steps=(-2, 0, 2))
    assert strips.shape == (2, 2, 3, 32, 32)
    still = space.draw(space.of_seeds([0, 1], 0.7))
    assert np.array_equal(strips[0, :, 1], still) and not np.array_equal(strips[0, :, 0], still)
    with pytest.raises(BadInput, match="part must be one of all, coarse"):
        latent.directions(space, 2, "top")


def test_effects_are_changes_against_the_unmoved_image():
    pictures = np.zeros((1, 2, 3, 8, 8), np.uint8)
    pictures[0, 0], pictures[0, 1] = np.array([10, 20, 40])[:, None, None], np.array([0, 10, 50])[:, None, None]
    pictures[0, :, 2, :4] = 200  # half of the image
    masks = latent.left_ventricle(lambda images: (images > 100).astype(np.uint8) * 3, {"left ventricle": 3})
    table = latent.effects(pictures, {"brightness": latent.brightness, "LV area (%)": masks})
    assert table["brightness"].tolist() == [[-10.0, 0.0, (120 - 20 + 125 - 10) / 2]]
    assert table["LV area (%)"].tolist() == [[0.0, 0.0, 50.0]]


def heart(radius, size=48):
    """Label ids of a round ventricle (1) over an atrium (2); a radius of 0 leaves the ventricle out."""
    y, x = np.mgrid[:size, :size]
    mask = 2 * (np.hypot(y - 40, x - 24) < 6).astype(np.uint8)
    mask[np.hypot(y - 18, x - 24) < radius] = 1
    return mask


def test_ejected_is_the_share_of_the_unmoved_ventricle():
    """A sphere of 3/4 the radius has ejected 1 - 27/64 of its volume; what has no ventricle says nothing."""
    pictures = np.stack([heart(r) for r in (16, 12, 9, 0, 12, 9)]).reshape(1, 2, 3, 48, 48)
    volumes = latent.ventricle_volume(lambda images: images, {"left ventricle": 1, "left atrium": 2})
    values = latent.ejected(pictures, volumes)
    assert values.shape == (1, 3) and values[0, 1] == 0
    assert values[0, 2] == pytest.approx(100 * (1 - (9 / 12) ** 3), abs=4)
    assert values[0, 0] == pytest.approx(100 * (1 - (16 / 12) ** 3), abs=8)


# ------------------------------------------------------------------------------------------------ projection


def test_likeness_sees_a_picture_in_the_noise_and_not_noise():
    rng = torch.Generator().manual_seed(0)
    noise = torch.randn(1, 32 * 32, generator=rng)
    smooth = torch.sin(torch.arange(32.0) / 5).repeat(32, 1).reshape(1, -1)
    assert likeness(normalised(noise, [32]), [32]) < 0.05 < 1 < likeness(normalised(smooth, [32]), [32])
    flat = normalised(3 * noise + 5, [32])
    assert flat.mean().abs() < 1e-5 and abs(flat.square().mean() - 1) < 1e-4


def test_likeness_is_the_formula_at_one_scale():
    noise = torch.randn(1, 8, 8, generator=torch.Generator().manual_seed(0))
    right = np.mean([noise[0, y, x] * noise[0, y, x - 1] for y in range(8) for x in range(8)])
    below = np.mean([noise[0, y, x] * noise[0, y - 1, x] for y in range(8) for x in range(8)])
    assert likeness(noise.reshape(1, -1), [8]).item() == pytest.approx(right**2 + below**2, rel=1e-5)


def test_the_rate_rises_stays_and_falls():
    assert [round(rate(t), 3) for t in (0.0, 0.025, 0.05, 0.5, 0.75, 0.875, 1.0)] == [0, 0.5, 1, 1, 1, 0.5, 0]


def test_a_generated_image_is_found_again(space, lpips):
    targets = space.draw(space.of_seeds([1, 2], 0.7))
    mean = space.draw(space.G.w_mean[None].repeat(2, 1))
    before = lpips.between(torch.from_numpy(mean), torch.from_numpy(targets)).numpy()
    steps = []
    found = project(space, targets, lpips, steps=20, callback=lambda done, total: steps.append((done, total)))
    assert found.ws.shape == (2, 8, 16) and found.images.shape == (2, 32, 32) and steps[-1] == (20, 20)
    assert (found.distance < 0.85 * before).all()
    assert torch.equal(found.ws[:, 0], found.ws[:, 5])
    plus = project(space, targets, lpips, steps=10, plus=True)
    assert not torch.equal(plus.ws[:, 0], plus.ws[:, 5])
    with pytest.raises(BadInput, match="10 steps or more"):
        project(space, targets, lpips, steps=5)


def test_the_nearest_frame_by_lpips_is_the_frame_itself(lpips):
    gallery = framed(48).images
    near, distance = nearest_frames(gallery[[4, 30]], gallery, lpips)
    assert np.array_equal(near, gallery[[4, 30]]) and np.allclose(distance, 0, atol=1e-6)


@pytest.mark.parametrize(
    "look, said",
    [
        (lambda space: mixed(space, [], [1]), "no seed"),
        (lambda space: sweep(space, [], [1.0]), "no seed"),
        (lambda space: sweep(space, [1], []), "no truncation"),
        (lambda space: sweep(space, [1], [float("nan")]), "truncation is a number"),
        (lambda space: mixed(space, [1], [2], truncation=float("inf")), "truncation is a number"),
        (lambda space: neighbours(space, [], None), "no seed"),
        (lambda space: latent.directions(space, 0), "k must be 1 or more, got 0"),
        (lambda space: latent.strips(space, latent.directions(space, 1), []), "no seed"),
        (lambda space: project(space, np.zeros((0, 32, 32), np.uint8), None), "no frame"),
    ],
)
def test_nothing_is_not_looked_at(space, look, said):
    with pytest.raises(BadInput, match=said):
        look(space)


def test_a_generator_of_two_resolutions_has_no_middle_ones():
    small = Space(model(resolution=8))
    with pytest.raises(BadInput, match="8 px has no middle part; take all, coarse or fine"):
        latent.directions(small, 1, "middle")
    assert latent.directions(small, 1, "coarse").layers == slice(0, 2)


# ------------------------------------------------------------------------------------------------ the commands


@pytest.fixture
def folder(tmp_path, frames):
    for name, image in zip(frames.index["file"], frames.images):
        write_png(tmp_path / "frames" / "images" / name, image)
    save_index(tmp_path / "frames", frames.index, frames.manifest)
    return tmp_path / "frames"


def run(*words):
    return main([str(word) for word in words])


def test_pictures_of_the_space(weights, folder, tmp_path, capsys):
    assert run("latent", "mix", weights, tmp_path / "mix.png", "--coarse", 0, 1, "--fine", 2, 3) == 0
    assert run("latent", "truncation", weights, tmp_path / "psi.png", "--n", 2, "--values", 0, 1) == 0
    assert run("latent", "directions", weights, tmp_path / "d.png", "--k", 1, "--part", "fine") == 0
    assert run("latent", "nearest", weights, folder, tmp_path / "near.png", "--n", 3) == 0
    assert all((tmp_path / name).stat().st_size > 3000 for name in ("mix.png", "psi.png", "d.png", "near.png"))
    assert capsys.readouterr().out.count("\n") == 4
    for words in (["mix"], ["truncation"], ["directions"], ["nearest", weights.parent]):  # before anything is opened
        assert run("latent", words[0], "nosuch", *words[1:], tmp_path / "mix.jpg") == 1
        assert "neither .png nor .pdf" in capsys.readouterr().err


def test_every_command_opens_a_conditional_run_by_the_name_of_a_class(
    conditional, folder, tmp_path, monkeypatch, lpips, capsys
):
    monkeypatch.setattr("echogan.encoders.lpips.lpips", lambda device="cpu": lpips)
    commands = (
        ("latent", "mix", conditional, tmp_path / "mix.png", "--coarse", 0, "--fine", 2),
        ("latent", "truncation", conditional, tmp_path / "psi.png", "--n", 1, "--values", 1),
        ("latent", "directions", conditional, tmp_path / "d.png", "--k", 1),
        ("latent", "nearest", conditional, folder, tmp_path / "near.png", "--n", 1),
        ("project", conditional, folder, tmp_path / "out", "--n", 1, "--steps", 10, "--device", "cpu"),
    )
    for words in commands:
        assert run(*words) == 1 and "diastole, systole" in capsys.readouterr().err
        assert run(*words, "--label", "systole") == 0, words


def test_directions_say_what_they_change_where_there_is_a_segmenter(weights, tmp_path):
    labels = {"outside": 0, "left ventricle": 1, "left atrium": 2}
    finder = segmenter.Segmenter(segmenter.Config(labels, width=2, levels=2, resolution=32))
    export(tmp_path / "finder.safetensors", finder, {"arch": "segmenter", "name": "tiny", "kimg": "1", "data": "blobs"})
    words = ("--k", 2, "--segmenter", tmp_path / "finder.safetensors")
    assert run("latent", "directions", weights, tmp_path / "d.png", *words) == 0
    assert (tmp_path / "d_effects.png").stat().st_size > 3000


def test_project(weights, folder, tmp_path, capsys, monkeypatch, lpips):
    monkeypatch.setattr("echogan.encoders.lpips.lpips", lambda device="cpu": lpips)
    words = ("project", weights, folder, tmp_path / "out", "--n", 3, "--steps", 12, "--device", "cpu")
    assert run(*words) == 0
    assert "3 test frames in stylegan2_ada/tiny: LPIPS" in capsys.readouterr().out
    table = pd.read_csv(tmp_path / "out" / "distances.csv")
    assert list(table) == ["file", "patient", "LPIPS", "LPIPS_nearest"] and len(table) == 3
    found = load_file(tmp_path / "out" / "latents.safetensors")
    assert found["w"].shape == (3, 8, 16) and all(
        (tmp_path / "out" / f"{n}.png").is_file() for n in ("sheet", "figure")
    )
    monkeypatch.setattr("echogan.latent.write.project", lambda *_: pytest.fail("something was looked for"))
    assert run(*words) == 1 and "is not empty" in capsys.readouterr().err
    assert run(*words[:3], tmp_path / "none", "--n", 0, "--device", "cpu") == 1
    assert "n must be 1 or more, got 0" in capsys.readouterr().err
