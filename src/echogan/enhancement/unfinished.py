"""A folder of recordings on its way: what is made so far, so that an equal call goes on after any interruption.

OUT/.unfinished/plan.json    weights, settings and recordings: only an equal call goes on
OUT/.unfinished/done.jsonl   one line for each recording that is made, and reported on
OUT/.unfinished/lock         held while a program works there

All of it is gone once every recording was tried.
"""

import hashlib
import json
import shutil
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO
from uuid import uuid4

from filelock import FileLock, Timeout

import echogan
from echogan.config import differences
from echogan.enhancement.stream import Done
from echogan.errors import BadInput
from echogan.files import disk_errors, read_json, write_json, write_text


@dataclass
class Work:
    """`done`: {name of a recording: its `Done`}."""

    done: dict
    journal: TextIO

    def add(self, name, done):
        """Keep that the recording `name` is made."""
        self.done[name] = done
        with disk_errors(self.journal.name):
            print(json.dumps({"name": name, **asdict(done)}, default=_plain), file=self.journal, flush=True)


@contextmanager
def unfinished(out, plan):
    """Yield the `Work` in the folder `out`: nothing is done, unless an equal call was stopped there.

    A folder that holds anything else, or in which another program works, is a `BadInput`.
    """
    folder = out / ".unfinished"
    with _alone(out, folder, plan):
        with disk_errors(out):
            write_json(folder / "plan.json", plan)
            done, lines = _read(out, folder / "done.jsonl")
            write_text(folder / "done.jsonl", "".join(lines))
        with open(folder / "done.jsonl", "a", encoding="utf-8", newline="\n") as journal:
            yield Work(done, journal)
    shutil.rmtree(folder, ignore_errors=True)


def plan_of(source, names, wanted, report):
    """What must be equal for an earlier call's work to count; a function without a name cannot be told from another."""
    stats = [(name, (source / name).stat()) for name in names]
    listed = "\n".join(f"{name}\t{stat.st_size}\t{stat.st_mtime_ns}" for name, stat in stats)
    settings = {**asdict(wanted), "origin": wanted.origin or str(uuid4())}
    files = hashlib.sha256(listed.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    plan = {**settings, "report": report, "recordings": files, "echogan": echogan.__version__}
    return json.loads(json.dumps(plan, default=_plain))  # tuples become lists, as they come back


def _check(out, plan, wanted):
    others = out.exists() and (not out.is_dir() or [path for path in out.iterdir() if path != plan.parent])
    if others and not plan.is_file():
        raise BadInput(f"{out} exists and is not empty; choose another folder")
    if plan.is_file() and (changed := differences(read_json(plan), wanted)):
        raise BadInput(
            f"{out} holds unfinished work of other settings ({changed[0]}); finish that, or choose another folder"
        )


@contextmanager
def _alone(out, folder, plan):
    """Hold the lock of `folder` in `out`, where equal work, or nothing, is."""
    with disk_errors(out):
        _check(out, folder / "plan.json", plan)
        folder.mkdir(parents=True, exist_ok=True)
        try:
            held = FileLock(folder / "lock").acquire(timeout=0)
        except Timeout as error:
            raise BadInput(
                f"{out} is being written by another program; wait for it, or choose another folder"
            ) from error
    with held:
        yield


def _read(out, path):
    """({name: `Done`}, their lines) of what is made and still there; a line that was cut short does not count."""
    done, kept = {}, []
    for line in path.read_bytes().splitlines(keepends=True) if path.is_file() else ():
        entry = json.loads(line) if line.endswith(b"\n") else {"name": ""}
        name = entry.pop("name")
        if (out / name).is_file():
            kept.append(line.decode())
            done[name] = _done(entry)
    return done, kept


def _done(entry):
    said: dict = {**entry, "shape": tuple(entry["shape"]), "box": tuple(entry["box"])}
    said |= {"path": Path(entry["path"]), "source": Path(entry["source"]), "files": list(map(Path, entry["files"]))}
    return Done(**said)


def _plain(value):
    """A path, or a number of NumPy, as JSON has it."""
    return str(value) if isinstance(value, Path) else value.item()
