"""Windows and macOS: no call that only POSIX has, no text in the system's own encoding, no name that a disk refuses."""

import ast
import functools
import os
import re
from collections import Counter
from pathlib import Path, PureWindowsPath

import pytest

from echogan.config import SHIPPED, RunFolder
from echogan.errors import BadInput
from echogan.files import atomic, write_json, write_text
from tests.test_tree import tracked

ROOT = Path(__file__).parents[1]
MODULES = {"fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog", "crypt", "posix"}
CALLS = set(
    """fork forkpty link symlink symlink_to hardlink_to readlink lchown chown chroot mkfifo getuid geteuid getgid getpgid killpg
    setsid nice sysconf statvfs sched_setaffinity wait3 wait4 getloadavg uname alarm
    SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGALRM""".split()
)
GUARDED = {  # name of the call -> what its function must ask first
    "execve": 'sys.platform == "linux"',
    "sched_getaffinity": 'hasattr(os, "sched_getaffinity")',
}
PLACES = re.compile(r"^/(tmp|dev|proc|usr|var|home)\b")
READ = {"launch.py": ("/proc/cpuinfo", "/proc/self/status")}  # inside a `try` that goes on without it
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\\]|[. ]$')  # in a file name on Windows
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}


@functools.cache
def nodes():
    """(where it stands, node, source of its file) of everything in the package."""
    sources = {path: path.read_text(encoding="utf-8") for path in sorted((ROOT / "src").rglob("*.py"))}
    return [
        (f"{path.name}:{getattr(node, 'lineno', 0)}", node, source)
        for path, source in sources.items()
        for node in ast.walk(ast.parse(source))
    ]


def only_posix(where, node, source):
    """Whether a node imports, calls or reads what other systems lack."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
        return bool(MODULES & {name.split(".")[0] for name in names})
    if isinstance(node, ast.Attribute):
        return node.attr in CALLS or (node.attr in GUARDED and GUARDED[node.attr] not in source)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return bool(PLACES.match(node.value)) and node.value not in READ.get(where.split(":")[0], ())
    return False


def in_the_systems_encoding(node):
    """Whether a node opens a text without saying that it is UTF-8."""
    if not isinstance(node, ast.Call) or "encoding" in {word.arg for word in node.keywords}:
        return False
    if isinstance(node.func, ast.Attribute):
        return node.func.attr in ("read_text", "write_text")
    mode = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else "r"
    return getattr(node.func, "id", "") == "open" and "b" not in mode


def test_nothing_that_only_posix_has():
    assert [where for where, node, source in nodes() if only_posix(where, node, source)] == []


def test_text_is_utf_8_whatever_the_system_writes():
    assert [where for where, node, _ in nodes() if in_the_systems_encoding(node)] == []


@pytest.mark.parametrize(
    "line",
    [
        "import fcntl",
        "os.fork()",
        "path.symlink_to(x)",
        "os.execve(a, b, c)",
        "os.sched_getaffinity(0)",
        "open('/tmp/x', 'rb')",
    ],
)
def test_the_check_sees_what_only_posix_has(line):
    assert any(only_posix("x.py:1", node, line) for node in ast.walk(ast.parse(line)))


@pytest.mark.parametrize("line, said", [("open(p)", True), ("open(p, 'rb')", False), ("p.read_text()", True)])
def test_the_check_sees_the_systems_encoding(line, said):
    assert any(map(in_the_systems_encoding, ast.walk(ast.parse(line)))) is said


def test_a_file_is_flushed_through_a_handle_that_windows_flushes(tmp_path, monkeypatch):
    """There, `fsync` of what was opened for reading alone is an error: every file would end as 'cannot write'."""
    fcntl = pytest.importorskip("fcntl")

    def flush(handle):
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")

    monkeypatch.setattr(os, "fsync", flush)
    write_json(tmp_path / "a.json", {"n": 1})
    with atomic(tmp_path / "b.bin") as temporary:
        temporary.write_bytes(b"1")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "b.bin"]


def test_lines_end_as_they_were_written(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(
        Path, "write_text", lambda path, text, **words: given.update(words) or path.write_bytes(text.encode())
    )
    write_text(tmp_path / "a.csv", "x\ny\n")
    assert given == {"encoding": "utf-8", "newline": "\n"}


def test_a_run_is_found_by_a_windows_path(tmp_path, monkeypatch):
    """What a person types there has backslashes; the name of a run on disk has none."""
    write_text(tmp_path / "wgan" / "gp" / "config.json", "{}")
    assert RunFolder.find(str(Path("wgan") / "gp"), tmp_path).path == tmp_path / "wgan" / "gp"  # backslashes on Windows
    with pytest.raises(BadInput, match="is not a run"):
        RunFolder.find(str(PureWindowsPath("C:/echo/wgan/gp")), tmp_path)
    assert FORBIDDEN.search(SHIPPED), "no run can be called that, so that the name never means a folder"


def test_every_tracked_name_can_be_checked_out_on_windows_and_macos():
    names = [path.relative_to(ROOT).as_posix() for path in tracked()]
    parts = {part for name in names for part in name.split("/")}
    assert [part for part in parts if FORBIDDEN.search(part) or part.split(".")[0].lower() in DEVICES] == []
    assert [name for name, n in Counter(name.lower() for name in names).items() if n > 1] == []
    assert [name for name in names if len(name) > 160] == [], "260 characters with the folder of a user"
