"""The command that writes recordings without what names a person."""

import sys
from pathlib import Path
from typing import Literal

from echogan.cli.app import Bar, Out, Study, command
from echogan.config import shown


@command
def export(
    study: Study,
    out: Out,
    layout: Literal["echonet", "png"] = "echonet",
    fps: float | None = None,
    key: Path | None = None,
    workers: int | None = None,
):
    """Write recordings de-identified: new names, no patient tag, black outside the sector, checked for burnt-in text.

    Args:
        study: DICOM file, video, or a folder or ZIP of them.
        out: folder to make.
        layout: echonet = 112 x 112 AVI on the sector of EchoNet-Dynamic; png = frames of the sector as recorded.
        fps: frames per second of recordings that do not say theirs; these are skipped without it.
        key: CSV to link new names to old ones; keep it apart from OUT. Without it the link is gone.
        workers: processes; default one per core.
    """
    from echogan.preprocessing.export import export as run

    with Bar("export", "recording") as tell:
        done = run(study, out, layout, fps, key, workers, tell)
    for line in done.problems:
        print(f"echogan: {line}", file=sys.stderr)
    print(
        f"{done.recordings} recordings of {done.patients} patients in {shown(out)} ({layout} layout; text was blanked "
        f"outside the sector of {done.burnt_in}, and seen inside that of {done.suspect}: look at these)"
    )
