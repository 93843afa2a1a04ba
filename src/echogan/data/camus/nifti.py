"""Pixels and spacing of one NIfTI file, turned to rows and columns."""

import warnings

import numpy as np

from echogan.data.camus.view import check_shape
from echogan.errors import BadInput, first_line

UNITS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 0.001}  # mm by the spatial code of xyzt_units: not stated, m, mm, micron


def load(path):
    """Pixels ([T,] H, W) in the type of the file, and (row, column) mm per pixel.

    NIfTI stores x first, so the axes are reversed; where the affine says that the first stored axis runs down the
    picture, its two axes are exchanged. Signs of the affine are not read: files that were saved again often lost them,
    and their pixels stayed as they were.
    """
    import nibabel

    try:
        image = nibabel.Nifti1Image.from_filename(path)
        check_shape(image.shape, path)
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")  # casts of broken scale factors; what they give is checked later
            pixels = np.asanyarray(image.dataobj)
    except FileNotFoundError as error:
        raise BadInput(f"{path} is missing; restore the original file") from error
    except BadInput:
        raise
    except Exception as error:  # the library, zlib and struct each have their own
        raise BadInput(f"{path} is no readable NIfTI file ({first_line(error)}); restore the original file") from error
    while pixels.ndim > 2 and pixels.shape[-1] == 1:
        pixels = pixels[..., 0]
    return _upright(pixels, image, path)


def _upright(pixels, image, path):
    if pixels.ndim < 2:
        raise BadInput(f"{path} has {pixels.ndim} dimensions, not 2 or 3; restore the original file")
    x, y = (mm * _unit(image, path) for mm in image.header.get_zooms()[:2])
    if _transposed(image.affine[:2, :2], path):
        pixels, (x, y) = pixels.swapaxes(0, 1), (y, x)
    return np.ascontiguousarray(pixels.T), (y, x)


def _transposed(affine, path):
    """Whether the first stored axis runs along the second direction of space."""
    size = np.abs(affine) / (np.abs(affine).max(axis=0) + 1e-12)
    along, across = size[0, 0] + size[1, 1], size[0, 1] + size[1, 0]
    if not min(along, across) < 0.1:
        raise BadInput(f"{path} is stored at an angle; save it with rows and columns along its axes")
    return across > along


def _unit(image, path):
    code = int(image.header["xyzt_units"]) & 7
    if code not in UNITS:
        raise BadInput(f"{path} has pixels in an unknown unit ({code}); write its spacing in mm")
    return UNITS[code]
