"""Commands from recordings to frames, and from frames to archives."""

import sys
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from echogan.cli.app import Bar, Frames, Out, Study, Video, command, group
from echogan.config import shown

Any = Positional[Annotated[Path, arg(metavar="PATH")]]


@command
def extract(
    study: Study,
    frames: Frames,
    size: int = 128,
    frames_per_clip: Literal["1", "4", "all"] | None = None,
    phases: Literal["traced", "counted"] = "traced",
    bilateral: bool = False,
    seed: int = 0,
    shard: str | None = None,
    workers: int | None = None,
):
    """Extract training frames: first, systole, diastole and last of every recording, inside the sector mask.

    What is interrupted, even by kill -9, goes on when the same command is given again. A cluster's array job of N tasks
    runs this command in each with --shard I/N and the same FRAMES on a shared disk: the task that ends last merges the
    parts, and the frames are those that one machine makes. A frame that two splits hold stays in TEST, else in VAL.

    Folders called train, val and test are the splits. Of a DICOM its PatientID tells whose it is (only a hash of it is
    kept), of other files the top sub-folder, else the name (patient0001_4CH); what was taken for a patient is said.

    Args:
        study: EchoNet-Dynamic folder or ZIP, DICOM, video (AVI, MP4 ...), HC18 (folder or .npz), or a folder or ZIP of
            recordings or of pictures (PNG, JPEG; a StyleGAN2-ADA data set too), which keep their content.
        frames: folder to make.
        size: pixels of height and width.
        frames_per_clip: 1 = diastole; 4 = first, systole, diastole, last; all. Default 4, and all of a single file.
        phases: traced = from VolumeTracings.csv where it has the recording, else counted; counted = bright pixels always.
        bilateral: smooth as the original study did (d 5, sigmas 15).
        seed: of the 80/10/10 by patient, where the source has no splits.
        shard: I/N, such as 2/4: only this part of the recordings.
        workers: processes; default one per core.
    """
    from echogan.preprocessing.extract import Part
    from echogan.preprocessing.extract import extract as run
    from echogan.preprocessing.journal import Shard

    with Bar("extract", "recording") as tell:
        summary = run(
            study, frames, size, phases, bilateral, frames_per_clip, seed, shard and Shard.read(shard), workers, tell
        )
    if isinstance(summary, Part):
        rest = f"{summary.waiting} recordings of other parts are not" if summary.waiting else "another part merges all"
        return print(f"part {shard} is done; {rest}")
    for line in summary.problems:
        print(f"echogan: {line}", file=sys.stderr)
    told = f"{summary.duplicates} duplicates marked"
    if summary.agreement:
        told += f"; counting is within 2 frames of the tracings in {summary.agreement['within_2_frames']:.0%}"
    print(f"{summary.images} frames of {summary.recordings} recordings in {shown(frames)} ({told})")


@command
def inspect(path: Any, sheet: Path | None = None):
    """Print the data card of a set of frames, or what extraction would find in recordings or pictures.

    Fails where a patient, or a frame that is not marked as a repeat, is in two splits.

    Args:
        path: folder of frames, or whatever `echogan extract` takes.
        sheet: picture to write (.png): frames of every split, with the outlines of masks.
    """
    from echogan.preprocessing import inspect as look

    print(look.describe(path))
    if sheet:
        from echogan.report import recordings

        recordings.write(recordings.frames(look.a_few(path)), sheet)
        print(f"sheet in {shown(sheet)}")
    if look.is_frames(path):
        look.check(look.load_frames(path))


@command
def archive(
    frames: Frames,
    out: Out,
    condition: str | None = None,
    split: Literal["train", "val", "test", "all"] = "train",
):
    """Pack frames as a data set for the official StyleGAN2-ADA (dataset.json, 00000/img00000000.png, stored).

    Args:
        frames: folder of frames, 64, 128 or 256 pixels.
        out: ZIP to write; one that is there is never replaced.
        condition: class of every image in dataset.json: phase, view, ef, quality, domain, or several such as phase+ef.
        split: whose frames; repeats are left out. all = every frame, repeats too.
    """
    from echogan.data.frames import load_frames
    from echogan.preprocessing.archive import write_dataset

    data = load_frames(frames)
    part = data if split == "all" else data.split(split.upper())
    names = write_dataset(part, out, condition)
    classes = f", classes {', '.join(f'{code} = {name}' for code, name in enumerate(names))}" if names else ""
    print(f"{len(part)} frames ({split}, {data.kind}) in {shown(out)}{classes}")


preview = group("preview")


@preview.command
def mask(video: Video, out: Out):
    """Draw the sector mask of extraction over a recording.

    Args:
        video: a recording, or one of an EchoNet-Dynamic study (its Videos/*.avi).
        out: picture to write (.png).
    """
    from echogan.data.images import write_png
    from echogan.preprocessing.preview import mask_overlay

    clip = _clip(video)
    write_png(out, mask_overlay(clip))
    print(f"{clip.name} in {shown(out)}")


@preview.command
def phase(video: Video, out: Out, phases: Literal["traced", "counted"] = "traced"):
    """Draw the four frames that extraction takes from a recording, what counting sees of them, and its curve.

    Args:
        video: a recording, or one of an EchoNet-Dynamic study (its Videos/*.avi).
        out: picture to write (.png).
        phases: traced = from VolumeTracings.csv where it has the recording; counted = bright pixels.
    """
    from echogan.preprocessing.preview import see
    from echogan.report import recordings

    clip = _clip(video)
    recordings.write(recordings.phases(clip, see(clip, phases)), out)
    print(f"{clip.name} in {shown(out)}")


def _clip(video):
    from echogan.errors import BadInput
    from echogan.preprocessing.sources import find_source

    found = find_source(video)
    if found.unit == "picture":
        raise BadInput(f"{video} holds pictures, which extraction neither masks nor times; give a recording")
    return found.jobs[0].read()
