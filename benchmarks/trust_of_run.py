"""What an enhancer's run does on phantoms that it should not: over three seeds, or more.

flicker      brightness and texture of enhanced clips over their inputs', temporal mode: wanted is at most 1.00
prevalence   share of pictures in which a lesion is found, in the input and in the output, where 0, 50, 100 % have one
surround     largest change outside the sector of pydicom's echo, --keep-surround, the mark's box aside: wanted is 0

python benchmarks/trust_of_run.py cyclegan/plain [--seeds 3] [--patients 6] [--out CSV]
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from common import conclude, header, target
from pydicom.data import get_testdata_file

from echogan.data.dicom import open_dicom
from echogan.data.phantom.study import write_echonet
from echogan.data.video import read_video
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
STILLS = 4  # of a clip, for the prevalence
WANTED = {"flicker": 1.0, "surround": 0.0}  # at most, by the first word of a row; a mean over seeds


def of_seed(enhancer, seed, patients):
    """Rows {"seed", "what", "input", "enhanced"} of one phantom study."""
    with tempfile.TemporaryDirectory() as folder:
        write_echonet(Path(folder) / "study", patients, seed, workers=1)
        clips = [read_video(path)[0] for path in sorted(Path(folder).rglob("*.avi"))]
    mask, method = ECHONET.resized(clips[0].shape[-1]).mask(), method_of(enhancer)
    ratios = np.array([flicker(clip, enhance_array(clip, mask, enhancer, STEADY), mask) for clip in clips])
    for name, ratio in zip(("brightness", "texture"), ratios.mean(0)):
        yield {"seed": seed, "what": f"flicker of {name}", "input": 1.0, "enhanced": ratio}
    stills = np.concatenate([clip[np.linspace(0, len(clip) - 1, STILLS).round().astype(int)] for clip in clips])
    for row in prevalence_shift(lambda x: method(x, mask), stills, mask, seed):
        what = f"{row['tone']} lesions found where {row['planted']:.0%} have one"
        yield {"seed": seed, "what": what, "input": row["input"], "enhanced": row["enhanced"]}


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
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--patients", type=int, default=6)
    parser.add_argument("--out", type=Path, help="CSV of every run and seed")
    args = parser.parse_args()
    header()
    if not args.runs:
        raise BadInput(
            "no run is named; `echogan train cyclegan plain --data DOMAINS` makes one: name cyclegan/plain then"
        )
    rows = []
    for enhancer in map(load_enhancer, args.runs):
        rows += [
            {"run": enhancer.name, **row} for s in range(args.seeds) for row in of_seed(enhancer, s, args.patients)
        ]
        rows.append({"run": enhancer.name, "what": "surround", "input": 0, "enhanced": surround(enhancer)})
    table = pd.DataFrame(rows)
    if args.out:
        write_text(args.out, table.to_csv(index=False, lineterminator="\n"))
    print(f"synthetic phantom, {args.patients} clips of each of {args.seeds} seeds, 112 px; mean (worst seed)")
    for (run, what), part in table.groupby(["run", "what"], sort=False):
        worst = f" ({part['enhanced'].max():.2f})" if len(part) > 1 else ""
        mean = part["enhanced"].mean()
        print(f"{run}  {what}: input {part['input'].mean():.2f}, enhanced {mean:.2f}{worst}", flush=True)
        if (kind := what.split()[0]) in WANTED:
            target(f"{run}, {what}", mean, most=WANTED[kind])


if __name__ == "__main__":
    conclude(main)
