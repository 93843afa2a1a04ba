"""What TEST says: one row per run, its latest, each number with its 95 % interval and beside what real images reach."""

import numpy as np
import pandas as pd

from echogan.report.metrics import written

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
<<<<<<< HEAD
    rows = [row for run in runs if (row := latest(run, stage)) is not None]
=======
    rows = [row for run in runs if (row := latest(run)) is not None]
>>>>>>> 8d77960 (echogan study: the whole evidence by one command that goes on where it stopped; tables of results/README.md)
    n = sorted({(int(row["n_real"]), int(row["n_fake"])) for row in rows})
    kinds = sorted({run.kind for run in runs})
    encoders = sorted({str(row["encoder"]) for row in rows if row.get("encoder")})
    counts = "; ".join(f"{fake:,} generated against {real:,} real" for real, fake in n)
    return f"{', '.join(kinds)}, TEST, {counts}; encoder {', '.join(encoders) or 'none'}; ± 95 % interval over patients"


def latest(run, stage="generate"):
<<<<<<< HEAD
    """The latest TEST row of a run, without its empty cells, as a dict; None where it was not judged."""
    if "split" not in run.metrics:
        return None
    rows = run.metrics[run.metrics["split"] == "TEST"]
    stages = rows["stage"].fillna("generate") if "stage" in rows else pd.Series("generate", rows.index)
    rows = rows[stages == stage]
=======
    """{column: value} of the latest TEST row of a run, None where TEST was not read."""
    if "split" not in run.metrics:
        return None
    rows = run.metrics[run.metrics["split"] == "TEST"]
    if "stage" in rows:  # where it is blank, what the readings of training looked at
        rows = rows[rows["stage"].replace("", _usual(run)).fillna(_usual(run)) == stage]
    elif stage != "generate":
        return None
>>>>>>> 8d77960 (echogan study: the whole evidence by one command that goes on where it stopped; tables of results/README.md)
    return rows.iloc[-1].dropna().to_dict() if len(rows) else None


def _usual(run):
    stages = run.readings["stage"].replace("", None).dropna()
    return stages.iloc[-1] if len(stages) else "generate"


def _cell(row, name):
    value, error = row.get(name, np.nan), row.get(f"{name}_error", np.nan)
    return written(value) + (f" ± {written(1.96 * error)}" if np.isfinite(error) else "")


def _floor(rows, name):
    floors = [row[f"floor_{name}"] for _, row in rows if f"floor_{name}" in row]
    return float(np.median(floors)) if floors else np.nan
