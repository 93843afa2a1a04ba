"""Whether to trust an enhancer: the report on a run, and on what it made of one recording."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from echogan.cli.app import Device, Frames, RunName, command
from echogan.config import shown
from echogan.errors import BadInput

QUICK, FULL = 8, 32  # frames of a recording that are looked at
MOMENTS = 2  # kept weights beside the best, for the uncertainty
Report = Positional[Annotated[Path | None, arg(metavar="OUT")]]


@dataclass(frozen=True)
class Wish:
    """How much to report: `full` takes further moments of training and the prevalence of lesions too."""

    full: bool
    segment: Callable | None  # images uint8 (N, H, W) -> label ids
    cavity: int  # the left ventricle's
    device: str
    moments: int = MOMENTS


@command
def trust(
    run: RunName,
    pictures: Frames,
    out: Report = None,
    split: Literal["train", "val", "test"] = "test",
    strength: float = 1.0,
    n: int = 64,
    moments: int = MOMENTS,
    sector: Literal["auto", "echonet"] = "auto",
    segmenter: str = "",
    device: Device = "auto",
):
    """Report what an enhancer may do wrong: lesions lost or painted, hidden messages, uncertainty; as one page and picture.

    Args:
        run: a run, <arch>/<config>, or a .safetensors file.
        pictures: folder of frames (those of low quality, where it has two domains), or a recording.
        out: .html (one self-contained page, with its picture beside it), .png or .pdf to write; default trust.html in the run.
        split: whose frames.
        strength: 0 to 1, as in `echogan enhance`.
        n: pictures at most.
        moments: kept weights of the run beside its best, for the uncertainty.
        sector: of a recording: auto = found in it; echonet = square frames on the sector of EchoNet-Dynamic.
        segmenter: run of `echogan segmenter`: does it find the same ventricle, and ejection fraction, before and after?
        device: where to compute.
    """
    from echogan.engine.launch import pick_device
    from echogan.enhancement.run import load_enhancer
    from echogan.enhancement.stream import Wanted

    out, where = _place(run, out), pick_device(device)
    enhancer = load_enhancer(run, device=where)
    shows = _of_frames(pictures, split, n) if pictures.is_dir() else _of_recording(pictures, n, sector)
    row = report(run, enhancer, shows, Wanted(strength), out, wished(True, segmenter, where, moments))
    print(
        f"{enhancer.name} on {row['n']} pictures: change {row['change']:.1f} grey levels, lesions kept "
        f"{row['kept_bright']:.2f} (bright) and {row['kept_dark']:.2f} (dark), lost in {row['lost']:.0%}, "
        f"flagged {row['flagged']:.0%}; {shown(out)}"
    )


@dataclass(frozen=True)
class Shows:
    """Pictures to report on, their sector, what they are, and honest pictures that the limit of suspicion comes from."""

    images: object  # uint8 (N, H, W)
    mask: object  # (H, W)
    what: str
    calibration: object  # uint8 (M, H, W)
    honest: str  # what those are
    phases: object = ()  # see `trust`
    patients: object = None  # whose each picture is


def report(run, enhancer, shows, wanted, out, wish):
    """Write the report on `enhancer` with these pictures to `out`; returns its numbers."""
    from echogan.engine.launch import hardware
    from echogan.enhancement import baselines
    from echogan.enhancement.judge import method_of
    from echogan.enhancement.run import load_enhancer
    from echogan.enhancement.trust import Means, limit_on
    from echogan.enhancement.trust import trust as check
    from echogan.report import trust as page

    mask, best = shows.mask, method_of(enhancer, wanted)
    back = method_of(lambda images, strength: enhancer.back(images)) if enhancer.back else None
    kept = _moments(run, wish.moments if wish.full else 0)
    at = [method_of(load_enhancer(run, kimg, wish.device), wanted) for kimg in kept]
    means = Means(
        back=(lambda x: back(x, mask)) if back else None,
        segment=wish.segment,
        cavity=wish.cavity,
        others=tuple((lambda x, f=f: f(x, mask)) for f in at),
        limit=limit_on(shows.calibration, mask, baselines.METHODS),
        prevalence=wish.full,
    )
    found = check(shows.images, mask, lambda x: best(x, mask), means, shows.phases, patients=shows.patients)
    caption = _caption(found, shows, enhancer, wanted, len(at), hardware(wish.device))
    page.write(found, out, f"What {enhancer.name} does to {len(shows.images)} pictures", caption)
    return found.row


def _caption(found, shows, enhancer, wanted, moments, machine):
    """What a reader must know to read the pictures, in plain words."""
    height, width = shows.images.shape[-2:]
    apart = shows.patients is not None and len(set(shows.patients)) >= len(found.shown["input"])
    smaller = max(height, width) > enhancer.scale
    parts = (
        f"Data: {shows.what}, {width} x {height} px" + "; shown: no patient twice" * apart,
        f"The run was trained at {enhancer.scale} px"
        + " and is shown them at that size; what it changes is enlarged" * smaller,
        "Suspicious: a spot of the change stands out from the rest of it; limit: 95 % of what plain filters make of "
        f"{shows.honest} stays below it, {100 * (1 - found.row['flagged']):.0f} % of these pictures do",
        f"Strength {wanted.strength:g}: the share of the change that is applied",
        "Uncertainty: deviation over the picture and its mirror image"
        + f", {moments} earlier weights too" * bool(moments),
        f"Weights {enhancer.sha256[:16]}. Hardware: {machine}. Research use only, not for diagnosis",
    )
    return ". ".join(parts) + "."


def report_beside(run, enhancer, wanted, wish, told):
    """The `Report` that writes a page and its picture beside each enhanced recording; `told` as there."""
    from echogan.enhancement.clips import Report

    n = FULL if wish.full or wish.segment else QUICK

    def write(done, page):
        report(run, enhancer, _of_recording(done.source, n, wanted.sector), wanted, page, wish)

    return Report(write, told)


def wished(full, segmenter, device, moments=MOMENTS):
    """A `Wish` whose segmenter, where a run of one is named, is loaded."""
    return Wish(full, *_masks(segmenter, device), device, moments)


def _place(run, out):
    from echogan.config import RunFolder

    if out is None and _alone(run):
        raise BadInput(f"{run} has no folder of a run for its report; say where to write it")
    out = out or RunFolder.find(run).path / "trust.html"
    if out.suffix not in (".html", ".png", ".pdf"):
        raise BadInput(f"{out} is neither .html, .png nor .pdf; give it a name that ends in one of them")
    return out


def _of_recording(path, n, sector):
    """`Shows` of a recording; for the limit there is nothing but its own frames, made by honest filters."""
    from echogan.enhancement.clips import called, pictures_of

    images, mask, chosen = pictures_of(path, n, sector)
    what = f"{called(path)}, {len(images)} of its frames {chosen[0]} to {chosen[-1]}"
    return Shows(images, mask, what, images, "the same frames", "beat")


def _of_frames(path, split, n):
    from echogan.data.frames import load_frames
    from echogan.engine.evaluate import spread
    from echogan.report.style import simulated
    from echogan.sector import ECHONET

    frames = load_frames(path)
    if "domain" in frames.index:
        frames = frames.domain("A")
    part, train = _some(frames.split(split.upper()), n), spread(frames.split("TRAIN").images, n)
    who = part.index["patient"].to_numpy()
    what = f"{frames.kind}{simulated(frames.kind)}, {split.upper()}, {len(part)} frames of {len(set(who))} patients"
    mask, honest = ECHONET.resized(frames.size).mask(), f"{len(train)} frames of TRAIN"
    return Shows(part.images, mask, what, train, honest, _pairs(part.index), who)


def _some(frames, n):
    """At most `n` frames of whole patients, who are chosen at random but always the same."""
    import numpy as np

    who = frames.index["patient"]
    place = {name: i for i, name in enumerate(np.random.default_rng(0).permutation(who.unique()))}
    first = np.argsort(who.map(place).to_numpy(), kind="stable")[:n]
    return frames.where(np.isin(np.arange(len(frames)), first))


def _pairs(index):
    """(row at end diastole, row at end systole) of every patient who has both."""
    if "phase" not in index:
        return ()
    at = index.reset_index().pivot_table("index", "patient", "phase", "first")
    if not {"diastole", "systole"} <= set(at.columns):
        return ()
    return [tuple(map(int, row)) for row in at[["diastole", "systole"]].dropna().to_numpy()]


def _alone(run):
    """Whether these are weights without the folder of a run around them."""
    from echogan.config import SHIPPED

    return run.endswith(".safetensors") or run.startswith(SHIPPED)


def _moments(run, n):
    """The latest `n` kimg at which the run kept weights."""
    from echogan.config import RunFolder
    from echogan.engine.checkpoint import kept_moments

    if _alone(run) or not n:
        return []
    return list(kept_moments(RunFolder.find(run).checkpoints))[-n:]


def _masks(source, device):
    """(images uint8 (N, H, W) -> label ids, id of the left ventricle) of a segmenter's run; (None, 1) without one."""
    if not source:
        return None, 1
    import numpy as np

    from echogan.downstream.masks import load_segmenter, segment

    network = load_segmenter(source, device)

    def masks(images):
        """Of any height and width: a segmenter wants squares, so black is added below and to the right."""
        _, height, width = images.shape
        side = max(height, width)
        square = np.pad(images, ((0, 0), (0, side - height), (0, side - width)))
        return segment(network, square)[:, :height, :width]

    return masks, network.config.structures.get("left ventricle", 1)
