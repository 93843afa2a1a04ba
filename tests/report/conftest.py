"""A fixture study: eight WGAN configs with gaps, a collapse and a NaN, a reconstructing VQGAN, a run without FID."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

COLUMNS = (
    *("kimg", "epoch", "seconds", "split", "encoder", "n_real", "n_fake"),
    *("FID", "FID_inf", "KID", "KID_error", "KID_lite0", "SWD", "JSD", "spectrum_dB"),
    *("paired", "SSIM", "PSNR", "LPIPS", "precision", "recall", "density", "coverage"),
    *("floor_FID", "floor_KID", "floor_SWD", "floor_JSD", "floor_spectrum_dB"),
)
WGAN = ("W1", "W2", "W3", "compact", "gp10", "r3", "wide", "zero_centred")


def build_study(root):
    """experiments/ with eight wgan configs (faulty ones among them), two vqgan and one early medgan run."""
    for k, name in enumerate(WGAN):
        write_run(root, "wgan", name, seed=k, final=12 * 1.45**k, published=name.startswith("W"), collapse=name == "W3")
    _break_wgan(root / "wgan")
    for k, name in enumerate(("VQ6", "codes1024")):
        write_run(root, "vqgan", name, seed=20 + k, final=30 + 20 * k, published=k == 0, paired="reconstruction")
    write_run(root, "medgan", "M1", seed=30, final=90, published=True, early=True)
    return root


def _break_wgan(wgan):
    """W2 has no readings between 40 and 100 kimg, gp10's losses are NaN from 120 kimg on, wide's last line is cut."""
    table = pd.read_csv(wgan / "W2/metrics_csv/metrics.csv")
    table.loc[table.kimg.between(40, 100), ["FID", "KID", "SWD", "JSD"]] = np.nan
    table.to_csv(wgan / "W2/metrics_csv/metrics.csv", index=False)
    table = pd.read_csv(wgan / "gp10/metrics_csv/losses.csv")
    table.loc[table.kimg > 120, ["D", "G"]] = np.nan
    table.to_csv(wgan / "gp10/metrics_csv/losses.csv", index=False)
    cut = wgan / "wide/metrics_csv/metrics.csv"
    cut.write_text(cut.read_text()[:-60])


def write_run(
    root,
    arch,
    name,
    seed=0,
    final=30.0,
    kimg=200,
    rows=25,
    published=False,
    collapse=False,
    early=False,
    paired="diversity",
):
    """One run folder: an exponential fall of every metric to a level set by `final`, noise, and grids of phantoms."""
    folder, rng = root / arch / name, np.random.default_rng(seed)
    (folder / "metrics_csv").mkdir(parents=True)
    (folder / "generated_samples").mkdir()
    _config(folder, arch, name, published, kimg)
    _losses(folder, rng, kimg)
    _metrics(folder, rng, kimg, rows, final, collapse, early, paired)
    for moment in (0, 3, 30, 200):
        _sheet(folder / f"generated_samples/kimg_{moment:06d}.png", rng, quality=moment / (moment + final))
    return folder


def _config(folder, arch, name, published, kimg):
    value = {
        "arch": arch,
        "name": name,
        "config": {"resolution": 64, "batch": 16, "lr": 0.001, "published": published},
        "settings": {"kimg": float(kimg), "seed": 0},
        "data": {
            "kind": "synthetic phantom",
            "fingerprint": "0123456789abcdef",
            "size": 128,
            "images": {"TRAIN": 6400, "VAL": 800, "TEST": 800},
        },
        "parameters": {"G": 1_234_567, "D": 765_432},
        "versions": {"python": "3.11.7", "torch": "2.15.0"},
        "hardware": "2 x CPU",
        "chosen_by": "SWD",
    }
    (folder / "config.json").write_text(json.dumps(value))


def _losses(folder, rng, kimg):
    t = np.linspace(0.5, kimg, 200)
    table = pd.DataFrame({"kimg": t, "epoch": t / 6.4, "seconds": t * 15})
    table["D"] = -8 * np.exp(-t / 30) - 2 + rng.normal(0, 0.3, len(t))
    table["G"] = 3 * np.exp(-t / 50) + rng.normal(0, 0.4, len(t))
    table["penalty"] = np.where(np.arange(len(t)) % 4 == 0, 0.5 + rng.gamma(2, 0.1, len(t)), np.nan)
    table["real"] = 2 + rng.normal(0, 0.2, len(t))
    table["fake"] = -2 + rng.normal(0, 0.2, len(t))
    table.to_csv(folder / "metrics_csv/losses.csv", index=False)


def _metrics(folder, rng, kimg, rows, final, collapse, early, paired):
    t = np.linspace(0, kimg, rows)
    level = 1 + 30 * np.exp(-t / 12)
    if collapse:
        level *= np.where(t > 0.6 * kimg, 1 + (t - 0.6 * kimg) / 8, 1)
    noise = lambda: rng.lognormal(0, 0.06, rows)  # noqa: E731
    table = pd.DataFrame(index=range(rows), columns=list(COLUMNS))
    table = table.assign(kimg=t, epoch=t / 6.4, seconds=20 + t * 15, split="VAL", n_real=800, n_fake=1000)
    table = table.assign(SWD=14 + final / 3 * level * noise(), JSD=final / 9000 * level * noise())
    table = table.assign(spectrum_dB=0.3 + final / 50 * level**0.5 * noise())
    table = table.assign(floor_SWD=14, floor_JSD=0.0009, floor_spectrum_dB=0.4)
    if not early:
        good = 1 / (1 + final / 60 * level**0.5)
        table = table.assign(encoder="Inception-2015", paired=paired, FID=final * level * noise(), floor_FID=6.5)
        table = table.assign(KID=final / 900 * level * noise() - 0.004, KID_error=0.002, floor_KID=0.0001)
        table = table.assign(precision=good * noise(), recall=0.8 * good, density=good, coverage=0.9 * good * noise())
        table = table.assign(SSIM=0.45 + 0.5 * good, PSNR=12 + 20 * good, LPIPS=0.45 * (1 - good))
    table.to_csv(folder / "metrics_csv/metrics.csv", index=False)


def _sheet(path, rng, quality, cells=4, size=64):
    """A grid of sectors with a dark cavity; `quality` 0 is noise, 1 the clean shape."""
    y, x = np.mgrid[0:size, 0:size] / size - 0.5
    sector = (np.hypot(x, y + 0.5) < 0.95) & (np.abs(x) < 0.75 * (y + 0.5))
    tiles = []
    for k in range(cells * cells):
        cavity = np.hypot((x - 0.02 * (k % 5)) / 0.13, (y + 0.02) / (0.2 + 0.01 * (k % 7))) < 1
        shape = sector * np.where(cavity, 30, 120) * rng.gamma(6, 1 / 6, (size, size))
        tiles.append(quality * shape + (1 - quality) * rng.uniform(0, 255, (size, size)) * 0.6)
    grid = np.block([tiles[r * cells : (r + 1) * cells] for r in range(cells)])
    Image.fromarray(np.clip(grid, 0, 255).astype(np.uint8)).save(path)


@pytest.fixture(scope="session")
def study(tmp_path_factory):
    """The fixture study, read-only."""
    return build_study(tmp_path_factory.mktemp("study") / "experiments")


@pytest.fixture(scope="session")
def small_study(study, tmp_path_factory):
    """Three runs of the study with fewer metrics, for what draws everything there is."""
    root = tmp_path_factory.mktemp("small") / "experiments"
    for name in ("wgan/W1", "wgan/gp10", "medgan/M1"):
        slim(shutil.copytree(study / name, root / name), ("FID" if "wgan" in name else "JSD", "SWD", "spectrum_dB"))
    cut = root / "wgan/gp10/metrics_csv/metrics.csv"
    cut.write_text(cut.read_text()[:-30])
    shutil.rmtree(root / "medgan/M1/generated_samples")
    return root


@pytest.fixture
def run_folder(tmp_path):
    """One healthy run with five metrics that a test may break."""
    folder = write_run(tmp_path / "experiments", "wgan", "demo")
    return slim(folder, ("FID", "KID", "SWD", "SSIM", "PSNR"))


def slim(folder, metrics):
    """Leave only these metrics in a run's metrics.csv."""
    path = folder / "metrics_csv/metrics.csv"
    table = pd.read_csv(path)
    gone = [c for c in COLUMNS[7:] if c.removeprefix("floor_") not in (*metrics, "paired")]
    table.drop(columns=gone).to_csv(path, index=False)
    return folder
