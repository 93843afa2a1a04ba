"""Configs at equal images shown: what each stood at when all of them had been shown as many, however long it went on."""

from collections import Counter

import numpy as np

from echogan.report import seeds, style
from echogan.report.across import common_lead
from echogan.report.metrics import scored, written
from echogan.report.run import STAGES

MADE = dict(zip(STAGES, ("from noise", "from images")))
NOTE = (
    "Every config that was run, at the most kimg that nearly all of its row were read at; in brackets the seeds whose median "
    "it is, one elsewhere. VAL is read on few images, and neighbours change places from seed to seed: it is a first look at what "
    "is worth a longer run."
)
NEARLY = 0.9  # of the configs: one that collapsed early holds back no other


def groups(runs):
    """{(architecture, how images are made, data): [(run, its curve of the leading metric)]} of what can be compared."""
    found = {}
    for run in filter(lambda run: run.measured, runs):
        lead = common_lead([other for other in runs if other.arch == run.arch])
        for stage in [s for s in STAGES if s in set(run.readings.get("stage", ()))] or [""]:
            if curve := run.curve(lead, stage):
                made = MADE[stage or STAGES[0]]  # tables from before stages were told are of images from noise
                found.setdefault((run.family, made, run.data.get("fingerprint")), []).append((run, curve))
    return {key: pairs for key, pairs in found.items() if len({run.listed for run, _ in pairs}) > 1}


def shared(curves):
    """The most kimg at which nearly all curves have a reading of the trained network that is a number; None for none."""
    told = Counter(kimg for curve in curves for kimg in _readings(curve))
    return max((kimg for kimg, n in told.items() if n >= NEARLY * len(curves)), default=None)


def ranked(pairs, kimg):
    """[(first run of a config, its readings at `kimg` under each seed)], the best median first."""
    at = {run: found[kimg] for run, curve in pairs if kimg in (found := _readings(curve))}
    rows = [(group[0], [at[run] for run in group]) for group in seeds.grouped(list(at))]
    medians, curve = [np.median(values) for _, values in rows], pairs[0][1]
    return [rows[k] for k in np.argsort(scored(medians, curve.goal, curve.floor), kind="stable")]


def _readings(curve):
    """{kimg: reading} of the trained network, where it is a number."""
    told = np.isfinite(curve.value) & (curve.kimg > curve.idle)
    return dict(zip(curve.kimg[told].round(6), curve.value[told]))


def rows(runs):
    """One row of a table for each group: the kimg that nearly all its configs share, and their readings there, best first."""
    for (family, made, fingerprint), pairs in groups(runs).items():
        curves = [curve for _, curve in pairs]
        if (kimg := shared(curves)) is not None:
            yield {
                "": family,
                "made": made,
                "data": fingerprint or "not stated",
                "at kimg": written(kimg),
                "by": f"{curves[0].metric.name}, {style.values_of('split', curves)}",
                "configs, best first": ", ".join([*map(_told, ranked(pairs, kimg)), *_without(pairs, kimg)]),
            }


def _without(pairs, kimg):
    """Those that were not read there under any seed, as they ended before."""
    read = {run.listed for run, curve in pairs if kimg in _readings(curve)}
    return list(dict.fromkeys(f"{_name(run)} none" for run, _ in pairs if run.listed not in read))


def _name(run):
    return f"`{run.listed}`{'†' * run.published}"


def _told(row):
    run, values = row
    return f"{_name(run)} {written(np.median(values))}" + f" ({len(values)})" * (len(values) > 1)
