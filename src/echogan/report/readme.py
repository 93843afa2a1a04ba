"""results/README.md: the tables a reader starts from. They are written between two marks; what stands around them is kept."""

from pathlib import Path

import numpy as np
import pandas as pd

from echogan.errors import BadInput
from echogan.files import write_text
from echogan.report import across, ladder, originals, seeds
from echogan.report.held_out import latest
from echogan.report.metrics import half_interval, written
from echogan.report.run import ARCHITECTURES, STAGES, on_usual_data
from echogan.report.tables import as_written, read_table

BEGIN, END = "<!-- tables: `echogan report` writes them -->", "<!-- end of tables -->"
BLANK = f"# results/\n\n{BEGIN}\n{END}\n\n## What did not work, and why\n"
MEDIAN = 3  # readings: the rule by which a run chooses its weights


def write(runs, results, listed):
    """Write the tables of `runs` into results/README.md; returns the file.

    `listed` is {architecture: names of its configs}: what of them was not run is said.
    """
    path = Path(results) / "README.md"
    write_text(path, inserted(path.read_text(encoding="utf-8") if path.is_file() else BLANK, tables(runs, listed)))
    return path


def inserted(page, text):
    """`page` with `text` between its marks."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        raise BadInput(f"results/README.md lacks the marks {BEGIN} and {END}; put them where the tables belong")
    return f"{before}{BEGIN}\n\n{text}\n\n{END}{after}"


def tables(runs, listed):
    """Markdown of all tables."""
    listed = {arch: listed[arch] for arch in ARCHITECTURES if arch in listed}
    known = [run for run in runs if not run.study and run.name != "demo" and run.listed in listed.get(run.arch, ())]
    ours, others = _one_data(known)
    chosen = [run for arch in listed for run in _chosen([run for run in ours if run.arch == arch])]
    parts = [_said(ours), _table(_quality(chosen, ours)), NOTE, *_moved(ours)]
    parts += ["### Price", _table(_price(chosen, ours)), PRICE]
    parts += ["### What was published", _table(originals.rows(listed)), *_as_published(runs)]
    parts += ["### At equal images shown", _table(ladder.rows(known)), ladder.NOTE]
    parts += ["### Every run", _table([_of_run(run) for run in ours]), READS, *_other_data(others)]
    parts += ["### Not run", _not_run(known, listed)]
    return "\n\n".join(parts)


NOTE = (
    "Rows: of each architecture the best config by the lowest rolling median on VAL (of its first seed; of those trained for "
    "as long as any), and the best one of the original study (†). ± is half of the 95 % interval, over the patients of the "
    "real images; generated images count one by one, also where several are made of one patient's, so there ± is a little too "
    "narrow; of precision, density and coverage the spheres around real images are held fixed, so there ± is too narrow (in "
    "simulations of 200 patients by up to two fifths, by more with fewer); a share of 0 or 1 has none, as no spread was seen: "
    "by the rule of three it may be 3 / n away (n: generated images for precision, patients for recall). In brackets what real "
    "images reach: TRAIN frames in place of the generated ones. VAL: the metric that chose the weights, best · last · median "
    "of the last three readings; the weights are those of the lowest rolling median of three (last / best below is of that "
    "median), and TEST read them, but for ‡. KID_lite0: kernel distance by the features of EfficientNet-Lite0, in training "
    "readings alone. LPIPS: mean distance of random pairs, the goal is that of real pairs. Copies: share of generated images "
    "nearer to a training frame than all but 5 % of unseen patients; in brackets the share of unseen patients. – was not "
    "measured. FID falls with n: compare equal n."
)
COUNTED = "± of FID counts images: too narrow where a patient gave several; that of TEST FID is over the patients."
PRICE = (
    "images/s: slowest–fastest seed that was timed. Their networks are equal, so what differs is how busy the machine was: the "
    "fastest is nearest to what a network can do."
)
READS = (
    "TEST read: the readings that the run's test_reads.csv lists; its rows of TEST that were kept, where it has no such list. "
    "Images from noise and images made of images are read one by one; enhancers have been judged on TEST by `echogan rate` and "
    "`echogan trust` too, which are not counted here."
)


# ------------------------------------------------------------------------------------------------ which runs


def _one_data(runs):
    """(runs on the data that most runs of their architecture saw, the other ones)."""
    usual = on_usual_data(runs)
    return [run for run in runs if usual[run]], [run for run in runs if not usual[run]]


def _chosen(runs):
    """The best run by VAL and the best published one, of one architecture."""
    runs, found = seeds.firsts(runs), []
    for part in (runs, [run for run in runs if run.published]):
        try:
            found += across.best_runs(part) if part else []
        except BadInput:  # no reading yet
            continue
    return list(dict.fromkeys(found))


# ------------------------------------------------------------------------------------------------ what a row says


def _named(run):
    return f"{run.family} `{run.name}`{'†' * run.published}{_mark(run)}"


def _mark(run):
    return " ‡" if _chose(run) is not None else ""


def _row(run):
    """What TEST says of a run, of images from noise where it makes them; empty where it was not read."""
    return latest(run) or latest(run, STAGES[1]) or {}


def _chose(run):
    """The kimg that VAL chose, where TEST read the run at another one; else None."""
    row, curve = _row(run), run.curve(_lead(run))
    best = curve.chosen() if row and curve else None
    return None if best is None or best["kimg"] == row.get("kimg") else best["kimg"]


def _moved(runs):
    """The line that says what ‡ means, where any run has it."""
    rows = [(run, _chose(run), _row(run)) for run in runs if _mark(run)]
    told = ", ".join(f"{r.arch}/{r.name} at {written(row['kimg'])} ({written(kimg)})" for r, kimg, row in rows)
    return [f"‡ TEST read other weights than VAL chose, at this kimg in place of the bracketed one: {told}."] * bool(
        rows
    )


def _quality(chosen, runs):
    for run in chosen:
        rows = {stage: row for stage in STAGES if (row := latest(run, stage))}
        for stage, row in (rows or {"": {}}).items():
            yield {
                "": _named(run),
                "made": ladder.MADE.get(stage, "–"),
                "read at kimg": written(row.get("kimg", np.nan)),
                "VAL": _val(run),
                **{f"TEST {name}": _beside(row, name) for name in ("KID", "FID", "precision", "recall")},
                "LPIPS": _beside(row, "LPIPS") if row.get("paired") == "diversity" else "–",
                "copies": _of_any(_copies, run, runs) if stage == "generate" else "–",
            }


def _val(run):
    lead, values = _read(run)
    if not len(values):
        return "–"
    return f"{lead} " + " · ".join(map(written, (min(values), values[-1], np.median(values[-MEDIAN:]))))


def _read(run):
    """(metric that chose the weights, its VAL readings of the trained network)."""
    lead = _lead(run)
    curve = run.curve(lead)
    return lead, curve.value[(curve.kimg > curve.idle) & np.isfinite(curve.value)] if curve else np.array([])


def _lead(run):
    return run.config.get("chosen_by", "").split(" ")[0]


def _drift(run):
    """Last by best rolling median of the VAL readings: 1 where the end is the best."""
    _, values = _read(run)
    smooth = [np.median(values[max(0, i - MEDIAN + 1) : i + 1]) for i in range(len(values))]
    return smooth[-1] / min(smooth) if smooth and min(smooth) > 0 else np.nan


def _pm(row, name):
    half = half_interval(row, name)
    return written(row.get(name, np.nan)) + (f" ± {written(half)}" if np.isfinite(half) else "")


def _beside(row, name):
    floor = f" ({written(row[f'floor_{name}'])})" if f"floor_{name}" in row else ""
    return _pm(row, name) + floor


def _copies(run):
    table, _ = read_table(run.folder / "metrics_csv" / "audit.csv")
    if not len(table):
        return ""
    row = as_written(table).iloc[-1]
    return f"{row['flagged']:.1f} % ({row['false_flags']:.1f} %)"


def _price(chosen, runs):
    for run in chosen:
        parameters = sum(run.config.get("parameters", {}).values())
        yield {
            "": _named(run),
            "parameters": f"{parameters / 1e6:.2f} M",
            "px": run.resolution,
            "kimg": written(run.losses["kimg"].max()),
            "training": f"{run.losses['seconds'].max() / 60:.0f} min" if "seconds" in run.losses else "–",
            "on": run.hardware,
            "images/s": _speeds(_repeats(run, runs)),
            "peak memory": _memory(run, runs),
            "TEST KID of every seed": _seeds(run, runs),
        }


def _of_any(read, run, runs):
    """What `read` finds in the run, else in the same config under another seed, which is then named."""
    for one in [run, *_repeats(run, runs)]:
        if found := read(one):
            return found if one is run else f"{found}, `{one.name}`"
    return "–"


def _speeds(group):
    """Images a second of a run and its other seeds, slowest to fastest, on each kind of machine that timed them."""
    places = {}
    for place, speed in filter(None, map(_speed, group)):
        places.setdefault(place, []).append(speed)
    return "; ".join(f"{_range(speeds)} on {place}" for place, speeds in places.items()) or "–"


def _range(values):
    ends = dict.fromkeys(map(written, (min(values), max(values))))
    return "–".join(ends) + f" ({len(values)} seeds)" * (len(values) > 1)


def _speed(run):
    """(machine, images a second) of the last reading that timed them, of whichever split; drawn from noise where it does."""
    timed = run.metrics.reindex(columns=["images_per_s", "hardware", "stage"]).dropna(
        subset=["images_per_s", "hardware"]
    )
    if timed.empty:
        return None
    drawn = timed[timed["stage"] == STAGES[0]]
    speed, place, _ = (timed if drawn.empty else drawn).iloc[-1]
    return place, speed


def _memory(run, runs):
    """Most memory that training took, of the run or of the same config under another seed."""
    peaks = [
        peak for one in _repeats(run, runs) if (peak := one.metrics.get("peak_MB", pd.Series(dtype=float)).max()) > 0
    ]
    return f"{max(peaks):,.0f} MB" if peaks else "–"


def _repeats(run, runs):
    (group,) = [group for group in seeds.grouped(runs) if run in group]
    return group


def _seeds(run, runs):
    group = _repeats(run, runs)
    found = [row["KID"] for one in group if (row := _row(one)) and "KID" in row]
    return f"{', '.join(map(written, found))} ({len(found)} of {len(group)})" if found else "–"


def _as_published(runs):
    """FID against all frames, as 9.17 was measured, where a licence holder did that."""
    rows = []
    for run in runs:
        part = run.metrics[run.metrics["split"] == "ALL"] if "split" in run.metrics else run.metrics[:0]
        if len(part):
            row, told = as_written(part).iloc[-1], {"": run.title, "data": run.kind}
            n = f"{row['n_fake']:,.0f} against {row['n_real']:,.0f}"
            rows.append({**told, "n": n, "FID": _pm(row, "FID"), "TEST FID": _beside(latest(run) or {}, "FID")})
    return ["### As the published FID was measured", _table(rows), COUNTED] if rows else []


def _of_run(run):
    row = _row(run)
    reads = _reads(run)
    return {
        "": f"{run.arch}/{run.label}{_mark(run)}",
        "kimg": written(run.losses["kimg"].max()) if len(run.losses) else "–",
        "VAL": _val(run),
        "last / best": f"{_drift(run):.2f}" if np.isfinite(_drift(run)) else "–",
        "TEST KID": _pm(row, "KID"),
        "TEST FID": _pm(row, "FID"),
        "TEST read": f"{reads} ×" if reads else "never",
    }


def _reads(run):
    """How often TEST was read: the lines of the run's own list of that, or its kept rows, where these are more (older)."""
    listed, _ = read_table(run.folder / "metrics_csv" / "test_reads.csv")
    kept = (run.metrics["split"] == "TEST").sum() if "split" in run.metrics else 0
    return max(len(listed), int(kept))


def _other_data(runs):
    names = ", ".join(f"{run.arch}/{run.name}" for run in runs)
    return [f"Trained on other data than the rest of their architecture, and not ranked: {names}."] if runs else []


def _not_run(runs, listed):
    lines = []
    for arch, names in listed.items():
        seen = {run.listed for run in runs if run.arch == arch}
        lacking = [name for name in names if name not in seen and name != "demo"]
        lines += [f"* {arch}: {', '.join(lacking)}"] * bool(lacking)
    return "\n".join(lines) or "Every config was run."


def _said(runs):
    """Data, split, n, encoder, hardware."""
    if not runs:
        return "No run yet."
    kinds = {}
    for run in runs:
        kinds.setdefault(_data(run), []).append(run)
    encoders = sorted({str(row["encoder"]) for run in runs for row in _judged(run) if row.get("encoder")})
    simulated = any(run.kind == "synthetic phantom" for run in runs)
    warned = " **A phantom is simulated: its numbers say nothing about real echoes.**" * simulated
    return (
        f"Data: {'; '.join(f'{_whose(theirs)}: {data}, {_sizes(theirs)}' for data, theirs in kinds.items())}. "
        f"Encoder {', '.join(encoders) or 'none'}. Trained on {', '.join(sorted({run.hardware for run in runs}))}.{warned}"
    )


def _data(run):
    images = run.data.get("images", {})
    counts = " / ".join(f"{images.get(split, 0):,}" for split in ("TRAIN", "VAL", "TEST"))
    return f"{run.kind} {run.data.get('fingerprint', '')} ({counts} images of TRAIN / VAL / TEST)"


def _whose(runs):
    return ", ".join(dict.fromkeys(run.family for run in runs))


def _sizes(runs):
    """How many images TEST compared."""
    n = sorted({f"{row['n_fake']:,.0f} against {row['n_real']:,.0f}" for run in runs for row in _judged(run)})
    return f"TEST {', '.join(n)}" if n else "TEST not read"


def _judged(run):
    return [row for stage in STAGES if (row := latest(run, stage))]


def _table(rows):
    """Markdown of rows, {column: cell}."""
    rows = list(rows)
    if not rows:
        return "None yet."
    lines = [list(rows[0]), ["---"] * len(rows[0]), *(list(map(str, row.values())) for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
