"""First steps: the whole study in small, and what this machine can do."""

import sys

from echogan.cli.app import Device, command
from echogan.cli.data import extract
from echogan.cli.phantom import phantom
from echogan.cli.report import drawn_of
from echogan.cli.train import train
from echogan.config import RunFolder, folder, shown


@command
def demo(kimg: float = 40.0, patients: int = 240, seed: int = 0, device: Device = "auto", name: str = "demo"):
    """The whole study in small on the synthetic phantom: recordings, frames, a WGAN at 64 px, metrics, figures.

    Args:
        kimg: thousands of real images to show.
        patients: of the phantom.
        seed: of the phantom and of the training.
        device: where to train.
        name: of the run; another seed, or number of patients, wants another.
    """
    study = folder("data") / f"phantom_{patients}_seed{seed}"
    frames = study.with_name(f"{study.name}_128px")  # where notebooks look for them too
    if not (study / "FileList.csv").is_file():
        phantom(study, patients, seed)
    if not (frames / "manifest.json").is_file():
        extract(study, frames)
    train("wgan", "demo", frames, kimg, seed, device, name=name)
    drawn_of(f"wgan/{name}")
    run, drawn = RunFolder.find(f"wgan/{name}"), folder("results") / "wgan" / name
    print(f"\nLook at {shown(run.samples)} (generated echoes through training) and {shown(drawn)} (figures).")
    print("Next: `make notebook`, or bring your own recordings: `echogan extract STUDY FRAMES`.")


@command
def doctor():
    """Examine this machine: torch build, driver, GPU, precision, weights, data, disk, each with its remedy."""
    from echogan.doctor import examine

    findings = examine()
    for f in findings:
        print(f"{'ok' if not f.remedy else 'FAIL' if f.fatal else 'note':4}  {f.about:15} {f.state}")
        if f.remedy:
            print(f"{'':22}-> {f.remedy}")
    sys.exit(int(any(f.fatal for f in findings)))
