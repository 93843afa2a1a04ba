"""Commands that draw what runs left behind."""

import os
import sys

from echogan.cli.app import Bar, RunName, command
from echogan.config import RunFolder, folder, shown
from echogan.errors import BadInput


@command
def report(run: RunName = "", html: bool = False):
    """Draw figures from the CSVs of runs into results/; exit code 1 where something was missing.

    Args:
        run: folder of a run or <arch>/<config>; default all runs in experiments/.
        html: write self-contained pages instead.
    """
    if drawn_of(run, html):
        sys.exit(1)  # what there is has been drawn; what is missing was named


def drawn_of(run, html=False):
    """Draw and say where; returns what is missing, one sentence each."""
    if html:
        from echogan.report.html import write_pages as draw
    else:
        from echogan.report.draw import draw

    experiments, which = folder("experiments"), {}
    if run:
        path = RunFolder.find(run).path.resolve()
        experiments, which = path.parents[1], {"arch": path.parent.name, "config": path.name}
    with Bar("report", "page" if html else "figure") as tell:
        drawn = draw(experiments, folder("results"), **which, callback=tell)
    for line in drawn.problems:
        print(f"echogan: {line}", file=sys.stderr)
    if not drawn.files:
        raise BadInput(f"nothing could be drawn of {run or experiments}")
    place = os.path.commonpath([file.parent for file in drawn.files])
    print(f"{len(drawn.files)} {'pages' if html else 'figures'} in {shown(place)}")
    return drawn.problems
