"""Augmentation: the warp against scipy, the identity at p = 0, how often each operation takes part."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from echogan.contract import Batch
from echogan.layers.augment import BGC, SECTOR, Augment, Pipeline, bilinear, doubling, mirrored, rotation, warp


def smooth_pictures(n=2, size=32, seed=0):
    """Band-limited images: what interpolation should leave as it is."""
    noise = np.random.default_rng(seed).normal(size=(n, size, size))
    return torch.from_numpy(ndimage.gaussian_filter(noise, (0, 2.5, 2.5), mode="mirror") * 9)[:, None]


def batch_of(x, seed=0):
    return Batch({"image": x}, len(x), rng=torch.Generator().manual_seed(seed))


def warped(x, matrix, offset):
    n = len(x)
    matrix = torch.as_tensor(matrix, dtype=x.dtype).expand(n, 2, 2)
    return warp(x, doubling(x.shape[-1]), matrix, torch.as_tensor(offset, dtype=x.dtype).expand(n, 2))


def test_nothing_happens_at_p_zero():
    x = torch.rand(4, 1, 32, 32) * 2 - 1
    torch.testing.assert_close(Augment(32, BGC)(x, batch_of(x)), x, atol=1e-6, rtol=0)


@pytest.mark.parametrize("shift", [(3, 0), (0, -2), (-5, 4)])
def test_whole_pixels_move_exactly(shift):
    x = torch.rand(2, 1, 16, 16, dtype=torch.double)
    expected = ndimage.shift(x.numpy(), (0, 0, -shift[1], -shift[0]), order=1, mode="mirror")
    torch.testing.assert_close(warped(x, torch.eye(2), shift), torch.from_numpy(expected), atol=1e-6, rtol=0)


@pytest.mark.parametrize("degrees", [-20, 7, 90])
@pytest.mark.parametrize("offset", [(0.0, 0.0), (1.3, -0.4)])
def test_rotation_and_fractional_shift_are_those_of_scipy(degrees, offset):
    x = smooth_pictures()
    turn = rotation(torch.tensor([np.deg2rad(degrees)]))[0].double()
    centre = (x.shape[-1] - 1) / 2
    matrix = turn.flip(0, 1).numpy()  # scipy counts (row, column)
    start = centre + np.array(offset[::-1]) - matrix @ [centre, centre]
    for image, got in zip(x, warped(x, turn, offset)):
        expected = ndimage.affine_transform(image[0].numpy(), matrix, start, order=5, mode="mirror")
        inside = np.s_[8:-8, 8:-8]  # scipy's spline and ours extend the border by different rules
        assert np.abs(got[0].numpy() - expected)[inside].max() < 0.03 * expected.std()


def test_twice_the_resolution_keeps_pixels_and_band_limited_waves():
    matrix = doubling(32)
    torch.testing.assert_close(matrix[::2], torch.eye(32), atol=1e-6, rtol=0)
    at = torch.arange(63) / 2
    for cycles in range(1, 10):  # cosines that the mirror continues
        wave = torch.cos(torch.pi * cycles * torch.arange(32) / 31)
        assert torch.allclose(matrix @ wave, torch.cos(torch.pi * cycles * at / 31), atol=0.01)


def test_the_mirror():
    assert mirrored(torch.arange(-5.0, 9.0), 4).tolist() == [1, 2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]


def test_bilinear_interpolation_is_exact_on_planes():
    rows, columns = np.mgrid[:5, :7]
    image = torch.from_numpy(2.0 * columns - 3.0 * rows)[None]
    x, y = torch.rand(1, 50, dtype=torch.double) * 6, torch.rand(1, 50, dtype=torch.double) * 4
    torch.testing.assert_close(bilinear(image, x, y), 2 * x - 3 * y)


def test_augmentation_differentiates_twice():
    """R1 reaches through it, with every torch: plain indexing needs no second derivative of a sampler."""
    augment = Augment(6, BGC).double()
    augment.p.fill_(1.0)
    x = torch.rand(2, 1, 6, 6, dtype=torch.double, requires_grad=True)
    w = torch.rand(2, 1, 6, 6, dtype=torch.double, requires_grad=True)

    def score(x, w):
        return (augment(x, batch_of(x)) * w).tanh().sum()

    assert torch.autograd.gradcheck(score, (x, w)) and torch.autograd.gradgradcheck(score, (x, w))


@pytest.mark.parametrize("half", [torch.bfloat16, torch.float16])
def test_autocast_moves_no_pixel(half):
    x = smooth_pictures(4).float()
    augment = Augment(32, BGC)
    augment.p.fill_(1.0)
    expected = augment(x, batch_of(x))
    with torch.autocast("cpu", half):
        assert torch.equal(augment(x, batch_of(x)), expected)
        assert augment(x.to(half), batch_of(x)).dtype == torch.float32


def names(node, found=None):
    found = set() if found is None else found
    if node is not None and node not in found:
        found.add(node)
        for following, _ in node.next_functions:
            names(following, found)
    return found


def test_no_operator_without_a_second_derivative_in_old_torch():
    x = torch.rand(2, 1, 8, 8, requires_grad=True)
    augment = Augment(8, BGC)
    augment.p.fill_(1.0)
    (g,) = torch.autograd.grad(augment(x, batch_of(x)).square().sum(), x, create_graph=True)
    assert not [node for node in names(g.grad_fn) if "GridSampler" in node.name()]


@pytest.mark.parametrize(
    "operation, expected", [("flip", 0.15), ("invert", 0.15), ("quarter", 0.225), ("brightness", 0.3)]
)
def test_an_operation_takes_part_with_its_probability(operation, expected):
    """At p = 0.3: flips half of the time, turns three times in four are one, brightness always when drawn."""
    off = dict(shift=0.0, scale=0.0, rotate=0.0, stretch=0.0, drift=0.0, brightness=0.0, contrast=0.0)
    augment = Augment(8, Pipeline(**{**off, operation: 1.0}))
    augment.p.fill_(0.3)
    x = torch.rand(1, 1, 8, 8).expand(4000, -1, -1, -1)
    changed = (augment(x, batch_of(x)) - x).abs().amax((1, 2, 3)) > 1e-4
    assert changed.float().mean().item() == pytest.approx(expected, abs=4 * (expected * (1 - expected) / 4000) ** 0.5)


def test_a_sector_is_never_mirrored_turned_over_or_inverted():
    augment = Augment(16, SECTOR)
    augment.p.fill_(1.0)
    x = torch.zeros(500, 1, 16, 16)
    matrix, _ = augment.geometry(*augment.draw(batch_of(x)), 16)
    assert (torch.linalg.det(matrix) > 0).all()
    angle = torch.atan2(matrix[:, 1, 0] - matrix[:, 0, 1], matrix[:, 0, 0] + matrix[:, 1, 1])
    assert 5 < angle.abs().max().rad2deg() <= 20
    assert (augment(x + 0.1, batch_of(x)) - augment(x, batch_of(x)) >= -1e-5).all()  # brighter stays brighter
