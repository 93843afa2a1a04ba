"""What extraction works through: the recordings of a source, each with its own way to be read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from echogan.data.clip import Clip


@dataclass(frozen=True)
class Job:
    """One recording to extract: a `name` unique in its source, its split, and `read() -> Clip`."""

    name: str
    split: str
    read: Callable[[], Clip]


@dataclass(frozen=True)
class Source:
    """All jobs of `root`; `kind` is what figures must call the data, `skipped` pairs (name, reason)."""

    root: Path
    kind: str
    jobs: list[Job]
    single: bool = False  # one recording: all of its frames are wanted
    skipped: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
