"""HC18 in: fetal heads with the outline of each head, as published or packed into one .npz. Real, and no echocardiograms.

van den Heuvel et al., "Automated measurement of fetal head circumference using 2D ultrasound images", PLoS ONE 13
(2018). Published are 999 frames with an annotation and 335 without one; the digits before "_" number the exam, and
`010_2HC.png` is another frame of exam 010, so exams and not frames are what a split may separate.
"""

import re
from functools import lru_cache
from io import BytesIO
from pathlib import PurePosixPath

import cv2
import numpy as np

from echogan.data.clip import Clip
from echogan.data.images import decode
from echogan.data.tree import Archive
from echogan.errors import BadInput

KIND = "HC18"
LABELS = {"background": 0, "head": 1}
SHARES = (0.6, 0.2, 0.2)  # of the exams: the published test frames have no outline, so all three come from the 999
_ANNOTATION = "_Annotation.png"
_FRAME = re.compile(r"\d+_\d*HC")


def annotated(names):
    """{frame name, such as "010_2HC": file} of the frames among `names` that have their annotation beside them."""
    files = set(names)
    outlined = [name.replace(_ANNOTATION, ".png") for name in names if name.endswith(f"HC{_ANNOTATION}")]
    return {PurePosixPath(name).stem: name for name in outlined if name in files}


def exam(name):
    """The exam that a frame belongs to."""
    return name.split("_")[0]


def files_of(file):
    """The picture and the annotation beside it."""
    return file, file.replace(".png", _ANNOTATION)


def read_published(tree, file):
    """A frame and its head mask, from the picture `file` and the annotation beside it."""
    file, drawn = files_of(file)
    image = decode(tree.read(file), tree.path(file))
    outline = decode(tree.read(drawn), tree.path(drawn))
    if outline.shape != image.shape:
        raise BadInput(f"{tree.path(drawn)} is not of the size of its frame; download it again")
    return _clip(image, filled(outline, tree.path(drawn)), PurePosixPath(file).stem, str(tree.path(file)))


def filled(outline, name):
    """The head inside a drawn ellipse, uint8 of 0 and 1: its convex hull, so an outline that leaves the frame will do."""
    points = cv2.findNonZero(np.ascontiguousarray(outline > 127, np.uint8))
    if points is None or len(points) < 5:
        raise BadInput(f"{name} shows no outline; download it again")
    return cv2.fillConvexPoly(np.zeros(outline.shape, np.uint8), cv2.convexHull(points), 1)


def packed_names(path):
    """The frame names of a .npz with train_images, train_masks and train_ids, in its order."""
    return [str(name) for name in _packed(path)[2]]


def read_packed(path, row):
    """The frame and mask of one row of the .npz."""
    images, masks, names = _packed(path)
    return _clip(images[row], masks[row], str(names[row]), str(path))


@lru_cache(maxsize=1)
def _packed(path):
    try:
        images, masks, names = (_array(path, f"train_{what}.npy") for what in ("images", "masks", "ids"))
    except (KeyError, ValueError, EOFError) as error:
        raise BadInput(
            f"{path} is no HC18 archive ({error}); it needs train_images, train_masks and train_ids"
        ) from error
    good = images.dtype == masks.dtype == np.uint8 and images.shape == masks.shape and images.ndim == 3
    if not good or names.shape != images.shape[:1] or not len(names):
        raise BadInput(f"{path} holds arrays that do not fit each other: {images.shape}, {masks.shape}, {names.shape}")
    strange = [str(name) for name in names if not _FRAME.fullmatch(str(name))]
    if strange or len(set(names)) < len(names) or masks.max() > 1:
        raise BadInput(f"{path} has ids twice, ids such as {strange[:1]}, or masks beyond 0 and 1; make it again")
    return images, masks, names


def _array(path, member):
    return np.lib.format.read_array(BytesIO(Archive(path).read(member)), allow_pickle=False)


def _clip(image, mask, name, source):
    return Clip(image[None], name, exam(name), KIND, source=source, masks={0: mask})
