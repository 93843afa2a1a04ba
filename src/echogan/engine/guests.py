"""Frozen networks that a loss asks for: a config names them by a weight, the engine hands them in."""

from dataclasses import replace

from echogan.encoders.lpips import available, lpips

MISSING = "asked for, but its weights are not on this machine; `echogan weights --install alexnet lpips_alex` gets them"


def invited(config, device):
    """(config, guests, what to say of them): LPIPS on the device where `config.perceptual` weighs it.

    Without its weights the run trains without it, and its config says so: `perceptual` is 0.
    """
    if not getattr(config, "perceptual", 0):
        return config, (), {}
    if not available():
        return replace(config, perceptual=0.0), (), {"lpips": MISSING}
    return config, (lpips(device),), {"lpips": "AlexNet, v0.1"}
