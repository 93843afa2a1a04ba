"""What TEST says: one row per run, its latest, each number with its 95 % interval and beside what real images reach."""

import numpy as np
import pandas as pd

from echogan.report import style
from echogan.report.metrics import half_interval, written
from echogan.report.run import STAGES
from echogan.report.tables import as_written

VARIETY = "LPIPS of random pairs"  # the goal is that of real images: lower is no better
SHOWN = ("FID", "KID", "precision", "recall", "density", "coverage", "vendi", "SWD", "JSD", "spectrum_dB", VARIETY)
OF_PAIRS = ("SSIM", "MS_SSIM", "PSNR", "LPIPS")  # each with its error and floor
PAIRED = ("SSIM", "MS_SSIM", "PSNR", "LPIPS", "JPEG2000_SSIM", "JPEG2000_PSNR", "JPEG2000_LPIPS")
OF = {  # stage -> (columns, what they are of)
    "generate": (SHOWN, "images from noise"),
    "translate": ((*PAIRED, *SHOWN[:-1]), "images made of the held-out ones"),
}
FIXED = "; of precision, density and coverage with the spheres around real images held fixed, so too narrow there"
FLOOR = "real vs real"  # begins the label of the last row of each data set


def stages(runs):
    """The keys of `OF` by which any run was judged."""
    return [stage for stage in OF if any(latest(run, stage) for run in runs)]


def table(runs, names=None, stage="generate"):
    """A DataFrame of strings, best KID first: the metrics `names` of each run's latest TEST row, and the floor of them last.

    A `stage` has its own rows and, by default, columns: images from noise, or images made of the held-out ones. Empty where no
    run was judged on TEST; a run without a KID comes last. Runs on several data sets stand apart, each set with a floor of its
    own, and every line names its data.
    """
    rows = [(run, _told_apart(row)) for run in runs if (row := latest(run, stage)) is not None]
    names = [name for name in names or OF[stage][0] if any(name in row for _, row in rows)]
    groups = _by_data(rows)
    lines = {}
    for data, group in groups.items():
        told = f", {data}" if len(groups) > 1 else ""
        group.sort(key=lambda pair: pair[1].get("KID", np.inf))
        lines |= {
            run.label + told: {"kimg": written(row["kimg"]), **{n: _cell(row, n) for n in names}} for run, row in group
        }
        lines[FLOOR + told] = {"kimg": "", **{n: written(_floor(group, n)) for n in names}}
    return pd.DataFrame.from_dict(lines, orient="index")


def caption(runs, stage="generate"):
    """What is judged, split, n, size, encoder and hardware of the table in one line."""
    pairs = [(run, row) for run in runs if (row := latest(run, stage)) is not None]
    rows = [row for _, row in pairs]
    if not rows:
        return "no run was judged on TEST yet: `echogan evaluate RUN --reference FRAMES --split test --keep` does that"
    n = sorted({(int(row["n_real"]), int(row["n_fake"])) for row in rows})
    kinds = sorted({run.kind + style.simulated(run.kind) for run in runs})
    sizes = "".join(f", {size:.0f} px" for size in sorted({row["size"] for row in rows if "size" in row}))
    machines = sorted({str(row.get("hardware") or run.hardware) for run, row in pairs})
    encoders = sorted({str(row["encoder"]) for row in rows if row.get("encoder")})
    counts = "; ".join(f"{fake:,} {OF[stage][1]} against {real:,} real" for real, fake in n)
    return (
        f"{', '.join(kinds)}, TEST, {counts}{sizes}; encoder {', '.join(encoders) or 'none'}; "
        f"hardware {', '.join(machines)}; ± 95 % interval over patients{FIXED}"
        + "".join(f". {words}" for words in style.mixed([run for run, _ in pairs]))
    )


def latest(run, stage="generate"):
    """The latest TEST row of a run, without its empty cells, as a dict; None where it was not judged.

    Where a row does not tell its stage, it is that of the readings in training.
    """
    if "split" not in run.metrics:
        return None
    metrics = as_written(run.metrics)
    rows = metrics[metrics["split"] == "TEST"]
    told = rows["stage"].fillna("") if "stage" in rows else pd.Series("", rows.index)
    rows = rows[told.where(told != "", _usual(run)) == stage]
    return rows.iloc[-1].dropna().to_dict() if len(rows) else None


def _told_apart(row):
    """A row without likeness to true images where it has none: of random pairs it keeps LPIPS, as a measure of variety."""
    if row.get("paired") == "reconstruction":
        return row
    columns = {name: [name, f"{name}_error", f"floor_{name}"] for name in OF_PAIRS}
    kept = {key: value for key, value in row.items() if not any(key in names for names in columns.values())}
    random = {key.replace("LPIPS", VARIETY): row[key] for key in columns["LPIPS"] if key in row}
    return kept | random if row.get("paired") == "diversity" else kept


def _by_data(rows):
    """{what data: [(run, its row)]}, those with the most runs first."""
    groups = {}
    for run, row in rows:
        data = f"{run.kind} {run.data.get('fingerprint', '')[:8]}".strip()
        groups.setdefault(data, []).append((run, row))
    return dict(sorted(groups.items(), key=lambda pair: -len(pair[1])))


def _usual(run):
    stages = [stage for stage in run.readings.get("stage", ()) if stage in STAGES]
    return stages[-1] if stages else STAGES[0]


def _cell(row, name):
    half = half_interval(row, name)
    return written(row.get(name, np.nan)) + (f" ± {half:.2g}" if np.isfinite(half) else "")


def _floor(rows, name):
    floors = [row[f"floor_{name}"] for _, row in rows if f"floor_{name}" in row]
    return float(np.median(floors)) if floors else np.nan
