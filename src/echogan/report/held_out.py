"""What TEST says: one row per run, its latest, each number with its 95 % interval and beside what real images reach."""

import numpy as np
import pandas as pd

from echogan.report.metrics import written
from echogan.report.run import STAGES

SHOWN = ("FID", "KID", "precision", "recall", "density", "coverage", "vendi", "SWD", "JSD", "spectrum_dB", "LPIPS")

FLOOR = "real vs real"  # the last row


def table(runs, names=SHOWN, stage="generate"):
    """A DataFrame of strings, best KID first: the metrics `names` of each run's latest TEST row, and the floor of them last.

    Empty where no run was judged on TEST: `echogan evaluate RUN --reference FRAMES --split test --keep` does that.
    """
    rows = [(run, row) for run in runs if (row := latest(run, stage)) is not None]
    names = [name for name in names if any(name in row for _, row in rows)]
    rows.sort(key=lambda pair: pair[1].get("KID", np.nan))
    lines = {run.label: {"kimg": written(row["kimg"]), **{n: _cell(row, n) for n in names}} for run, row in rows}
    if rows:
        lines[FLOOR] = {"kimg": "", **{n: written(_floor(rows, n)) for n in names}}
    return pd.DataFrame.from_dict(lines, orient="index")


def caption(runs, stage="generate"):
    """Split, n and encoder of the table in one line."""
    rows = [row for run in runs if (row := latest(run, stage)) is not None]
    n = sorted({(int(row["n_real"]), int(row["n_fake"])) for row in rows})
    kinds = sorted({run.kind for run in runs})
    encoders = sorted({str(row["encoder"]) for row in rows if row.get("encoder")})
    counts = "; ".join(f"{fake:,} generated against {real:,} real" for real, fake in n)
    return f"{', '.join(kinds)}, TEST, {counts}; encoder {', '.join(encoders) or 'none'}; ± 95 % interval over patients"


def latest(run, stage="generate"):
    """The latest TEST row of a run, without its empty cells, as a dict; None where it was not judged.

    Where a row does not tell its stage, it is that of the readings in training.
    """
    if "split" not in run.metrics:
        return None
    rows = run.metrics[run.metrics["split"] == "TEST"]
    told = rows["stage"].fillna("") if "stage" in rows else pd.Series("", rows.index)
    rows = rows[told.where(told != "", _usual(run)) == stage]
    return rows.iloc[-1].dropna().to_dict() if len(rows) else None


def _usual(run):
    stages = [stage for stage in run.readings.get("stage", ()) if stage in STAGES]
    return stages[-1] if stages else STAGES[0]


def _cell(row, name):
    value, error = row.get(name, np.nan), row.get(f"{name}_error", np.nan)
    return written(value) + (f" ± {written(1.96 * error)}" if np.isfinite(error) else "")


def _floor(rows, name):
    floors = [row[f"floor_{name}"] for _, row in rows if f"floor_{name}" in row]
    return float(np.median(floors)) if floors else np.nan
