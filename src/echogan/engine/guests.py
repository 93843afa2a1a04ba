"""Frozen networks that a loss asks for: a config names them by a weight, the engine hands them in."""

from dataclasses import replace

from torch import nn

from echogan.encoders.lpips import available, lpips
from echogan.errors import BadInput

GET = "`echogan weights --install alexnet lpips_alex` gets them; in a notebook: tick install_weights"
MISSING = f"asked for, but its weights are not on this machine; {GET}"
WITH = "AlexNet, v0.1"
WITHOUT = "the run began without it, for want of its weights, and goes on so; another name begins with it"


def invited(config, device, given=(), begun=None):
    """(config, guests, what to say of them): those given, brought to the device, and LPIPS where `config.perceptual` weighs it.

    Without LPIPS's weights the run trains without it, and its config says so: `perceptual` is 0. A segmenter, weighed by
    `config.segmentation`, must be given. `begun`: config.json of the run that is taken up, which goes on as it began,
    whatever weights have come to this machine since.
    """
    given, weighed = tuple(_at(guest, device) for guest in given), getattr(config, "segmentation", 0)
    if given and not weighed:
        raise BadInput(
            "this config weighs nothing that a segmenter says; leave the segmenter out, or --set segmentation=1"
        )
    if weighed and not given:
        raise BadInput(
            "this config weighs what a segmenter says: hand one in as a guest (`echogan train --segmenter RUN`), or "
            "--set segmentation=0"
        )
    said = of_loss(config, begun)
    if said.get("lpips") == WITH:
        given = (*given, lpips(device))
    elif said:
        config = replace(config, perceptual=0.0)
    return config, given, said


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
    """A guest, its network on the device: a module, or a method of one."""
    network = getattr(guest, "__self__", guest)
    if isinstance(network, nn.Module):
        network.to(device)
    return guest


def _began_without(begun):
    """Whether a run asked for LPIPS and did not get it; one that never asked says nothing of it."""
    return "lpips" in begun.get("guests", {}) and not begun["config"].get("perceptual")
