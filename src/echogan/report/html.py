"""One self-contained page per run and one for the study: pictures inlined, nothing fetched, light and dark."""

from base64 import b64encode
from functools import partial
from html import escape
from importlib.resources import files
from pathlib import Path
from string import Template

import numpy as np

from echogan.errors import BadInput
from echogan.files import write_text
from echogan.report import across, codes, heatmap, held_out, lines, losses, price, progress, radar, seeds, style
from echogan.report.draw import TOGETHER, Drawn
from echogan.report.metrics import ARROWS, METRICS, leading, written
from echogan.report.run import by_group, together
from echogan.report.runs import read_runs


def write_pages(experiments, results, arch=None, config=None, callback=None):
    """Write results/<arch>/<config>/index.html of every run found and, for more than one, the study's page.

    The study's page is results/all_architectures/index.html; returns the same `Drawn` as `draw`.
    """
    runs, results, drawn = read_runs(experiments, arch, config), Path(results), Drawn()
    if not runs:
        drawn.problems.append(
            f"{experiments} has no run to write a page of; train one with `echogan train ARCH CONFIG`"
        )
    pages = [(page_of(run, results), partial(run_page, run, results)) for run in runs]
    if len(runs) > 1:
        pages.append((results / TOGETHER / "index.html", partial(study_page, runs)))
    for done, (path, make) in enumerate(pages):
        write_text(path, make())
        drawn.files.append(path)
        if callback:
            callback(done + 1, len(pages), path)
    drawn.problems += dict.fromkeys(problem for run in runs for problem in run.problems)
    return drawn


def page_of(run, results):
    """Where the page of a run stands."""
    return results / run.arch / run.stem / "index.html"


def run_page(run, results=None):
    """The page of one run as a string, with the pictures that `echogan showcase` left in the folder `results`."""
    pictures = [("plot", partial(losses.figure, run))]
    pictures += [("plot", partial(codes.usage, run))] * codes.has_codes(run)
    pictures += [("plot", partial(lines.figure, [run], name)) for name in run.measured]
    body = [
        f"<h1>{escape(run.title)}</h1>",
        f'<p class="lead">{escape(_sentence(run))}</p>',
        tiles(_headline(run)),
        _problems(run.problems),
        "<h2>Samples through training</h2>",
        _figures([("photo", partial(progress.figure, run)), ("photo", partial(progress.gif, run))]),
        _showcase(run, results),
        "<h2>Curves</h2>",
        _figures(pictures),
        "<h2>Metrics</h2>",
        _metrics(run),
        _on_test([run]),
        "<h2>How it was made</h2>",
        _cards(run),
    ]
    return page(run.title, body)


def study_page(runs):
    """The page of all runs as a string: the best of each architecture first, then every architecture."""
    archs = {run.arch for run in runs}
    title = f"{len(runs)} runs of {len(archs)} architecture{'s' * (len(archs) > 1)}"
    body = [f"<h1>{title}</h1>", f'<p class="lead">{escape(_kinds(runs))}</p>']
    body.append(_problems([problem for run in runs for problem in run.problems]))
    if len(archs) > 1:
        body += ["<h2>Architectures</h2>", _figures(_together(runs))]
    for everyone in by_group(runs):
        group = seeds.firsts(everyone)
        measured = [name for name in METRICS if any(name in run.measured for run in group)]
        pictures = [("plot", partial(lines.figure, group, name)) for name in measured]
        if len(group) > 1:
            pictures += [("map", partial(heatmap.figure, group)), ("plot", partial(radar.figure, group))]
        if seeds.repeated(everyone) and measured:
            pictures.append(("plot", partial(seeds.figure, everyone, leading([run.measured for run in group]))))
        body += [f"<h2>{escape(_whose(group[0]))}</h2>", _on_test(everyone), _ranking(everyone), _links(everyone)]
        body.append(_figures(pictures))
    return page(title, body)


def _whose(run):
    return run.family + (f" ({run.study})" if run.study else "")


def _together(runs):
    figures = (across.table, across.radars, price.figure, across.published_and_ours)
    kinds = ("photo", "plot", "plot", "plot")
    return [(kind, partial(figure, runs)) for kind, figure in zip(kinds, figures)]


def page(title, body):
    """A whole page of the parts `body`."""
    template = Template(files("echogan.report").joinpath("page.html").read_text(encoding="utf-8"))
    return template.substitute(title=escape(title), body="\n".join(filter(None, body)))


def _figures(pictures):
    """Figures inlined as data URIs; one that cannot be drawn is replaced by the sentence that says why."""
    tags = []
    for kind, make in pictures:
        try:
            tags.append(_picture(make(), kind))
        except BadInput as error:
            tags.append(f'<p class="lead">{escape(str(error))}.</p>')
    return f'<div class="figures">{"".join(tags)}</div>'


def _showcase(run, results):
    """Pictures that were drawn of the run's weights, "" where there are none."""
    stem = f"{run.arch}_{run.stem}_"
    found = sorted(Path(results).glob(f"{run.arch}/pictures/{stem}*.png")) if results else ()
    files = [path for path in found if not path.name.startswith(f"{stem}seed")]  # those are of another run
    tags = [f'<img class="photo" src="{uri(path.read_bytes(), "png")}" alt="{escape(path.stem)}">' for path in files]
    return f'<h2>What its weights show</h2><div class="figures">{"".join(tags)}</div>' if tags else ""


def _links(runs):
    """From the study's page to those of its runs."""
    words = (f'<a href="../{escape(run.arch)}/{escape(run.stem)}/index.html">{escape(run.label)}</a>' for run in runs)
    return f'<p class="note">Pages of the runs: {", ".join(words)}</p>'


def _picture(made, kind):
    """`kind` plot is inverted on a dark page; a photo, a map of colours and a GIF keep their greys."""
    if isinstance(made, bytes):
        return f'<img class="{kind}" src="{uri(made, "gif")}" alt="samples through training, animated">'
    words = escape(made.get_suptitle().replace("\n", " "))
    return f'<img class="{kind}" src="{uri(style.png(made), "png")}" alt="{words}" width="1004">'


def uri(data, kind):
    """Bytes of a picture as an address that holds them."""
    return f"data:image/{kind};base64,{b64encode(data).decode()}"


def _sentence(run):
    theirs = "Numbers as published by the original study. " if run.study else ""
    setting = "Setting of the original study. " if run.published and not run.study else ""
    return f"{theirs}{setting}{_kinds([run])}"


def _kinds(runs):
    kinds = sorted({run.kind for run in runs})
    made = (
        " All images are simulated: these are not results on echocardiograms." if kinds == ["synthetic phantom"] else ""
    )
    return f"Data: {', '.join(kinds)}.{made}"


def _headline(run):
    """{what: value} of the tiles at the top of a run's page."""
    facts = {}
    if run.measured:
        lead = leading([run.measured])
        curve = run.curve(lead)
        row = curve.best()
        facts[f"best {lead} on {row.get('split', 'unknown split')}, at {row['kimg']:.4g} kimg"] = written(row[lead])
        if np.isfinite(curve.floor):
            facts[f"{lead} of real against real"] = written(curve.floor)
    for name, count in run.config.get("parameters", {}).items():
        facts[f"parameters of {name}"] = f"{count:,}"
    if len(run.losses):
        facts["kimg trained"] = f"{run.losses['kimg'].iloc[-1]:.5g}"
    return facts


def tiles(facts):
    """{what: value} as the tiles at the top of a page."""
    cells = "".join(f"<div><b>{escape(value)}</b><span>{escape(what)}</span></div>" for what, value in facts.items())
    return f'<div class="facts">{cells}</div>' if cells else ""


def _problems(problems):
    items = "".join(f"<li>{escape(problem)}</li>" for problem in problems)
    return f'<h2>What is missing</h2><ul class="problems">{items}</ul>' if items else ""


def _metrics(run):
    """Best and last reading of every metric with its floor, split and sample size."""
    rows = []
    for curve in map(run.curve, run.measured):
        row, metric = curve.best(), curve.metric
        last = curve.rows[curve.rows[metric.name].notna()].iloc[-1]
        best = ("–", "–") if row is None else (written(row[metric.name]), f"{row['kimg']:.4g}")
        n = " / ".join(written(last.get(name, np.nan)) for name in ("n_real", "n_fake"))
        name = f"{metric.axis} {ARROWS[curve.goal]}"
        rows.append((name, *best, written(last[metric.name]), written(curve.floor), n, str(last.get("split", "–"))))
    head = ("metric", "best", "at kimg", "last", "real vs real", "n real / generated", "split")
    return table(head, rows, numbers=5) if rows else '<p class="lead">No reading yet.</p>'


def _on_test(runs):
    """The readings on TEST, "" where there are none; of one run metric by metric, of several run by run."""
    return "".join(_judged(runs, stage) for stage in held_out.stages(runs))


def _judged(runs, stage):
    found = held_out.table(runs, stage=stage)
    found = found.T if len(runs) == 1 else found
    rows = [(name, *cells) for name, cells in zip(found.index, found.to_numpy().tolist())]
    whole = table(("on TEST", *found.columns), rows, numbers=len(found.columns))
    return f'{whole}<p class="note">{escape(held_out.caption(runs, stage))}</p>'


def _ranking(runs):
    """The runs of one architecture, best first."""
    try:
        lead = leading([run.measured for run in runs])
    except BadInput as error:
        return f'<p class="lead">{escape(str(error))}.</p>'
    rows = []
    for run, curve in zip(runs, together(runs, lead)):
        row = curve.best() if curve else None
        value = np.nan if row is None else float(row[lead])
        rows.append((value, run.label, "–" if row is None else f"{row['kimg']:.4g}"))
    rows.sort(key=lambda row: (np.isnan(row[0]), -row[0] if METRICS[lead].better == "higher" else row[0]))
    whole = table(("config", f"best {lead}", "at kimg"), [(name, written(v), k) for v, name, k in rows], numbers=2)
    return whole + "".join(f'<p class="note">{escape(words)}.</p>' for words in style.mixed(runs))


def _cards(run):
    """Config, settings, data, versions and hardware, each as a table of what config.json says."""
    images = {f"images, {split}": f"{n:,}" for split, n in run.data.get("images", {}).items()}
    data = {key: value for key, value in run.data.items() if key != "images"} | images
    machine = {key: run.config[key] for key in ("hardware", "chosen_by") if key in run.config}
    sections = {
        "Config": run.config.get("config", {}),
        "Settings": run.config.get("settings", {}),
        "Data card": data,
        "Machine and versions": machine | run.config.get("versions", {}),
    }
    tables = [
        table(("", ""), [(k, str(v)) for k, v in rows.items()], title=name) for name, rows in sections.items() if rows
    ]
    return f'<div class="columns">{"".join(tables)}</div>'


def table(head, rows, numbers=0, title=""):
    """An HTML table of strings; the `numbers` columns after the first are set flush right."""
    kinds = [' class="number"' if 0 < k <= numbers else "" for k in range(len(head))]
    line = "".join(f"<th{kind}>{escape(word)}</th>" for kind, word in zip(kinds, head))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{escape(word)}</td>" for kind, word in zip(kinds, row)) + "</tr>" for row in rows
    )
    top = f"<caption>{escape(title)}</caption>" if title else ""
    return f'<div class="scroll"><table>{top}{f"<tr>{line}</tr>" if any(head) else ""}{body}</table></div>'
