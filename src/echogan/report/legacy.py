"""The original study's CSV dialects, read into the same `Run` objects and labelled as theirs; no value is rescaled.

S. Hernández et al., EchocardiogramGenerator (SIPAIM 2025). Its files differ by architecture, end in hand-pasted
spreadsheet footers (minimum, row, maximum, mean, variance) and some have empty trailing columns. Its JSD is the
square root of a divergence, so it is read into a column of its own, `JSD_root`.
"""

import re
from pathlib import Path

import pandas as pd

from echogan.report.run import Run
from echogan.report.tables import numeric, read_rows

STUDY = "original study"
IMAGES = 40_120  # frames of its training set: an epoch of its CSVs in images
FILES = {  # architecture -> patterns of its losses and of its metrics
    "stylegan2_ada": ("losses_Style*.csv", "Metrics_Style*.csv"),
    "medgan": ("metrics_medgan*.csv", "metrics_medgan*.csv"),
    "wgan": ("metrics_wgan*.csv", "metrics_wgan*.csv"),
    "vqgan": ("loss_history_vq*.csv", "metrics_history_disvq*.csv"),
}
ENCODERS = {
    "stylegan2_ada": "Inception 2015 (fid50k_full)",
    "medgan": "torchvision Inception, one batch",
    "wgan": "not stated",
    "vqgan": "not stated",
}
LOSSES = ("G_loss", "D_loss", "loss_G", "loss_D")
LOSSES += ("rec_loss", "perceptual_loss", "q_loss", "g_loss", "gen_loss", "disc_loss")
NAMES = {"fid": "FID", "JSD": "JSD_root"}


def is_theirs(folder):
    """True for a folder of the original study: its CSV names, and no config.json."""
    return not (Path(folder) / "config.json").exists() and dialect(folder) is not None


def dialect(folder):
    """The architecture whose file names are in `folder`/metrics_csv, or None."""
    tables = Path(folder) / "metrics_csv"
    return next((arch for arch, names in FILES.items() if any(list(tables.glob(name)) for name in names)), None)


def read_run(folder):
    """One config of the study as a `Run`; `problems` names files it lacks."""
    folder = Path(folder)
    arch = dialect(folder) or folder.parent.name
    run = Run(arch, folder.name, _described(arch), folder=folder, study=STUDY)
    losses, metrics = (_read(folder, pattern, run.problems) for pattern in FILES[arch])
    run.losses = losses[[c for c in ("kimg", "epoch", *LOSSES) if c in losses]]
    run.metrics = _labelled(metrics.drop(columns=list(LOSSES), errors="ignore"), arch)
    run.sheets = _samples(folder, metrics)
    run.problems = [f"{arch}/{run.name}: {problem}" for problem in run.problems]
    return run


def read_csv(path):
    """One of their tables: rows until the footer, named columns only, `kimg` from the images really shown."""
    header, rows, problems = read_rows(path)
    width = len([name for name in header if name])
    body = []
    for row in rows:  # a footer begins where no epoch is given
        if not row or not _is_number(row[0]):
            break
        body.append([*row, *[""] * width][:width])
    table, _ = numeric(pd.DataFrame(body, columns=header[:width], dtype=str).rename(columns=NAMES))
    return _on_our_clock(table), problems


def _on_our_clock(table):
    """`kimg` = images shown / 1000: accumulated over its sessions, or epochs x 40,120 images."""
    if "kimg_acu" in table:
        return table.rename(columns={"kimg": "kimg_session", "kimg_acu": "kimg"})
    return table.assign(kimg=table["epoch"] * IMAGES / 1000)


def _read(folder, pattern, problems):
    found = sorted((folder / "metrics_csv").glob(pattern))
    if not found:
        problems.append(f"{pattern} is missing")
        return pd.DataFrame({"kimg": pd.Series(dtype=float)})
    table, said = read_csv(found[0])
    problems += said
    return table


def _labelled(metrics, arch):
    """What the columns mean, as far as the study's code tells: readings on TRAIN, pairs drawn at random."""
    paired = "reconstruction" if arch == "vqgan" else "random"
    return metrics.assign(split="TRAIN", encoder=ENCODERS[arch], paired=paired)


def _described(arch):
    return {
        "arch": arch,
        "config": {"resolution": 128, "published": True},
        "data": {"kind": "EchoNet-Dynamic", "size": 128, "images": {"TRAIN": IMAGES}},
        "hardware": "Tesla T4 (Colab) or not stated",
    }


def _samples(folder, metrics):
    """{kimg: path}: one image a file, named by epoch, or by session and kimg within it."""
    found = {}
    sessions = _sessions(metrics)
    for path in (folder / "generated_samples").glob("generate*.png"):
        if m := re.fullmatch(r"generated_(?:v1_)?(\d+)", path.stem):
            found[round(int(m[1]) * IMAGES / 1000)] = path
        elif (m := re.fullmatch(r"generate(\d{5})_(\d+)", path.stem)) and m[1] in sessions:
            found[round(sessions[m[1]]) + int(m[2])] = path
    return dict(sorted(found.items()))


def _sessions(metrics):
    """{"00010": kimg at which that session began} from the run folder each row names."""
    if "carpeta" not in metrics:
        return {}
    start = metrics["kimg"] - metrics["kimg_session"]
    return start.groupby(metrics["carpeta"].str[:5]).first().to_dict()


def _is_number(text):
    try:
        return float(text) == float(text)
    except ValueError:
        return False
