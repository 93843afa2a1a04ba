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
    setsid nice sysconf statvfs sched_getaffinity sched_setaffinity wait3 wait4 getloadavg uname alarm
    SIGKILL SIGHUP SIGUSR1 SIGUSR2 SIGALRM""".split()
)
GUARDED = {"execve": 'sys.platform == "linux"'}  # name of the call -> what its function must ask first
PLACES = re.compile(r"^/(tmp|dev|proc|usr|var|home)\b")
READ = {"launch.py": "/proc/cpuinfo"}  # inside a `try` that goes on without it
FORBIDDEN = re.compile(r'[<>:"|?*\x00-\x1f\\]|[. ]$')  # in a file name on Windows
DEVICES = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}

every_file = pytest.mark.parametrize("path", sorted((ROOT / "src").rglob("*.py")), ids=lambda path: path.name)


@functools.cache
def nodes(path):
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


@every_file
def test_nothing_that_only_posix_has(path):
    source = path.read_text(encoding="utf-8")
    for node in nodes(path):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            names = [alias.name for alias in node.names] + [getattr(node, "module", None) or ""]
            assert not MODULES & {name.split(".")[0] for name in names}, names
        elif isinstance(node, ast.Attribute):
            assert node.attr not in CALLS or isinstance(node.value, ast.Call), f"{node.attr}, line {node.lineno}"
            assert node.attr not in GUARDED or GUARDED[node.attr] in source, node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and PLACES.match(node.value):
            assert READ.get(path.name) == node.value, f"{node.value}, line {node.lineno}"


@every_file
def test_text_is_utf_8_whatever_the_system_writes(path):
    for node in nodes(path):
        if not isinstance(node, ast.Call):
            continue
        words = {word.arg for word in node.keywords}
        name = getattr(node.func, "attr", getattr(node.func, "id", ""))
        if name in ("read_text", "write_text") and isinstance(node.func, ast.Attribute):
            assert "encoding" in words, f"line {node.lineno}"
        if isinstance(node.func, ast.Name) and name == "open":
            mode = node.args[1].value if len(node.args) > 1 and isinstance(node.args[1], ast.Constant) else "r"
            assert "b" in mode or "encoding" in words, f"line {node.lineno}"


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
    assert PureWindowsPath(r"wgan\gp").as_posix() == "wgan/gp"
    with pytest.raises(BadInput, match="is not a run"):
        RunFolder.find(str(PureWindowsPath("C:/echo/wgan/gp")), tmp_path)
    assert FORBIDDEN.search(SHIPPED), "no run can be called that, so that the name never means a folder"


def test_every_tracked_name_can_be_checked_out_on_windows_and_macos():
    names = [path.relative_to(ROOT).as_posix() for path in tracked()]
    parts = {part for name in names for part in name.split("/")}
    assert [part for part in parts if FORBIDDEN.search(part) or part.split(".")[0].lower() in DEVICES] == []
    assert [name for name, n in Counter(name.lower() for name in names).items() if n > 1] == []
    assert [name for name in names if len(name) > 160] == [], "260 characters with the folder of a user"
