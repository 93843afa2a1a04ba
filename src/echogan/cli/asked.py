"""What a study learns from, kept beside what it makes of that: another data set of the same name is refused, not mixed in.

EXPERIMENTS/.study/asked.json    of every source the study has learnt from: where it lay, what it held, patients of a phantom
DATA/.<frames>.json              the same, of recordings that a study prepared
"""

import hashlib
from dataclasses import replace
from pathlib import Path

from echogan.cli.parts import wanted
from echogan.cli.plan import SOURCES
from echogan.config import folder
from echogan.errors import BadInput
from echogan.files import read_json, write_json


def keep_asked(plan):
    """Keep what a plan asks for; a `BadInput` where its folders hold what was made of other data.

    Folders from before this was kept go on, as do those whose data were moved: with the same files they are the same. Data
    may grow where they lie, as while they are unpacked, until anything is made of them.
    """
    asked = {source: _origin(plan, source) for source in sorted(wanted(plan))}
    begun = {source for source, (path, _) in asked.items() if _begun(plan, source, path)}
    _keep(plan, plan.experiments / ".study" / "asked.json", asked, plan.experiments, "EXPERIMENTS", begun)
    for source, given in (("frames", plan.data), ("masks", plan.camus), ("quality", plan.camus)):
        frames, (path, _) = plan.place(source), _given(given)
        note = frames.with_name(f".{frames.name}.json")
        if path and str(frames) != path and (note.is_file() or not frames.exists()):
            begun = {source} if (frames / "manifest.json").is_file() else set()
            _keep(plan, note, {source: (path, 0)}, frames, "DATA", begun)


def _origin(plan, source):
    """(path that a source is made of, patients of its phantom); masks may be those of --data, if these have any."""
    path, patients = _given(plan.data if source == "frames" else plan.camus, plan.patients)
    return (_given(plan.data)[0], patients) if source == "masks" and not path else (path, patients)


def _given(path, patients=0):
    """(the whole path, 0), or ("", patients) where none is given."""
    return (str(Path(path).resolve()), 0) if path else ("", patients)


def _begun(plan, source, path):
    """Whether anything was made of a source: its frames, unless `path` is these, or a run of any config on them."""
    frames, every = plan.place(source), replace(plan, only=())
    names = ((row, name) for row in every.rows for name in every.configs(row))
    runs = (plan.run(row, name) for row, name in names if plan.frames(row, name) == frames)
    prepared = str(frames) != path and (frames / "manifest.json").is_file()
    return prepared or any(run.config.is_file() for run in runs)


def _keep(plan, note, asked, made, variable, begun):
    """Add {source: (path, patients)} to a JSON of them, or refuse what is another one than there; `begun`: see `_begun`."""
    had, new, ours = read_json(note) if note.is_file() else {}, {}, _made_by(plan)
    for source, (path, patients) in asked.items():
        old, now = had.get(source), {"path": path, "patients": patients, "files": _files(path, ours)}
        grown = bool(old) and (old["path"], old["patients"]) == (path, patients)
        if old and _other(old, now) and not (grown and source not in begun):
            changed = " as it is now" * grown
            raise BadInput(
                f"the {source} of {made} were made from {_told(old)}, not from {_told(now)}{changed}; set ECHOGAN_{variable} "
                f"to another folder, or remove {note} where they are the same"
            )
        if old != now:
            new[source] = now
    if new:
        write_json(note, {**had, **new})


def _other(old, now):
    return any(old[key] != now[key] for key in ("files", "patients"))


def _told(origin):
    phantom = f"a phantom of {origin['patients']} patients" if origin["patients"] else ""
    return " and ".join(filter(None, (origin["path"], phantom)))


def _made_by(plan):
    """The folders that studies write to, which may lie below the data."""
    places = [plan.place(source.name) for source in SOURCES]
    published = [place.with_name(f"{place.name}_as_published") for place in places]
    return [place.resolve() for place in (*map(folder, ("data", "experiments", "results")), *places, *published)]


def _files(path, ours=()):
    """Hash of the names and sizes of the files at a path, wherever it lies; empty for no path.

    Hidden ones are left out, as a look into a folder leaves a .DS_Store there; so is what lies in the folders `ours`.
    """
    if not path:
        return ""
    found = [Path(path)] if Path(path).is_file() else [file for file in Path(path).rglob("*") if file.is_file()]
    inner = [place for place in ours if place != Path(path) and place.is_relative_to(path)]
    found = [file for file in found if not any(file.is_relative_to(place) for place in inner)]
    named = ((file.relative_to(path), file.stat().st_size) for file in found)
    told = sorted(
        f"{name.as_posix()}\0{size}" for name, size in named if not any(p.startswith(".") for p in name.parts)
    )
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:16]
