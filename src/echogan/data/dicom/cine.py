"""An ultrasound DICOM, opened: to walk through frame by frame, or to read whole as a `Clip`."""

from dataclasses import dataclass, field

import numpy as np

from echogan.data.clip import Clip
from echogan.data.dicom import KIND
from echogan.data.dicom.header import Header, kind_of, read_header
from echogan.data.dicom.pixels import grey_frames
from echogan.data.dicom.region import frame_rate, tissue_region
from echogan.errors import BadInput


@dataclass
class Cine:
    """An ultrasound file, still or cine, of which only the header is read yet."""

    header: Header = field(repr=False)  # holds patient tags
    fps: float | None
    region: tuple | None  # (x0, y0, x1, y1), inclusive
    spacing_mm: tuple | None  # (row, column)
    warnings: list

    @property
    def shape(self):
        """(frames, rows, columns)."""
        return self.header.frames, self.header.rows, self.header.columns

    def frames(self):
        """Yield grey uint8 (rows, columns), one frame in memory at a time, again at every call."""
        return grey_frames(self.header, self.region, self.warnings)

    def clip(self, patient=None, frames=None):
        """A `Clip` of `frames` (T, H, W), by default all of the file; without `patient` the file name stands for one."""
        path, frames = self.header.path, self._all() if frames is None else frames
        return Clip(
            frames, path.stem, patient or path.stem, KIND, source=str(path), fps=self.fps,
            spacing_mm=self.spacing_mm, region=self.region, warnings=self.warnings,
        )  # fmt: skip

    def _all(self):
        frames = np.empty(self.shape, np.uint8)
        for place, frame in zip(frames, self.frames(), strict=True):
            place[:] = frame
        return frames


def cine(path):
    """The `Cine` of the file at `path`."""
    header, warnings = read_header(path), []
    try:
        region, spacing = tissue_region(header, warnings)
        fps = frame_rate(header, warnings)
    except BadInput:
        raise
    except Exception as error:  # a tag that holds something else than its kind
        raise BadInput(f"{path} has a broken calibration ({kind_of(error)}); export it again") from error
    return Cine(header, fps, region, spacing, warnings)
