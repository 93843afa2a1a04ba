"""Where things live, and what a run is: frozen dataclasses, JSON on disk, the folder of a run."""

import hashlib
import os
import re
import shutil
import typing
from dataclasses import dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path

from echogan.errors import BadInput, at_least, nearest
from echogan.files import read_json

# ------------------------------------------------------------------------------------------------ folders


def home():
    """The checkout this package runs from, else the current folder (an installed wheel, Colab)."""
    checkout = Path(__file__).resolve().parents[2]
    return checkout if (checkout / "pyproject.toml").is_file() else Path.cwd()


def folder(name):
    """`data`, `experiments` or `results`: $ECHOGAN_<NAME> where set, else a folder of `home()`.

    Where $ECHOGAN_EXPERIMENTS alone is set, results lie within it: those of `home()` are of other runs.
    """
    if named := os.environ.get(f"ECHOGAN_{name.upper()}"):
        return Path(named)
    moved = os.environ.get("ECHOGAN_EXPERIMENTS")
    return Path(moved) / name if moved and name == "results" else home() / name


def config_of_run(name):
    """The config in the name of a run, which a sweep calls <config>_seed<k> and a notebook <config>_seed<k>_<4 digits>."""
    return re.sub(r"_seed\d+(_[0-9a-f]{4})?$", "", name)


DRIVE = Path("/content/drive")  # where Colab mounts Google Drive


def on_drive(path):
    """Whether a path is on the Google Drive of Colab, mounted or not."""
    return Path(path).absolute().is_relative_to(DRIVE.absolute())


SHIPPED = "shipped:"  # before the name of weights that come with the package


def shipped():
    """{name: .safetensors file} of the weights that come along: in the installed package, or in assets/ of a checkout."""
    installed = Path(__file__).with_name("shipped")
    place = installed if installed.is_dir() else home() / "assets" / "weights"
    return {path.stem: path for path in sorted(place.glob("*.safetensors"))}


def or_shipped(text):
    """`, or take shipped:<arch>` where weights of the architecture of `<arch>/<config>` come along, for a remedy."""
    arch = next((name for name in shipped() if name in Path(text).parts), None)
    return f", or take the weights that come along: {SHIPPED}{arch}" if arch else ""


def installing(packages, options=""):
    """The command that installs packages here, for a remedy; `options` are of uv alone.

    In a checkout at its pinned versions, by uv, as its environments have no pip: make may have put that into .uv/.
    """
    pins, made = home() / "constraints.txt", home() / ".uv" / "bin" / "uv"
    if not pins.is_file() and not options and find_spec("pip"):  # an installed wheel, Colab
        return f"pip install {packages}"
    uv = shown(made) if made.is_file() and not shutil.which("uv") else "uv"
    pinned = ["-c", str(shown(pins))] if pins.is_file() else []
    return " ".join([str(uv), "pip", "install", *options.split(), *pinned, packages])


def shown(path):
    """`path` relative to the current folder where that is shorter, for a line a person reads."""
    path = Path(path).resolve()
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


@dataclass(frozen=True)
class RunFolder:
    """`experiments/<arch>/<config>/`: the names of everything a run leaves behind."""

    path: Path

    @classmethod
    def of(cls, arch, name, experiments=None):
        """The folder of config `name` of architecture `arch`."""
        return cls(Path(experiments or folder("experiments")) / arch / name)

    @classmethod
    def find(cls, text, experiments=None):
        """The run that a person means by a path or by `<arch>/<config>`; a `BadInput` where there is none."""
        places = [Path(text), Path(experiments or folder("experiments")) / text]
        for place in places:
            if (place / "config.json").is_file():
                return cls(place)
        raise BadInput(
            f"{text} is not a run: no config.json in {' or '.join(map(str, places))}; "
            f"train one with `echogan train`{or_shipped(text)}"
        )

    config = property(lambda self: self.path / "config.json")
    checkpoints = property(lambda self: self.path / "checkpoints")
    last = property(lambda self: self.checkpoints / "last.pt")
    samples = property(lambda self: self.path / "generated_samples")
    losses = property(lambda self: self.path / "metrics_csv" / "losses.csv")
    metrics = property(lambda self: self.path / "metrics_csv" / "metrics.csv")
    audit = property(lambda self: self.path / "metrics_csv" / "audit.csv")
    test_reads = property(lambda self: self.path / "metrics_csv" / "test_reads.csv")

    def weights(self, which):
        """checkpoints/<which>.safetensors; `which` is "best", "last" or a number of kimg."""
        return self.checkpoints / f"{which if isinstance(which, str) else f'kimg_{which:06d}'}.safetensors"

    def sheet(self, kimg):
        """The sample grid of a moment."""
        return self.samples / f"kimg_{kimg:06d}.png"

    def read(self):
        """config.json."""
        return read_json(self.config)


# ------------------------------------------------------------------------------------------------ settings


@dataclass(frozen=True)
class Settings:
    """How a run is trained, beside what its architecture's Config says."""

    kimg: float = 200.0  # thousands of real images to show; may grow when a run is continued
    seed: int = 0
    device: str = "auto"  # auto | cpu | cuda | cuda:1 ...
    precision: str = "auto"  # auto | fp32 | bf16 | fp16
    accumulate: int = 1  # micro-batches per update
    compile: bool = False  # torch.compile the phases that allow it
    patience: float = 0.0  # kimg without a better reading after which the run ends; 0 = never
    deterministic: bool = False
    row_kimg: float = 0.0  # kimg between rows of losses.csv; 0 = a hundredth of kimg at the start of the run

    def __post_init__(self):
        at_least(1, accumulate=self.accumulate)
        at_least(0, seed=self.seed, patience=self.patience)
        at_least(0.001 * bool(self.row_kimg), row_kimg=self.row_kimg)  # one image


NUMBERS = {int: "an int", float: "a float"}
# What no architecture does without. Of other numbers 0 has a meaning, often that there is none.
NEEDED = "batch resolution width critic_width latent dim hidden kernel scales every balance".split()


def changed(config, pairs):
    """`config` (a frozen dataclass) with `key=value` strings applied, each value read as its field's type."""
    known = {f.name: f for f in fields(config)}
    types = typing.get_type_hints(type(config))
    values = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise BadInput(f"settings are key=value, with spaces between them, got {pair!r}")
        if key not in known:
            raise BadInput(f"{type(config).__qualname__} has no setting {key!r}{nearest(key, known)}")
        values[key] = _parse(key, text, types[key])
        if types[key] is int:
            at_least(int(key in NEEDED), **{key: values[key]})
        elif types[key] is float and key.endswith("lr"):
            at_least(0, **{key: values[key]})
    return replace(config, **values)


def _parse(key, text, kind):
    if kind is bool:
        if text.lower() in ("true", "false"):
            return text.lower() == "true"
        raise BadInput(f"{key} must be true or false, got {text!r}")
    try:
        return kind(text)
    except ValueError as error:
        hint = "; settings have spaces between them, no commas" if "," in text else ""
        raise BadInput(f"{key} must be {NUMBERS[kind]}, got {text!r}{hint}") from error


def differences(old, new, ignore=()):
    """The keys at which two JSON-like dicts disagree, as "key: old -> new" sentences."""
    keys = [k for k in {**old, **new} if k not in ignore]
    return [f"{k}: {old.get(k)!r} -> {new.get(k)!r}" for k in keys if old.get(k) != new.get(k)]


def seed_of(*parts):
    """32 bits from any numbers and names: the CPU generator ignores the upper half of a longer seed."""
    return int.from_bytes(hashlib.blake2b(repr(parts).encode(), digest_size=4).digest(), "big")
