"""What all commands share: the application they register with, the types of their arguments, bars on stderr."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import tyro
from tqdm import tqdm
from tyro.conf import Positional, arg

app = tyro.extras.SubcommandApp()
COMMANDS = []  # in the order of the help

Arch = Positional[Annotated[str, arg(metavar="ARCH")]]
Config = Positional[Annotated[str, arg(metavar="CONFIG")]]
RunName = Positional[Annotated[str, arg(metavar="RUN")]]
Study = Positional[Annotated[Path, arg(metavar="STUDY")]]
Frames = Positional[Annotated[Path, arg(metavar="FRAMES")]]
Video = Positional[Annotated[Path, arg(metavar="VIDEO")]]
Out = Positional[Annotated[Path, arg(metavar="OUT")]]
Device = Annotated[str, arg(help="auto, cpu, cuda or cuda:N")]
Steady = Annotated[  # of commands that draw
    str, arg(help="auto, cpu, cuda or cuda:N; on cpu equal calls give equal pixels, auto or cuda is faster")
]
Precision = Literal["auto", "fp32", "bf16", "fp16"]
Set = Annotated[tuple[str, ...], arg(name="set", help="settings of the config to change, key=value")]
Choices = Annotated[tuple[str, ...], arg(name="set", help="choices of the architecture, e.g. noise=constant")]


def command(function):
    """Register a function as the command of its name."""
    COMMANDS.append(function.__name__)
    return app.command(function)


def group(name):
    """A command that has commands of its own; register them with its `.command`."""
    COMMANDS.append(name)
    inner = tyro.extras.SubcommandApp()
    app.command(inner, name=name)
    return inner


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
        read = [name for name in ("KID_lite0", "SWD", "error") if progress.metrics.get(name)]
        if read:  # of several processes the first alone has readings
            self.bar.set_postfix_str(f"{read[0]} {float(progress.metrics[read[0]]):.3g}", refresh=False)
        self.bar.update(min(progress.kimg, progress.of) - self.bar.n)
