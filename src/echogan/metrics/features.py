"""What every metric of features asks of them."""

import torch

from echogan.errors import BadInput


def matched(metric, fakes, reals, least=2):
    """Both sets of features (n, d) and (m, d) as float64 tensors on the device of the first, or why they cannot be compared."""
    fakes, reals = (torch.as_tensor(f) for f in (fakes, reals))
    if fakes.ndim != 2 or reals.ndim != 2 or fakes.shape[1] != reals.shape[1]:
        raise BadInput(f"{metric} compares features of one encoder, not {tuple(fakes.shape)} with {tuple(reals.shape)}")
    return usable(metric, fakes, least), usable(metric, reals.to(fakes.device), least)


def usable(metric, features, least=2):
    """Features (n, d) as float64; fewer rows than `least`, NaN and infinity are refused."""
    features = torch.as_tensor(features)
    if len(features) < least:
        raise BadInput(f"{metric} needs at least {least} images, got {len(features)}; give more")
    if not features.isfinite().all():
        raise BadInput(f"{metric} was given features that are not numbers; look at the images they come from")
    return features.double()
