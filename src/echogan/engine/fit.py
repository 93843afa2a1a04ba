"""`fit`: the only way a model is trained. The same call on an existing run continues it exactly."""

import gc
import json
import math
import time
import traceback
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch

from echogan import encoders, models
from echogan.config import RunFolder, Settings, on_drive
from echogan.data.images import read_png, write_png
from echogan.engine import checkpoint, watch
from echogan.engine.describe import adopt, describe, keep_record, resolved
from echogan.engine.feed import feed_of, refuse_enlarging
from echogan.engine.gallery import Gallery
from echogan.engine.guests import begun_in, invited
from echogan.engine.launch import forget_peak, hardware, make_deterministic, peak_memory, pick_device, pick_precision
from echogan.engine.lock import alone
from echogan.engine.loop import Engine, Numerics
from echogan.engine.parallel import agreed, joined, rank, shareable, wait, world
from echogan.engine.recorder import LOSSES, METRICS, REPORTS, Table, numbers, read_rows
from echogan.errors import BadInput
from echogan.files import remove_leftovers, write_json

SAVE_SECONDS = 60  # between resume states, which are written only where a row was just read
DRIVE_SECONDS = 900  # on Google Drive, whose bin keeps every state that a newer one replaced, and counts it
READ_ROWS = 10  # rows of losses.csv between readings, beside those at moments


@dataclass(frozen=True)
class Progress:
    """What a run tells its one callback at every row of losses.csv."""

    kimg: float
    of: float  # kimg when done
    losses: dict  # the latest row
    metrics: dict  # the latest row of metrics.csv
    sheet: np.ndarray | None  # the latest sample grid, uint8 (H, W)


def fit(arch, name, frames, settings=None, config=None, experiments=None, callback=None, guests=()):
    """Train config `name` of `arch` on a FrameSet until `settings.kimg`, or take the run up where it stopped.

    `arch` is a key of `models`, or a module like those: with `build`, and its own `Gallery` where readings differ. `config`
    replaces the table's, e.g. with some settings changed; `guests` are frozen networks that its losses ask for, such as a
    segmenter. Progress goes to `callback(Progress)`. Returns the `RunFolder`. An existing run with another setting, config,
    data or segmenter is refused by name; kimg may grow, the device change. Started by `torchrun`, the processes train one
    model together, and the first of them writes.
    """
    settings, config = settings or Settings(), config or models.config_of(arch, name)
    folder = RunFolder.of(models.key(arch), name, experiments)
    with joined(settings.device) as device:
        settings = replace(settings, device=device)
        with enough_memory(config.batch, settings), freed():
            _trained(Run(arch, name, frames, settings, config, folder, guests), callback or (lambda progress: None))
    return folder


def _trained(run, callback):
    """Train a run, which only this frame and those it calls hold: they can be cleared."""
    with alone(run.folder):
        run.take_up()
        run.train(callback)


@contextmanager
def enough_memory(batch, settings):
    """Say what to do where a batch does not fit on the device."""
    try:
        yield
    except torch.OutOfMemoryError:
        parts = settings.accumulate
        raise BadInput(
            f"a batch of {batch} in {parts} part{'s' * (parts > 1)} does not fit on {hardware(pick_device(settings.device))}; "
            f"use --accumulate {2 * parts}, in a notebook accumulate = {2 * parts}, for half the memory, or a smaller batch"
        ) from None


@contextmanager
def freed():
    """Give back the memory of a run that ends early: a notebook keeps the traceback, whose frames hold all of it.

    Not where the program is wrong: then the frames tell why.
    """
    try:
        yield
    except (torch.OutOfMemoryError, KeyboardInterrupt, BadInput) as error:
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        raise


class Run:
    """One run in its folder: the engine, its feed, its reading and its two tables."""

    def __init__(self, arch, name, frames, settings, config, folder, guests=()):
        module = models.load(arch)
        self.gallery_of = getattr(module, "Gallery", Gallery)
        self.arch, self.name, self.folder, self.kind = models.key(arch), name, folder, frames.kind
        self.config, self.classes = resolved(config, frames)
        if not getattr(module, "ENLARGES", False):
            refuse_enlarging(frames, self.config.resolution)
        if not settings.kimg > 0:
            raise BadInput(f"kimg must be above 0, got {settings.kimg:g}")
        self.device = pick_device(settings.device)
        make_deterministic(settings.deterministic)
        self.config, guests, self.guests = invited(self.config, self.device, guests, begun_in(folder))
        autocast = pick_precision(settings.precision, self.device)
        self.settings = replace(settings, row_kimg=settings.row_kimg or min(max(settings.kimg / 100, 0.001), 4.0))
        # A kill may precede the first checkpoint, so the first weights come from the seed.
        torch.manual_seed(settings.seed)
        model = module.build(self.config, *([guests] if guests else []))
        model = model.to(self.device, memory_format=torch.channels_last)
        self.model = shareable(model, self.config.batch, settings.accumulate)
        self.description: dict = describe(self, frames, autocast)
        self.engine = Engine(self.model, Numerics(settings.seed, settings.accumulate, autocast, settings.compile))
        self.frames = frames
        self.feed = feed_of(frames.split("TRAIN"), self.config, self.model.inputs, self.device, settings.seed)
        if self.config.batch > len(self.feed):
            fits = 2 ** (len(self.feed).bit_length() - 1)
            raise BadInput(
                f"a batch of {self.config.batch} is more than the {len(self.feed)} training frames; use --set batch={fits}; "
                f'in a notebook: change = "batch={fits}"'
            )
        self.first = rank() == 0  # of the processes that train together: the one that looks and writes
        self.seconds, self.latest = 0.0, {}
        self.sheet: np.ndarray | None = None

    def train(self, callback):
        """Tick until the last row; at every row read the losses, now and then look at images, save, and tell."""
        clock, batch, row = self.engine.clock, self.config.batch, round(self.settings.row_kimg * 1000)
        target = self._target()
        stop = agreed(self.first and self._stalled())
        if self.first and clock.images < target and not stop:  # where nothing is trained the record stays
            write_json(self.folder.config, self.description)
        forget_peak(self.device)
        if clock.tick == 0 and self.first:
            self._look(moment=True)
        saved = started = time.monotonic()
        while clock.images < target and not stop:
            self.engine.tick(self.feed.batch(clock.images, batch, rank(), world()))
            if clock.images // row == (clock.images - batch) // row:
                continue
            losses = self._record(started)
            done, moment = clock.images >= target, is_moment(clock.images, row)
            if self.first and (done or moment or clock.images // row % READ_ROWS == 0):
                self._look(done or moment)
            stop = agreed(self.first and self._stalled())
            if self.first and (done or stop or time.monotonic() - saved > save_seconds(self.folder.path)):
                self._save()
                saved = time.monotonic()
            callback(Progress(clock.kimg, target / 1000, losses, self.latest, self.sheet))
            started = time.monotonic()

    def _target(self):
        """Images to show in all: training ends with a row."""
        row = round(self.settings.row_kimg * 1000)
        return math.ceil(self.settings.kimg * 1000 / row - 1e-9) * row

    # -------------------------------------------------------------------------------------------- a row's upkeep

    def _record(self, started):
        """One row of losses.csv; a loss that is not a number ends the run before anything is overwritten."""
        losses = self.engine.read()  # waits for the device, so the seconds are true
        self.seconds += time.monotonic() - started
        row = {**self._when(), **losses, **self._updates()}
        if self.first:
            self.losses.add(row)
        bad = [name for name, value in losses.items() if not math.isfinite(value)]
        if bad:
            raise BadInput(
                f"{self.folder.path}: loss {bad[0]!r} is {losses[bad[0]]} at {row['kimg']:g} kimg; {self._kept()}, so lower the "
                "learning rate or the penalty under another name"
            )
        return row

    def _updates(self):
        """{"<child>_updates": how often it was trained}.

        Phases of one window train a child together, a regulariser perhaps more seldom; another window is another stage.
        """
        turns: dict = {p.trains: {} for p in self.model.phases if p.trains}
        for p in self.model.phases:
            if p.trains:
                together = turns[p.trains].setdefault((p.start, p.stop), [])
                together.append(self.engine.clock.count.get(p.name, 0))
        return {f"{child}_updates": sum(map(max, windows.values())) for child, windows in turns.items()}

    def _look(self, moment):
        """A reading against VAL, and `best` where it is; at a moment also its sample grid and weights."""
        kimg = self.engine.clock.kimg
        with self.engine.averaged() as model:
            sheet, row = self.gallery.look(model, kimg)
            self.latest = {**self._when(), **row, "peak_MB": peak_memory(self.device)}
            self.metrics.add(self.latest)
            if watch.improved(self._readings(self.gallery.chosen_by)):
                self._export("best", model)
            if moment:
                self.sheet = sheet
                write_png(self.folder.sheet(round(kimg)), sheet)
                self._export(round(kimg), model)
                checkpoint.thin(self.folder.checkpoints)
        if watch.collapsed(self._readings("variety")):
            raise BadInput(
                f"{self.folder.path} has collapsed at {self.engine.clock.kimg:g} kimg: the images of its last {watch.PATIENCE} "
                f"readings vary less than a tenth as much as real ones; {self._kept()}, so train another config"
            )

    def _stalled(self):
        """Whether patience is over, which it never is before the last stage."""
        if self.model.makes(self.engine.clock.kimg) != self.model.makes(math.inf):
            return False
        return watch.stalled(self._readings("kimg"), self._readings(self.gallery.chosen_by), self.settings.patience)

    def _readings(self, column):
        """What training read in the present stage, as far as it chooses."""
        return numbers(watch.counted(self.metrics.rows, self.model.makes(self.engine.clock.kimg), self._idle()), column)

    def _idle(self):
        """kimg until which what draws images had no update, as far as losses.csv counts them: a schedule may train it late."""
        counts = [self.losses.numbers(f"{child}_updates") for child in self.model.exports]
        idle = [
            kimg for kimg, *now in zip(self.losses.numbers("kimg"), *counts) if not any(n > 0 or n != n for n in now)
        ]
        return max(idle, default=0.0)

    def _kept(self):
        return (
            f"{self.folder.weights('best')} is the best before"
            if self.folder.weights("best").is_file()
            else "nothing is kept"
        )

    def _save(self):
        with self.engine.averaged() as model:
            self._export("last", model)
        checkpoint.save(self.folder.last, {**self.engine.state(), "seconds": self.seconds})

    def _export(self, which, model):
        origin = {"arch": self.arch, "name": self.name, "kimg": f"{self.engine.clock.kimg:g}", "data": self.kind}
        if self.classes:
            origin["classes"] = json.dumps(self.classes)
        if "range" in self.description:
            origin["range"] = json.dumps(self.description["range"])
        if "mask" in self.model.inputs:
            origin["labels"] = json.dumps(self.frames.labels)
        checkpoint.export(self.folder.weights(which), model, origin)

    def _when(self):
        clock = self.engine.clock
        return {"kimg": clock.kimg, "epoch": clock.images / len(self.feed), "seconds": round(self.seconds, 2)}

    # -------------------------------------------------------------------------------------------- beginning, or again

    def take_up(self):
        """Describe a new run on disk, or restore an old one that was made in the same way."""
        refuse_taken(self.folder)
        if recorded(self.folder):
            keep_record(self.folder.read(), self.description, self.folder.path)
        if self.folder.last.is_file():  # before there is one nothing was learnt that another setting could spoil
            self.description = adopt(self.folder.read(), self.description, self.folder.path)
            self.settings = replace(self.settings, row_kimg=self.description["settings"]["row_kimg"])
        wait()  # until every process has seen what was there
        if self.folder.last.is_file():
            state = checkpoint.load(self.folder.last, self.device)
            self.seconds = state.pop("seconds")
            self.engine.restore(state)
            self._refuse_less()
        wait()
        if self.first:
            self._open()

    def _refuse_less(self):
        """A `BadInput` for fewer kimg than the run has reached: its record would tell of less than its weights have seen."""
        clock, wanted = self.engine.clock, self.settings.kimg
        if clock.images >= self._target() + self.config.batch:  # the last batch may reach beyond
            raise BadInput(
                f"{self.folder.path} has been trained to {clock.kimg:g} kimg, which cannot be taken back to {wanted:g}; ask for "
                "as much or more, or train under another name"
            )

    def _open(self):
        """The two tables cut back to the checkpoint, the last picture, and what will be read."""
        remove_leftovers(self.folder.checkpoints)  # only what holds the lock writes there
        until, spared = (self.engine.clock.kimg, REPORTS) if self.engine.clock.tick else (-1.0, ())
        self.losses = Table(self.folder.losses, LOSSES, until)
        self.metrics = Table(self.folder.metrics, METRICS, until, spared)
        self.latest = self.metrics.rows[-1] if self.metrics.rows else {}
        sheets = [path for m in self.metrics.rows if (path := self.folder.sheet(round(float(m["kimg"])))).is_file()]
        self.sheet = read_png(sheets[-1]) if sheets else None
        chosen_by_kid = self.description["chosen_by"].startswith("KID_lite0")
        encoder = encoders.find("lite0", self.device) if chosen_by_kid else None
        self.gallery = self.gallery_of(
            self.frames, self.config, self.model.inputs, self.device, self.settings.seed, encoder
        )


def save_seconds(path):
    """Seconds between the resume states of a run at `path`."""
    return DRIVE_SECONDS if on_drive(path) else SAVE_SECONDS


def recorded(folder):
    """Whether a `RunFolder` tells of a run none of whose weights are here, as in a checkout of this project."""
    rows = folder.losses.read_text(encoding="utf-8").count("\n") - 1 if folder.losses.is_file() else 0
    return folder.config.is_file() and rows > 0 and not any(folder.checkpoints.glob("*.safetensors"))


def refuse_taken(folder):
    """A `BadInput` for a run that has no resume state, though it must have had one: taken home, or removed since.

    Training would begin anew, over its tables and its best weights. A run that still has weights of moments was trained here,
    as those are never taken home: killed before its first state, which follows the reading of a row, it may begin anew.
    """
    if any(file.is_file() for file in (folder.last, folder.weights("last"))) or not folder.weights("best").is_file():
        return
    rows = read_rows(folder.losses)[1] if folder.losses.is_file() else []
    here = bool(checkpoint.kept_moments(folder.checkpoints))
    rows = rows[: len(rows) - here]  # whose state was saved before the next one
    ended = not here and rows and float(rows[-1]["kimg"]) >= folder.read()["settings"]["kimg"]
    if ended or (rows and float(rows[-1]["seconds"]) > 2 * save_seconds(folder.path)):
        raise BadInput(
            f"{folder.path} is a run whose resume state (checkpoints/last.pt) is not here, so it cannot go on; "
            "train under another name"
        )


def is_moment(images, row):
    """Whether a power of two of kimg, or three times one, was reached since the row before: log-spaced, endless."""
    before, now = (images - row) / 1000, images / 1000
    k = 2.0 ** math.floor(math.log2(now)) if now >= 1 else math.inf
    return any(before < m <= now for m in (k, 1.5 * k))
