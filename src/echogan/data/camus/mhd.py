"""Pixels and spacing of one MetaImage file (.mhd and its .raw or .zraw), through SimpleITK."""

import re
from pathlib import Path

import numpy as np

from echogan.config import installing
from echogan.data.camus.view import check_shape
from echogan.errors import BadInput


def load(path):
    """Pixels ([T,] H, W) in the type of the file, and (row, column) mm per pixel."""
    itk = _simple_itk(path)
    _check_header(Path(path))
    reader = itk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.SetImageIO("MetaImageIO")
    try:
        reader.ReadImageInformation()
        check_shape(reader.GetSize(), path)
        x, y = reader.GetSpacing()[:2]
        pixels = itk.GetArrayFromImage(reader.Execute())
    except RuntimeError as error:
        reason = str(error).strip().splitlines()[-1]
        raise BadInput(f"{path} is no readable MetaImage ({reason}); restore the .mhd and its .raw file") from error
    while pixels.ndim > 2 and pixels.shape[0] == 1:
        pixels = pixels[0]
    return np.ascontiguousarray(pixels), (y, x)


def _simple_itk(path):
    try:
        import SimpleITK
    except ImportError as error:
        raise BadInput(
            f"{path} needs SimpleITK; install it with `{installing('SimpleITK')}`, or take the NIfTI release"
        ) from error
    SimpleITK.ProcessObject.SetGlobalWarningDisplay(False)
    return SimpleITK


def _check_header(path):
    """Pixels lie in one file beside the header, and it is as large as the header says."""
    try:
        header = path.read_bytes()[:10_000].decode("latin-1")
    except OSError as error:
        raise BadInput(f"{path} is missing; restore the original file") from error
    names = re.findall(r"^\s*ElementDataFile\s*=\s*(.*?)\s*$", header, re.MULTILINE)
    if len(names) != 1 or Path(names[0]).name != names[0]:
        raise BadInput(f"{path} names no data file beside it; restore the original file")
    if names[0] not in ("LOCAL",) and not (path.parent / names[0]).is_file():
        raise BadInput(f"{path} has lost its data file {names[0]}; restore it")
