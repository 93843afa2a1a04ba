"""The frozen networks against unfolded reference implementations, and what an encoder refuses."""

import sys

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from echogan import encoders
from echogan.encoders import lite0, weights
from echogan.encoders.convolution import same_padding
from echogan.encoders.inception import CONVOLUTIONS, tf1_bilinear
from echogan.errors import BadInput
from tests.conftest import blobs


def relative(found, expected):
    return float((found - expected).norm() / expected.norm())


# ------------------------------------------------------------------------------------------------ resizing


def test_tensorflow_1_reads_at_i_h_over_size():
    image = torch.rand(1, 1, 5, 5)
    found = tf1_bilinear(image, 12)[0, 0]
    for i in range(12):
        for j in range(12):
            y, x = i * 5 / 12, j * 5 / 12
            a, b = int(y), int(x)
            c, d, v, u = min(a + 1, 4), min(b + 1, 4), y - a, x - b
            p = image[0, 0]
            expected = (1 - v) * ((1 - u) * p[a, b] + u * p[a, d]) + v * ((1 - u) * p[c, b] + u * p[c, d])
            assert found[i, j] == pytest.approx(float(expected), abs=1e-6)


@pytest.mark.parametrize(("size", "kernel", "stride"), [(32, 3, 2), (33, 3, 2), (32, 5, 2), (7, 5, 1)])
def test_padding_is_tensorflows_same(size, kernel, stride):
    x = same_padding(torch.ones(1, 1, size, size), kernel, stride)
    assert F.conv2d(x, torch.ones(1, 1, kernel, kernel), stride=stride).shape[-1] == -(-size // stride)
    before, total = (
        int((x[0, 0, x.shape[-1] // 2] == 0).nonzero()[0] == 0) if x.shape[-1] > size else 0,
        x.shape[-1] - size,
    )
    assert total == max((-(-size // stride) - 1) * stride + kernel - size, 0)
    assert before == (total > 1)  # an odd pixel goes to the far end


# ------------------------------------------------------------------------------------------------ networks


@pytest.fixture(scope="module")
def made_up():
    """Seeded tensors in the layout of each file, so that structure is tested where the real ones are not."""

    def like(shapes, seed=0):
        rng, found = torch.Generator().manual_seed(seed), {}
        for key, shape in shapes.items():
            if "running_var" in key or key.endswith("bn.weight"):
                found[key] = torch.rand(shape, generator=rng) + 0.5
            else:
                scale = (2 / max(1, int(np.prod(shape[1:])))) ** 0.5
                found[key] = torch.randn(shape, generator=rng) * scale
        return found

    return like


LITE0_STAGES = (  # kernel, stride, expansion, channels out, repeats: table 1 of Tan and Le 2019
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
    (3, 1, 6, 320, 1),
)


def lite0_blocks():
    into = 32
    for kernel, stride, expansion, out, repeats in LITE0_STAGES:
        for i in range(repeats):
            yield kernel, stride if i == 0 else 1, expansion, into, out
            into = out


def lite0_shapes():
    def conv(name, bn, out, into, kernel):
        shapes[f"{name}.weight"] = (out, into, kernel, kernel)
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{bn}.{part}"] = (out,)

    shapes = {}
    conv("_conv_stem", "_bn0", 32, 3, 3)
    for i, (kernel, _, expansion, into, out) in enumerate(lite0_blocks()):
        b, inner = f"_blocks.{i}.", into * expansion
        if expansion > 1:
            conv(b + "_expand_conv", b + "_bn0", inner, into, 1)
        conv(b + "_depthwise_conv", b + "_bn1", inner, 1, kernel)
        conv(b + "_project_conv", b + "_bn2", out, inner, 1)
    conv("_conv_head", "_bn1", 1280, 320, 1)
    return shapes


def lite0_reference(tensors, images):
    """Three equal channels, batch normalisation as a layer of its own, channels and kernels from the paper's table."""

    def layer(x, name, bn, stride=1, groups=1, act=True):
        kernel = tensors[f"{name}.weight"]
        k, n = kernel.shape[-1], x.shape[-1]
        pad = max((-(-n // stride) - 1) * stride + k - n, 0)
        x = F.pad(x, (pad // 2, pad - pad // 2) * 2)
        x = F.conv2d(x, kernel, stride=stride, groups=groups)
        statistics = [tensors[f"{bn}.{part}"] for part in ("running_mean", "running_var", "weight", "bias")]
        x = F.batch_norm(x, *statistics, eps=1e-3)
        return F.relu6(x) if act else x

    x = torch.from_numpy(images)[:, None].repeat(1, 3, 1, 1).float()
    x = (F.interpolate(x, (lite0.SIZE,) * 2, mode="bilinear", antialias=True) - 127) / 128
    x = layer(x, "_conv_stem", "_bn0", 2)
    for i, (_, stride, expansion, into, out) in enumerate(lite0_blocks()):
        b, y = f"_blocks.{i}.", x
        if expansion > 1:
            y = layer(y, b + "_expand_conv", b + "_bn0")
        y = layer(y, b + "_depthwise_conv", b + "_bn1", stride, groups=y.shape[1])
        y = layer(y, b + "_project_conv", b + "_bn2", act=False)
        x = x + y if stride == 1 and into == out else y
    return layer(x, "_conv_head", "_bn1").mean((2, 3))


def test_lite0_is_the_network_of_its_paper(made_up):
    tensors, images = made_up(lite0_shapes()), blobs(3, 64)
    with torch.no_grad():
        found = lite0.Lite0(tensors)(torch.from_numpy(images))
        assert relative(found, lite0_reference(tensors, images)) < 1e-3  # random kernels amplify rounding


def test_lite0_with_its_real_weights(real_weights):
    real_weights("lite0")
    images = blobs(16, 64)
    with torch.no_grad():
        expected = lite0_reference(weights.tensors("lite0"), images)
    found = encoders.find("lite0")(images)
    assert found.shape == (16, 1280) and relative(found, expected) < 1e-5


def test_inception_with_its_real_weights_is_torch_fidelitys(real_weights, tmp_path):
    real_weights("inception2015")
    network = fidelity(tmp_path)
    images = blobs(16, 64)
    with torch.no_grad():
        (expected,) = network(torch.from_numpy(images[::4])[:, None].repeat(1, 3, 1, 1))
    found = encoders.find("inception2015")(images)
    assert found.shape == (16, 2048) and relative(found[::4], expected) < 1e-5


def fidelity(folder):
    """torch-fidelity's own network with our weights."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    head = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save({**weights.tensors("inception2015"), **head}, folder / "inception.pth")
    return FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(folder / "inception.pth")).eval()


def test_inception_has_its_94_convolutions_each_once():
    assert len(CONVOLUTIONS) == len(set(CONVOLUTIONS)) == 94


# ------------------------------------------------------------------------------------------------ the noun


def test_features_do_not_depend_on_the_batch_and_progress_is_told():
    encoder = encoders.find("random")
    images, told = blobs(70), []
    features = encoder(images, callback=lambda done, total: told.append((done, total)))
    assert features.shape == (70, 64) and features.dtype == torch.float32
    assert torch.allclose(features[40:41], encoder(images[40:41]), atol=1e-6)
    assert told == [(32, 70), (64, 70), (70, 70)]


def test_arrays_tensors_and_views_are_all_images():
    encoder, images = encoders.find("random"), blobs(4)
    assert torch.equal(encoder(images), encoder(torch.from_numpy(images)))
    assert torch.equal(encoder(images[::-1]), encoder(images.copy()[::-1].copy()))


@pytest.mark.parametrize("images", [blobs(4).astype(np.float32), blobs(4)[None], blobs(4)[:0], blobs(1)[0]])
def test_what_is_no_set_of_grey_images_is_refused(images):
    with pytest.raises(BadInput, match="uint8"):
        encoders.find("random")(images)


def test_an_encoder_without_weights_says_where_to_get_them():
    assert not encoders.available("lite0") and encoders.available("random")
    with pytest.raises(BadInput, match="echogan weights --install lite0"):
        encoders.find("lite0")
    with pytest.raises(BadInput, match="did you mean 'lite0'"):
        encoders.find("lite")


OWN = """
import torch

class Mean(torch.nn.Module):
    dim, preprocessing = 2, "grey levels"

    def __init__(self):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.ones(1))

    def forward(self, images):
        x = images.float().flatten(1) * self.scale
        return torch.stack([x.mean(1), x.std(1)], 1)

class Broken(Mean):
    def forward(self, images):
        return torch.full((len(images), 2), float("nan"))

class Wrong(Mean):
    dim = 3

class Nothing:
    pass
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "my_network.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    yield "my_network"
    sys.modules.pop("my_network", None)


def test_a_network_of_ones_own_runs_only_when_trusted(own):
    with pytest.raises(BadInput, match="--trust-code"):
        encoders.find(f"{own}:Mean")
    assert own not in sys.modules
    encoder, images = encoders.find(f"{own}:Mean", trust_code=True), blobs(5)
    assert encoder.name == "Mean" and encoder.preprocessing == "grey levels"
    assert encoder.sha256 == weights.content_hash({"scale": torch.ones(1)})
    assert encoder(images)[:, 0].numpy() == pytest.approx(images.reshape(5, -1).mean(1))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("my_network:Broken", "not numbers"),
        ("my_network:Wrong", r"not \(4, 3\)"),
        ("my_network:Nothing", "no encoder"),
        ("my_network:Absent", "no encoder"),
        ("no_such_module:X", "PYTHONPATH"),
    ],
)
def test_a_network_that_does_not_keep_its_word_is_named(own, name, said):
    with pytest.raises(BadInput, match=said):
        encoders.find(name, trust_code=True)(blobs(4))
