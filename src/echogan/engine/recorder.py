"""losses.csv and metrics.csv: one row at a time, on disk at once, cut back to the checkpoint when a run is taken up."""

import csv
import math
import os
from pathlib import Path

from echogan.files import write_text

LOSSES = ("kimg", "epoch", "seconds")
METRICS = (
    *("kimg", "epoch", "seconds", "split", "encoder", "n_real", "n_fake"),
    *("FID", "FID_inf", "KID", "KID_error", "KID_lite0", "SWD", "JSD", "spectrum_dB"),
    *("paired", "SSIM", "PSNR", "LPIPS", "precision", "recall", "density", "coverage"),
    *("floor_FID", "floor_KID", "floor_SWD", "floor_JSD", "floor_spectrum_dB"),
)


class Table:
    """An append-only CSV with a growing header; rows beyond `until` kimg and broken lines of a killed run are dropped."""

    def __init__(self, path, columns, until=math.inf):
        self.path, self.columns, self.rows = Path(path), list(columns), []
        if self.path.is_file():
            with open(self.path, newline="", encoding="utf-8") as file:
                reader = csv.DictReader(file)
                self.columns = list(reader.fieldnames or columns)
                self.rows = [row for row in reader if None not in row.values() and float(row["kimg"]) <= until]
        self._rewrite()

    def add(self, row):
        """Write one row ({column: value}); a new column joins the header."""
        new = [key for key in row if key not in self.columns]
        self.columns += new
        text = {key: _text(row.get(key)) for key in self.columns}
        self.rows.append(text)
        if new:
            return self._rewrite()
        with open(self.path, "a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, self.columns, lineterminator="\n").writerow(text)
            file.flush()
            os.fsync(file.fileno())

    def numbers(self, column):
        """The values of a column, NaN where empty."""
        return [float(row.get(column) or "nan") for row in self.rows]

    def _rewrite(self):
        lines = [",".join(self.columns)] + [",".join(row.get(c) or "" for c in self.columns) for row in self.rows]
        write_text(self.path, "\n".join(lines) + "\n")


def _text(value):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
