"""The command line: parse, call, print. Every command is one call of the package and prints one line.

Exit codes: 0 done, 1 failed with one sentence, 2 wrong usage.
"""

import os
import sys
from functools import partial
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm
from tyro.conf import Positional, arg

from echogan.config import RunFolder, Settings, changed, folder, shown
from echogan.errors import BadInput, nearest

SUMMARY = "Generate and enhance echocardiograms with GANs. Research use only, not for diagnosis."

COMMANDS = ("demo", "doctor", "phantom", "extract", "preview", "train", "sample", "report")

app = tyro.extras.SubcommandApp()

Arch = Positional[Annotated[str, arg(metavar="ARCH")]]
Config = Positional[Annotated[str, arg(metavar="CONFIG")]]
RunName = Positional[Annotated[str, arg(metavar="RUN")]]
Study = Positional[Annotated[Path, arg(metavar="STUDY")]]
Frames = Positional[Annotated[Path, arg(metavar="FRAMES")]]
Video = Positional[Annotated[Path, arg(metavar="VIDEO")]]
Out = Positional[Annotated[Path, arg(metavar="OUT")]]
Device = Annotated[str, arg(help="auto, cpu, cuda or cuda:N")]
Set = Annotated[tuple[str, ...], arg(name="set", help="settings of the config to change, key=value")]


def main(argv=None):
    """Run one command; returns its exit code."""
    word = (sys.argv[1:] if argv is None else argv)[:1]
    if word and not word[0].startswith("-") and word[0] not in COMMANDS:  # tyro would answer --help of anything
        print(f"echogan: there is no command {word[0]!r}{nearest(word[0], COMMANDS)}", file=sys.stderr)
        return 2
    try:
        app.cli(prog="echogan", description=SUMMARY, args=argv, config=(tyro.conf.OmitArgPrefixes,))
    except BadInput as error:
        print(f"echogan: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("echogan: interrupted; the same command goes on from the last checkpoint", file=sys.stderr)
        return 1
    except SystemExit as end:  # tyro: 0 after --help, 2 after wrong usage; doctor: 1
        return end.code or 0
    return 0


# ------------------------------------------------------------------------------------------------ data


@app.command
def phantom(
    out: Out,
    patients: int = 240,
    seed: int = 0,
    frames: int = 48,
    layout: Literal["echonet"] = "echonet",
    workers: int | None = None,
):
    """Write a synthetic phantom study in the layout of a real data set.

    Args:
        out: folder to make.
        patients: how many; one video each.
        seed: equal seeds give equal studies.
        frames: per video, at 50 per second.
        layout: echonet = EchoNet-Dynamic (Videos/*.avi, FileList.csv, VolumeTracings.csv).
        workers: processes; default one per core.
    """
    from echogan.data.phantom.study import write_echonet

    with Bar("phantom", "patient") as tell:
        write_echonet(out, patients, seed, frames, workers=workers, callback=tell)
    print(f"{patients} patients of the synthetic phantom ({layout} layout) in {shown(out)}")


@app.command
def extract(
    study: Study,
    frames: Frames,
    size: int = 128,
    phases: Literal["traced", "counted"] = "traced",
    bilateral: bool = False,
    workers: int | None = None,
):
    """Extract training frames: first, systole, diastole and last of every recording, inside the sector mask.

    Args:
        study: EchoNet-Dynamic folder, DICOM file, video, or a folder of them.
        frames: folder to make.
        size: pixels of height and width.
        phases: traced = from VolumeTracings.csv where it has the recording, else counted; counted = bright pixels always.
        bilateral: smooth as the original study did (d 5, sigmas 15).
        workers: processes; default one per core.
    """
    from echogan.preprocessing.extract import extract as run

    with Bar("extract", "recording") as tell:
        summary = run(study, frames, size=size, phases=phases, bilateral=bilateral, workers=workers, callback=tell)
    for line in [*(f"skipped {name}: {reason}" for name, reason in summary.skipped), *summary.warnings]:
        print(f"echogan: {line}", file=sys.stderr)
    told = f"{summary.duplicates} duplicates marked"
    if summary.agreement:
        told += f"; counting is within 2 frames of the tracings in {summary.agreement['within_2_frames']:.0%}"
    print(f"{summary.images} frames of {summary.recordings} recordings in {shown(frames)} ({told})")


preview = tyro.extras.SubcommandApp()
app.command(preview, name="preview")


@preview.command
def mask(video: Video, out: Out):
    """Draw the sector mask of extraction over a recording.

    Args:
        video: a recording, or one of an EchoNet-Dynamic study (its Videos/*.avi).
        out: picture to write (.png).
    """
    from echogan.preprocessing.preview import mask_overlay

    _preview(mask_overlay, video, out)


@preview.command
def phase(video: Video, out: Out, phases: Literal["traced", "counted"] = "traced"):
    """Draw the four frames that extraction takes from a recording, and what counting saw.

    Args:
        video: a recording, or one of an EchoNet-Dynamic study (its Videos/*.avi).
        out: picture to write (.png).
        phases: traced = from VolumeTracings.csv where it has the recording; counted = bright pixels.
    """
    from echogan.preprocessing.preview import phase_strip

    _preview(partial(phase_strip, method=phases), video, out)


def _preview(draw, video, out):
    from echogan.data.images import write_png
    from echogan.preprocessing.sources import find_source

    (job,) = find_source(video).jobs[:1]
    write_png(out, draw(job.read()))
    print(f"{job.name} in {shown(out)}")


# ------------------------------------------------------------------------------------------------ training


@app.command
def train(
    arch: Arch,
    config: Config,
    data: Path,
    kimg: float = Settings.kimg,
    seed: int = Settings.seed,
    device: Device = Settings.device,
    precision: Literal["auto", "fp32", "bf16"] = "auto",
    deterministic: bool = False,
    small: bool = False,
    name: str = "",
    set: Set = (),
):
    """Train a config of an architecture, or continue its run exactly.

    Args:
        arch: architecture, e.g. wgan.
        config: name in its table, e.g. demo.
        data: folder of frames that `echogan extract` made.
        kimg: thousands of real images to show; may be raised to train an existing run further.
        seed: equal seeds, machines and versions give equal rows and pixels.
        device: where to train.
        precision: auto = bf16 on GPUs that compute it, else fp32.
        deterministic: on a GPU, only deterministic algorithms (slower).
        small: the config's size for CPUs: 64 px, a quarter of the width.
        name: name of the run; default the config's.
        set: settings of the config to change, key=value.
    """
    from echogan import models
    from echogan.data.frames import load_frames
    from echogan.engine.fit import fit

    listed = models.config_of(arch, config)
    chosen = changed(listed.small() if small else listed, set)
    settings = Settings(kimg, seed, device, precision, deterministic=deterministic)
    with TrainingBar(f"{arch}/{name or config}", kimg) as tell:
        run = fit(arch, name or config, load_frames(data), settings, chosen, callback=tell)
    print(f"{arch}/{name or config} trained to {kimg:g} kimg in {shown(run.path)}")


@app.command
def sample(
    run: RunName,
    out: Out,
    n: int = 36,
    seed: int = 0,
    kimg: float | None = None,
    truncation: float = 1.0,
    device: Device = "cpu",
):
    """Generate images from a run: its best weights, or those of a chosen moment of its training.

    Args:
        run: folder of a run, <arch>/<config>, or a .safetensors file.
        out: folder to make, or a .png for one sheet.
        n: images.
        seed: image i of a seed is the same whatever n is.
        kimg: moment of training; the nearest kept weights are used.
        truncation: below 1 less varied and more typical.
        device: where to compute.
    """
    from echogan.engine.launch import pick_device
    from echogan.engine.sampling import write_samples

    header = write_samples(run, out, n, seed, kimg, truncation, pick_device(device))
    origin = f"{header['arch']}/{header['name']} at {header['kimg']:g} kimg, trained on {header['data']}"
    print(f"{n} images of {origin} in {shown(out)}")


# ------------------------------------------------------------------------------------------------ reading


@app.command
def report(run: RunName = "", html: bool = False):
    """Draw figures from the CSVs of runs into results/; exit code 1 where something was missing.

    Args:
        run: folder of a run or <arch>/<config>; default all runs in experiments/.
        html: write self-contained pages instead.
    """
    if _drawn(run, html):
        sys.exit(1)  # what there is has been drawn; what is missing was named


def _drawn(run, html=False):
    """Draw and say where; returns what is missing, one sentence each."""
    if html:
        from echogan.report.html import write_pages as draw
    else:
        from echogan.report.draw import draw

    experiments, which = folder("experiments"), {}
    if run:
        path = RunFolder.find(run).path.resolve()
        experiments, which = path.parents[1], {"arch": path.parent.name, "config": path.name}
    with Bar("report", "page" if html else "figure") as tell:
        drawn = draw(experiments, folder("results"), **which, callback=tell)
    for line in drawn.problems:
        print(f"echogan: {line}", file=sys.stderr)
    if not drawn.files:
        raise BadInput(f"nothing could be drawn of {run or experiments}")
    place = os.path.commonpath([file.parent for file in drawn.files])
    print(f"{len(drawn.files)} {'pages' if html else 'figures'} in {shown(place)}")
    return drawn.problems


@app.command
def doctor():
    """Examine this machine: torch build, driver, GPU, precision, weights, data, disk, each with its remedy."""
    from echogan.doctor import examine

    findings = examine()
    for f in findings:
        print(f"{'ok' if not f.remedy else 'FAIL' if f.fatal else 'note':4}  {f.about:15} {f.state}")
        if f.remedy:
            print(f"{'':22}-> {f.remedy}")
    sys.exit(int(any(f.fatal for f in findings)))


@app.command
def demo(kimg: float = 40.0, patients: int = 240, seed: int = 0, device: Device = "auto"):
    """The whole study in small on the synthetic phantom: recordings, frames, a WGAN at 64 px, metrics, figures.

    Args:
        kimg: thousands of real images to show.
        patients: of the phantom.
        seed: of the phantom and of the training.
        device: where to train.
    """
    study = folder("data") / f"phantom_{patients}_seed{seed}"
    frames = study.with_name(f"{study.name}_128px")  # where notebooks look for them too
    if not (study / "FileList.csv").is_file():
        phantom(study, patients, seed)
    if not (frames / "manifest.json").is_file():
        extract(study, frames)
    train("wgan", "demo", frames, kimg, seed, device)
    _drawn("wgan/demo")
    run, drawn = RunFolder.find("wgan/demo"), folder("results") / "wgan" / "demo"
    print(f"\nLook at {shown(run.samples)} (generated echoes through training) and {shown(drawn)} (figures).")
    print("Next: `make notebook`, or bring your own recordings: `echogan extract STUDY FRAMES`.")


# ------------------------------------------------------------------------------------------------ progress on stderr


class Bar:
    """A bar that a `callback(done, total, ...)` moves."""

    def __init__(self, what, unit):
        self.bar = tqdm(desc=what, unit=unit, file=sys.stderr, mininterval=0.5)

    def __enter__(self):
        return self

    def __call__(self, done, total, *_):
        self.bar.total = total
        self.bar.update(done - self.bar.n)

    def __exit__(self, *error):
        self.bar.close()


class TrainingBar(Bar):
    """A bar in kimg with the latest reading beside it."""

    def __init__(self, what, kimg):
        bar = "{l_bar}{bar}| {n:.1f}/{total:.1f} kimg, {elapsed} {postfix}"
        self.bar = tqdm(desc=what, total=kimg, file=sys.stderr, bar_format=bar)

    def __call__(self, progress, *_):
        self.bar.total = progress.of
        self.bar.set_postfix_str(f"SWD {float(progress.metrics['SWD']):.1f}", refresh=False)
        self.bar.update(min(progress.kimg, progress.of) - self.bar.n)


def program():
    """The `echogan` command: started again with what a CPU run wants of its environment, then `main`."""
    if sys.argv[1:2] in (["train"], ["demo"]) and not {"-h", "--help"} & set(sys.argv):
        from echogan.engine.launch import restart_for_cpu

        restart_for_cpu(sys.argv)
    sys.exit(main())


if __name__ == "__main__":
    program()
