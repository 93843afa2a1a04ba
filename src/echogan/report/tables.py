"""Tolerant reading of CSVs: what is broken is left out and named, what is whole is kept as it was written."""

import csv
from pathlib import Path

import numpy as np
import pandas as pd

from echogan.errors import BadInput

TEXT = {"split", "encoder", "encoder_sha256", "floor_of", "paired", "stage", "hardware", "run_id", "carpeta"}


def read_rows(path):
    """(header, rows, problems) of a CSV; a last line cut off by a crash is left out, other lines keep their length."""
    try:
        text = Path(path).read_text(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error
    lines = text.splitlines()
    header, *rows = csv.reader(lines) if lines else [[]]
    problems = []
    if rows and not text.endswith("\n"):
        rows.pop()
        problems.append(f"{Path(path).name}: the last line is cut off and left out")
    return [name.strip() for name in header], rows, problems


def read_table(path, needed=("kimg",), wanted=()):
    """(table, problems): a training CSV as a DataFrame sorted by kimg, numbers as float, text columns as str.

    Where rows report (metrics.csv, audit.csv), `line` numbers them as the file has them, see `as_written`.
    Never raises for what a run may leave behind: a missing file, no rows, a half-written line, a missing column;
    without a `needed` column the table is empty, a `wanted` one that is absent is only named.
    """
    path = Path(path)
    if not path.is_file():
        return pd.DataFrame(columns=list(needed)), [f"{path.name} is missing"]
    header, rows, problems = read_rows(path)
    whole = [row for row in rows if len(row) == len(header)]
    if len(whole) < len(rows):
        problems.append(f"{path.name}: {len(rows) - len(whole)} broken line(s) left out")
    table = pd.DataFrame(whole, columns=header, dtype=str)
    table, unreadable = numeric(table)
    problems += [f"{path.name}: {column} has values that are not numbers, left out" for column in unreadable]
    absent = [name for name in (*needed, *wanted) if name not in table]
    if absent:
        problems.append(f"{path.name} lacks the column {', '.join(absent)}")
    if set(absent) & set(needed):
        return pd.DataFrame(columns=[*needed, *header]), problems
    if "split" in table or "flagged" in table:
        table["line"] = np.arange(len(table), dtype=float)
    table = table[np.isfinite(table["kimg"])].sort_values("kimg", kind="stable").reset_index(drop=True)
    return table, problems if len(table) else [*problems, f"{path.name} has no rows yet"]


def as_written(table):
    """The rows of a table in the order of their file, where `read_table` kept it: the last one is the latest."""
    return table.sort_values("line").drop(columns="line") if "line" in table else table


def numeric(table):
    """(table, names of columns in which some text was no number): all but the text columns as float."""
    unreadable = []
    for column in table.columns:
        if column in TEXT:
            continue
        numbers = pd.to_numeric(table[column], errors="coerce").astype(float)
        blank = table[column].str.strip().str.lower().isin(["", "nan", "-nan"])
        if (numbers.isna() & ~blank).any():
            unreadable.append(column)
        table[column] = numbers.where(np.isfinite(numbers))
    return table, unreadable
