"""The page that goes with a set of frames: how many of what, from where, how made, and what one may do with it."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from echogan.data.clip import PHANTOM, SPLITS
from echogan.data.frames import COLUMNS, OPTIONAL, save_index
from echogan.files import write_text

COUNTED = ("view", "phase", "quality", "domain")
_TERMS = {
    PHANTOM: "Simulated, of nobody. No echocardiogram, and no evidence about one.",
    "EchoNet-Dynamic": "Real echocardiograms, under the research use agreement that each user signs with its authors; "
    "neither the recordings nor frames of them may be passed on.",
    "CAMUS": "Real echocardiograms, under the terms its authors publish with it.",
    "HC18": "Real ultrasound of fetal heads, no echocardiograms. van den Heuvel et al. 2018, CC BY 4.0.",
}
_OTHERS = "Nothing is known of its terms: take it for personal health data until its owner says otherwise."
_AT_MOST = 12  # sentences of a list, so that the card stays a page
_SETTINGS = ("size", "phases", "bilateral", "frames_per_clip", "seed", "mask", "masks", "subset", "low", "high")


@dataclass(frozen=True)
class Summary:
    """What preparing a data set did."""

    folder: Path
    kind: str
    patients: int
    images: int
    domains: dict  # name -> images; empty without domains
    warnings: list


def complete(folder, rows, manifest, labels=None):
    """Write index.csv, manifest.json with its counts, labels.json and data_card.md into `folder`.

    `rows` are dicts or a table; the rest as in `save_index`.
    """
    table = pd.DataFrame(rows)
    index = table.reindex(columns=[*COLUMNS, *(column for column in OPTIONAL if column in table)])
    manifest = {**manifest, "counts": counts(index)}
    save_index(folder, index, manifest, labels)
    write_text(Path(folder) / "data_card.md", card(index, manifest))


def counts(index):
    """Images and patients of each split, and images of each view, phase, quality and domain by split."""
    split = {
        name: {"images": int((index["split"] == name).sum()), "patients": int(part.nunique())}
        for name in SPLITS
        for part in [index.loc[index["split"] == name, "patient"]]
    }
    stated = [column for column in COUNTED if column in index and index[column].notna().any()]
    return {"split": split, **{column: _by_split(index, column) for column in stated}}


def _by_split(index, column):
    table = pd.crosstab(index[column].fillna("not stated"), index["split"])
    return {str(value): {name: int(row.get(name, 0)) for name in SPLITS} for value, row in table.iterrows()}


def terms(kind):
    """What one may do with data of a kind."""
    return _TERMS.get(kind, _OTHERS)


def card(index, manifest):
    """The data card of a set of frames as Markdown, from its table and manifest."""
    counted = counts(index)
    kind = manifest.get("kind", "unnamed data")
    parts = [
        f"# Data card: {manifest.get('source', 'frames')}\n\n**{kind}.** {terms(kind)}",
        "## What it holds\n\n" + _held(counted["split"], index),
        *(f"By {column}:\n\n{_table(column, rows)}" for column, rows in counted.items() if column != "split"),
        "## Where it is from\n\n" + _list(_origin(manifest)),
        "## How it was made\n\n" + _list({key: manifest[key] for key in _SETTINGS if key in manifest}),
    ]
    said = [
        *(f"skipped {s['recording']}: {s['reason']}" for s in manifest.get("skipped", ())),
        *manifest.get("warnings", ()),
    ]
    if said:
        more = [f"and {len(said) - _AT_MOST} more, in manifest.json"] if len(said) > _AT_MOST else []
        parts.append("## What to know\n\n" + "\n".join(f"* {line}" for line in [*said[:_AT_MOST], *more]))
    return "\n\n".join(parts) + "\n"


def _held(split, index):
    again = index.loc[index["duplicate_of"].notna(), "split"].value_counts()
    rows = [f"| {name} | {n['images']:,} | {n['patients']:,} | {again.get(name, 0):,} |" for name, n in split.items()]
    return "\n".join(["| split | images | patients | of the images, repeats left out |", "|---|--:|--:|--:|", *rows])


def _table(column, rows):
    lines = [f"| {value} | {' | '.join(f'{row[name]:,}' for name in SPLITS)} |" for value, row in rows.items()]
    return "\n".join([f"| {column} | {' | '.join(SPLITS)} |", "|---|--:|--:|--:|", *lines])


def _origin(manifest):
    agreement = manifest.get("counting_against_tracings")
    found = manifest.get("phases_found")
    return {
        "source": manifest.get("source"),
        "fingerprint of the source": manifest.get("source_fingerprint"),
        "recordings": manifest.get("recordings"),
        "splits": manifest.get("splits"),
        "phases found": ", ".join(f"{n:,} {method}" for method, n in found.items()) if found else None,
        "counting within 2 frames of the tracings": f"{agreement['within_2_frames']:.0%}" if agreement else None,
        "versions": ", ".join(f"{name} {number}" for name, number in manifest.get("versions", {}).items()) or None,
    }


def _list(values):
    return "\n".join(f"* {key.replace('_', ' ')}: {value}" for key, value in values.items() if value is not None)
