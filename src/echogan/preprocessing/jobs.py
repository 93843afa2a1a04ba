"""What extraction works through: the recordings or pictures of a source, each with its own way to be read."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path

from echogan.data.clip import Clip


@dataclass(frozen=True)
class Job:
    """One recording or picture to extract: a `name` unique in its source, its patient and split, `read() -> Clip`."""

    name: str
    split: str
    read: Callable[[], Clip]
    digest: Callable[[], str]  # hash of the bytes it is read from
    patient: str = ""  # "" means the name
    still: bool = False  # a finished picture: no sector to find, no phase to pick
    local: Callable[[], AbstractContextManager[Path]] | None = None  # lends a path to it, where it is one file
    file: str = ""  # where it lies, if its name must not hold that: paths of DICOM files name people
    known: dict = field(default_factory=dict)  # columns of index.csv that the source states: phase, quality, ...


@dataclass(frozen=True)
class Source:
    """All jobs of `root`; `kind` is what figures must call the data, `skipped` pairs (name, reason)."""

    root: Path
    kind: str
    jobs: list[Job]
    splits: str  # where the splits are from, for the data card
    single: bool = False  # one recording: all of its frames are wanted
    strict: bool = False  # the user made the splits, so a picture in two of them is an error of theirs to mend
    tables: str = ""  # hash of the tables beside the recordings
    labels: dict[str, int] | None = None  # name -> id of the masks, where there are any
    skipped: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def name(self):
        """What tables call it: not by its file name where that may be the name of a person."""
        return self.jobs[0].name if self.single and self.jobs[0].file else self.root.resolve().name

    @property
    def unit(self):
        """What one job is."""
        return "picture" if self.jobs and self.jobs[0].still else "recording"
