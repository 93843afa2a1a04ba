"""One config trained by two codes, the official one and ours: losses and readings at equal images shown."""

from echogan.errors import BadInput
from echogan.report import lines, style
from echogan.report.metrics import METRICS, leading

OURS = {"stylegan2_ada_official": "stylegan2_ada"}  # whose architecture another code trains
LOSSES = ("Gmain", "Dmain")  # the rivals' losses, of one definition in both codes


def pairs(runs):
    """[(run of the other code, run of ours)] with one name, config and data."""
    ours = {(run.arch, run.name): run for run in runs if not run.study}
    both = [(run, ours.get((OURS.get(run.arch), run.name))) for run in runs]
    return [(theirs, own) for theirs, own in both if own and _recipe(theirs) == _recipe(own)]


@style.styled
def figure(theirs, own):
    """The rivals' losses and the leading metric of both over kimg, as far as the shorter run went."""
    runs, end = (theirs, own), min(run.losses["kimg"].max() for run in (theirs, own))
    lead = leading([run.measured for run in runs])
    curves = [run.curve(lead) for run in runs]
    if None in curves:
        raise BadInput(f"{theirs.title} and {own.title} have no metric in common")
    note = (
        f"{own.resolution} px, equal settings, one run each, as far as the shorter went; a loss is a mean over its row"
    )
    fig = style.new(3.4, f"{own.title}: the official code and ours", style.caption(runs, curves, note))
    *top, bottom = _axes(fig)
    for run, curve, look, code in zip(runs, curves, style.looks(2), ("official code", "ours")):
        for ax, name in zip(top, LOSSES):
            _line(ax, run.losses["kimg"], run.losses[name], end, look, code)
        _line(bottom, curve.rows["kimg"], curve.rows[lead], end, look, code)
    for ax, name in zip(top, LOSSES):
        ax.set(title=f"loss {name}", xlabel="training (kimg)")
    bottom.set(xlabel="training (kimg)", ylabel=METRICS[lead].axis)
    bottom.set_title(lines.meaning(curves[0]), fontweight="normal", fontsize=6)
    bottom.legend(loc="best")
    return fig


def _axes(fig):
    grid = fig.add_gridspec(2, 2)
    return fig.add_subplot(grid[0, 0]), fig.add_subplot(grid[0, 1]), fig.add_subplot(grid[1, :])


def _line(ax, kimg, values, end, look, label):
    shown = (kimg <= 1.02 * end) & values.notna()
    ax.plot(kimg[shown], values[shown], label=label, **look.line(int(shown.sum())))


def _recipe(run):
    return run.config.get("config"), run.data.get("fingerprint")
