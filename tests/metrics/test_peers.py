"""Our distances beside those of the libraries they are published with: same images, same weights, each family of resizing.

Without a GPU this takes minutes: each library encodes every image itself.
"""

import contextlib
import io

import numpy as np
import pytest
import scipy.linalg
import torch

from echogan import encoders
from echogan.data.images import write_png
from echogan.encoders import weights
from echogan.metrics.frechet import frechet
from echogan.metrics.kernel import kernel_distance
from echogan.metrics.manifold import manifold
from tests.conftest import blobs

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]
N, AGREE = 40, 1e-4


def sets():
    """Two sets of images that differ, uint8 (N, 64, 64)."""
    noise = np.random.default_rng(0).integers(0, 90, (2 * N, 64, 64))
    images = np.clip(blobs(2 * N, 64) * 0.6 + noise, 0, 255).astype(np.uint8)
    images[N:] = np.clip(images[N:] * 1.2, 0, 255)
    return images[:N], images[N:]


class Rgb(torch.utils.data.Dataset):
    def __init__(self, images):
        self.images = torch.from_numpy(images)[:, None].expand(-1, 3, -1, -1)

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i].contiguous()


@pytest.fixture
def official(real_weights, tmp_path, monkeypatch):
    """The file all libraries read, with a classifier of zeros; pytorch-fid takes it in place of its download."""
    real_weights("inception2015")
    path = tmp_path / "pt_inception.pth"
    head = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save({**weights.tensors("inception2015"), **head}, path)
    monkeypatch.setattr("pytorch_fid.inception.load_state_dict_from_url", lambda *_, **__: torch.load(path))
    return path


def features(name):
    return [encoders.find(name)(images) for images in sets()]


@pytest.fixture
def old_sqrtm(monkeypatch):
    """pytorch-fid and clean-fid ask SciPy for (root, error), which SciPy 1.18 no longer returns."""
    now = scipy.linalg.sqrtm

    def then(matrix, disp=True, **_):
        root = now(matrix)
        return root if disp else (root, 0.0)

    monkeypatch.setattr(scipy.linalg, "sqrtm", then)


def test_torch_fidelity_measures_the_same_fid_kid_precision_and_recall(official, tmp_path):
    import torch_fidelity

    fakes, reals = sets()
    theirs = torch_fidelity.calculate_metrics(
        **{"input1": Rgb(fakes), "input2": Rgb(reals), "cuda": False, "batch_size": 20, "verbose": False},
        **{"fid": True, "kid": True, "prc": True, "kid_subset_size": N, "kid_subsets": 1, "prc_neighborhood": 3},
        **{"feature_extractor": "inception-v3-compat", "feature_extractor_weights_path": str(official)},
        **{"cache": False, "cache_root": str(tmp_path)},
    )
    x, y = features("inception2015")
    shares = manifold(x, y)
    assert frechet(x, y).value == pytest.approx(theirs["frechet_inception_distance"], rel=AGREE)
    assert kernel_distance(x, y).value == pytest.approx(theirs["kernel_inception_distance_mean"], rel=AGREE)
    assert shares["precision"].value == pytest.approx(theirs["precision"])
    assert shares["recall"].value == pytest.approx(theirs["recall"])


@pytest.mark.parametrize(("antialias", "name"), [(False, "inception2015"), (True, "half-pixel, TensorFlow's scale")])
def test_torchmetrics_measures_the_same_fid(official, antialias, name):
    from torchmetrics.image.fid import FrechetInceptionDistance

    metric = FrechetInceptionDistance(2048, antialias=antialias, feature_extractor_weights_path=str(official))
    for images, real in zip(sets(), (False, True)):
        for batch in torch.from_numpy(images).split(20):
            metric.update(batch[:, None].expand(-1, 3, -1, -1), real=real)
    if antialias:  # torchmetrics' default mixes two families: resized as pytorch-fid, scaled as TensorFlow
        network = encoders.find("inception2015_halfpixel").network
        halfpixel = network.prepare
        network.prepare = lambda x: ((halfpixel(x) + 1) * 127.5 - 128) / 128
        with torch.no_grad():
            x, y = (network(torch.from_numpy(images)) for images in sets())
    else:
        x, y = features(name)
    assert frechet(x, y).value == pytest.approx(float(metric.compute()), rel=AGREE)


def test_pytorch_fid_measures_the_same_fid(official, old_sqrtm, tmp_path):
    from pytorch_fid.fid_score import calculate_fid_given_paths

    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        theirs = calculate_fid_given_paths(folders(tmp_path), 20, "cpu", 2048, num_workers=0)
    assert frechet(*features("inception2015_halfpixel")).value == pytest.approx(theirs, rel=AGREE)


@pytest.mark.parametrize("mode", ["clean", "legacy_pytorch"])
def test_clean_fid_measures_the_same_fid_and_kid(official, old_sqrtm, tmp_path, mode):
    from cleanfid import fid
    from pytorch_fid.inception import InceptionV3

    network = InceptionV3([3], resize_input=False, normalize_input=False).eval()

    @torch.no_grad()
    def encode(x):  # resized by clean-fid
        return network((x - 128) / 128 if mode == "clean" else x * (2 / 255) - 1)[0].flatten(1)

    options = {"num_workers": 0, "batch_size": 20, "device": torch.device("cpu"), "mode": mode, "verbose": False}
    a, b = (fid.get_folder_features(path, encode, **options) for path in folders(tmp_path))
    x, y = features("inception2015_clean" if mode == "clean" else "inception2015_halfpixel")
    assert frechet(x, y).value == pytest.approx(fid.fid_from_feats(a, b), rel=AGREE)
    whole = fid.kernel_distance(a, b, num_subsets=1, max_subset_size=N)  # one subset of all images
    assert kernel_distance(x, y).value == pytest.approx(whole, rel=AGREE)


def test_prdc_measures_the_same_neighbourhoods(official):
    from prdc import compute_prdc

    x, y = features("inception2015")
    with contextlib.redirect_stdout(io.StringIO()):
        three, five = (compute_prdc(y.numpy(), x.numpy(), nearest_k=k) for k in (3, 5))
    found = {name: share.value for name, share in manifold(x, y).items()}
    expected = {name: three[name] for name in ("precision", "recall")}
    expected |= {name: five[name] for name in ("density", "coverage")}
    assert found == pytest.approx(expected, rel=AGREE)


def folders(root):
    """The two sets as folders of RGB files."""
    for name, images in zip(("fakes", "reals"), sets()):
        for i, image in enumerate(images):
            write_png(root / name / f"{i:03d}.png", np.repeat(image[:, :, None], 3, 2))
    return str(root / "fakes"), str(root / "reals")
