"""What synthetic echoes are good for: overlap by training set, by share of the patients, and ejection fractions.

A patient counts once: seeds of one cell are averaged patient by patient before anything is compared. p values are Wilcoxon's,
paired over patients, two-sided, against segmenters trained on the same share of real patients alone; not corrected.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from echogan.errors import BadInput
from echogan.metrics.agreement import bland_altman, paired_p
from echogan.report import style

ARMS = {
    "real": "real",
    "real_affine": "real, affine",
    "synthetic": "synthetic",
    "both": "real + synthetic",
    "both_affine": "real + synthetic, affine",
}
LOOKS = dict(zip(ARMS, style.looks(len(ARMS))))
BASE = "real"
UNITS = {"HC18": "exams"}  # what the column `patient` counts, where the data do not name patients
NEEDED = ("share", "seed", "arm", "patient", "data", "size", "kimg", "hardware", "HD95_unit")


def read(path):
    """The table of `echogan downstream` (gzip too, as `.csv.gz`), or a `BadInput` that says what it lacks."""
    try:
        table = pd.read_csv(path, dtype={"patient": str, "fingerprint": str})
    except (OSError, pd.errors.ParserError, pd.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise BadInput(f"{path} is no table ({error}); make it with `echogan downstream`") from error
    lacking = [name for name in NEEDED if name not in table]
    if lacking or not len(table):
        raise BadInput(f"{path} lacks {', '.join(lacking) or 'rows'}; make it with `echogan downstream`")
    return table


def unit(table):
    """What one of `patient` is: patients, or what the kind of data knows in place of them."""
    return UNITS.get(table["data"].iloc[0], "patients")


def structures(table):
    """The structures whose overlap the table holds."""
    return [name.removeprefix("Dice_") for name in table if name.startswith("Dice_")]


def by_patient(table, share, column):
    """Patients x training sets: `column` at one share, averaged over seeds."""
    part = table[np.isclose(table["share"], share)]
    wide = part.pivot_table(column, "patient", "arm")
    return wide[[arm for arm in ARMS if arm in wide]]


def measured(table, share):
    """The training sets of which two ejection fractions or more could be measured: limits need two."""
    if "EF_obtained" not in table:
        return []
    both = by_patient(table, share, "EF_obtained") - by_patient(table, share, "EF_masks")
    return [arm for arm in both if both[arm].count() > 1]


def frame_px(table):
    """Side of the frames that were measured, None of a table from before it was told."""
    sizes = table.get("frame_px", pd.Series(dtype=float)).dropna()
    return int(sizes.iloc[0]) if len(sizes) else None


def summary(table):
    """One row per share, training set and measure: n patients, mean, sd, p against `real` of the same share, and the unit.

    Pixels are those of frames of `frame_px`, where the table tells it, whatever size segmenters work at.
    """
    rows = []
    columns = [name for name in table if name.startswith(("Dice_", "HD95_")) and name != "HD95_unit"]
    if "EF_obtained" in table:
        table = table.assign(EF_error=(table["EF_obtained"] - table["EF_masks"]).abs())
        columns.append("EF_error")
    for share in sorted(table["share"].unique()):
        for column in columns:
            wide = by_patient(table, share, column)
            for arm, values in wide.items():
                p = paired_p(values, wide[BASE]) if BASE in wide and arm != BASE else np.nan
                rows.append((share, arm, column, values.count(), values.mean(), values.std(), p))
    found = pd.DataFrame(rows, columns=["share", "arm", "measure", "n", "mean", "sd", "p_against_real"])
    units, size = {"HD95": table["HD95_unit"].iloc[0], "EF": "points"}, frame_px(table)
    found["unit"] = [units.get(name.partition("_")[0], "") for name in found["measure"]]
    return found.assign(frame_px=size) if size else found


def overview(table):
    """`summary` as strings for a page: share and measure down, training sets across, mean ± sd, * where p < 0.05."""
    rows, size = summary(table), frame_px(table)
    told = {"mm": " (mm)", "px": f" (px at {size} px)" if size else " (px)"}
    rows["measure"] += rows["unit"].map(told).fillna("")
    stars = np.where(rows["p_against_real"] < 0.05, " *", "")
    rows["text"] = [f"{mean:.3g} ± {sd:.2g}{star}" for mean, sd, star in zip(rows["mean"], rows["sd"], stars)]
    rows[unit(table)] = [f"{100 * share:g} %" for share in rows["share"]]
    keys = [unit(table), "measure"]
    order = pd.MultiIndex.from_frame(rows[keys].drop_duplicates())
    wide = rows.pivot(index=keys, columns="arm", values="text").reindex(order)
    return wide[[arm for arm in ARMS if arm in wide]].rename(columns=ARMS).rename_axis(columns=None).fillna("")


def write(path, out):
    """Draw everything that the table at `path` holds into the folder `out`, and `summary.csv`; the files written."""
    table, out = read(path), Path(out)
    largest = table["share"].max()
    jobs = [
        (f"dice_at_{100 * share:g}_percent_boxes.png", boxes(table, share)) for share in sorted(table["share"].unique())
    ]
    if table["share"].nunique() > 1:
        jobs.append(("dice_over_share.png", learning_curves(table)))
    if measured(table, largest):
        jobs.append((f"ef_at_{100 * largest:g}_percent_bland_altman.png", agreement(table, largest)))
    files = [style.save(figure, out / name) for name, figure in jobs]
    summary(table).to_csv(out / "summary.csv", index=False, float_format="%.6g", lineterminator="\n")
    return [*files, out / "summary.csv"]


# ------------------------------------------------------------------------------------------------ figures


@style.styled
def boxes(table, share):
    """Dice of every TEST patient: a panel per structure, a row per training set, its p value beside it."""
    names = structures(table)
    present = set(table.loc[np.isclose(table["share"], share), "arm"])
    arms = [arm for arm in ARMS if arm in present]
    title = f"Overlap by training set, {100 * share:g} % of the {unit(table)}"
    note = f"Box: quartiles and median, whiskers: 5-95 %, dots: {unit(table)}, right: mean, gain over real, p"
    fig = style.new(0.95 + len(names) * (0.3 + 0.16 * len(arms)), title, _caption(table, share, note))
    for ax, name in zip(fig.subplots(len(names), 1, squeeze=False)[:, 0], names):
        wide = by_patient(table, share, f"Dice_{name}")
        for k, arm in enumerate(arms):
            if arm not in wide:  # none of its patients has a value of this structure
                continue
            values = wide[arm]
            _box(ax, k, values.dropna().to_numpy(), LOOKS[arm].color)
            against = _against(values, wide[BASE]) if BASE in wide and arm != BASE else ""
            told = f"{values.mean():.3f}{against}"
            ax.annotate(told, (1.02, k), xycoords=("axes fraction", "data"), va="center", fontsize=5.5)
        ax.set_yticks(range(len(arms)), [ARMS[arm] for arm in arms])
        ax.set(ylim=(len(arms) - 0.5, -0.5), title=name.replace("_", " "))
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.tick_params(axis="y", length=0)
    ax.set_xlabel("Dice (1 = equal)")
    return fig


@style.styled
def learning_curves(table):
    """Mean Dice of the TEST patients over the share of those that train, a panel per structure, with standard errors."""
    names, shares = structures(table), sorted(table["share"].unique())
    single = _single(table)
    note = f"Bars: standard error over {unit(table)}" + "; open: one seed, filled: the mean over several" * bool(single)
    fig = style.new(2.6, f"How many {unit(table)} a segmenter needs", _caption(table, None, note))
    grid = fig.add_gridspec(2, len(names), height_ratios=[0.3, 1])
    for ax, name in zip((fig.add_subplot(grid[1, i]) for i in range(len(names))), names):
        wides = {share: by_patient(table, share, f"Dice_{name}") for share in shares}
        for k, arm in enumerate(arm for arm in ARMS if any(arm in wide for wide in wides.values())):
            there = [share for share in shares if arm in wides[share]]
            mean, error = ([getattr(wides[s][arm], f)() for s in there] for f in ("mean", "sem"))
            x = 100 * np.array(there) * 1.03 ** (k - 2)  # side by side, so that bars do not hide each other
            ax.errorbar(x, mean, error, label=ARMS[arm], elinewidth=0.5, **vars(LOOKS[arm]))
            alone = [(share, arm) in single for share in there]
            look = {"color": "white", "markeredgecolor": LOOKS[arm].color, "markeredgewidth": 0.8, "zorder": 3}
            ax.plot(x[alone], np.array(mean)[alone], LOOKS[arm].marker, **look)
        ax.set_xscale("log")
        ax.set_xticks([100 * share for share in shares], [f"{100 * share:g}" for share in shares], fontsize=5)
        ax.set_xticks([], minor=True)
        ax.set(title=name.replace("_", " "), xlabel=f"% of {unit(table)}")
    fig.axes[0].set_ylabel("Dice")
    legend = fig.add_subplot(grid[0, :])
    legend.axis("off")
    lines = fig.axes[0].get_legend_handles_labels()
    legend.legend(*lines, loc="upper left", ncols=2, handlelength=2.4, borderpad=0).set_in_layout(False)
    return fig


@style.styled
def agreement(table, share):
    """Bland and Altman's plot of the ejection fraction by the segmenter's masks against that by the reference masks."""
    obtained, reference = (by_patient(table, share, name) for name in ("EF_obtained", "EF_masks"))
    arms = measured(table, share)
    rows = -(-len(arms) // 2)
    note = (
        "EF by discs (both views where there are two) of obtained against reference masks; lines and numbers: "
        "bias, 95 % limits, mean absolute error"
    )
    if table.loc[np.isclose(table["share"], share), "seed"].nunique() > 1:
        note += ", of the mean over seeds"  # which errs less than the seeds do on average, as `summary` has it
    if missing := [ARMS[arm] for arm in by_patient(table, share, "size") if arm not in arms]:
        note += f"; of fewer than two patients have both masks chambers to measure by: {', '.join(missing)}"
    title = f"Ejection fraction, {100 * share:g} % of the {unit(table)}"
    fig = style.new(0.9 + 1.35 * rows, title, _caption(table, share, note))
    axes = fig.subplots(rows, 2, squeeze=False, sharex=True, sharey=True).ravel()
    for ax, arm in zip(axes, arms):
        found = bland_altman(obtained[arm], reference[arm])
        ax.scatter(
            (obtained[arm] + reference[arm]) / 2, obtained[arm] - reference[arm], 4, LOOKS[arm].color, linewidths=0
        )
        ax.axhline(0, color=style.PALE, linewidth=0.5, zorder=0)
        for value, dash in ((found.bias, "-"), (found.low, (0, (3, 2))), (found.high, (0, (3, 2)))):
            ax.axhline(value, color=style.INK, linewidth=0.6, linestyle=dash)
        ax.set_title(f"{ARMS[arm]} (n = {found.n})", pad=9)
        told = f"{found.bias:+.1f} ({found.low:+.1f} to {found.high:+.1f}), MAE {found.mae:.1f}"
        ax.annotate(told, (0, 1), (0, 2), xycoords="axes fraction", textcoords="offset points", fontsize=5)
    for ax in axes[len(arms) :]:
        ax.set_visible(False)
    fig.supylabel("obtained - reference (EF points)", fontsize=6.5)
    for ax in axes[max(0, len(arms) - 2) : len(arms)]:
        ax.set_xlabel("mean of both (EF, %)")
        ax.tick_params(labelbottom=True)
    return fig


@style.styled
def plane(found, told_apart, kind, space):
    """Real and synthetic images as dots on a `metrics.embedding.Plane`.

    found: of one image per patient; told_apart: nearest-neighbour accuracy in %; kind: what the data are; space: whose
    features of which images.
    """
    title = "Real and synthetic images in one space of features"
    note = "Principal components of the real images. 50 % told would be indistinguishable, 100 % separate clusters"
    each = UNITS.get(kind, "patients").removesuffix("s")
    n = f"{len(found.real):,} real, {len(found.fake):,} synthetic images, one per {each}"
    fig = style.new(2.9, title, f"Data: {kind}{style.simulated(kind)}. n: {n}. Features: {space}. {note}.")
    ax = fig.add_subplot()
    looks = zip((found.real, found.fake), ("real", "synthetic"), style.looks(2))
    for points, name, look in looks:
        x, y = np.asarray(points).T[:2]
        ax.scatter(x, y, s=5, c=look.color, marker=look.marker, alpha=0.5, linewidths=0, label=name)
    ax.set(
        **{
            f"{axis}label": f"component {i + 1} ({found.explained[i]:.0f} % of the variance)"
            for i, axis in enumerate("xy")
        }
    )
    ax.set_title(f"the nearest neighbour tells {told_apart:.0f} %", fontweight="normal")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, handletextpad=0.1, columnspacing=1, borderaxespad=0)
    return fig


def _box(ax, k, values, colour):
    if not len(values):
        return
    least, low, middle, high, most = np.percentile(values, (5, 25, 50, 75, 95))
    ax.plot([least, most], [k, k], color=colour, linewidth=0.7)
    ax.barh(k, high - low, 0.6, low, facecolor="white", edgecolor=colour, linewidth=0.7, zorder=2)
    ax.plot([middle, middle], [k - 0.3, k + 0.3], color=style.INK, linewidth=1.2, solid_capstyle="butt", zorder=4)
    wobble = k + 0.18 * np.sin(2.4 * np.arange(len(values)))  # a fixed jitter: equal data, equal figure
    ax.scatter(values, wobble, 2.5, colour, alpha=0.6, linewidths=0, zorder=3)


def _against(values, base):
    """The mean gain over `base`, patient by patient, and its p value."""
    return f" ({(values - base).mean():+.3f}, {_p(paired_p(values, base))})"


def _p(p):
    return (
        "p not tested" if np.isnan(p) else "p < 0.001" if p < 0.001 else f"p = {p:.3f}" if p < 0.1 else f"p = {p:.2f}"
    )


def _caption(table, share, note):
    part = table if share is None else table[np.isclose(table["share"], share)]
    seeds = part.groupby("share")["seed"].nunique()
    kind, size = part["data"].iloc[0], frame_px(table)
    how = f"{_told(seeds)}, measured on frames of {size} px" if size else _told(seeds)
    return (
        f"Data: {kind}{style.simulated(kind)}. Split: TEST, {part['patient'].nunique()} {unit(table)}. "
        f"Segmenters: {part['size'].iloc[0]} px, {part['kimg'].iloc[0]:g} kimg each, {how}. Encoder: none needed. "
        f"Hardware: {', '.join(sorted(part['hardware'].unique()))}. {note}."
    )


def _single(table):
    """{(share, training set)} of one seed alone, where others have more."""
    seeds = table.groupby(["share", "arm"])["seed"].nunique()
    return set(seeds.index[seeds == 1]) if seeds.max() > 1 else set()


def _told(seeds):
    if seeds.nunique() == 1:
        return f"{seeds.iloc[0]} seed{'s' * bool(seeds.iloc[0] > 1)}"
    return "seeds " + ", ".join(f"{n} at {100 * share:g} %" for share, n in seeds.items())
