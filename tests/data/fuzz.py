"""Valid files, damaged at random: what a reader may do with them is to read, or to refuse with one sentence."""

import signal
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from echogan.errors import BadInput

PATIENCE = 60  # seconds for one file before it counts as hung; the slowest take a tenth of one
KNOBS = dict(
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
)
few = settings(max_examples=30, **KNOBS)
many = settings(max_examples=1000, **KNOBS)


@dataclass(frozen=True)
class Edit:
    """One edit: of what kind, where (a share of the file or of its body), and the bytes that come there."""

    kind: str
    share: float
    in_body: bool
    fill: bytes

    def apply(self, content, body):
        """Edit the bytearray `content`, whose body begins at `body`."""
        first = min(body, len(content) - 1) if self.in_body else 0
        at = first + int(self.share * (len(content) - 1 - first))
        part = slice(at, at + len(self.fill))
        if self.kind == "replace":
            content[part] = self.fill
        elif self.kind == "zero":
            content[part] = bytes(len(content[part]))
        elif self.kind == "swap":
            content[part] = content[part][::-1]
        elif self.kind == "insert":
            content[at:at] = self.fill
        elif self.kind == "delete" and len(content) > 2 * len(self.fill):
            del content[part]
        elif self.kind == "cut":
            del content[max(at, 64) :]


@dataclass(frozen=True)
class Damage:
    """Which of several valid files, and what is done to it."""

    file: int
    edits: list

    def apply(self, files):
        """The damaged bytes of one of `files`, pairs (content, where its body begins)."""
        content, body = files[self.file % len(files)]
        content = bytearray(content)
        for edit in self.edits:
            edit.apply(content, body)
        return bytes(content)


def _edits(*kinds):
    fill = st.sampled_from([1, 1, 2, 4, 16, 256]).flatmap(lambda n: st.binary(min_size=n, max_size=n))
    in_body = st.integers(0, 9).map(bool)  # nine of ten
    edit = st.builds(Edit, st.sampled_from(kinds), st.floats(0, 1), in_body, fill)
    return st.lists(edit, min_size=1, max_size=5)


# Half of them keep the length: where a format finds its parts by counting bytes, others rarely get far. What is drawn
# is the damage and not the damaged file, of which a thousand would fill the memory that the tests watch.
damages = st.builds(
    Damage,
    st.integers(0, 5),
    _edits("replace", "zero", "swap") | _edits("replace", "zero", "swap", "insert", "delete", "cut"),
)


class Tally:
    """How many files were given, opened, and read to their end."""

    def __init__(self):
        self.given = self.opened = self.read = 0

    def __repr__(self):
        return f"{self.given} files: {self.opened} past the header, {self.read} read whole"


@contextmanager
def patience():
    """A call that does not return is an error, not a wait."""

    def hung(*_):
        raise AssertionError(f"no answer within {PATIENCE} s")

    before = signal.signal(signal.SIGALRM, hung)
    signal.alarm(PATIENCE)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def answers(function, path):
    """True where `function(path)` returns, False where it refuses in one line that names the file and a remedy."""
    try:
        with patience():
            function(path)
    except BadInput as error:
        sentence = str(error)
        assert "\n" not in sentence and Path(path).name in sentence and len(sentence) < 500, sentence
        return False
    return True


class PeakMemory:
    """Peak resident memory in MB since it was last forgotten, from Linux, so that what C code takes is seen too."""

    known = Path("/proc/self/clear_refs").exists()

    def forget(self):
        Path("/proc/self/clear_refs").write_text("5")

    def read(self):
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))
