"""A folder of recordings on its way: what is made so far, so that an equal call goes on after any interruption.

OUT/.unfinished/plan.json    weights, settings and recordings: only an equal call goes on
OUT/.unfinished/done.jsonl   a line as each recording is begun, and one once it is made and reported on
OUT/.unfinished/lock         held while a program works there

All of it is gone once every recording was tried, those that could not be enhanced included.
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
    """`done`: {name of a recording: its `Done`}; `begun`: the one that was begun last, where it was not made."""

    done: dict
    begun: str
    journal: TextIO

    def begin(self, name):
        """Keep that the recording `name` is on its way."""
        self._write({"begun": name})

    def add(self, name, done):
        """Keep that the recording `name` is made."""
        self.done[name] = done
        self._write({"name": name, **asdict(done)})

    def _write(self, entry):
        with disk_errors(self.journal.name):
            print(json.dumps(entry, default=_plain), file=self.journal, flush=True)


@contextmanager
def unfinished(out, plan):
    """Yield the `Work` in the folder `out`: nothing is done, unless an equal call was stopped there.

    A folder that holds anything else, or in which another program works, is a `BadInput`.
    """
    folder = out / ".unfinished"
    with _alone(out, folder, plan):
        with disk_errors(out):
            write_json(folder / "plan.json", plan)
            done, begun, lines = _read(out, folder / "done.jsonl")
            write_text(folder / "done.jsonl", "".join(lines))
        with open(folder / "done.jsonl", "a", encoding="utf-8", newline="\n") as journal:
            yield Work(done, begun, journal)
        (folder / "plan.json").unlink()  # first, and under the lock: from here on nothing goes on
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
        _check(out, folder / "plan.json", plan)  # once more: the program before may have come to its end meanwhile
        yield


def _read(out, path):
    """({name: `Done`} of what is made and still there, the name begun last if it is not made, the lines of both).

    A line that was cut short does not count.
    """
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
    entries = [(json.loads(line), line) for line in lines if line.endswith("\n")]
    made = {
        entry["name"]: (entry, line) for entry, line in entries if "name" in entry and (out / entry["name"]).is_file()
    }
    last = entries[-1] if entries and "begun" in entries[-1][0] else ({"begun": ""}, "")
    done = {name: _done(entry) for name, (entry, _) in made.items()}
    return done, last[0]["begun"], [*(line for _, line in made.values()), last[1]]


def _done(entry):
    said: dict = {
        **{key: entry[key] for key in entry if key != "name"},
        "shape": tuple(entry["shape"]),
        "box": tuple(entry["box"]),
    }
    said |= {"path": Path(entry["path"]), "source": Path(entry["source"]), "files": list(map(Path, entry["files"]))}
    return Done(**said)


def _plain(value):
    """A path, or a number of NumPy, as JSON has it."""
    return str(value) if isinstance(value, Path) else value.item()
