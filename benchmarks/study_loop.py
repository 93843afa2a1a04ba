"""Training by `fit` (our W1 and M1) against the original study's training loop, on one machine.

The other side is that loop written plainly from its description, with this package's networks (the same layers, so that
the loops are compared, not the networks):

- data: PNGs in a class folder, torchvision's ImageFolder, grey, resized, a shuffling DataLoader with 4 worker processes
  started anew every 40,120 images, no augmentation;
- a step: clamp every parameter of the critic in a Python loop, update by RMSprop 5e-5 in fp32, and read the losses with
  `.item()` at once; W1: 5 critic updates per generator update, 100 for the first 25 and every 500th; M1: after two such
  warm-ups a forward pass of each batch decides, by two more `.item()`, whether the generator or the critic is updated;
- a reading: FID of one batch against one batch (ImageNet Inception, un-normalised, with scipy's `sqrtm`), KID of `--fakes`
  generated images against as many real ones (the same network, 100 subsets of up to 1,000; features of real images kept),
  SSIM, PSNR, LPIPS and the Jensen-Shannon distance of the pixels of random pairs of that batch; then one generated PNG and
  the weights of both networks.

Both sides are shown as many images and make as many updates: of W1 of each network exactly, of M1 of both together exactly.
Whose turn it is in M1 depends on the losses, so that each network may have 2 % of all updates more or fewer (seeds of ours
lie within 1 %). Else the times are of different work, and no ratio is printed. The ratio that counts is of training alone,
study / ours: wanted is at least 1.00. Whole runs stand beside it as a remark: both sides read at the same moments, far more
often than the study did (every five epochs, with 10,000 fakes), and not the same: the study Inception at 299 px, LPIPS and
SSIM, ours the small encoder or, without its weights, SWD. The study's metric networks have random weights here: their time
is the same. On one CPU thread a reading of the study takes over a minute.

    python benchmarks/study_loop.py [--device cpu|cuda] [--full] [--kimg 8] [--readings 2] [--fakes 512] [--configs ...]
"""

import argparse
import sys
import tempfile
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import lpips
import numpy as np
import torch
import torch.nn.functional as F
from common import conclude, header, target
from scipy.linalg import sqrtm
from scipy.spatial.distance import jensenshannon
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch.utils.data import DataLoader, RandomSampler
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.models import inception_v3
from torchvision.utils import save_image

from echogan.config import Settings
from echogan.data.images import write_png
from echogan.engine.evaluate import READINGS
from echogan.engine.fit import fit
from echogan.engine.launch import pick_device
from echogan.engine.recorder import LOSSES, METRICS, Table
from echogan.layers.dcgan import Critic, Generator
from echogan.models import config_of
from echogan.preprocessing.prepare import prepare

SHARE = {"wgan": 0.0, "medgan": 0.02}  # of all updates, by which the sides may differ in whose they were
WORKERS = 4
EPOCH = 40_120  # images of the study


# ------------------------------------------------------------------------------------------------ the study's training


@dataclass
class Study:
    """The pair, its optimisers, and what the loop counts."""

    config: object
    device: torch.device
    shown: int = 0  # real images
    steps: dict = field(default_factory=lambda: {"D": 0, "G": 0})
    latest: dict = field(default_factory=dict)  # losses, as numbers

    def __post_init__(self):
        c = self.config
        self.G = Generator(c.resolution, c.latent, c.width).to(self.device)
        self.D = Critic(c.resolution, c.critic_width, "batch").to(self.device)
        self.optimisers = {name: torch.optim.RMSprop(getattr(self, name).parameters(), lr=c.lr) for name in "GD"}

    def noise(self, n):
        return torch.randn(n, self.config.latent, device=self.device)

    def train_critic(self, real):
        for p in self.D.parameters():
            p.requires_grad = True
            p.data.clamp_(-self.config.weight, self.config.weight)
        self.D.zero_grad()
        loss = self.D(real).mean() - self.D(self.G(self.noise(len(real))).detach()).mean()
        loss.backward()
        self.optimisers["D"].step()
        self.latest["D"] = loss.item()
        self.steps["D"] += 1

    def train_generator(self, n):
        for p in self.D.parameters():
            p.requires_grad = False
        self.G.zero_grad()
        loss = self.D(self.G(self.noise(n))).mean()
        loss.backward()
        self.optimisers["G"].step()
        self.latest["G"] = loss.item()
        self.steps["G"] += 1

    def critic_is_ahead(self, real):
        with torch.no_grad():
            r, f = self.D(real).mean().item(), self.D(self.G(self.noise(len(real)))).mean().item()
        return r < f - self.config.T2 and f > self.config.T1  # the study's critic scores real images low


def critic_then_generator(study, batches, wait):
    """Yield after each of `wait` minibatches for the critic; the generator's turn belongs to the last one."""
    for left in reversed(range(wait)):
        real = next(batches)
        study.train_critic(real)
        if not left:
            study.train_generator(len(real))
        yield len(real)


def wgan(study, batches):
    """Yield after every minibatch of the WGAN loop."""
    while True:
        done = study.steps["G"]
        wait = 100 if done < 25 or done % 500 == 0 else 5
        yield from critic_then_generator(study, batches, wait)


def medgan(study, batches):
    """Yield after every minibatch of the adaptive loop."""
    for _ in range(2):
        yield from critic_then_generator(study, batches, 100)
    while True:
        real = next(batches)
        if study.critic_is_ahead(real):
            study.train_generator(len(real))
        else:
            study.train_critic(real)
        yield len(real)


def minibatches(folder, config, device):
    """Minibatches without end, (B, 1, H, W) in [-1, 1]."""
    steps = [transforms.Grayscale(), transforms.Resize((config.resolution, config.resolution)), transforms.ToTensor()]
    images = ImageFolder(str(folder), transforms.Compose([*steps, transforms.Normalize((0.5,), (0.5,))]))
    order = RandomSampler(images, replacement=True, num_samples=EPOCH)  # workers start anew as seldom as in the study
    loader = DataLoader(images, batch_size=config.batch, sampler=order, num_workers=WORKERS)
    while True:
        for real, _ in loader:
            yield real.to(device)


# ------------------------------------------------------------------------------------------------ the study's readings


class StudyReading:
    """The study's metrics, with networks of random weights."""

    def __init__(self, device):
        self.inception = inception_v3(weights=None, init_weights=False).to(device).eval()
        self.inception.fc = torch.nn.Identity()
        self.lpips = lpips.LPIPS(net="alex", pretrained=False, pnet_rand=True, verbose=False).to(device).eval()
        self.known = None  # features of real images

    @torch.no_grad()
    def features(self, images):
        x = F.interpolate(images * 0.5 + 0.5, size=(299, 299), mode="bilinear", align_corners=False)
        return self.inception(x.repeat(1, 3, 1, 1)).cpu().numpy().astype(np.float64)

    @torch.no_grad()
    def read(self, study, batches, fakes, out):
        real = next(batches)
        fake = study.G(study.noise(len(real)))
        size = study.config.batch
        if self.known is None:
            self.known = np.concatenate([self.features(next(batches)) for _ in range(fakes // size)])
        made = np.concatenate([self.features(study.G(study.noise(size))) for _ in range(fakes // size)])
        row = {"FID": frechet(self.features(real), self.features(fake)), "KID": kernel_distance(self.known, made)}
        row["LPIPS"] = self.lpips(*(x.repeat(1, 3, 1, 1) for x in (real, fake))).mean().item()
        save_image(fake[:1] * 0.5 + 0.5, out / f"generated_{study.shown}.png")
        for name in "GD":
            torch.save(getattr(study, name).state_dict(), out / f"net{name}_{study.shown}.pth")
        return {**row, **of_pairs(real.cpu().numpy()[:, 0], fake.cpu().numpy()[:, 0])}


def frechet(a, b):
    ca, cb = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = np.real(sqrtm(ca @ cb))  # of rank below the batch size, in 2,048 dimensions
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(ca + cb - 2 * root)


def kernel_distance(a, b, subsets=100, most=1000):
    """Mean of the unbiased estimate with the cubic kernel."""
    n, d, total = min(len(a), len(b), most), a.shape[1], 0.0
    for _ in range(subsets):
        x, y = (z[np.random.choice(len(z), n, replace=False)] for z in (a, b))
        within = sum(off_diagonal((z @ z.T / d + 1) ** 3) for z in (x, y))
        total += within / (n * (n - 1)) - 2 * ((x @ y.T / d + 1) ** 3).mean()
    return total / subsets


def off_diagonal(kernel):
    return kernel.sum() - np.trace(kernel)


def of_pairs(real, fake):
    rows = []
    for x, y in zip(*(np.clip((z + 1) * 127.5, 0, 255).astype(np.uint8) for z in (real, fake))):
        jsd = jensenshannon(x.ravel() + 1e-10, y.ravel() + 1e-10)
        rows.append((structural_similarity(x, y), peak_signal_noise_ratio(x, y), jsd))
    return dict(zip(("SSIM", "PSNR", "JSD"), np.mean(rows, 0)))


# ------------------------------------------------------------------------------------------------ both sides


def run_study(arch, config, folder, device, moments, fakes, out):
    """(seconds of the whole run, of its readings, updates made)."""
    reading = StudyReading(device)  # built before the clock starts
    began, in_readings, moments = time.perf_counter(), 0.0, list(moments)
    study, batches = Study(config, device), minibatches(folder, config, device)
    rounds = {"wgan": wgan, "medgan": medgan}[arch](study, batches)
    while moments:
        if study.shown >= round(moments[0] * 1000):
            started, _ = time.perf_counter(), moments.pop(0)
            reading.read(study, batches, fakes, out)
            in_readings += time.perf_counter() - started
        else:
            study.shown += next(rounds)
    return time.perf_counter() - began, in_readings, study.steps


def run_ours(arch, name, config, frames, args, out):
    """(seconds of the whole run, of its training, moments of its readings, updates made)."""
    began = time.perf_counter()
    settings = Settings(args.kimg, device=str(args.device), row_kimg=args.kimg / args.readings)
    run = fit(arch, name, frames, settings, config, experiments=out)
    whole = time.perf_counter() - began
    losses = Table(run.losses, LOSSES)
    steps = {child: int(losses.numbers(f"{child}_updates")[-1]) for child in "DG"}
    return whole, losses.numbers("seconds")[-1], Table(run.metrics, METRICS).numbers("kimg"), steps


def check_updates(arch, study, ours):
    """End here, unless both sides did the same work: {"D": updates, "G": updates} of each."""
    total = sum(ours.values())
    if sum(study.values()) != total or abs(study["D"] - ours["D"]) > SHARE[arch] * total:
        sys.exit(f"the study made {study} updates and ours {ours}: times of different work are not compared")


def compare(which, frames, folder, args):
    arch, name = which.split("/")
    config = config_of(arch, name) if args.full else config_of(arch, name).small()
    with tempfile.TemporaryDirectory() as out:
        ours, training, moments, made = run_ours(arch, name, config, frames, args, out)
        theirs, readings, steps = run_study(arch, config, folder, args.device, moments, args.fakes, Path(out))
    alone = theirs - readings
    print(f"{which}, {config.resolution} px, {args.kimg:g} kimg")
    print(
        f"  study: {steps['D']} D and {steps['G']} G updates in {alone:.1f} s, {len(moments)} readings in {readings:.1f} s"
    )
    print(
        f"  ours:  {made['D']} D and {made['G']} G updates in {training:.1f} s, the rest of the run {ours - training:.1f} s"
    )
    check_updates(arch, steps, made)
    target(f"{which}, training alone, study / ours", alone / training, least=1.0)
    print(f"  a remark: whole runs {theirs / ours:.2f}, by what is read and how often")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", type=pick_device, default="auto")
    parser.add_argument("--configs", nargs="+", default=["wgan/W1", "medgan/M1"])
    parser.add_argument("--full", action="store_true", help="128 px at full width, instead of the CPU tier at 64 px")
    parser.add_argument("--kimg", type=float, default=8.0)
    parser.add_argument("--readings", type=int, default=2, help="of each run, beside the one before its first step")
    parser.add_argument("--fakes", type=int, default=READINGS, help="images of a KID reading; the study: 10000")
    parser.add_argument("--patients", type=int, default=240)
    args = parser.parse_args()
    header(str(args.device))
    warnings.simplefilter("ignore")  # of the study's libraries: more workers than cores, old argument names
    frames = prepare("phantom", args.patients)
    print(f"synthetic phantom, {args.patients} patients; KID of {args.fakes} fakes a reading")
    with tempfile.TemporaryDirectory() as folder:
        for i, image in enumerate(frames.split("TRAIN").images):
            write_png(Path(folder) / "class0" / f"{i:05d}.png", image)
        for which in args.configs:
            compare(which, frames, folder, args)


if __name__ == "__main__":
    conclude(main)
