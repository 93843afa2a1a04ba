"""Do synthetic echoes help? Segmenters trained on real, on synthetic and on both, tested on real patients they never saw.

A cell is a share of the real patients, a seed and a training set. Generator, mask sampler and segmenter see that share
alone: TRAIN and VAL are cut down to it, TEST stays whole. Every cell shows its segmenter the same number of pictures, takes
the weights that do best on its VAL, and adds a row for each TEST patient to `downstream.csv`; a finished cell is skipped.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from echogan.config import RunFolder, Settings, seed_of
from echogan.data.frames import FrameSet, load_frames
from echogan.downstream.masks import KIMG, load_segmenter, schema, segment, train_segmenter
from echogan.downstream.patients import ejection_fractions, scored, spacing
from echogan.downstream.segmenter import Config
from echogan.downstream.share import check_share, share_of
from echogan.engine.feed import plain_feed
from echogan.engine.launch import hardware, pick_device
from echogan.errors import BadInput, at_least, nearest
from echogan.files import write_text

CSV = "downstream.csv"
DECIMALS = 4  # of its numbers: far below what a patient differs by, and half the file


@dataclass(frozen=True)
class Arm:
    """What a segmenter is trained on, and whether random affine maps augment it."""

    real: bool
    synthetic: bool
    affine: bool = False


ARMS = {
    "real": Arm(True, False),
    "real_affine": Arm(True, False, True),
    "synthetic": Arm(False, True),
    "both": Arm(True, True),
    "both_affine": Arm(True, True, True),
}


@dataclass(frozen=True)
class Plan:
    """Which cells, and how each segmenter is trained."""

    seeds: dict = field(default_factory=lambda: {0.05: 1, 0.10: 3, 0.25: 1, 1.0: 3})  # share -> how many
    arms: tuple = tuple(ARMS)
    kimg: float = KIMG  # pictures shown in each cell, in thousands
    resolution: int = 128
    ef: bool = True  # ejection fractions too, which need end diastole and end systole
    config: dict = field(default_factory=dict)  # further settings of the segmenter
    device: str = "auto"

    def __post_init__(self):
        for arm in self.arms:
            if arm not in ARMS:
                raise BadInput(f"no training set is called {arm!r}{nearest(arm, ARMS)}")
        for share, n in self.seeds.items():
            check_share(share)
            at_least(1, **{f"seeds of {100 * share:g} %": n})
        if not self.cells():
            raise BadInput("there is no segmenter to train; give one of --shares and one of --arms at least")

    def cells(self):
        """(share, seed, arm) of every cell, those that need one synthetic set together."""
        return [(share, seed, arm) for share, n in self.seeds.items() for seed in range(n) for arm in self.arms]


def experiment(frames, synthesize, out, plan=None, callback=None):
    """Run the cells of `plan` that `out`/downstream.csv lacks; returns the whole table.

    frames: a `FrameSet` with masks. synthesize(share, seed): the folder of a synthetic FrameSet whose generator was trained
    on `share_of(frames, share, seed)` alone. callback(done, total, cell) hears of every cell.
    """
    plan, out = plan or Plan(), Path(out)
    schema(frames)
    setting = {"kimg": plan.kimg, "size": plan.resolution, "data": frames.kind, "fingerprint": frames.fingerprint()}
    setting |= {"segmenter": " ".join(f"{key}={value}" for key, value in sorted(plan.config.items())) or "default"}
    tables, cells = _done(out / CSV, setting), plan.cells()
    done = {_text(*cell) for table in tables for cell in zip(table["share"], table["seed"], table["arm"])}
    for number, cell in enumerate(cells, start=1):
        if _text(*cell) not in done:
            rows, run = _cell(frames, synthesize, out, plan, *cell)
            tables.append(rows.assign(**setting))
            write_text(out / CSV, pd.concat(tables).to_csv(index=False, lineterminator="\n"))
            _tidy(run)  # only now: until its rows are written, the same command goes on from here
        if callback:
            callback(number, len(cells), cell)
    return pd.concat(tables, ignore_index=True)


def _done(path, setting):
    """[the rows there are], if they were made as these will be."""
    if not path.is_file():
        return []
    table = pd.read_csv(
        path, dtype={"patient": str, "fingerprint": str, "synthetic": str}
    )  # 010 is an exam, not a number
    for name, value in ((name, value) for name, value in setting.items() if name in table):
        other = [old for old in table[name].unique() if _text(old) != _text(value)]
        if other:
            raise BadInput(f"{path} was made with {name} {other[0]}, not {value}; continue it as it was, or elsewhere")
    return [table]


def _text(*values):
    """Values as a file would have them: a number that was read back may differ in its last bit."""
    return " ".join(value if isinstance(value, str) else f"{value:g}" for value in values)


# ------------------------------------------------------------------------------------------------ one cell


def _cell(frames, synthesize, out, plan, share, seed, arm):
    """(one row per TEST patient, the run that was judged)."""
    real, kind = share_of(frames, share, seed), ARMS[arm]
    synthetic = _synthetic(synthesize(share, seed), real) if kind.synthetic else None
    config = Config(frames.labels, kind.affine, resolution=plan.resolution, **plan.config)
    training = training_set(real if kind.real else None, synthetic, real.split("VAL"), config)
    settings = Settings(plan.kimg, seed_of(share, seed), plan.device)
    run = train_segmenter(training, f"{arm}_{share:g}_seed{seed}", settings, config, out)
    rows = judged(load_segmenter(run.path, pick_device(plan.device)), frames.split("TEST"), plan.ef)
    part = real.split("TRAIN")
    rows = rows.round(DECIMALS).assign(  # not the share, by which a finished cell is found
        share=share,
        seed=seed,
        arm=arm,
        patients_real=part.index["patient"].nunique() if kind.real else 0,
        images_real=len(part) if kind.real else 0,
        images_synthetic=len(synthetic.split("TRAIN")) if synthetic else 0,
        synthetic=synthetic.fingerprint() if synthetic else "none",
        hardware=hardware(pick_device(plan.device)),
    )
    return rows[["share", "seed", "arm", *rows.columns.drop(["share", "seed", "arm"])]], run


def judged(segmenter, test, ef=True):
    """One row per patient of `test`: Dice and HD95 of every structure and, with `ef`, ejection fractions.

    HD95 is in `HD95_unit`: mm where the frames tell them, else pixels of the frames, which are `frame_px` of them wide.
    `EF` is the data set's own, `EF_masks` by discs of the reference masks, `EF_obtained` by discs of the segmenter's.
    """
    masks = segment(segmenter, test.images)
    rows = scored(masks, test).assign(HD95_unit="px" if spacing(test) is None else "mm", frame_px=test.size)
    if not ef:
        return rows
    rows["EF"] = test.index.groupby("patient")["EF"].first().to_numpy(float)
    rows["EF_masks"] = ejection_fractions(test.masks, test)["EF"]
    return rows.assign(**ejection_fractions(masks, test)[["EF", "views"]].rename(columns={"EF": "EF_obtained"}))


def training_set(real, synthetic, val, config):
    """A FrameSet at the config's resolution that trains on `real`, `synthetic` or, each shown as often as the other, both.

    Its VAL is `val`, which are real frames.
    """
    parts = [sized(part.split("TRAIN"), config) for part in (real, synthetic) if part is not None]
    most = max(map(len, parts))
    parts = [_rows(part, np.resize(np.arange(len(part)), most)) for part in parts]
    parts.append(sized(val, config))
    index = pd.concat([part.index for part in parts], ignore_index=True)
    images, masks = (np.concatenate([getattr(part, name) for part in parts]) for name in ("images", "masks"))
    return FrameSet(images, index, val.manifest, masks, val.labels)


def sized(frames, config):
    """Frames with masks, both brought to the resolution of a segmenter's config as training brings them."""
    columns = plain_feed(frames, config, ("image", "mask"), "cpu", 0).columns
    index = frames.index.copy()
    if "spacing_mm" in index:
        index["spacing_mm"] *= frames.size / config.resolution
    return FrameSet(columns["image"].numpy(), index, frames.manifest, columns["mask"].numpy(), frames.labels)


def _rows(frames, rows):
    index = frames.index.iloc[rows].reset_index(drop=True)
    return FrameSet(frames.images[rows], index, frames.manifest, frames.masks[rows], frames.labels)


def _synthetic(folder, real):
    """The synthetic frames of a folder, made of nobody but the TRAIN patients of this share as far as their manifest tells."""
    synthetic = load_frames(folder)
    if schema(synthetic) != real.labels:
        raise BadInput(f"the labels of {folder} are not those of the real frames; make both from one data set")
    drawn, masks = synthetic.manifest.get("drawn"), synthetic.manifest.get("source_fingerprint")  # as `synthesize` says
    if drawn and drawn.get("split") != "TRAIN":
        raise BadInput(
            f"{folder} fills masks of {drawn.get('split')} patients, who judge or choose here; synthesize from TRAIN"
        )
    if drawn and masks != real.fingerprint():
        raise BadInput(
            f"{folder} fills masks of other frames than this share's; synthesize from what `echogan share` made"
        )
    return synthetic


def _tidy(run: RunFolder):
    """Of a finished cell only the weights that were judged stay."""
    for path in run.checkpoints.iterdir():
        if path != run.weights("best"):
            path.unlink()
