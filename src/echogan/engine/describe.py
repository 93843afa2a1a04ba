"""What config.json says of a run before its first step, and whether a run on disk was made in the same way."""

import platform
from dataclasses import asdict, replace

import torch

from echogan import __version__
from echogan.config import differences
from echogan.data.clip import SPLITS
from echogan.engine.launch import hardware
from echogan.engine.parallel import world
from echogan.errors import BadInput
from echogan.metrics.familiar import learn_range
from echogan.sector import ECHONET

MAY_CHANGE = ("kimg", "device", "row_kimg", "patience")


def resolved(config, frames):
    """`config` with what the data decide: how many labels their masks have, and classes its `condition`; the classes' names.

    Classes are those of TRAIN, numbered as the feed numbers them: of others nothing is learnt.
    """
    if hasattr(config, "labels") and frames.labels:
        config = replace(config, labels=max(frames.labels.values()) + 1)
    condition = getattr(config, "condition", "")
    if not condition:
        return config, ()
    names, _ = frames.split("TRAIN").classes(condition)
    return replace(config, classes=len(names)), tuple(names)


def describe(run, frames, autocast):
    """config.json of a run."""
    counts = {s: len(frames.split(s)) for s in SPLITS if (frames.index["split"] == s).any()}
    device = hardware(run.device)
    return {
        "arch": run.arch,
        "name": run.name,
        "config": asdict(run.config),
        "settings": asdict(run.settings),
        "data": {
            "kind": frames.kind,
            "fingerprint": frames.fingerprint(),
            "size": frames.size,
            "images": counts,
            **({"classes": list(run.classes)} if run.classes else {}),
        },
        "parameters": {n: sum(p.numel() for p in c.parameters()) for n, c in run.model.named_children()},
        "precision": str(autocast or torch.float32).removeprefix("torch."),
        "hardware": f"{world()} x {device}" if world() > 1 else device,
        **({"guests": run.guests} if run.guests else {}),
        **({"range": familiar(frames).told()} if "A" in run.model.inputs else {}),
        "versions": {"echogan": __version__, "torch": torch.__version__, "python": platform.python_version()},
        "chosen_by": f"{run.gallery_of.criterion()} of the VAL readings",
    }


def familiar(frames):
    """The `Range` of the TRAIN pictures that an enhancer learns to improve: what lies outside it, it should not touch."""
    low = frames.split("TRAIN")
    low = low.domain("A") if "domain" in low.index else low
    return learn_range(low.images, ECHONET.resized(low.size).mask())


def keep_record(old, new, folder):
    """A `BadInput` where a run would replace the record of one that was made otherwise."""
    if changes := made_otherwise(old, new):
        raise BadInput(
            f"{folder} is the record of another run ({'; '.join(changes)}), whose weights are not here; train under another "
            "name, or set ECHOGAN_EXPERIMENTS to a folder of your own"
        )


def made_otherwise(old, new):
    """What makes other numbers in two descriptions, as words."""
    settings = {**new["settings"], **{k: v for k, v in old["settings"].items() if k in new["settings"]}}
    changes = differences(old["config"], new["config"]) + differences(settings, new["settings"], MAY_CHANGE)
    return changes + differences(old["data"], new["data"], ("kind",)) + other_segmenter(old, new)


def other_segmenter(old, new):
    """What to do where a run began with another segmenter in its loss, as a list; older runs do not say with which."""
    first, now = (told.get("guests", {}).get("segmenter") for told in (old, new))
    differ = first and now and first != now
    return [f"segmenter: {first} -> {now}, so give --segmenter the one it began with"] if differ else []


def adopt(old, new, folder) -> dict:
    """`new`, taking over what the old run at `folder` fixed; a `BadInput` names what makes other numbers."""
    if changes := made_otherwise(old, new):
        raise BadInput(
            f"{folder} was made otherwise ({'; '.join(changes)}); continue it as it was, or under another name"
        )
    return {
        **new,
        "settings": {**new["settings"], "row_kimg": old["settings"]["row_kimg"]},
        **{key: in_turn(old[key], new[key]) for key in ("precision", "hardware")},
        "versions": all_in_turn(old.get("versions", {}), new["versions"]),
        "chosen_by": old["chosen_by"],
    }


def all_in_turn(old, new):
    """`in_turn` of every entry of two dicts."""
    return {**old, **{key: in_turn(old.get(key, value), value) for key, value in new.items()}}


def in_turn(old, new):
    """What was, or 'A; then B' where a run goes on otherwise than it last was."""
    return old if old.split("; then ")[-1] == new else f"{old}; then {new}"
