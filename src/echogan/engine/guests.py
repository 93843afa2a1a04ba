"""Frozen networks that a loss asks for: a config names them by a weight, the engine hands them in."""

from dataclasses import replace

from echogan.encoders.lpips import available, lpips
from echogan.errors import BadInput

MISSING = "asked for, but its weights are not on this machine; `echogan weights --install alexnet lpips_alex` gets them"


def invited(config, device, given=()):
    """(config, guests, what to say of them): those that the caller has given, and LPIPS where `config.perceptual` weighs it.

    Without LPIPS's weights the run trains without it, and its config says so: `perceptual` is 0. A segmenter, weighed by
    `config.segmentation`, must be given.
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
    if not getattr(config, "perceptual", 0):
        return config, tuple(given), {}
    if not available():
        return replace(config, perceptual=0.0), tuple(given), {"lpips": MISSING}
    return config, (*given, lpips(device)), {"lpips": "AlexNet, v0.1"}
