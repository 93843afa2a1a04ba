"""Commands that need no data: the phantom in the layouts of real data sets."""

from typing import Literal

from echogan.cli.app import Bar, Out, command
from echogan.config import shown


@command
def phantom(
    out: Out,
    patients: int = 240,
    seed: int = 0,
    frames: int | None = None,
    layout: Literal["echonet", "camus-hdf5", "camus-nifti", "quality"] = "echonet",
    workers: int | None = None,
):
    """Write a synthetic phantom study in the layout of a real data set.

    Args:
        out: folder to make.
        patients: how many.
        seed: equal seeds give equal studies.
        frames: echonet: of each video, at 50 per second, default 48; quality: stills of each patient, default 4.
        layout: echonet = EchoNet-Dynamic (Videos/*.avi, FileList.csv, VolumeTracings.csv); camus-hdf5 =
            camus05_256.hdf5; camus-nifti = CAMUS_public (both: 2CH and 4CH with masks and grades); quality = trainA ..
            testB, poor and excellent scans of different patients, with the truth in a folder of its own.
        workers: processes; default one per core.
    """
    from echogan.data.phantom.camus import write_camus_hdf5, write_camus_nifti
    from echogan.data.phantom.quality import write_quality
    from echogan.data.phantom.study import write_echonet
    from echogan.errors import BadInput

    write = {
        "echonet": write_echonet,
        "camus-hdf5": write_camus_hdf5,
        "camus-nifti": write_camus_nifti,
        "quality": write_quality,
    }
    named = {"echonet": "frames", "quality": "stills"}
    if frames is not None and layout not in named:
        raise BadInput(f"--frames does not apply to {layout}: its recordings go from end diastole to end systole")
    of_each = {} if frames is None else {named[layout]: frames}
    with Bar("phantom", "patient") as tell:
        write[layout](out, patients, seed, workers=workers, callback=tell, **of_each)
    print(f"{patients} patients of the synthetic phantom ({layout} layout) in {shown(out)}")
