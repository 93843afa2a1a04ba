"""Commands from recordings to frames."""

import sys
from functools import partial
from typing import Literal

from echogan.cli.app import Bar, Frames, Out, Study, Video, command, group
from echogan.config import shown


@command
def phantom(
    out: Out,
    patients: int = 240,
    seed: int = 0,
    frames: int = 48,
    layout: Literal["echonet"] = "echonet",
    workers: int | None = None,
):
    """Write a synthetic phantom study in the layout of a real data set.

    Args:
        out: folder to make.
        patients: how many; one video each.
        seed: equal seeds give equal studies.
        frames: per video, at 50 per second.
        layout: echonet = EchoNet-Dynamic (Videos/*.avi, FileList.csv, VolumeTracings.csv).
        workers: processes; default one per core.
    """
    from echogan.data.phantom.study import write_echonet

    with Bar("phantom", "patient") as tell:
        write_echonet(out, patients, seed, frames, workers=workers, callback=tell)
    print(f"{patients} patients of the synthetic phantom ({layout} layout) in {shown(out)}")


@command
def extract(
    study: Study,
    frames: Frames,
    size: int = 128,
    phases: Literal["traced", "counted"] = "traced",
    bilateral: bool = False,
    workers: int | None = None,
):
    """Extract training frames: first, systole, diastole and last of every recording, inside the sector mask.

    Args:
        study: EchoNet-Dynamic folder, DICOM file, video, or a folder of them.
        frames: folder to make.
        size: pixels of height and width.
        phases: traced = from VolumeTracings.csv where it has the recording, else counted; counted = bright pixels always.
        bilateral: smooth as the original study did (d 5, sigmas 15).
        workers: processes; default one per core.
    """
    from echogan.preprocessing.extract import extract as run

    with Bar("extract", "recording") as tell:
        summary = run(study, frames, size=size, phases=phases, bilateral=bilateral, workers=workers, callback=tell)
    for line in [*(f"skipped {name}: {reason}" for name, reason in summary.skipped), *summary.warnings]:
        print(f"echogan: {line}", file=sys.stderr)
    told = f"{summary.duplicates} duplicates marked"
    if summary.agreement:
        told += f"; counting is within 2 frames of the tracings in {summary.agreement['within_2_frames']:.0%}"
    print(f"{summary.images} frames of {summary.recordings} recordings in {shown(frames)} ({told})")


preview = group("preview")


@preview.command
def mask(video: Video, out: Out):
    """Draw the sector mask of extraction over a recording.

    Args:
        video: a recording, or one of an EchoNet-Dynamic study (its Videos/*.avi).
        out: picture to write (.png).
    """
    from echogan.preprocessing.preview import mask_overlay

    _preview(mask_overlay, video, out)


@preview.command
def phase(video: Video, out: Out, phases: Literal["traced", "counted"] = "traced"):
    """Draw the four frames that extraction takes from a recording, and what counting saw.

    Args:
        video: a recording, or one of an EchoNet-Dynamic study (its Videos/*.avi).
        out: picture to write (.png).
        phases: traced = from VolumeTracings.csv where it has the recording; counted = bright pixels.
    """
    from echogan.preprocessing.preview import phase_strip

    _preview(partial(phase_strip, method=phases), video, out)


def _preview(draw, video, out):
    from echogan.data.images import write_png
    from echogan.preprocessing.sources import find_source

    (job,) = find_source(video).jobs[:1]
    write_png(out, draw(job.read()))
    print(f"{job.name} in {shown(out)}")
