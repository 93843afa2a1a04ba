"""What an extraction says of itself: the result for its caller, and the tables beside the images."""

import hashlib
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path

from echogan.errors import BadInput
from echogan.preprocessing import phase
from echogan.preprocessing.splits import across, listed, shared


@dataclass(frozen=True)
class Summary:
    """What a run did; `skipped` pairs (recording, reason), `agreement` as in `phase.agreement`, or None."""

    folder: Path
    kind: str
    recordings: int
    images: int
    duplicates: int
    skipped: list
    warnings: list
    agreement: dict | None
    shared: list  # pictures of two splits, in words
    files: dict  # recording -> its file where tables must not name that: for who ran it

    @property
    def problems(self):
        """What a user should read at the end: every skipped recording with its reason, then the warnings."""
        skipped = [(f"{name} ({self.files[name]})" if name in self.files else name, why) for name, why in self.skipped]
        return [f"skipped {name}: {reason}" for name, reason in skipped] + self.warnings


def summarise(out, found, settings, outcomes):
    """The `Summary` of all outcomes, whose rows get their `duplicate_of`; a `BadInput` where nothing can be used."""
    used = [o for o in outcomes if not o.skipped]
    if not used:
        _refuse(found, outcomes)
    rows = [row for o in used for row in o.rows]
    pairs = list(shared([row for row in rows if "duplicate_of" not in row]))
    for row, kept in pairs:
        row["duplicate_of"] = kept["file"]
    both = across(pairs)
    return Summary(
        folder=Path(out),
        kind=found.kind,
        recordings=len(used),
        images=len(rows),
        duplicates=sum("duplicate_of" in row for row in rows),
        skipped=_relative(found, found.skipped + [(o.name, o.skipped) for o in outcomes if o.skipped]),
        warnings=found.warnings + _warnings(found, settings, used, both),
        agreement=phase.agreement([o.apart for o in used if o.apart]),
        shared=both,
        files={job.name: job.file for job in found.jobs if job.file},
    )


def _warnings(found, settings, used, both):
    warnings = [sentence for o in used for sentence in o.warnings]
    untraced = sum(o.method == "counted" for o in used)
    if settings.phases == "traced" and untraced:
        warnings.append(f"{untraced} of {len(used)} recordings have no usable tracings; their phases were counted")
    if both and found.strict:
        raise BadInput(f"{len(both)} pictures of {found.root} are in two splits; remove one of each: {listed(both)}")
    if both:
        warnings.append(
            f"{len(both)} frames are in two splits; each is kept in TEST, else VAL, and left out of the other: {listed(both)}"
        )
    return warnings


def _refuse(found, outcomes):
    first = outcomes[0].skipped if outcomes else "it lists none"
    one = len(outcomes) == 1
    raise BadInput(
        first if one else f"none of the {len(outcomes)} {found.unit}s of {found.root} can be used; first: {first}"
    )


def _relative(found, skipped):
    """The reasons without absolute paths."""
    root = found.root.parent if found.single else found.root
    return [(name, reason.replace(f"{root}{os.sep}", "").replace(f"{root}:", "")) for name, reason in skipped]


def save(folder, found, settings, outcomes, whole, versions):
    """Write index.csv, manifest.json and the data card into `folder`."""
    from echogan.preprocessing.card import complete  # brings pandas, which the processes that decode never need

    manifest = {
        "kind": found.kind,
        "source": found.name,
        "source_fingerprint": _fingerprint(found, outcomes),
        "recordings": whole.recordings,
        "images": whole.images,
        "duplicates": whole.duplicates,
        "splits": found.splits,
        **_settings(found, settings),
        "phases_found": dict(Counter(o.method for o in outcomes if o.method)),
        "counting_against_tracings": whole.agreement,
        "shared_between_splits": whole.shared,
        "skipped": [{"recording": name, "reason": reason} for name, reason in whole.skipped],
        "warnings": whole.warnings,
        "versions": versions,
    }
    complete(folder, [row for o in outcomes for row in o.rows], manifest, found.labels)


def _settings(found, settings):
    if found.unit == "picture":
        return {"size": settings.size, "seed": settings.seed}
    return {**asdict(settings), "mask": "triangle united with half an ellipse (echogan.sector.study_mask)"}


def _fingerprint(found, outcomes):
    """Hash over the tables of the source, and name, split and bytes of every recording."""
    lines = [found.tables, *(f"{job.name}\t{job.split}\t{o.digest}" for job, o in zip(found.jobs, outcomes))]
    return hashlib.blake2b("\n".join(lines).encode(), digest_size=8).hexdigest()
