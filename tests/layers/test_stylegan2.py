"""The StyleGAN2 pair: sizes the paper gives, minibatch spread by a loop, groups that survive a split batch."""

import pytest
import torch

from echogan.layers.stylegan2 import Discriminator, Generator, Mapping, minibatch_std, widths

# Millions of parameters of the official code's networks at 128 px, one channel: `auto` and `11gb-gpu`.
OFFICIAL = [(16384, 2, 22.94, 23.88), (32768, 8, 29.32, 28.39)]


def millions(module):
    return sum(p.numel() for p in module.parameters()) / 1e6


@pytest.mark.parametrize("base, mapping, g, d", OFFICIAL)
def test_sizes_are_those_of_the_official_networks(base, mapping, g, d):
    with torch.device("meta"):
        G, D = Generator(128, base, mapping=mapping), Discriminator(128, base)
    assert millions(G) == pytest.approx(g, abs=0.005) and millions(D) == pytest.approx(d, abs=0.005)
    assert G.layers == 12


def test_widths_double_down_to_the_widest():
    assert widths(256, 16384, 512) == {4: 512, 8: 512, 16: 512, 32: 512, 64: 256, 128: 128, 256: 64}


@pytest.mark.parametrize("resolution", [64, 128, 256])
def test_every_resolution_makes_images_and_scores(resolution):
    G, D = Generator(resolution, 512, 16, latent=8, mapping=2), Discriminator(resolution, 512, 16)
    w = G.latents(torch.randn(2, 8))
    images = G(w[:, None].expand(-1, G.layers, -1), torch.randn(2, len(G.grain)))
    assert images.shape == (2, 1, resolution, resolution) and D(images).shape == (2,)


@pytest.mark.parametrize("rows, group", [(8, 4), (8, 2), (6, 2)])
def test_minibatch_spread_is_a_loop_over_groups(rows, group):
    x = torch.randn(rows, 3, 4, 4, dtype=torch.double)
    y = minibatch_std(x, group)
    assert torch.equal(y[:, :3], x)
    for first in range(rows // group):
        members = list(range(first, rows, rows // group))
        spread = sum(
            ((sum((x[m, c, i, j] - x[members, c, i, j].mean()) ** 2 for m in members) / group) + 1e-8).sqrt()
            for c in range(3)
            for i in range(4)
            for j in range(4)
        )
        torch.testing.assert_close(y[members, 3], (spread / 48).expand(group, 4, 4))


def test_interleaved_halves_form_the_groups_of_the_whole():
    x = torch.randn(16, 2, 4, 4)
    whole = minibatch_std(x)
    for k in (0, 1):
        torch.testing.assert_close(minibatch_std(x[k::2]), whole[k::2])


def test_mapping_normalises_its_input():
    mapping, z = Mapping(8, 8, 3), torch.randn(5, 8)
    torch.testing.assert_close(mapping(z), mapping(7 * z))


def test_noise_is_cut_into_one_map_a_layer():
    """Changing the part of the last map changes the image by that part alone."""
    torch.manual_seed(0)
    G = Generator(16, 128, 8, latent=8, mapping=1)
    for block in G.blocks:
        for layer in (block.up, block.conv):
            if layer is not None:
                layer.strength.data.fill_(1.0)
    ws = G.latents(torch.randn(1, 8))[:, None].expand(-1, G.layers, -1)
    noise = torch.randn(1, len(G.grain))
    assert len(G.grain) == 16 + 2 * 64 + 2 * 256
    other = noise.clone()
    other[0, -1] += 5  # the last pixel of the last map
    change = (G(ws, noise) - G(ws, other)).abs()[0, 0]
    assert change[15, 15] > 0 and change.sum() == change[15, 15]


def test_classes_change_images_and_scores():
    torch.manual_seed(0)
    G = Generator(16, 128, 8, latent=8, mapping=2, classes=3)
    D = Discriminator(16, 128, 8, mapping=2, classes=3)
    z, x = torch.randn(3, 8), torch.randn(3, 1, 16, 16)
    first, second = torch.zeros(3, dtype=torch.long), torch.full((3,), 2)
    assert not torch.allclose(G.latents(z, first), G.latents(z, second))
    assert not torch.allclose(D(x, first), D(x, second))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_reduced_precision_is_used_high_up_and_left_out_of_delicate_places(dtype):
    torch.manual_seed(0)
    G, D = Generator(32, 256, 16, latent=16, mapping=2, reduced=2), Discriminator(32, 256, 16, mapping=2, reduced=2)
    ws = G.latents(torch.randn(4, 16))[:, None].expand(-1, G.layers, -1)
    noise, seen = torch.randn(4, len(G.grain)), {}
    for i, block in enumerate([*G.blocks, *D.blocks]):
        block.register_forward_hook(lambda _, inputs, out, i=i: seen.update({i: inputs[0].dtype}))
    exact = G(ws, noise)
    with torch.autocast("cpu", dtype):
        images, scores = G(ws, noise), D(exact)
    full = torch.float32
    assert [seen[i] for i in range(7)] == [full, full, dtype, dtype, dtype, dtype, full]
    assert images.dtype == scores.dtype == G.latents(torch.randn(1, 16)).dtype == full
    assert (images - exact).norm() < 0.05 * exact.norm()
    assert (scores - D(exact)).norm() < 0.05 * D(exact).norm()


def test_both_compile_as_one_graph():
    torch.manual_seed(0)
    G, D = Generator(8, 64, 8, latent=8, mapping=1), Discriminator(8, 64, 8, mapping=1)
    ws, noise = torch.randn(2, G.layers, 8), torch.randn(2, len(G.grain))
    images = torch.compile(G, backend="eager", fullgraph=True)(ws, noise)
    torch.testing.assert_close(images, G(ws, noise))
    torch.testing.assert_close(torch.compile(D, backend="eager", fullgraph=True)(images), D(images))
