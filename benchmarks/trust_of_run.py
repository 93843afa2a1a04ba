"""What an enhancer's run does on phantoms that it should not, beside plain filters.

flicker      brightness and texture of enhanced clips over their inputs', temporal mode: wanted is at most 1.00
found        in how many pictures, one of each patient, a lesion is found where 0, 50, 100 % have one, before and after; p by
             McNemar's exact test, over pictures. Filters that cannot learn what is rare are judged on the same pictures
surround     largest change outside the sector of pydicom's echo, --keep-surround, the mark's box aside: wanted is 0

python benchmarks/trust_of_run.py cyclegan/plain cyclegan/segment [--patients 300] [--quality 0] [--out CSV]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import conclude, header, target
from pydicom.data import get_testdata_file
from scipy.stats import binomtest

from echogan.data.dicom import open_dicom
from echogan.data.phantom.study import write_echonet
from echogan.data.video import read_video
from echogan.enhancement.baselines import METHODS
from echogan.enhancement.clips import enhance_file, pictures_of
from echogan.enhancement.judge import method_of
from echogan.enhancement.run import load_enhancer
from echogan.enhancement.steady import flicker
from echogan.enhancement.stream import Wanted, enhance_array
from echogan.enhancement.trust import prevalence_shift
from echogan.errors import BadInput
from echogan.files import write_text
from echogan.sector import ECHONET

STEADY = Wanted(temporal=True)
CLIPS = 12  # whose flicker is measured
WANTED = {"flicker": 1.0, "surround": 0.0}  # at most, by the first word of a row


def clips_of(patients, seed, quality):
    """Phantom recordings of one image quality, one of each patient, uint8 (T, H, W)."""
    with tempfile.TemporaryDirectory() as folder:
        write_echonet(Path(folder) / "study", patients, seed, quality=quality, workers=1)
        return [read_video(path)[0] for path in sorted(Path(folder).rglob("*.avi"))]


def flickers(enhancer, clips, mask):
    """Rows {"what", "n", "input", "enhanced"}: flicker of enhanced clips over their inputs'."""
    ratios = np.array([flicker(clip, enhance_array(clip, mask, enhancer, STEADY), mask) for clip in clips])
    for name, ratio in zip(("brightness", "texture"), ratios.mean(0)):
        yield {"what": f"flicker of {name}", "n": len(clips), "input": 1.0, "enhanced": ratio}


def found(method, stills, mask, seed):
    """Rows {"what", "n", "input", "enhanced", "only_input", "only_enhanced", "p"} of lesions found before and after."""
    for row in prevalence_shift(lambda x: method(x, mask), stills, mask, seed):
        what = f"{row.pop('tone')} lesions found where {row.pop('planted'):.0%} have one"
        differ = row["only_input"] + row["only_enhanced"]
        yield {"what": what, **row, "p": binomtest(row["only_input"], differ).pvalue if differ else 1.0}


def surround(enhancer):
    """Largest change outside the sector of a real DICOM, grey levels."""
    source = get_testdata_file("examples_ybr_color.dcm", download=False)
    with tempfile.TemporaryDirectory() as folder:
        done = enhance_file(source, Path(folder) / "out.dcm", enhancer, Wanted(keep_surround=True))
        before, after = (np.stack(list(open_dicom(path).frames())) for path in (source, done.path))
    _, mask, _ = pictures_of(source, 1)
    x, y, width, height = done.box
    mask[y : y + height, x : x + width] = True
    return int(np.abs(after.astype(int) - before)[:, ~mask].max())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", help="enhancers, <arch>/<config>")
    parser.add_argument("--patients", type=int, default=300)
    parser.add_argument("--quality", type=float, default=0.0, help="of the images; low domains have -0.25 to 0.20")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, help="CSV of every row")
    args = parser.parse_args()
    header()
    if not args.runs:
        raise BadInput(
            "no run is named; `echogan train cyclegan plain --data DOMAINS` makes one: name cyclegan/plain then"
        )
    enhancers = {enhancer.name: enhancer for enhancer in map(load_enhancer, args.runs)}
    clips = clips_of(args.patients, args.seed, args.quality)
    mask, stills = ECHONET.resized(clips[0].shape[-1]).mask(), np.stack([clip[len(clip) // 2] for clip in clips])
    data = f"synthetic phantom, seed {args.seed}, image quality {args.quality:g}"
    print(f"{data}, {len(stills)} pictures of as many patients, {len(mask)} px", flush=True)
    rows = []
    for name, method in {**METHODS, **{name: method_of(enhancer) for name, enhancer in enhancers.items()}}.items():
        rows += [{"run": name, **row} for row in found(method, stills, mask, args.seed)]
    for name, enhancer in enhancers.items():
        rows += [{"run": name, **row} for row in flickers(enhancer, clips[:CLIPS], mask)]
        rows.append({"run": name, "what": "surround", "n": 1, "input": 0, "enhanced": surround(enhancer)})
    if args.out:
        write_text(args.out, pd.DataFrame(rows).to_csv(index=False, lineterminator="\n", float_format="%.6g"))
    for row in rows:
        told = f"{row['run']}  {row['what']}: {row['input']:.3f} -> {row['enhanced']:.3f}"
        if "p" in row:
            told += f", {row['only_input']} in the input alone, {row['only_enhanced']} in the output alone, p {row['p']:.2g}"
        print(told, flush=True)
        if (kind := row["what"].split()[0]) in WANTED:
            target(f"{row['run']}, {row['what']}", row["enhanced"], most=WANTED[kind])


if __name__ == "__main__":
    conclude(main)
