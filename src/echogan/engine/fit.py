"""`fit`: the only way a model is trained. The same call on an existing run continues it exactly."""

import math
import platform
import time
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch

from echogan import __version__, models
from echogan.config import RunFolder, Settings, differences
from echogan.data.clip import SPLITS
from echogan.data.images import grid, read_png, write_png
from echogan.engine import checkpoint
from echogan.engine.evaluate import READINGS, Reading, spread
from echogan.engine.feed import Feed, resized, to_grey
from echogan.engine.launch import hardware, make_deterministic, pick_device, pick_precision
from echogan.engine.loop import Engine, Numerics
from echogan.engine.recorder import LOSSES, METRICS, Table
from echogan.errors import BadInput
from echogan.files import write_json

SHEET = 36  # images of a sample grid: fixed latents through time
SAVE_SECONDS = 60  # between resume states, which are written only where a row was just read
MAY_CHANGE = ("kimg", "device", "row_kimg")
CHOSEN_BY = "SWD"  # of the VAL readings; lower is better


@dataclass(frozen=True)
class Progress:
    """What a run tells its one callback at every row of losses.csv."""

    kimg: float
    of: float  # kimg when done
    losses: dict  # the latest row
    metrics: dict  # the latest row of metrics.csv
    sheet: np.ndarray | None  # the latest sample grid, uint8 (H, W)


def fit(arch, name, frames, settings=None, config=None, experiments=None, callback=None):
    """Train config `name` of `arch` on a FrameSet until `settings.kimg`, or take the run up where it stopped.

    `config` replaces the table's, e.g. with some settings changed. Progress goes to `callback(Progress)`. Returns the
    `RunFolder`. An existing run with another setting, config or data is refused by name; kimg may grow, the device change.
    """
    run = Run(arch, name, frames, settings or Settings(), config, experiments)
    run.take_up()
    run.train(callback or (lambda progress: None))
    return run.folder


class Run:
    """One run in its folder: the engine, its feed, its reading and its two tables."""

    def __init__(self, arch, name, frames, settings, config=None, experiments=None):
        self.arch, self.name, self.config = arch, name, config or models.config_of(arch, name)
        self.folder, self.kind = RunFolder.of(arch, name, experiments), frames.kind
        if not settings.kimg > 0:
            raise BadInput(f"kimg must be above 0, got {settings.kimg:g}")
        self.device = pick_device(settings.device)
        make_deterministic(settings.deterministic)
        autocast = pick_precision(settings.precision, self.device)
        self.settings = replace(settings, row_kimg=settings.row_kimg or min(max(settings.kimg / 100, 0.001), 4.0))
        # A kill may precede the first checkpoint, so the first weights come from the seed.
        torch.manual_seed(settings.seed)
        self.model = models.load(arch).build(self.config).to(self.device, memory_format=torch.channels_last)
        self.description = self._describe(frames, autocast)
        self.engine = Engine(self.model, Numerics(settings.seed, settings.accumulate, autocast))
        parts = [frames.split(s).images for s in ("TRAIN", "VAL")]
        self.feed = Feed(parts[0], self.config.resolution, self.device, settings.seed)
        self.reading = Reading(*(resized(spread(p, READINGS), self.config.resolution).numpy() for p in parts))
        self.seconds, self.latest = 0.0, {}
        self.sheet: np.ndarray | None = None

    def train(self, callback):
        """Tick until the last row; at every row read the losses, now and then look at images, save, and tell."""
        clock, batch, row = self.engine.clock, self.config.batch, round(self.settings.row_kimg * 1000)
        target = math.ceil(self.settings.kimg * 1000 / row - 1e-9) * row
        if clock.tick == 0:
            self._look()
        saved = started = time.monotonic()
        while clock.images < target:
            self.engine.tick(self.feed.batch(clock.images, batch))
            if clock.images // row == (clock.images - batch) // row:
                continue
            losses = self._record(started)
            done = clock.images >= target
            if done or is_moment(clock.images, row):
                self._look()
            if done or time.monotonic() - saved > SAVE_SECONDS:
                self._save()
                saved = time.monotonic()
            callback(Progress(clock.kimg, target / 1000, losses, self.latest, self.sheet))
            started = time.monotonic()

    # -------------------------------------------------------------------------------------------- a row's upkeep

    def _record(self, started):
        """One row of losses.csv; a loss that is not a number ends the run before anything is overwritten."""
        losses = self.engine.read()  # waits for the device, so the seconds are true
        self.seconds += time.monotonic() - started
        row = {**self._when(), **losses}
        self.losses.add(row)
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            raise BadInput(
                f"{self.folder.path}: loss {bad[0]!r} is {losses[bad[0]]} at {row['kimg']:g} kimg; the checkpoint before it is "
                "kept, so lower the learning rate or the penalty under another name"
            )
        return row

    def _look(self):
        """Sample grid, reading against VAL, weights of this moment, and `best` where it is."""
        n, moment = self.reading.n, round(self.engine.clock.kimg)
        with self.engine.averaged() as model:
            images = to_grey(model.sample(max(n, SHEET), seed=self.settings.seed)).cpu().numpy()
            self.sheet = grid(images[:SHEET], columns=6)
            write_png(self.folder.sheet(moment), self.sheet)
            self.latest = {**self._when(), **self.reading.row(images[:n])}
            self.metrics.add(self.latest)
            if self.latest[CHOSEN_BY] <= np.nanmin(self.metrics.numbers(CHOSEN_BY)) * (1 + 1e-5):
                self._export("best", model)
            self._export(moment, model)
        checkpoint.thin(self.folder.checkpoints)

    def _save(self):
        with self.engine.averaged() as model:
            self._export("last", model)
        checkpoint.save(self.folder.last, {**self.engine.state(), "seconds": self.seconds})

    def _export(self, which, model):
        origin = {"arch": self.arch, "name": self.name, "kimg": f"{self.engine.clock.kimg:g}", "data": self.kind}
        checkpoint.export(self.folder.weights(which), model, origin)

    def _when(self):
        clock = self.engine.clock
        return {"kimg": clock.kimg, "epoch": clock.images / len(self.feed), "seconds": round(self.seconds, 2)}

    # -------------------------------------------------------------------------------------------- beginning, or again

    def take_up(self):
        """Describe a new run on disk, or restore an old one that was made in the same way."""
        if self.folder.config.is_file():
            self._adopt(self.folder.read())
        write_json(self.folder.config, self.description)
        if self.folder.last.is_file():
            state = checkpoint.load(self.folder.last, self.device)
            self.seconds = state.pop("seconds")
            self.engine.restore(state)
        until = self.engine.clock.kimg if self.engine.clock.tick else -1.0
        self.losses, self.metrics = Table(self.folder.losses, LOSSES, until), Table(self.folder.metrics, METRICS, until)
        self.latest = self.metrics.rows[-1] if self.metrics.rows else {}
        sheets = [path for m in self.metrics.rows if (path := self.folder.sheet(round(float(m["kimg"])))).is_file()]
        self.sheet = read_png(sheets[-1]) if sheets else None

    def _adopt(self, old):
        """Refuse an old run that differs in what makes its numbers; keep its row interval."""
        new = self.description
        changes = differences(old["config"], new["config"]) + differences(old["settings"], new["settings"], MAY_CHANGE)
        changes += differences(old["data"], new["data"], ("kind",))
        if changes:
            raise BadInput(
                f"{self.folder.path} was made otherwise ({'; '.join(changes)}); continue it as it was, or under another name"
            )
        self.settings = replace(self.settings, row_kimg=old["settings"]["row_kimg"])
        new["settings"] = asdict(self.settings)
        if old["hardware"] != new["hardware"]:
            new["hardware"] = f"{old['hardware']}; then {new['hardware']}"

    def _describe(self, frames, autocast):
        counts = {s: len(frames.split(s)) for s in SPLITS if (frames.index["split"] == s).any()}
        return {
            "arch": self.arch,
            "name": self.name,
            "config": asdict(self.config),
            "settings": asdict(self.settings),
            "data": {
                "kind": frames.kind,
                "fingerprint": frames.fingerprint(),
                "size": frames.size,
                "images": counts,
            },
            "parameters": {n: sum(p.numel() for p in c.parameters()) for n, c in self.model.named_children()},
            "precision": str(autocast or torch.float32).removeprefix("torch."),
            "hardware": hardware(self.device),
            "versions": {"echogan": __version__, "torch": torch.__version__, "python": platform.python_version()},
            "chosen_by": f"{CHOSEN_BY} of the VAL readings",
        }


def is_moment(images, row):
    """Whether a power of two of kimg, or three times one, was reached since the row before: log-spaced, endless."""
    before, now = (images - row) / 1000, images / 1000
    k = 2.0 ** math.floor(math.log2(now)) if now >= 1 else math.inf
    return any(before < m <= now for m in (k, 1.5 * k))
