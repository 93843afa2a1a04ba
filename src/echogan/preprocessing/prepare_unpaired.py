"""One call from a name to a `FrameSet` of two unpaired domains, for notebooks: the phantom, a folder of frames or of pictures."""

from functools import partial

from echogan.config import folder
from echogan.data.phantom.quality import write_quality
from echogan.preprocessing.domains import prepare_domains
from echogan.preprocessing.inspect import is_frames
from echogan.preprocessing.prepared import found, kept, read, sized


def prepare_unpaired(data="phantom", patients=240, seed=0, size=128, callback=None):
    """The frames of `data` in two domains without pairs, A of low and B of good quality, made first where they are not there yet.

    data: "phantom" (poor and excellent scans of different patients); a folder of frames with a column `domain`; or a folder
    with trainA, trainB, testA and testB.
    """
    tell = callback or (lambda step, done, total: None)
    if data == "phantom":
        source = folder("data") / f"phantom_quality_{patients}_seed{seed}"
        frames = sized(source, size)
        if not (source / "index.csv").is_file():
            write_quality(source, patients, seed, callback=partial(tell, "phantom"))
    else:
        source = found(data, "a folder of frames with two domains, or one with trainA, trainB, testA and testB")
        frames = sized(kept(source), size)
    if is_frames(source):
        return read(source, tell)
    if not (frames / "manifest.json").is_file():
        prepare_domains(source, frames, size, callback=partial(tell, "domains"))
    return read(frames, tell)
