"""`make benchmark`: every command of the table in README.md, one after another, and at the end which of them fell short.

FRAMES and DOMAINS in the table stand for the frames that runs were trained on, of one kind and of two qualities; where
`make study` prepares them is the default. Exit code 1 where a target was missed; what was not measured is named, no more.

    python benchmarks/table.py [--frames FOLDER] [--domains FOLDER] [--only budget phantom_speed ...]
"""

import argparse
import re
import shlex
import subprocess
import sys
from pathlib import Path

from echogan.config import folder, home
from echogan.errors import nearest

PAGE = Path(__file__).with_name("README.md")
VERDICTS = {1: "missed a target, or failed", 2: "not measured"}  # by exit code, see common.py


def commands(page):
    """The commands of a table, each a list of words: what its second column holds between backticks."""
    cells = [line.split("|")[2] for line in page.splitlines() if line.startswith("| ")]
    return [shlex.split(command) for cell in cells for command in re.findall(r"`(python [^`]+)`", cell)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=Path, default=folder("data") / "phantom_2000_seed0_128px")
    parser.add_argument("--domains", type=Path, default=folder("data") / "phantom_quality_2000_seed0_128px")
    parser.add_argument("--only", nargs="*", help="names of scripts")
    args = parser.parse_args()
    rows = commands(PAGE.read_text(encoding="utf-8"))
    names = {Path(words[1]).stem for words in rows}
    for name in args.only or ():
        if name not in names:
            parser.error(f"there is no script {name!r} in the table{nearest(name, names)}")
    places = {"FRAMES": str(args.frames.absolute()), "DOMAINS": str(args.domains.absolute())}  # scripts run in home()
    meant = {"python": sys.executable, **places}
    fell: dict = {}
    for words in rows:
        if args.only and Path(words[1]).stem not in args.only:
            continue
        print(f"\n== {shlex.join(words)}", flush=True)
        code = subprocess.call([meant.get(word, word) for word in words], cwd=home())
        if code:
            fell.setdefault(VERDICTS.get(code, VERDICTS[1]), []).append(shlex.join(words))
    for verdict, which in sorted(fell.items()):
        print(f"\n{verdict}:", *which, sep="\n    ")
    sys.exit(VERDICTS[1] in fell)


if __name__ == "__main__":
    main()
