"""The table of enhancers as text: what each measure means, who is best by it, and the rows of a CSV.

A table is {method: {measure: Estimate}}, as `enhancement.judge.rate` makes it.
"""

import numpy as np

GOAL = "truth"  # the row of the truth itself: what a perfect method would reach, outside the competition
UNTOUCHED = "identity"  # the input as it is
AIMS = {"→ 0": 0.0, "→ 1": 1.0}
# measure -> (better, what it is); other names are distances to good frames, lower is better
MEASURES = {
    "PSNR": ("↑", "against the truth inside the sector, dB"),
    "PSNR_aligned": ("↑", "after the best gain and offset (so all `_aligned`)"),
    "SSIM": ("↑", "structural similarity to the truth"),
    "SSIM_aligned": ("↑", ""),
    "MAE": ("↓", "mean absolute difference from the truth, grey levels"),
    "MAE_aligned": ("↓", ""),
    "edges": ("↑", "correlation of gradient magnitudes with the truth's"),
    "CNR": ("↑", "contrast of myocardium and cavity over their noise"),
    "gCNR": (
        "↑",
        "1 - overlap of their histograms, which no change of grey scale moves (not 0 of few pixels in 256 bins: two samples "
        "of one tissue score about 0.4 at 64 px)",
    ),
    "KS_A": ("↓", "change of grey levels in the myocardium, Kolmogorov-Smirnov against the input"),
    "KS_B": ("↑", "the same in the cavity, where haze is to go"),
    "KS_A_aligned": ("↓", ""),
    "KS_B_aligned": ("↑", ""),
    "Dice": ("↑", "of the ventricle, by a segmenter that trained no enhancer"),
    "Dice_gain": ("↑", "against the input's"),
    "EF_error": ("↓", "mean absolute error of its ejection fraction, points"),
    "EF_bias": ("→ 0", "mean error, points"),
    "EF_shift": ("→ 0", "mean change against the input's, points"),
    "axial_error": ("↓", "of the speckle's width along the beam, pixels, from held-out good frames'"),
    "lateral_error": ("↓", "the same across the beam"),
    "spectrum_dB": ("↓", "mean difference of radial power spectra from good frames', dB"),
    "FID": ("↓", "Fréchet distance of Inception's features to good frames"),
    "FD_lite0": ("↓", "Fréchet distance of the small encoder's features to good frames"),
    "KID": ("↓", "kernel distance of Inception's features"),
    "KID_lite0": ("↓", "kernel distance of the small encoder's features"),
    "kept_bright": ("→ 1", "contrast that planted bright lesions keep"),
    "kept_dark": ("→ 1", "the same of dark ones"),
    "jitter": ("↓", "flicker of brightness over the input's"),
    "shake": ("↓", "flicker of texture over the input's"),
    "ms": ("↓", "milliseconds a picture"),
}


def winners(table):
    """{measure: the method that is best by it}; the truth does not compete, nor the input in what it cannot but be perfect at."""
    return {measure: found for measure in named_in(table) if (found := _winner(table, measure))}


def _winner(table, measure):
    better, _ = MEASURES.get(measure, ("↓", ""))
    rows = {n: row[measure] for n, row in table.items() if n != GOAL and measure in row}
    rows = {n: e.value for n, e in rows.items() if np.isfinite(e.value) and (n != UNTOUCHED or e.error > 0)}
    if better in AIMS:
        return min(rows, key=lambda n: abs(rows[n] - AIMS[better]), default=None)
    return (max if better == "↑" else min)(rows, key=rows.__getitem__, default=None)


def printed(table, measures=None):
    """The table as Markdown: measures down, methods across, `value ± half of the 95 % interval`, what wins in bold."""
    best, lines = winners(table), []
    for measure in measures or named_in(table):
        cells = [_cell(row.get(measure), best.get(measure) == name) for name, row in table.items()]
        lines.append(f"| {measure} {MEASURES.get(measure, ('↓', ''))[0]} | {' | '.join(cells)} |")
    return "\n".join([f"| | {' | '.join(table)} |", "|---" * (len(table) + 1) + "|", *lines])


def legend(table):
    """One paragraph: what the measures of the table are."""
    told = [f"{name}: {MEASURES[name][1]}" for name in named_in(table) if MEASURES.get(name, ("", ""))[1]]
    return f"↑ higher and ↓ lower is better, → nearer to that. {'; '.join(told)}."


def rows_of(table):
    """The table as dicts for a CSV: method, and for each measure its value and `<measure>_error`."""
    return [
        {"method": name, **{k: v for m, e in row.items() for k, v in ((m, e.value), (f"{m}_error", e.error))}}
        for name, row in table.items()
    ]


def named_in(table):
    """Every measure of any row, in their order."""
    return list(dict.fromkeys(measure for row in table.values() for measure in row))


def _cell(estimate, bold):
    if estimate is None or not np.isfinite(estimate.value):
        return "–"
    text = f"{estimate.value:.3g}" + (f" ± {1.96 * estimate.error:.2g}" if np.isfinite(estimate.error) else "")
    return f"**{text}**" if bold else text
