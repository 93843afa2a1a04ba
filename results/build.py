"""Write and execute the results notebooks: one outline for all, and the sections that an architecture has beside it.

    python results/build.py VQGAN SPADE    write and execute results/<name>.ipynb; without names all that have runs
    python results/build.py --check        exit 1 and name every committed page whose cells are not those of this file

A page only reads experiments/ and results/. A section whose files are not there yet is left out, and the command that makes
them is printed.
"""

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from echogan.report import seeds
from echogan.report.runs import read_runs

ROOT = Path(__file__).resolve().parents[1]
RESULTS, EXPERIMENTS = ROOT / "results", ROOT / "experiments"
IMPORTS = (
    "from echogan.config import folder",
    "from echogan.notebook import show",
    "from echogan.report import heatmap, held_out, lines, losses, progress, radar, seeds, violin",
    "from echogan.report.across import best_runs",
    "from echogan.report.runs import read_runs",
)
DISTANCES = ("KID_lite0", "SWD", "JSD", "spectrum_dB")
ALIKE = ("SSIM", "PSNR", "LPIPS")


@dataclass(frozen=True)
class Section:
    """A heading, its words and a cell; `needs`: a pattern of the files in results/<arch>/ that it shows, made by a command."""

    heading: str
    words: str
    code: str
    needs: str = ""
    made_by: str = ""
    imports: tuple = ()


@dataclass(frozen=True)
class Page:
    """What is particular to one results notebook."""

    arch: str
    title: str
    explained: str  # what its training notebook explains
    stages: tuple = ("generate",)  # what TEST judged, see `held_out.OF`
    metrics: tuple = DISTANCES  # that are drawn over training
    note: str = ""  # of the table of TEST
    more: tuple = ()  # sections after that table
    shown: str = ""  # config whose losses and samples end the page; by default the best by VAL
    why: str = ""  # it and not the best by VAL


def pictures(heading, words, name, command="echogan showcase"):
    """A section of drawn figures."""
    return Section(heading, words, f'show(*sorted(results.glob("{name}")), width=640)', name, command)


# ------------------------------------------------------------------------------------------------ the pages

READ_TWICE = (
    "{}† is judged at 40 kimg, its TEST read for the second time: VAL had first chosen the untrained network, which a run "
    "may no longer choose."
)
VQGAN = (
    pictures(
        "Reconstructions",
        "Held-out images, their reconstructions from codes, and JPEG 2000 at as many bits.",
        "pictures/*_held_out.png",
    ),
    Section(
        "Use of the codebook",
        "Bits of an image, share of the codes in use and their perplexity at the end of stage 1. `real - fake`: the smallest gap "
        "of the discriminator's mean scores at any reading: above 0 it never took reconstructions for the truer images.",
        "show(*(codes.usage(run) for run in full_length(runs) if codes.has_codes(run) and not run.published))\n"
        "codes.table(runs).round(3)",
        imports=("from echogan.report import codes", "from echogan.report.run import full_length"),
    ),
    pictures(
        "Token maps",
        "Which code stands where: one colour for each code, similar codes in similar colours.",
        "pictures/*_codes.png",
    ),
    pictures("Samples", "Codes from the prior, beside held-out images.", "pictures/*_generated_beside_real.png"),
)
PIX2PIX = (
    pictures(
        "Edges, painted, real",
        "Held-out images: what the run was given, what it painted, and the image that the edges are of.",
        "pictures/*_held_out.png",
    ),
)
SPADE = (
    pictures(
        "Mask, synthetic, real",
        "Held-out masks, several images of each, and the one real image.",
        "pictures/*_masks.png",
        "echogan synthesize RUN MASKS results/spade/pictures/spade_CONFIG_masks.png --n 6 --per-mask 3 --split test",
    ),
    Section(
        "Requested and obtained",
        "Masks that a segmenter, trained on real images alone, finds in synthetic ones, against those that were asked for.",
        'pd.concat(map(pd.read_csv, sorted(results.glob("dice*.csv"))), ignore_index=True)',
        "dice*.csv",
        "echogan dice SEGMENTER SYNTHETIC --split train --out results/spade/dice_CONFIG.csv",
        ("import pandas as pd",),
    ),
    pictures(
        "Beside each other",
        "Recorded TEST images and synthetic ones of new masks, in the features of a segmenter trained on recorded images alone.",
        "pictures/*_plane.png",
        "echogan plane SEGMENTER FRAMES SYNTHETIC results/spade/pictures/spade_CONFIG_plane.png",
    ),
    Section(
        "What they are good for",
        "Segmenters trained on recorded images, on synthetic ones and on both, tested on recorded patients whom no generator "
        "saw (all simulated, where the data are a phantom): mean ± deviation over patients, "
        "an asterisk where Wilcoxon's p against recorded images (`real`) of the same share is below 0.05 (not corrected).",
        'tables = {path.parent.name: downstream.read(path) for path in sorted(results.glob("downstream*/downstream.csv*"))}\n'
        "pd.concat({name: downstream.overview(table) for name, table in tables.items()})",
        "downstream*/downstream.csv*",
        "echogan downstream FRAMES results/spade/downstream --synthetic ...",
        ("import pandas as pd", "from echogan.report import downstream"),
    ),
    pictures(
        "The same, drawn", "", "downstream*/*.png", "echogan downstream FRAMES results/spade/downstream --synthetic ..."
    ),
)
CYCLEGAN = (
    pictures(
        "Before and after",
        "Held-out images of low quality, enhanced; what was added; the same instants by the better scan, which no run has seen.",
        "pictures/*_held_out.png",
    ),
    Section(
        "Beside plain filters",
        "Every measure of every method on the same held-out pictures; what wins is bold.",
        'tables = {path.stem: path.read_text(encoding="utf-8") for path in sorted(results.glob("rate*.md"))}\n'
        'Markdown("\\n\\n".join(f"### `{name}`\\n\\n{text}" for name, text in tables.items()))',
        "rate*.md",
        "echogan rate FRAMES --run cyclegan/CONFIG --out results/cyclegan/rate.csv",
        ("from IPython.display import Markdown",),
    ),
    pictures(
        "What it may do wrong",
        "The most suspicious pictures first: input, output, change, the way back, uncertainty.",
        "pictures/*_trust.png",
        "echogan trust RUN FRAMES results/cyclegan/pictures/cyclegan_CONFIG_trust.png",
    ),
)
PAGES = {
    "WGAN": Page("wgan", "WGAN", "What the bounds of the critic mean", note=READ_TWICE.format("W1")),
    "MedGAN": Page("medgan", "MedGAN", "What the schedule of the two networks means", note=READ_TWICE.format("M1")),
    "StyleGAN2_ADA": Page("stylegan2_ada", "StyleGAN2-ADA", "What gamma, augmentation and the relativistic loss mean"),
    "VQGAN": Page(
        "vqgan",
        "VQGAN",
        "What codes, codebook and prior are",
        ("translate", "generate"),
        ALIKE + DISTANCES[:2],
        more=VQGAN,
    ),
    "Pix2Pix": Page(
        "pix2pix", "Pix2pix", "What edges, masks and the weights mean", ("translate",), ALIKE + DISTANCES, more=PIX2PIX
    ),
    "SPADE": Page(
        "spade", "SPADE", "What the critics and LabelMix mean", ("translate",), (*DISTANCES, "SSIM"), more=SPADE
    ),
    "CycleGAN_Enhancer": Page(
        "cyclegan",
        "CycleGAN enhancer",
        "What each term of the loss holds",
        ("translate",),
        more=CYCLEGAN,
        shown="segment",
        why="The kernel distance above would choose tanh, which ends farther from the truth (rate_tanh.md). The tables beside "
        "plain filters chose this one, on these TEST pictures: its numbers are a little hopeful.",
    ),
}

# ------------------------------------------------------------------------------------------------ the outline

JUDGED = {
    "generate": "The weights that VAL chose, judged on TEST; below them what as many real images of TRAIN reach. Configs "
    "without a row were not judged on TEST.",
    "translate": "What the weights that VAL chose make of TEST images, beside what as many real images of TRAIN reach. Configs "
    "without a row were not judged on TEST.",
}


def outline(name):
    """(introduction, code of the set-up, [Section]) of a page, of what experiments/ and results/ hold."""
    page = PAGES[name]
    intro = (
        f"# {page.title}: results\n\nEverything on this page is read from `experiments/{page.arch}/` and `results/{page.arch}/`; "
        f"nothing is trained. {page.explained} stands in\n[training/{name}.ipynb](../training/{name}.ipynb). A dagger marks "
        "settings of the original study, trained here; the rows say how many\nimages each run was shown. Every caption names "
        "data and hardware, that of a measurement split, n and encoder too; **synthetic phantom results\nsay nothing about real "
        "echoes**."
    )
    parts = [*_tested(page), *filter(lambda part: _there(part, page.arch), page.more), *_trained(page)]
    imports = _merged([*IMPORTS, *(line for part in parts for line in part.imports)])
    return intro, f"{imports}\n\n{_setup(page.arch)}", parts


def left_out(name):
    """The sections of a page whose files are not there yet."""
    return [part for part in PAGES[name].more if not _there(part, PAGES[name].arch)]


def _there(part, arch):
    return not part.needs or any((RESULTS / arch).glob(part.needs))


def _merged(lines):
    """Imports as ruff wants them: one line for each module, those of other packages first and apart."""
    names = {}
    for line in lines:
        head, _, tail = line.partition(" import ")
        names.setdefault(head, set()).update(tail.split(", "))
    whole = [f"{head} import {', '.join(sorted(tails))}" if "" not in tails else head for head, tails in names.items()]
    ours, others = (sorted((x for x in whole if ("echogan" in x) is own), key=_module) for own in (True, False))
    return "\n".join([*others, *[""] * bool(others), *ours])


def _module(line):
    return line.split()[1]


def _setup(arch):
    return f"""every = read_runs(folder("experiments"), "{arch}")
runs, results = seeds.firsts(every), folder("results") / "{arch}"
print("\\n".join(problem for run in every for problem in run.problems) or "nothing is missing")
{{run.name: f"{{run.config['config']['resolution']}} px, {{run.config['settings']['kimg']:g}} kimg" for run in every}}"""


def _tested(page):
    heads = {
        "generate": "Generated images against held-out patients (TEST)",
        "translate": "Images made from those of held-out patients (TEST)",
    }
    for stage in page.stages:
        words = f"{JUDGED[stage]} {page.note}".rstrip()
        code = f'print(held_out.caption(every, "{stage}"))\nheld_out.table(every, stage="{stage}")'
        yield Section(heads[stage], words, code)


def _trained(page):
    yield Section(
        "Best readings of every config",
        "The best reading of each metric over the training, on VAL; what real images reach stands below.",
        "show(heatmap.figure(runs), width=640)",
    )
    yield Section(
        "Metrics through training",
        "",
        f"measured = {{name for run in runs for name in run.measured}}\nmetrics = [name for name in {json.dumps(page.metrics)} "
        "if name in measured]\nshow(*(lines.figure(runs, name) for name in metrics))",
    )
    yield Section(
        "Spread of the readings",
        "The last and the best reading of every seed; violins of all readings from twenty on.",
        "show(*(violin.figure(every, name) for name in metrics[:2]))",
    )
    if seeds.repeated(read_runs(EXPERIMENTS, page.arch)):
        yield Section("Seeds", "", "show(seeds.figure(every, metrics[0]))")
    yield Section("All metrics at the best moment", "", "show(radar.figure(runs), width=900)")
    yield Section(
        "Every config at its end",
        "Not at its best, if that came before.",
        "show(progress.every_config(runs), limit=120_000)",
    )
    chosen, which = "(one,) = best_runs(runs)", "the best config"
    if page.shown:
        chosen = f'one = {{run.name: run for run in runs}}.get("{page.shown}") or best_runs(runs)[0]'
        which = f"`{page.shown}`"
    code = f"{chosen}\nshow(losses.figure(one), progress.figure(one))"
    yield Section(f"Losses and samples of {which}", page.why, code)


# ------------------------------------------------------------------------------------------------ the notebook


def notebook(name):
    """The notebook of a page, not executed."""
    intro, setup, parts = outline(name)
    cells = [new_markdown_cell(intro), new_code_cell(setup)]
    for part in parts:
        words = f"\n\n{part.words}" if part.words else ""
        cells += [new_markdown_cell(f"## {part.heading}{words}"), new_code_cell(part.code)]
    for number, cell in enumerate(cells):
        cell.id = f"{PAGES[name].arch[:6]}-{number:02d}"
    kernel = {"display_name": "EchoGAN", "language": "python", "name": "python3"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}})


def execute(name):
    """Write results/<name>.ipynb, executed on experiments/."""
    made, place = notebook(name), RESULTS / f"{name}.ipynb"
    os.environ.update(ECHOGAN_EXPERIMENTS=str(EXPERIMENTS), ECHOGAN_RESULTS=str(RESULTS))
    NotebookClient(made, timeout=900, kernel_name="python3", resources={"metadata": {"path": str(RESULTS)}}).execute()
    for cell in made.cells:
        cell.metadata.pop("execution", None)
    place.write_text(nbformat.writes(made) + "\n", encoding="utf-8", newline="\n")


def stale():
    """Names of the committed pages whose cells are not those of this file."""
    there = [name for name in PAGES if (RESULTS / f"{name}.ipynb").is_file()]
    return [name for name in there if _sources(nbformat.read(RESULTS / f"{name}.ipynb", 4)) != _sources(notebook(name))]


def _sources(made):
    return [(cell.cell_type, cell.source) for cell in made.cells]


def main(arguments):
    """Check, or write and execute; returns the exit code."""
    if arguments == ["--check"]:
        print(*(f"results/{name}.ipynb is stale; run `python results/build.py {name}`" for name in stale()), sep="\n")
        return int(bool(stale()))
    if unknown := sorted(set(arguments) - PAGES.keys()):
        sys.exit(f"results/build.py: there is no page {unknown[0]}; choose from {', '.join(PAGES)}")
    for name in arguments or [name for name, page in PAGES.items() if read_runs(EXPERIMENTS, page.arch)]:
        for part in left_out(name):
            print(
                f"results/{name}.ipynb lacks “{part.heading}”: make results/{PAGES[name].arch}/{part.needs} with {part.made_by}"
            )
        execute(name)
        print(f"results/{name}.ipynb written")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
