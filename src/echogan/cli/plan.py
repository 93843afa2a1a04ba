"""What the study holds: architectures with their data and budgets, the sources of these data, and where all of it lies."""

from dataclasses import dataclass
from pathlib import Path

from echogan.config import RunFolder, Settings, folder

REFERENCE = 2000  # patients of the phantom of all evidence
FAKES = 50_000  # of fid50k_full, as which the published 9.17 was measured


@dataclass(frozen=True)
class Row:
    """One architecture: the frames it learns from, its published setting, thousands of images shown at each tier."""

    arch: str
    data: str
    published: str
    cpu: float
    gpu: float


@dataclass(frozen=True)
class Source:
    """Frames by name: the layout of the phantom that stands in, and the command that prepares it."""

    name: str
    layout: str
    study: str
    prepare: tuple


# fmt: off
ROWS = (
    #    arch             data       published  kimg: cpu   gpu
    Row("wgan",          "frames",  "W1",            40,  1000),
    Row("medgan",        "frames",  "M1",            40,  1000),
    Row("stylegan2_ada", "frames",  "E4",            40,  1000),
    Row("vqgan",         "frames",  "VQ1",           40,   400),
    Row("pix2pix",       "frames",  "P1",            20,   200),
    Row("spade",         "masks",   "S1",            16,   200),
    Row("cyclegan",      "quality", "C1",            10,   100),
)
SOURCES = (
    #       name       phantom       its folder                         made frames by
    Source("frames",  "echonet",    "phantom_{patients}_seed0",         ("extract",)),
    Source("masks",   "camus-hdf5", "phantom_camus_{patients}_seed0",   ("camus",)),
    Source("quality", "quality",    "phantom_quality_{patients}_seed0", ("domains",)),
)
# fmt: on
OTHER_DATA = {("pix2pix", "masks"): "masks", ("pix2pix", "both"): "masks"}  # configs that need more than their row's
SEGMENTERS = {("cyclegan", "segment"): "quality"}  # configs that weigh what a segmenter says: the masks it learnt from


@dataclass(frozen=True)
class Plan:
    """What was asked for, and where it lies."""

    data: str
    camus: str
    tier: str
    only: tuple
    patients: int
    kimg: float | None
    seeds: int
    fakes: int
    precision: str = Settings.precision
    accumulate: int = Settings.accumulate

    @property
    def name(self):
        """Of its folders, after --data; empty for the reference phantom at the CPU tier, also with --camus beside it."""
        phantom = "" if self.patients == REFERENCE else f"phantom_{self.patients}"
        origin = Path(self.data).resolve().stem if self.data else phantom
        return "_".join(filter(None, (origin, "gpu" if self.tier == "gpu" else "")))

    experiments = property(lambda self: folder("experiments").resolve() / self.name)
    results = property(lambda self: folder("results").resolve() / self.name)
    device = property(lambda self: ("--device", "cuda" if self.tier == "gpu" else "cpu"))
    how = property(lambda self: {"precision": self.precision, "accumulate": self.accumulate})
    rows = property(lambda self: [row for row in ROWS if self.configs(row)])

    def configs(self, row):
        """Names in the table of an architecture, as far as they were asked for; `demo` is no evidence."""
        from echogan import models

        names = [name for name in models.load(row.arch).CONFIGS if name != "demo"]
        return [name for name in names if not self.only or {row.arch, f"{row.arch}/{name}"} & set(self.only)]

    def config(self, row, name):
        """A config of an architecture, at the size that the tier trains."""
        from echogan import models

        config = models.config_of(row.arch, name)
        return config.small() if self.tier == "cpu" else config

    def run(self, row, name):
        """The folder of a run."""
        return RunFolder.of(row.arch, name, self.experiments)

    def pixels(self, source):
        """Of the frames of a source: at full size, some configs that learn from masks or qualities make 256 pixels."""
        return 256 if self.tier == "gpu" and source != "frames" else 128

    def place(self, source):
        """The frames of a source; those of `--data` serve where masks are wanted, if they have them."""
        where, pixels = folder("data").resolve(), f"{self.pixels(source)}px"
        if source != "frames" and self.camus:
            return where / f"{Path(self.camus).stem}_{source}_{pixels}"
        if (source == "frames" and self.data) or self.serves(source):
            given = Path(self.data).resolve()
            return given if (given / "manifest.json").is_file() else where / f"{given.stem}_{pixels}"
        (study,) = [s.study for s in SOURCES if s.name == source]
        return where / f"{study.format(patients=self.patients)}_{pixels}"

    def serves(self, source):
        """Whether masks are wanted and the frames of `--data` have them; these are then prepared in the size of masks."""
        asked = source == "masks" and bool(self.data) and not self.camus
        return asked and (self.place("frames") / "labels.json").is_file()

    def frames(self, row, config):
        """What a config learns from."""
        return self.place(OTHER_DATA.get((row.arch, config), row.data))
