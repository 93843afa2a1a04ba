"""EchoNet-Dynamic in: `FileList.csv`, `VolumeTracings.csv` and `Videos/*.avi`, with the quirks of the published files.

Ouyang et al., "Video-based AI for beat-to-beat assessment of cardiac function", Nature 580 (2020). Every video of the
data set is one patient. pandas and scikit-image load where they are used, so a worker that only decodes stays small.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from echogan.data.clip import SPLITS, Clip
from echogan.data.video import read_video
from echogan.errors import BadInput, nearest
from echogan.files import read_json
from echogan.sector import ECHONET

KIND = "EchoNet-Dynamic"
FILE_LIST = ("FileName", "EF", "ESV", "EDV", "FrameHeight", "FrameWidth", "FPS", "NumberOfFrames", "Split")
KIND_FILES = ("phantom.json", "manifest.json")  # of folders that hold something else than the published data
TRACINGS = ("FileName", "X1", "Y1", "X2", "Y2", "Frame")


@dataclass(frozen=True)
class Recording:
    """One row of FileList.csv with its rows of VolumeTracings.csv; `traces` as in `Clip`."""

    path: Path
    kind: str
    split: str
    ef: float | None
    esv: float | None
    edv: float | None
    fps: float | None
    n_frames: int | None
    traces: dict


@dataclass(frozen=True)
class Study:
    """An EchoNet-Dynamic folder: `recordings` by name, the names whose video is `missing`, and `warnings`."""

    root: Path
    kind: str
    recordings: dict[str, Recording]
    missing: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def open_study(root):
    """Read and check the two tables of the EchoNet-Dynamic folder `root`; no video is opened yet."""
    root = Path(root)
    if not root.is_dir():
        raise BadInput(f"{root} is not a folder; give the EchoNet-Dynamic folder that holds FileList.csv and Videos/")
    rows = _file_list(root / "FileList.csv")
    traces = _tracings(root / "VolumeTracings.csv")
    present = {video.stem for video in (root / "Videos").glob("*.avi")}
    if not present.intersection(row["FileName"] for row in rows):
        raise BadInput(f"{root / 'Videos'} holds no AVI of FileList.csv; put the videos there, or correct the list")
    kind = kind_of(root, KIND)
    found = {
        name: _recording(root, kind, row, traces.get(name, {})) for row in rows if (name := row["FileName"]) in present
    }
    missing = [row["FileName"] for row in rows if row["FileName"] not in present]
    return Study(root, kind, found, missing, _mismatches(root, rows, traces, present))


def read_clip(study, name):
    """The recording `name` of `study` as a `Clip`."""
    if name not in study.recordings:
        raise BadInput(f"{study.root} has no recording {name!r}{nearest(name, study.recordings)}")
    return read_recording(study.recordings[name])


def read_recording(recording):
    """Decode one `Recording`; what disagrees with the tables goes to the clip's `warnings`."""
    frames, fps = read_video(recording.path)
    name, height, width = recording.path.stem, *frames.shape[1:]
    clip = Clip(
        frames, name, name, recording.kind, source=str(recording.path), fps=recording.fps or fps, view="4CH",
        split=recording.split, ef=recording.ef, esv=recording.esv, edv=recording.edv, traces=recording.traces,
        sector=ECHONET.resized(width) if height == width else None,
    )  # fmt: skip
    if recording.n_frames not in (None, len(frames)):
        clip.warnings.append(f"{name} has {len(frames)} frames, FileList.csv says {recording.n_frames}")
    _drop_impossible_traces(clip)
    clip.ed, clip.es = traced_phases(clip.traces)
    return clip


# A tracing beyond the last frame belongs to a picture that is not there. Moving it to the last frame, as some readers
# do, would label another moment of the beat, and its partner alone tells neither phase: both go, the frames stay.
def _drop_impossible_traces(clip):
    beyond = [frame for frame in clip.traces if not 0 <= frame < len(clip.frames)]
    if beyond:
        last = len(clip.frames) - 1
        clip.warnings.append(
            f"{clip.name} has a tracing at frame {beyond[0]} but ends at {last}; its tracings were dropped"
        )
        clip.traces = {}


def kind_of(folder, otherwise):
    """What figures must call the data in `folder`: what its phantom.json or manifest.json says, else `otherwise`."""
    for file in (Path(folder) / name for name in KIND_FILES):
        if file.is_file():
            return read_json(file).get("kind", otherwise)
    return otherwise


# ------------------------------------------------------------------------------------------------ tracings


def trace_outline(trace):
    """Corners (N, 2) of the traced ventricle: down the first ends of the chords, back up the second ones."""
    return np.concatenate([trace[1:, :2], trace[:0:-1, 2:]])


def trace_area(trace):
    """Area of the traced ventricle in square pixels (shoelace formula)."""
    x, y = trace_outline(trace).T
    return abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2


def trace_mask(trace, shape):
    """The traced ventricle as uint8 `shape` of 0 and 1, rounded and filled as the published loader does."""
    from skimage.draw import polygon

    x, y = np.rint(trace_outline(trace)).astype(int).T
    mask = np.zeros(shape, np.uint8)
    mask[polygon(y, x, shape)] = 1
    return mask


def traced_phases(traces):
    """Frames of end diastole and end systole: largest and smallest traced area; (None, None) below two tracings.

    The order of the rows says nothing: the published loader assumes systole first, the published file is by time.
    """
    if len(traces) < 2:
        return None, None
    by_area = sorted(traces, key=lambda frame: trace_area(traces[frame]))
    return by_area[-1], by_area[0]


# ------------------------------------------------------------------------------------------------ tables


def _file_list(path):
    table = _table(path, FILE_LIST)
    wrong = table.loc[~table["Split"].isin(SPLITS), "Split"]
    if len(wrong):
        raise BadInput(f"{path} has Split {_short(wrong.iloc[0])!r}; write {', '.join(SPLITS)} in upper case")
    twice = table.loc[table["FileName"].duplicated(), "FileName"]
    if len(twice):
        raise BadInput(f"{path} lists {_short(twice.iloc[0])} twice; keep one row per video")
    return table.to_dict("records")


def _tracings(path):
    """name -> frame -> (rows, 4), rows in the order of the file; empty without the file."""
    if not path.is_file():
        return {}
    table = _table(path, TRACINGS)
    if table.isna().to_numpy().any() or (table["Frame"] % 1 != 0).any():
        raise BadInput(f"{path} has an empty cell or a broken frame number; restore the original file")
    lines, points, traces = {}, table[["X1", "Y1", "X2", "Y2"]].to_numpy(float), {}
    for line, key in enumerate(zip(table["FileName"], table["Frame"])):
        lines.setdefault(key, []).append(line)
    for (name, frame), rows in lines.items():
        if len(rows) < 3:
            raise BadInput(
                f"{path} traces frame {int(frame)} of {_short(name)} with {len(rows)} rows; it needs an axis and two chords"
            )
        traces.setdefault(name, {})[int(frame)] = points[rows]
    return traces


def _table(path, columns):
    """The CSV at `path` with exactly `columns`, names without suffix, numbers as numbers."""
    import pandas as pd

    words: dict = {"FileName": str, "Split": str}
    empty = {c: [""] if c in words else ["", "NA", "NaN", "nan"] for c in columns}  # a video may be called NA
    try:
        table = pd.read_csv(path, dtype=words, keep_default_na=False, na_values=empty)
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; give the EchoNet-Dynamic folder that holds it beside Videos/") from error
    except (ValueError, OSError) as error:  # pandas' own errors and a wrong encoding are ValueErrors
        raise BadInput(f"{path} is not a table ({_short(error)}); restore the original file") from error
    if not isinstance(table.index, pd.RangeIndex):  # pandas takes the cells too many for names of the rows
        raise BadInput(f"{path} has rows that are longer than its header; restore the original file")
    if tuple(table.columns) != columns:
        found = _short(", ".join(map(str, table.columns)))
        raise BadInput(f"{path} has the columns {found}; it needs exactly {', '.join(columns)}")
    if not len(table) or table["FileName"].isna().any():
        raise BadInput(
            f"{path} has {'no rows' if not len(table) else 'a row without FileName'}; restore the original file"
        )
    for column in table.columns.difference(["FileName", "Split"]):
        numbers = pd.to_numeric(table[column], errors="coerce")
        wrong = table.loc[numbers.isna() & table[column].notna(), column]
        if len(wrong):
            raise BadInput(
                f"{path} has {column} {_short(wrong.iloc[0])!r} in line {wrong.index[0] + 2}; write a number there"
            )
        table[column] = numbers
    table["FileName"] = table["FileName"].str.replace(r"\.avi$", "", regex=True, case=False)
    return table


def _short(text):
    """What a broken table says, on one line and short enough for a sentence."""
    text = "".join(c if c.isprintable() else "?" for c in " ".join(str(text).split()))
    return text if len(text) < 120 else f"{text[:100]} ..."


def _recording(root, kind, row, traces):
    known = {key: None if np.isnan(row[key]) else row[key] for key in ("EF", "ESV", "EDV", "FPS", "NumberOfFrames")}
    return Recording(
        root / "Videos" / f"{row['FileName']}.avi", kind, row["Split"], known["EF"], known["ESV"], known["EDV"],
        known["FPS"], known["NumberOfFrames"] and int(known["NumberOfFrames"]), traces,
    )  # fmt: skip


def _mismatches(root, rows, traces, present):
    listed = {row["FileName"] for row in rows}
    unlisted, untraced = sorted(present - listed), sorted(traces.keys() - listed)
    warnings = []
    if unlisted:
        warnings.append(f"{len(unlisted)} videos are not in FileList.csv and were left out, first {unlisted[0]}")
    if untraced:
        warnings.append(f"{len(untraced)} names of VolumeTracings.csv are not in FileList.csv, first {untraced[0]}")
    return warnings
