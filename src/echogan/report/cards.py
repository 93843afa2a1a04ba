"""The pages that go with what was trained: a model card, a data card, and what papers report beside what we measured.

Every number is read from config.json, metrics.csv or the header of weights; what was not measured is said to be so.
"""

import hashlib
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np
import pandas as pd
from safetensors import safe_open

from echogan.errors import BadInput
from echogan.files import write_text
from echogan.preprocessing.card import terms
from echogan.report import held_out
from echogan.report.metrics import METRICS, written
from echogan.report.run import ARCHITECTURES, STAGES
from echogan.report.runs import read_runs

KINDS = ("synthetic phantom", "EchoNet-Dynamic", "CAMUS", "HC18")  # whose terms we know
ON_TEST = {  # columns of the tables of TEST, and their titles
    "generate": ("Images from noise", held_out.SHOWN[:-1]),  # its LPIPS is a measure of variety, not of quality
    "translate": (
        "Images made of images",
        ("SSIM", "PSNR", "LPIPS", "FID", "KID", "precision", "recall", "SWD", "spectrum_dB"),
    ),
}
READ = ("KID_lite0", "SWD", "JSD", "spectrum_dB")  # of the table of VAL readings
FRESH = "<!-- Written by `echogan report --cards`; edits here are lost. -->"


def write_cards(experiments, folder, weights=(), reported=None, callback=None):
    """Write MODEL_CARD.md and DATA_CARD.md into `folder`, and reported.md beside the table `reported`; returns the paths.

    `weights` are the .safetensors files that come along; `reported` is a CSV of what papers report (publications/).
    """
    runs, folder = read_runs(experiments), Path(folder)
    if not runs:
        raise BadInput(f"{experiments} has no run to write a card of; train one with `echogan train ARCH CONFIG`")
    pages = {folder / "MODEL_CARD.md": model_card(runs, weights), folder / "DATA_CARD.md": data_card(runs)}
    if reported is not None:
        pages[Path(reported).with_suffix(".md")] = beside_papers(runs, pd.read_csv(reported, keep_default_na=False))
    for done, (path, text) in enumerate(pages.items()):
        write_text(path, text)
        if callback:
            callback(done + 1, len(pages), path)
    return list(pages)


def model_card(runs, weights=()):
    """The model card as Markdown: what was trained on what, how good it is and how that was measured, and what it is not."""
    versions = {run.config.get("versions", {}).get("torch") for run in runs} - {None} or {"version not stated"}
    return _filled(
        "model_card.md",
        families=_all(run.family for run in runs),
        runs=len(runs),
        kinds=_all(run.kind for run in runs),
        shipped=_shipped(weights),
        data=_data(runs),
        on_test="\n\n".join(_on_test(runs)) or "Nothing was judged on TEST yet.",
        on_val=_on_val(runs),
        seeds=_all(run.config.get("settings", {}).get("seed", "not stated") for run in runs),
        hardware=_all(run.hardware for run in runs),
        versions=_all(f"torch {version}" for version in versions),
    )


def data_card(runs):
    """The data card as Markdown: what the runs were trained on, and the terms of every kind of data that can be read."""
    known = [f"* **{kind}**: {terms(kind)}" for kind in KINDS]
    return _filled("data_card.md", data=_data(runs), terms="\n".join([*known, f"* All else: {terms('')}"]))


def _filled(name, **words):
    text = files("echogan.report").joinpath(name).read_text(encoding="utf-8")
    return Template(text).substitute(words, fresh=FRESH)


def _all(words):
    return ", ".join(sorted(set(map(str, words))))


def beside_papers(runs, reported):
    """A table of what papers report and what we measured of the same setting on TEST, or that we could not."""
    rows = [
        (
            f"{ARCHITECTURES[row.arch]} {row.config}",
            f"{row.metric} {row.value}",
            f"{row.source}, {row.where}; {row.of}" + (f". {row.remark}" if row.remark else ""),
            *_measured(runs, row),
        )
        for row in reported.itertuples()
    ]
    return _filled("papers.md", table=_table(("setting", "reported", "by, of what", "ours, TEST", "on"), rows))


def _measured(runs, row):
    ours = [run for run in runs if not run.study]
    run = next((run for run in ours if (run.arch, run.name) == (row.arch, row.config)), None)
    if run is None:
        return "not run", ""
    test = next((r for stage in STAGES if (r := held_out.latest(run, stage)) is not None and row.metric in r), None)
    on = f"{run.kind}, {run.resolution} px, {_kimg(run):g} kimg"
    if test is None:
        return "run, not read on TEST", on
    return f"{written(test[row.metric])} ({int(test['n_fake'])} images)", on


def _shipped(weights):
    if not weights:
        return "None."
    rows = []
    for path in map(Path, weights):
        with safe_open(path, "np") as file:
            header = file.metadata()
        digest, size = hashlib.sha256(path.read_bytes()).hexdigest()[:16], path.stat().st_size / 1e6
        who = f"{ARCHITECTURES.get(header['arch'], header['arch'])} {header['name']}, {float(header['kimg']):g} kimg"
        about = header["data"] + (f" `{header['fingerprint']}`" if header.get("fingerprint") else "")
        rows.append((f"`shipped:{path.stem}`", who, about, header.get("precision", "float32"), f"{size:.2f}", digest))
    table = _table(("name", "run", "trained on", "numbers", "MB", "sha256"), rows)
    return f"`echogan sample shipped:NAME OUT` draws from them; made by `echogan compact`.\n\n{table}"


def _data(runs):
    """One row per distinct data set: kind, fingerprint, images of each split, and who was trained on it."""
    seen = {}
    for run in runs:
        seen.setdefault((run.kind, run.data.get("fingerprint", "not stated")), []).append(run)
    rows = [
        (kind, f"`{mark}`", _counts(group[0]), _sizes(group), str(len(group))) for (kind, mark), group in seen.items()
    ]
    return _table(("data", "fingerprint", "images TRAIN / VAL / TEST", "stored, trained at", "runs"), rows)


def _counts(run):
    counts = run.data.get("images", {})
    return " / ".join(f"{counts[name]:,}" for name in ("TRAIN", "VAL", "TEST") if name in counts) or "not stated"


def _sizes(group):
    trained = sorted({run.resolution for run in group} - {0})
    return f"{group[0].data.get('size', '?')} px, {', '.join(map(str, trained)) or '?'} px"


def _on_test(runs):
    """Sections of Markdown, one per stage that TEST was read of; each ends with what real images reach."""
    for stage, (title, names) in ON_TEST.items():
        judged = [run for run in runs if held_out.latest(run, stage) is not None]
        groups = [[run for run in judged if run.arch == arch] for arch in dict.fromkeys(run.arch for run in judged)]
        if groups:
            frame = pd.concat([_of_family(group, names, stage) for group in groups]).fillna("–")
            shown = ["kimg", *(name for name in names if name in frame)]
            floor = frame["index"].str.startswith(held_out.FLOOR)
            floors = frame[floor].groupby(["index", *shown], sort=False)["family"].agg(", ".join).reset_index()
            floors["index"] += " (" + floors["family"] + ")"
            rows = pd.concat([frame[~floor], floors])[["index", *shown]].to_numpy()
            yield f"### {title}\n\n{held_out.caption(judged, stage)}.\n\n{_table(('run', *shown), rows)}"


def _of_family(runs, names, stage):
    """The table of one architecture's runs, named by it; its last row is what real images reach."""
    family = runs[0].family
    table = held_out.table(runs, names, stage)
    return (
        table.rename(lambda label: label if label.startswith(held_out.FLOOR) else f"{family} {label}")
        .reset_index()
        .assign(family=family)
    )


def _on_val(runs):
    names = [name for name in READ if any(name in run.measured for run in runs)]
    rows = [(run.title, f"{_kimg(run):g}", *(_best(run, name) for name in names)) for run in runs]
    note = "At which kimg in brackets; every column at its own best, so a row is no single network."
    return f"{note}\n\n{_table(('run', 'kimg', *(METRICS[name].axis for name in names)), rows)}"


def _best(run, name):
    curve = run.curve(name)
    row = curve.best() if curve else None
    return "" if row is None else f"{written(row[name])} ({row['kimg']:.3g})"


def _kimg(run):
    return float(run.losses["kimg"].max()) if "kimg" in run.losses and len(run.losses) else np.nan


def _table(head, rows):
    lines = [f"| {' | '.join(map(str, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|" + "---|" * len(head), *lines])
