"""The official training, run from here: our frames in, our folder of a run out, so that one plot compares both codes.

The official script trains; what it leaves is read by the instruments that judge our own runs. Every snapshot it writes is
imported, its images are measured against the same VAL frames, and the sheet, the weights and the row of metrics.csv are
those of a native run. Its own files stay in `official/` of the run.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from echogan import __version__, encoders
from echogan.config import RunFolder, differences, folder
from echogan.data.clip import SPLITS
from echogan.data.images import write_png
from echogan.engine import checkpoint, watch
from echogan.engine.checkpoint import load_weights
from echogan.engine.describe import all_in_turn, in_turn
from echogan.engine.feed import refuse_enlarging, resized
from echogan.engine.fit import Progress, alone
from echogan.engine.gallery import Gallery
from echogan.engine.launch import hardware, pick_device
from echogan.engine.recorder import LOSSES, METRICS, Table, numbers
from echogan.errors import BadInput, at_least
from echogan.files import atomic, read_json, write_json
from echogan.models.stylegan2_ada import CONFIGS
from echogan.official import log
from echogan.official.convert import import_snapshot
from echogan.official.repository import find_repository, run_script
from echogan.preprocessing.archive import write_dataset

ARCH = "stylegan2_ada_official"
PUBLISHED = tuple(name for name, config in CONFIGS.items() if config.published)


@dataclass(frozen=True)
class Wish:
    """How the official code is to train, beside what the config of the study says."""

    kimg: int = 200  # thousands of real images to show in all; may grow when a run is continued
    snap: int = 10  # ticks (of 4 kimg; small: of 1) between snapshots, each of which is judged
    seed: int = 0
    gpus: int = 1
    device: str = "auto"
    size: int = 128  # px that the frames are resized to
    small: bool = False  # the CPU tier of our own runs instead: 64 px, and its widths


def planned(name, wish):
    """The `Config` that a run of the official code follows: one of the study, at a size or at the CPU tier."""
    if name not in PUBLISHED:
        raise BadInput(f"{name} is no config of the study; the official code trains {', '.join(PUBLISHED)}")
    return CONFIGS[name].small() if wish.small else replace(CONFIGS[name], resolution=wish.size)


def beyond_options(c, small):
    """Arguments of the official training loop for which its command line has no words, so that it trains what we do.

    p moves as fast from the first session on, where it has a fifth of that speed until it is resumed; `small` is the CPU tier.
    """
    speed = {"ada_kimg": c.ada_kimg}
    if not small:
        return speed
    widths = {"channel_base": c.base, "channel_max": c.widest}
    generator = {"z_dim": c.latent, "w_dim": c.latent, "synthesis_kwargs": widths}
    return {**speed, "G_kwargs": generator, "D_kwargs": widths, "kimg_per_tick": 1}


def options(name, wish, flavour, device):
    """Arguments of `train.py` for a config of the study, without the paths."""
    c = planned(name, wish)
    if c.lr != 0.002 and not flavour.lrate:
        raise BadInput(
            f"{name} has a learning rate of {c.lr:g}, which the {flavour.name} code cannot be told; clone the fork of dvschultz"
        )
    augment = (
        ["--aug=noaug"] if c.augment == "none" else ["--aug=ada", f"--target={c.target:g}", f"--augpipe={c.augment}"]
    )
    rate = [f"--lrate={c.lr:g}"] * flavour.lrate
    words = [f"--cfg={flavour.cfg}", f"--gamma={c.gamma:g}", f"--batch={c.batch}", "--mirror=0", *augment, *rate]
    cpu = ["--fp32=1", "--workers=1"] * (device.type == "cpu")  # half precision is ten times as slow there
    return [*words, *cpu, f"--gpus={wish.gpus}", f"--seed={wish.seed}", f"--snap={wish.snap}", "--metrics=none"]


def train(config, frames, wish=None, repository=None, experiments=None, callback=None, name=""):
    """Train a `config` of the study by the official code until `wish.kimg`, or go on from its last snapshot.

    `repository` is the folder of the clone (default external/stylegan2-ada-pytorch). Progress goes to
    `callback(Progress)`. Returns the `RunFolder`, experiments/stylegan2_ada_official/<name or config>. The official code
    keeps no optimiser state, so a continued run is not the unbroken one.
    """
    wish, where = wish or Wish(), RunFolder.of(ARCH, name or config, experiments)
    session = Session(config, frames, wish, find_repository(repository), where)
    with alone(where):
        session.take_up()
        session.run(callback or (lambda progress: None))
    return where


class Session:
    """One call of the official script, and what is made of its output."""

    def __init__(self, config, frames, wish, repository, where):
        at_least(1, kimg=wish.kimg, snap=wish.snap, gpus=wish.gpus)
        at_least(0, seed=wish.seed)
        at_least(8, size=wish.size)
        self.name, self.wish, self.repository, self.folder = where.path.name, wish, repository, where
        self.device = pick_device(wish.device)
        if wish.gpus > 1 and self.device.index is not None:
            raise BadInput(
                f"{self.device} is one GPU, and {wish.gpus} were asked for; use --device cuda, or leave --gpus out"
            )
        self.words = options(config, wish, repository.flavour, self.device)
        self.config = planned(config, wish)
        refuse_enlarging(frames, self.config.resolution, "" if wish.small else ", or train at --size {}")
        self.frames = frames
        self.state: dict = {"kimg": 0.0, "seconds": 0.0, "snapshot": None}  # where to go on from
        self.out: Path | None = None  # folder of the official session, once it has named it
        self.read, self.latest = 0, {}  # rows of its stats, the latest row of metrics.csv
        self.sheet: np.ndarray | None = None

    own = property(lambda self: self.folder.path / "official")

    def take_up(self):
        """What a run on disk was, the tables cut back to its last snapshot, and what measures."""
        if (self.own / "state.json").is_file():
            self.state = read_json(self.own / "state.json")
        self.description = self._describe()
        if self.folder.config.is_file():
            self.description = _adopted(self.folder, self.description, bool(self.state["snapshot"]))
        if self.left < 0:
            raise BadInput(
                f"{self.folder.path} has been trained to {self.state['kimg']:g} kimg, which cannot be taken back to "
                f"{self.wish.kimg}; ask for as much or more, or train under another name"
            )
        self.own.mkdir(parents=True, exist_ok=True)
        if self.left:  # where nothing is trained the record stays
            write_json(self.folder.config, self.description)
        until = self.state["kimg"] if self.state["snapshot"] else -1.0
        self.losses, self.metrics = Table(self.folder.losses, LOSSES, until), Table(self.folder.metrics, METRICS, until)
        self.latest = self.metrics.rows[-1] if self.metrics.rows else {}
        chosen_by_kid = self.description["chosen_by"].startswith("KID_lite0")
        encoder = encoders.find("lite0", self.device) if chosen_by_kid else None
        self.gallery = Gallery(self.frames, self.config, ("image",), self.device, self.wish.seed, encoder)

    @property
    def left(self):
        """kimg to go."""
        return self.wish.kimg - int(self.state["kimg"])

    def run(self, callback):
        """Train for what is left, and read along."""
        if not self.left:
            return
        going_on = [f"--resume={self.own.resolve() / self.state['snapshot']}"] if self.state["snapshot"] else []
        words = ["train.py", f"--outdir={self.own.resolve()}", f"--data={self.dataset()}", *self.words]
        self.start = dict(self.state)
        number = len(list(self.own.glob("session_*.log")))
        kept = self.own / f"session_{number:02d}.log"
        run_script(
            self.repository,
            [*words, *going_on, f"--kimg={self.left}"],
            kept,
            self.device,
            lambda line: self.hear(line, callback),
            beyond_options(self.config, self.wish.small),
        )
        self.catch_up(callback)

    def dataset(self):
        """The ZIP of the TRAIN frames at the size of the config, made once for all configs."""
        size = self.config.resolution
        path = folder("data") / ".official" / f"{self.frames.fingerprint()}_{size}.zip"
        if not path.is_file():
            part = self.frames.split("TRAIN")
            write_dataset(replace(part, images=resized(part.images, size).numpy()), path)
        return path.resolve()

    def hear(self, line, callback):
        """One line of the log: the session's folder, or a tick, before which its files of the last tick were finished."""
        if place := log.output_folder(line):
            self.out = Path(place)
        elif self.out and log.tick(line):
            self.catch_up(callback)

    def catch_up(self, callback):
        """Every row that the official code has finished since: its losses, and its snapshot where it took one."""
        if self.out is None:
            return
        for row in log.rows(self.out / "stats.jsonl", self.read):
            self.read += 1
            snapshot = self.out / f"network-snapshot-{int(row['kimg'] + 1e-9):06d}.pkl"
            when = self._when(row)
            losses = {**when, **{k: v for k, v in row.items() if k not in when}}
            self.losses.add(losses)
            if snapshot.is_file():
                self.judge(snapshot, when)
            callback(Progress(when["kimg"], self.wish.kimg, losses, self.latest, self.sheet))

    def _when(self, row):
        kimg = self.start["kimg"] + row["kimg"]
        shown = len(self.frames.split("TRAIN"))
        return {"kimg": kimg, "epoch": kimg * 1000 / shown, "seconds": round(self.start["seconds"] + row["seconds"], 2)}

    def judge(self, snapshot, when):
        """Import a snapshot, measure its images as those of a native run are, and remember where to go on from."""
        weights = self.folder.weights(round(when["kimg"]))
        import_snapshot(snapshot, weights, self.name, self.frames.kind, self.config.resolution)
        model, _ = load_weights(weights, self.device)
        self.sheet, row = self.gallery.look(model, when["kimg"])
        self.latest = {**when, **row}
        self.metrics.add(self.latest)
        write_png(self.folder.sheet(round(when["kimg"])), self.sheet)
        _copy(weights, self.folder.weights("last"))
        # Its first snapshot follows its first update, whatever that could learn.
        readings = watch.counted(self.metrics.rows, idle=self.config.batch / 1000)
        if watch.improved(numbers(readings, self.gallery.chosen_by)):
            _copy(weights, self.folder.weights("best"))
        checkpoint.thin(self.folder.checkpoints)
        self.state = {**when, "snapshot": snapshot.relative_to(self.own.resolve()).as_posix()}
        write_json(self.own / "state.json", self.state)

    def _describe(self):
        flavour = self.repository.flavour
        return {
            "arch": ARCH,
            "name": self.name,
            "config": asdict(self.config),
            "settings": asdict(self.wish),
            "data": {
                "kind": self.frames.kind,
                "fingerprint": self.frames.fingerprint(),
                "size": self.frames.size,
                "images": {s: len(self.frames.split(s)) for s in SPLITS if (self.frames.index["split"] == s).any()},
            },
            "options": self.words,
            "hardware": hardware(self.device),
            "versions": {"echogan": __version__, "official": f"{flavour.name} {flavour.commit[:7]}"},
            "chosen_by": f"{Gallery.criterion()} of the VAL readings",
        }


def _adopted(where, new, going_on):
    """`new`, after what the run at `where` was where it is `going_on`; a `BadInput` names what makes other numbers."""
    old = read_json(where.config)
    changes = differences(old.get("config", {}), new["config"])
    changes += differences(old.get("settings", {}), new["settings"], ("kimg", "snap", "gpus", "device"))
    changes += differences(old.get("data", {}), new["data"], ("kind",))
    changes += differences(old.get("versions", {}), new["versions"], ("echogan",))
    if changes:
        raise BadInput(
            f"{where.path} was made otherwise ({'; '.join(changes)}); go on with it as it was, or under another name, "
            "or set ECHOGAN_EXPERIMENTS to a folder of your own"
        )
    if not going_on:
        return new
    return {
        **new,
        "hardware": in_turn(old.get("hardware", new["hardware"]), new["hardware"]),
        "versions": all_in_turn(old.get("versions", {}), new["versions"]),
        "chosen_by": old.get("chosen_by", new["chosen_by"]),
    }


def _copy(source, target):
    with atomic(target) as temporary:
        temporary.write_bytes(source.read_bytes())
