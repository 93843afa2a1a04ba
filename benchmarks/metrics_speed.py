"""Speed of judging: FID, KID, precision to coverage and LPIPS together against the bare Inception pass, and torch-fidelity.

The real side is cached, as it is from the second evaluation on. Prints processor seconds of one run and two ratios:

    encoder and these metrics / bare Inception pass of the same fakes                  wanted: at most 1.15
    encoder and these metrics / torch-fidelity's FID alone (its real side cached too)  wanted: at most 0.70

    python benchmarks/metrics_speed.py [--n 2000] [--size 128]

Without the weights of the networks (`echogan weights`) it says so and measures nothing. torch-fidelity takes some ten
minutes for 2,000 images on a CPU core.
"""

import argparse
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import torch
from common import conclude, header, target

from echogan import encoders
from echogan.data.phantom.phantom import make_phantom
from echogan.encoders import weights
from echogan.encoders.lpips import lpips
from echogan.engine.feed import resized
from echogan.errors import BadInput
from echogan.metrics.frechet import frechet
from echogan.metrics.kernel import kernel_distance
from echogan.metrics.manifold import manifold

PAIRS = 1000


def timed(work):
    """(processor seconds, result) of `work()`."""
    start = time.process_time()
    result = work()
    return time.process_time() - start, result


def phantoms(n, size, first=0):
    """`n` frames of phantoms, uint8 tensor (n, size, size)."""
    frames = torch.cat([torch.from_numpy(make_phantom(first + i).video(48)[0]) for i in range(-(-n // 48))])
    return resized(frames[:n].numpy(), size)


class Rgb(torch.utils.data.Dataset):
    """Grey images as torch-fidelity takes them."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return len(self.images)

    def __getitem__(self, i):
        return self.images[i].expand(3, -1, -1).contiguous()


def peer(fakes, real, of_real, folder):
    """(processor seconds, FID) of torch-fidelity; the real side is in its cache before the clock starts."""
    import torch_fidelity
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    from torch_fidelity.metric_fid import fid_featuresdict_to_statistics_cached

    path = str(Path(folder) / "inception.pth")
    head = {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}
    torch.save({**weights.tensors("inception2015"), **head}, path)
    network = FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], path)
    options = {"cache": True, "cache_root": folder, "verbose": False, "cuda": False}
    fid_featuresdict_to_statistics_cached({"2048": of_real}, "real", network, "2048", **options)
    seconds, theirs = timed(
        lambda: torch_fidelity.calculate_metrics(
            input1=Rgb(fakes),
            input2=Rgb(real),
            input2_cache_name="real",
            fid=True,
            feature_extractor="inception-v3-compat",
            feature_extractor_weights_path=path,
            **options,
        )
    )
    return seconds, theirs["frechet_inception_distance"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000)
    parser.add_argument("--size", type=int, default=128)
    args = parser.parse_args()
    header()
    missing = [name for name in ("inception2015", "alexnet", "lpips_alex") if weights.locate(name) is None]
    if missing:
        raise BadInput(f"no weights of {', '.join(missing)}; `echogan weights --install {' '.join(missing)}` gets them")
    if find_spec("torch_fidelity") is None:
        raise BadInput(
            "torch-fidelity is not installed; `make benchmark` installs it, as `uv pip install torch-fidelity` does"
        )
    encoder, perceptual = encoders.find("inception2015"), lpips()
    fakes, real = phantoms(args.n, args.size), phantoms(args.n, args.size, first=10_000)
    of_real = encoder(real)
    bare, of_fakes = timed(lambda: encoder(fakes))
    parts = {
        "FID": lambda: frechet(of_fakes, of_real),
        "KID": lambda: kernel_distance(of_fakes, of_real),
        "precision, recall, density, coverage": lambda: manifold(of_fakes, of_real),
    }
    measured = {name: timed(work) for name, work in parts.items()}
    spent, distance = {name: seconds for name, (seconds, _) in measured.items()}, measured["FID"][1].value
    pairs = min(PAIRS, args.n // 2)
    spent[f"LPIPS, {pairs} pairs"] = timed(lambda: perceptual.between(fakes[:pairs], fakes[-pairs:]))[0]
    ours = bare + sum(spent.values())
    with tempfile.TemporaryDirectory() as folder:
        theirs, fid = peer(fakes, real, of_real, folder)
    if abs(fid - distance) > 1e-4 * fid:
        sys.exit(f"torch-fidelity says FID {fid:g}, we say {distance:g}: times of different things are not compared")
    for name, seconds in {"bare Inception pass": bare, **spent, "all of these": ours, "torch-fidelity": theirs}.items():
        print(f"{name:38} {seconds:8.1f} s")
    target("all of these / bare Inception pass", ours / bare, most=1.15)
    target("all of these / torch-fidelity's FID", ours / theirs, most=0.70)


if __name__ == "__main__":
    conclude(main)
