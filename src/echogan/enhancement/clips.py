"""A recording in, a recording of the same kind out; folders of them; and the two films that may lie beside one."""

from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from echogan.data.clip import Clip
from echogan.data.tree import Folder as Tree
from echogan.enhancement import gate, mark
from echogan.enhancement.media import SUFFIXES, into, open_medium, writer
from echogan.enhancement.stream import FULL, Done, Tally, enhanced
from echogan.enhancement.unfinished import plan_of, unfinished
from echogan.errors import BadInput, CannotWrite
from echogan.files import disk_errors, remove_leftovers
from echogan.preprocessing.deidentify import extremes, inside, sector_of
from echogan.preprocessing.recordings import DICOM_HEAD, is_dicom, left_out
from echogan.sector import ECHONET

DICOM = ".dcm"
RESIDUAL_GAIN = 4  # of the residual map: grey levels for each grey level of change, 128 (of 255) where nothing changed


@dataclass
class Folder:
    """What a folder of recordings became: the `Done`, and sentences on those that failed and on what was left out."""

    done: list
    failed: list
    warnings: list = field(default_factory=list)


@dataclass(frozen=True)
class Report:
    """What is written on each recording: `write(Done, page)`, and `told`, by which equal reports are known."""

    write: Callable
    told: str


def enhance_path(source, out, enhance: Callable, wanted=FULL, callback=None, report=None):
    """Enhance a recording, or each in a folder, into the new file or folder `out`; returns a `Folder`.

    enhance: float (T, 1, H, W) in [-1, 1], strength -> the same. In a folder a broken recording is named and the others
    are made; what an equal call (of the same `wanted.origin`) had made before it was stopped, as by a full disk, is not made
    again. Progress goes to `callback(done, total)` in recordings. report: the `Report` to write of each.
    """
    source, out = Path(source), Path(out)
    if not source.is_dir():
        result = Folder([enhance_file(source, out, enhance, wanted, pages_of([out])[out] if report else None)], [])
        _reported(result, report, pages_of([out])[out])
        return result
    below = source.resolve() in out.resolve().parents  # what was made before is then no recording to enhance
    files = [
        name for name in Tree(source).names() if not (below and out.resolve() in (source / name).resolve().parents)
    ]
    names = [name for name in files if _is_recording(source / name)]
    if not names:
        raise BadInput(f"{source} holds no recording; give a folder with {', '.join(SUFFIXES)} or DICOM files")
    others = sorted(set(files) - set(names))
    result = Folder([], [], left_out(others, "are of kinds that cannot be enhanced"))
    pages = pages_of([out / name for name in names])
    with unfinished(out, plan_of(source, names, wanted, report.told if report else "")) as work:
        whole = {file for name in work.done for file in _written(out / name, wanted, pages)}
        _clear(out, {*_written(out / work.begun, wanted, pages)} - whole if work.begun else ())
        for number, name in enumerate(names, 1):
            if name in work.done:
                result.done.append(work.done[name])
            else:
                work.begin(name)
                if _made(result, source / name, out / name, pages[out / name], enhance, wanted, report):
                    work.add(name, result.done[-1])
            if callback:
                callback(number, len(names))
    return result


def _made(result, source, out, page, enhance, wanted, report):
    """Whether a recording of a folder was enhanced and reported on; `result` has its `Done`, and the sentence if not."""
    try:
        result.done.append(enhance_file(source, out, enhance, wanted, page if report else None))
    except CannotWrite:
        raise  # nor could the next; once there is room, an equal call goes on
    except BadInput as error:
        result.failed.append(str(error))
        return False
    return _reported(result, report, page)


def _reported(result, report, page):
    """Whether the report on the recording made last could be written."""
    try:
        if report:
            report.write(result.done[-1], page)
    except CannotWrite:
        raise
    except BadInput as error:
        result.failed.append(str(error))
        return False
    return True


def _clear(out, begun):
    """Remove what was stopped half way in a folder that is ours: files without their name yet, and the `begun` ones."""
    with disk_errors(out):
        for folder in (out, *(path for path in out.rglob("*") if path.is_dir())):
            remove_leftovers(folder)
        for path in begun:
            path.unlink(missing_ok=True)


def _written(out, wanted, pages):
    """All that enhancing into `out`, and the report on it, may write."""
    return *_files(out, wanted), *_both(pages[out])


def enhance_file(source, out, enhance, wanted=FULL, page=None):
    """Enhance one recording into the new file `out` of the same kind; returns its `Done`. Errors leave nothing behind.

    page: that of the report which is to lie beside it, and must be new as well.
    """
    source, out = Path(source), Path(out)
    files = _files(out, wanted)
    extras = dict(zip(_extras(wanted), files[1:]))
    _check(source, files, wanted, _both(page) if page else ())
    if _is_dicom(source):
        from echogan.enhancement.dicom import enhance_dicom  # brings pydicom, which other recordings never need

        return enhance_dicom(source, out, enhance, wanted)
    medium = open_medium(source)
    mask = sector_mask(medium, wanted.sector)
    grey, marked = medium.eight_bits(), medium.sector is not None
    refused = gate.refusal(medium.path, medium.colours, grey, medium.shape[0], mask, wanted, marked)
    stamp = mark.place(mask) if refused else None
    tally = Tally(mask, medium.levels)
    with ExitStack() as stack:
        write = stack.enter_context(writer(medium, out))
        more = {n: stack.enter_context(writer(medium, path, _WIDE.get(n, 1))) for n, path in extras.items()}
        for before, after in enhanced(medium.frames(), mask, enhance, wanted, medium.levels, medium.path):
            tally.add(before, after)
            shown = mark.burn(after, *stamp) if stamp else after
            write(into(medium, shown))
            for name, put in more.items():
                put(_EXTRAS[name](before, shown, medium.levels))
    box = stamp[0] if stamp else ()
    return Done(out, source, medium.shape, **tally.found(), refused=refused, box=box, files=files)


def pictures_of(source, n, sector="auto"):
    """(frames uint8 (at most n, H, W) spread evenly over a recording, its sector (H, W), which frames they are).

    Those of a DICOM are black outside the sector, where names are burnt in.
    """
    if _is_dicom(Path(source)):
        from echogan.enhancement.dicom import opened

        recording, mask, _, _ = opened(Path(source))
        frames = (frame * mask for frame in recording.frames())
    else:
        recording = open_medium(source)
        mask, frames = sector_mask(recording, sector), recording.eight_bits()
    chosen = np.unique(np.linspace(0, recording.shape[0] - 1, min(n, recording.shape[0])).round().astype(int))
    wanted = set(chosen.tolist())
    return np.stack([frame for i, frame in enumerate(frames) if i in wanted]), mask, chosen


def sector_mask(medium, which="auto"):
    """True inside the sector of a recording, bool (H, W)."""
    _, height, width = medium.shape
    if which == "echonet":
        if height != width:
            raise BadInput(
                f"{medium.path} has {width} x {height} pixels, and EchoNet's sector is in a square; use auto"
            )
        return ECHONET.resized(width).mask()
    seen, _ = extremes(medium.eight_bits())
    stub = Clip(seen[:0], medium.path.stem, "", "", str(medium.path), medium.fps, sector=medium.sector)
    return inside(sector_of(stub, seen))


def called(path):
    """What a caption calls a recording: names of DICOM files may be names of people."""
    return "a DICOM" if _is_dicom(path) else path.name


def pages_of(paths):
    """{recording: the page of the report on it}, beside it, named by its stem, or in full where two of a folder share that."""
    stems = Counter(path.with_name(stem_of(path)) for path in paths)
    shared = {path: stems[path.with_name(stem_of(path))] > 1 for path in paths}
    return {path: path.with_name(f"{path.name if shared[path] else stem_of(path)}_trust.html") for path in paths}


def stem_of(path):
    """The name of a recording without its suffix; of a DICOM called by numbers (1.2.840.5) all of it, or two would share one."""
    return path.stem if path.suffix.lower() in (*SUFFIXES, DICOM) else path.name


# ------------------------------------------------------------------------------------------------ one recording


def _is_recording(path):
    return path.suffix.lower() in SUFFIXES or _is_dicom(path)


def _is_dicom(path):
    """By its suffix or, where that says nothing, by its first bytes."""
    suffix = path.suffix.lower()
    if suffix in (*SUFFIXES, DICOM):
        return suffix == DICOM
    try:
        with open(path, "rb") as file:
            return is_dicom(path.name, file.read(DICOM_HEAD))
    except OSError:  # missing, or nobody may read it
        return False


def _extras(wanted):
    return [name for name in _EXTRAS if getattr(wanted, name)]


def _files(out, wanted):
    """All that enhancing into `out` writes."""
    return [out, *(out.with_name(f"{out.stem}_{name}{out.suffix}") for name in _extras(wanted))]


def _both(page):
    """The page of a report, and the picture beside it."""
    return page, page.with_suffix(".png")


def _check(source, files, wanted, beside):
    out, dicom = files[0], _is_dicom(source)
    if not 0 <= wanted.strength <= 1:
        raise BadInput(f"the strength is 0 (the input) to 1 (all of it), got {wanted.strength:g}")
    if out.suffix.lower() not in (source.suffix.lower(), DICOM if dicom else None):
        suffix = DICOM if dicom else source.suffix
        raise BadInput(f"{out} would be of another kind than {source}; let it end in {suffix}")
    if dicom and (len(files) > 1 or wanted.sector != "auto"):
        raise BadInput(
            f"{source} is a DICOM, of which only the enhanced object is written, on the sector that it shows"
        )
    there = [path for path in (*files, *beside) if path.exists()]
    if there:
        raise BadInput(f"{there[0]} is there already; choose another name, nothing is replaced")


def _beside(before, after, levels):
    return np.concatenate([before, after], axis=1)


def _residual(before, after, levels):
    moved = (after.astype(np.float32) - before) * RESIDUAL_GAIN
    return np.clip(moved + (levels + 1) // 2, 0, levels).astype(before.dtype)


_EXTRAS = {"beside": _beside, "residual": _residual}
_WIDE = {"beside": 2}  # times as wide as the recording
