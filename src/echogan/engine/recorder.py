"""losses.csv and metrics.csv: one row at a time, on disk at once, cut back to the checkpoint when a run is taken up."""

import csv
import io
import math
import os
from pathlib import Path

from echogan.errors import BadInput
from echogan.files import write_text

LOSSES = ("kimg", "epoch", "seconds")
METRICS = (
    *("kimg", "epoch", "seconds", "split", "encoder", "n_real", "n_fake"),
    *("FID", "FID_inf", "KID", "KID_error", "KID_lite0", "SWD", "JSD", "spectrum_dB"),
    *("paired", "SSIM", "PSNR", "LPIPS", "precision", "recall", "density", "coverage"),
    *("floor_FID", "floor_KID", "floor_SWD", "floor_JSD", "floor_spectrum_dB"),
    *("floor_KID_lite0", "floor_of", "n_floor", "encoder_sha256", "size", "vendi", "JSD_sector"),
    *("speckle_axial", "speckle_lateral", "speckle_SNR", "FID_error", "precision_error", "recall_error"),
    *("density_error", "coverage_error", "SWD_error", "JSD_error", "spectrum_dB_error", "JSD_sector_error"),
    *("speckle_axial_error", "speckle_lateral_error", "speckle_SNR_error"),
    *("floor_FID_inf", "floor_precision", "floor_recall", "floor_density", "floor_coverage", "floor_vendi"),
    *("floor_JSD_sector", "floor_speckle_axial", "floor_speckle_lateral", "floor_speckle_SNR"),
    *("n_pairs", "MS_SSIM", "SSIM_error", "MS_SSIM_error", "PSNR_error", "LPIPS_error"),
    *("floor_SSIM", "floor_MS_SSIM", "floor_PSNR", "floor_LPIPS"),
    "stage",  # what the reading looked at: generate or translate
    *("bits", "JPEG2000_bits", "JPEG2000_SSIM", "JPEG2000_PSNR", "JPEG2000_LPIPS"),  # an image's, of an autoencoder
    "peak_MB",  # memory of the process that trains, at most so far
    *("images_per_s", "hardware"),  # made by the weights that were judged, and on what
)


REPORTS = ("TEST", "ALL")  # splits whose rows training did not read, but somebody who judged weights that are kept


class Table:
    """An append-only CSV with a growing header; rows beyond `until` kimg and broken lines of a killed run are dropped.

    Rows of the splits `spared` are not dropped.
    """

    def __init__(self, path, columns, until=math.inf, spared=()):
        self.path, self.columns, self.rows = Path(path), list(columns), []
        if self.path.is_file():
            found, rows = read_rows(self.path)
            self.columns = found or self.columns
            # Beyond 1000 kimg six digits may round a row's moment up, so both are compared as they are written.
            until = float(_text(float(until)))
            self.rows = [row for row in rows if float(row["kimg"]) <= until or row.get("split") in spared]
        self._rewrite()

    def add(self, row):
        """Write one row ({column: value}); a new column joins the header."""
        new = [key for key in row if key not in self.columns]
        self.columns += new
        text = {key: _text(row.get(key)) for key in self.columns}
        self.rows.append(text)
        if new:
            return self._rewrite()
        try:
            with open(self.path, "a", newline="", encoding="utf-8") as file:
                csv.DictWriter(file, self.columns, lineterminator="\n").writerow(text)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise BadInput(
                f"cannot write {self.path}: {error.strerror or error}; free some space, then go on"
            ) from error

    def numbers(self, column):
        """The values of a column, NaN where empty."""
        return numbers(self.rows, column)

    def _rewrite(self):
        text = io.StringIO()
        writer = csv.DictWriter(text, self.columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.rows)
        write_text(self.path, text.getvalue())


def numbers(rows, column):
    """The values of a column of some rows, NaN where empty."""
    return [float(row.get(column) or "nan") for row in rows]


def read_rows(path):
    """(columns, rows {column: text}) of a table, without the broken lines that a killed program or a full disk leaves."""
    with open(path, newline="", encoding="utf-8", errors="replace") as file:
        lines = csv.reader(line for line in file if "\0" not in line)
        columns = next(lines, [])
        rows = [dict(zip(columns, line)) for line in lines if len(line) == len(columns)]
    if columns and "kimg" not in columns:
        raise BadInput(f"{path} has no column kimg; restore it, or remove it and lose its rows")
    return columns, [row for row in rows if _is_number(row.get("kimg", ""))]


def _is_number(text):
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _text(value):
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    return f"{value:.6g}" if isinstance(value, float) else str(value)
