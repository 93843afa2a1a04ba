"""Frozen networks that a loss asks for: a config names them by a weight, the engine hands them in."""

from dataclasses import replace

from torch import nn

from echogan.encoders.lpips import available, lpips
from echogan.encoders.weights import content_hash
from echogan.errors import BadInput

GET = "`echogan weights --install alexnet lpips_alex` gets them; in a notebook: tick install_weights"
MISSING = f"asked for, but its weights are not on this machine; {GET}"
WITH = "AlexNet, v0.1"
WITHOUT = "the run began without it, for want of its weights, and goes on so; another name begins with it"


def invited(config, device, given=(), begun=None):
    """(config, guests, what to say of them): those given, brought to the device, and LPIPS where `config.perceptual` weighs it.

    Without LPIPS's weights the run trains without it, and its config says so: `perceptual` is 0. A segmenter, weighed by
    `config.segmentation`, must be given, and what it holds is said. `begun`: config.json of the run that is taken up, which
    goes on as it began, whatever weights have come to this machine since.
    """
    weighed = getattr(config, "segmentation", 0)
    if given and not weighed:
        raise BadInput(
            "this config weighs nothing that a segmenter says; leave the segmenter out, or --set segmentation=1"
        )
    if weighed and not given:
        raise BadInput(
            "this config weighs what a segmenter says: hand one in as a guest (`echogan train --segmenter RUN`), or "
            "--set segmentation=0"
        )
    named = {"segmenter": ", ".join(map(_content, given))} if weighed else {}
    given, said = tuple(_at(guest, device) for guest in given), of_loss(config, begun)
    if said.get("lpips") == WITH:
        given = (*given, lpips(device))
    elif said:
        config = replace(config, perceptual=0.0)
    return config, given, {**said, **named}


def of_loss(config, begun=None):
    """What to say of the networks that a config's loss asks for, known before anything is trained: {"lpips": ...}, or {}.

    A `BadInput` where the run that is taken up cannot go on as it began.
    """
    begun = begun or {}
    if not getattr(config, "perceptual", 0):
        return {}
    if _began_without(begun):
        return {"lpips": WITHOUT}
    if available():
        return {"lpips": WITH}
    if begun.get("config", {}).get("perceptual"):
        raise BadInput(f"this run began with LPIPS in its loss, whose weights are not on this machine; {GET}")
    return {"lpips": MISSING}


def begun_in(folder):
    """config.json of the run that a `RunFolder` holds and that would be taken up; None where there is none yet."""
    return folder.read() if folder.last.is_file() else None


def _at(guest, device):
    """A guest, its network on the device."""
    if network := _network(guest):
        network.to(device)
    return guest


def _content(guest):
    """The first 16 digits of the `content_hash` of a guest's network; "unknown" where it has none."""
    network = _network(guest)
    return content_hash({k: v.float() for k, v in network.state_dict().items()})[:16] if network else "unknown"


def _network(guest):
    """The module that a guest is, or is a method of; None where it is neither."""
    network = getattr(guest, "__self__", guest)
    return network if isinstance(network, nn.Module) else None


def _began_without(begun):
    """Whether a run asked for LPIPS and did not get it; one that never asked says nothing of it."""
    return "lpips" in begun.get("guests", {}) and not begun["config"].get("perceptual")
