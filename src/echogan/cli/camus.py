"""Commands from labelled and graded pictures to frames: CAMUS, and the two domains of an enhancer."""

import sys

from echogan.cli.app import Bar, Frames, Study, command
from echogan.config import shown


@command
def camus(
    study: Study,
    frames: Frames,
    size: int = 256,
    subset: bool = False,
    low: str = "",
    every: bool = False,
    seed: int = 0,
):
    """Prepare CAMUS with its masks: end diastole and end systole of both apical views.

    Args:
        study: CAMUS as an HDF5 file, or the folder of a release (NIfTI or MHD).
        frames: folder to make.
        size: pixels of height and width.
        subset: four-chamber end diastole only; writes its HDF5 files (train_4CH_FD, anno_train_4CH_FD ...) too.
        low: grades of the low domain of an enhancer, Poor or Poor+Medium; Good is the high one.
        every: all frames between end diastole and end systole.
        seed: of the split, where the data set has none.
    """
    from echogan.preprocessing.camus import prepare_camus

    with Bar("camus", "view") as tell:
        summary = prepare_camus(study, frames, size, subset, low or (), every, seed, callback=tell)
    _tell(summary)


@command
def domains(study: Study, frames: Frames, size: int = 256, seed: int = 0):
    """Prepare pictures of low and high quality (trainA, trainB ... testB) as one set with two domains.

    Args:
        study: folder with trainA, trainB, testA and testB, as `echogan phantom --layout quality` writes it.
        frames: folder to make.
        size: pixels of height and width.
        seed: of the patients that become VAL, where there is no valA.
    """
    from echogan.preprocessing.domains import prepare_domains

    with Bar("domains", "picture") as tell:
        summary = prepare_domains(study, frames, size, seed, callback=tell)
    _tell(summary)


def _tell(summary):
    for line in summary.warnings:
        print(f"echogan: {line}", file=sys.stderr)
    told = ", ".join(f"{count} in domain {name}" for name, count in summary.domains.items())
    print(f"{summary.images} frames of {summary.patients} patients in {shown(summary.folder)}{told and f' ({told})'}")
