"""What the official training says of itself: the lines of its log, and the rows of its stats.jsonl."""

import json
import math
import re
from pathlib import Path

TICK = re.compile(
    r"tick (?P<tick>\d+)\s+kimg (?P<kimg>[\d.]+)\s+time (?P<time>.+?)\s+sec/tick .*augment (?P<augment>[\d.]+)"
)
PLACE = re.compile(r"Output directory:\s+(?P<path>.+?)\s*$")
COLUMNS = {  # of our losses.csv, where the two codes mean the same
    "Gmain": "Loss/G/loss",
    "Greg": "Loss/G/reg",
    "Dmain": "Loss/D/loss",
    "Dreg": "Loss/D/reg",
    "real": "Loss/scores/real",
    "fake": "Loss/scores/fake",  # of both networks' turns, where ours are of the discriminator's
    "sign": "Loss/signs/real",
    "p": "Progress/augment",
}


def tick(line):
    """(tick, kimg, p) of a line that reports progress, else None; `time` holds spaces, so fields go by their labels."""
    found = TICK.match(line)
    return (int(found["tick"]), float(found["kimg"]), float(found["augment"])) if found else None


def output_folder(line):
    """The folder of the session, from the line that names it; else None."""
    found = PLACE.match(line)
    return found["path"] if found else None


def rows(path, start=0):
    """Rows of losses.csv from the `start`-th of a stats.jsonl on; a last line that is still being written waits."""
    if not Path(path).is_file():
        return []
    *whole, _ = Path(path).read_text(encoding="utf-8").split("\n")
    return [_row(json.loads(line)) for line in whole[start:] if line]


def _row(stats):
    """kimg and seconds of the session, and the means of what was reported since the row before."""
    row = {"kimg": _mean(stats, "Progress/kimg"), "seconds": _mean(stats, "Timing/total_sec")}
    return {**row, **{ours: _mean(stats, theirs) for ours, theirs in COLUMNS.items()}}


def _mean(stats, key):
    """A phase that had no turn reports NaN."""
    return float(stats[key]["mean"]) if key in stats and stats[key].get("num") else math.nan
