"""Commands that draw what runs left behind."""

import os
import sys

from echogan.cli.app import Bar, RunName, command
from echogan.config import RunFolder, folder, home, shipped, shown
from echogan.errors import BadInput


@command
def report(run: RunName = "", html: bool = False, cards: bool = False, tables: bool = False):
    """Draw figures from the CSVs of runs, and tables into results/README.md; exit code 1 where something was missing.

    Args:
        run: folder of a run or <arch>/<config>; default all runs in experiments/ but segmenters.
        html: write self-contained pages instead.
        cards: write MODEL_CARD.md and DATA_CARD.md of all runs instead, beside results/.
        tables: write the tables alone.
    """
    if cards:
        return _write_cards(run)
    if tables or not (run or html):
        _write_tables()
    if not tables and drawn_of(run, html):
        sys.exit(1)  # what there is has been drawn; what is missing was named


def _write_cards(run):
    from echogan.report.cards import write_cards

    if run:
        raise BadInput(f"cards are of all runs in experiments/; leave {run} out")
    reported = home() / "publications" / "reported.csv"
    beside, papers = folder("results").parent, reported if reported.is_file() else None
    with Bar("cards", "page") as tell:
        pages = write_cards(folder("experiments"), beside, shipped().values(), papers, tell)
    print(f"{', '.join(str(shown(page)) for page in pages)} written")


def _write_tables():
    from echogan import models
    from echogan.report import readme
    from echogan.report.runs import read_runs

    listed = {arch: tuple(models.load(arch).CONFIGS) for arch in models.names()}
    print(f"tables in {shown(readme.write(read_runs(folder('experiments')), folder('results'), listed))}")


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
