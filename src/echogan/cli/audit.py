"""The command that asks whether images copy the patients a model was trained on."""

from pathlib import Path

from echogan.cli.app import Bar, Device, command
from echogan.cli.judge import Fakes
from echogan.config import RunFolder, shown
from echogan.errors import BadInput


@command
def audit(
    fakes: Fakes,
    training: Path,
    heldout: Path | None = None,
    n: int = 1000,
    seed: int = 0,
    kimg: float | None = None,
    truncation: float = 1.0,
    device: Device = "auto",
    out: Path | None = None,
    json: bool = False,
    keep: bool = False,
):
    """Count copies of training patients among images, by a threshold that flags 5 % of unseen real patients.

    Args:
        fakes: a run, <arch>/<config>, a .safetensors file, or a folder or ZIP of pictures from anywhere.
        training: folder of frames the model was trained on; their TRAIN split counts.
        heldout: folder of frames whose VAL and TEST patients it never saw; default the same frames.
        n: images at most.
        seed: of what is generated or chosen, of the held-out frames and of the planted copies.
        kimg: moment of a run's training; the nearest kept weights are used.
        truncation: below 1 less varied and more typical.
        device: where to compute.
        out: picture to write, .png or .pdf: the worst pairs beside their nearest real frames, and all distances.
        json: print every number as one object.
        keep: append the row to the audit.csv of the run; not with a truncation, which no column tells.
    """
    from echogan.engine import audit as engine
    from echogan.engine.launch import pick_device
    from echogan.engine.lock import refuse_trained
    from echogan.engine.sampling import Wanted
    from echogan.report.audit import picture, write

    if keep and truncation != 1:
        raise BadInput(
            f"no column of audit.csv tells a truncation of {truncation:g}, so its row would pass for one without; leave "
            "--keep or --truncation out"
        )
    if keep:
        refuse_trained(RunFolder.find(fakes))  # refused before the work, not after it
    if out:
        picture(out)
    with Bar("audit", "image") as tell:
        found = engine.audit(fakes, training, heldout, n, Wanted(seed, kimg, truncation), pick_device(device), tell)
    if out:
        write(found, out)
    if keep:
        engine.keep(fakes, found)
    print(_object(found.row) if json else _line(fakes, found.row, out))


def _object(row):
    import json

    return json.dumps({k: None if v != v else v for k, v in row.items()}, indent=2)  # NaN, which JSON has not


def _line(fakes, row, out):
    def percent(name):
        return f"{row[name]:.1f} % ({row[f'{name}_low']:.1f}-{row[f'{name}_high']:.1f})"

    return (
        f"{percent('flagged')} of {row['n_fake']} images of {fakes} flagged as copies of {row['training_patients']} training "
        f"patients, where {percent('false_flags')} of {row['heldout_patients']} unseen patients are; AuthPct "
        f"{row['AuthPct']:.1f} (real {row['floor_AuthPct']:.1f}), C_T {row['C_T']:.1f}; caught of planted copies: exact "
        f"{row['caught_exact']:.0f} %, changed {row['caught_changed']:.0f} %{f'; picture {shown(out)}' if out else ''}"
    )
