"""An official generator under our names and in our shapes: the same images, to rounding, for the same z and constant noise.

The official default draws three channels, ours one. What makes an image of features is linear, and so is the sum over
resolutions: the mean of the three rows of weights draws exactly the mean of the three channels. That is what an RGB
network becomes; of a network trained on grey frames nothing is lost. The way back, to .pkl, is left out on purpose: such
a file would have to carry program code.
"""

import json
import re
from math import prod
from pathlib import Path

import torch

from echogan.engine.checkpoint import export
from echogan.errors import BadInput
from echogan.layers.resample import binomial
from echogan.layers.stylegan2 import widths
from echogan.models.stylegan2_ada import Config, StyleGAN2ADA
from echogan.official.pickles import Refused
from echogan.official.snapshot import moment, read_snapshot

LARGEST = 1024  # px
RENAMED = (
    (r"^mapping\.fc(\d+)", r"mapping.layers.\1"),
    (r"^mapping\.w_avg$", "w_mean"),
    (r"^synthesis\.b4\.const$", "const"),
    (r"^synthesis\.b(\d{1,4})\.", lambda found: f"blocks.{int(found[1]).bit_length() - 3}."),
    (r"\.conv0\.", ".up."),
    (r"\.conv1\.", ".conv."),
    (r"\.torgb\.", ".grey."),
    (r"\.affine\.", ".style."),
    (r"\.noise_strength$", ".strength"),
)
PLAIN = (str, int, float, bool)
DRAWS = re.compile(r"\.grey\.(weight|bias)$")
OURS_TOO = {"architecture": "skip", "activation": "lrelu", "resample_filter": [1, 3, 3, 1], "use_noise": True}


def import_snapshot(source, out, name="", data="", resolution=None):
    """Write the averaged generator of an official .pkl to `out` (.safetensors), for every tool of ours; returns its header.

    `name` and `data` say in the header what it is and what it was trained on. A snapshot that was tampered with, of
    another family of generators or (where one is asked for) of another resolution is refused.
    """
    if Path(out).suffix != ".safetensors":
        raise BadInput(f"{out} must end in .safetensors; export to .pkl does not exist, as such files carry code")
    found = read_snapshot(source)
    model, channels = _model(source, found["G_ema"])
    if resolution not in (None, model.config.resolution):
        raise BadInput(f"{source} draws {model.config.resolution} px, not {resolution}; choose a snapshot of that size")
    kimg = moment(source)
    origin = {
        "arch": "stylegan2_ada",
        "name": name or Path(source).stem,
        "kimg": "nan" if kimg is None else f"{kimg:g}",
        "data": data or _data(found),
        "origin": f"official StyleGAN2-ADA snapshot, {'grey' if channels == 1 else 'the mean of its RGB channels'}",
    }
    if model.config.classes:
        origin["classes"] = json.dumps([str(i) for i in range(model.config.classes)])
    export(out, model, origin)
    return {**origin, "channels": channels, "resolution": model.config.resolution}


def _data(found):
    """The name of its data set, without the folder it lay in."""
    kwargs = found.get("training_set_kwargs")
    path = kwargs.get("path") if isinstance(kwargs, dict) else None
    name = re.split(r"[/\\]", path)[-1] if isinstance(path, str) else ""
    return f"data set {name}" if name else "unnamed data"


def _model(source, network):
    """(our model, how many channels the official one draws) of a generator read from a snapshot."""
    try:
        tensors = dict(network.tensors())
    except Refused as error:
        raise BadInput(f"{source} is refused: {error}") from error
    config, channels = _config(source, network, tensors)
    if _least(config) > _held(tensors):
        raise _another(source, network, "it holds fewer numbers than its sizes ask for")
    model, state = StyleGAN2ADA(config), {_renamed(key): value for key, value in tensors.items()}
    shapes = _shapes(model.G)
    wrong = [key for key, shape in shapes.items() if key not in state or not _fits(key, state[key], shape, channels)]
    if wrong:
        raise _another(source, network, f"its {wrong[0]} is missing or of another size")
    state = {key: _in_grey(key, state[key]).reshape(shape) for key, shape in shapes.items()}
    grain = torch.cat([state.pop(key).flatten() for key in _noise_maps(model.G)])
    model.G.load_state_dict({**model.G.state_dict(), **state, "grain": grain})
    return model.eval(), channels


def _least(config):
    """About how many numbers a generator has, and no more: what else it has grows with these."""
    sizes = widths(config.resolution, config.base, config.widest)
    mapping = config.mapping * max(config.latent, *sizes.values()) ** 2 + config.classes * config.latent
    return mapping + sum(9 * channels**2 + side**2 for side, channels in sizes.items())


def _held(tensors):
    """Bytes that tensors lie in, each once: any number of tensors of any shape may look at the same few."""
    storages = [value.untyped_storage() for value in tensors.values()]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values())


def _shapes(G):
    """{our name: shape} of all that a file must hold; noise maps under the names of their layers."""
    own = {key: value.shape for key, value in G.state_dict().items() if key not in ("class_share", "grain")}
    return {**own, **{key: (side, side) for key, side in zip(_noise_maps(G), G.maps)}}


def _noise_maps(G):
    """Names of the constant noise maps, in the order in which they are used."""
    return [f"blocks.{i}.{layer}.noise_const" for i in range(len(G.blocks)) for layer in ("up", "conv")][1:]


def _fits(key, value, shape, channels):
    """Whether a tensor has as many numbers as our shape, of what draws an image in each of its channels."""
    if DRAWS.search(key):
        return value.ndim > 0 and len(value) == channels and value.numel() == channels * prod(shape)
    return value.numel() == prod(shape)


def _renamed(key):
    for pattern, name in RENAMED:
        key = re.sub(pattern, name, key)
    return key


def _in_grey(key, value):
    """What draws an image, (channels, ...), as the mean over the channels."""
    return value.float().mean(0) if DRAWS.search(key) else value.float()


def _config(source, network, tensors):
    """(our Config, channels), read from the shapes of the tensors; what the two networks cannot share is refused."""
    sizes = sorted(int(k.split(".")[1][1:]) for k in tensors if re.fullmatch(r"synthesis\.b\d{1,4}\.conv1\.weight", k))
    if not sizes or sizes != [2**i for i in range(2, len(sizes) + 2)] or not 8 <= sizes[-1] <= LARGEST:
        raise _another(source, network, "its synthesis network has no blocks of 4, 8, 16 ... px")
    _refuse_variants(source, network, tensors)
    try:
        channels = {r: len(tensors[f"synthesis.b{r}.conv1.weight"]) for r in sizes}
        latent = len(tensors["mapping.w_avg"])
        depth = sum(bool(re.match(r"mapping\.fc\d+\.weight", key)) for key in tensors)
        into = tensors["mapping.fc0.weight"].shape[1]
        classes = tensors["mapping.embed.weight"].shape[1] if "mapping.embed.weight" in tensors else 0
        drawn = len(tensors[f"synthesis.b{sizes[-1]}.torgb.bias"])
    except (KeyError, IndexError, TypeError) as error:
        raise _another(source, network, f"it lacks {error}") from error
    widest, base = max(channels.values()), channels[sizes[-1]] * sizes[-1]
    if not base or widths(sizes[-1], base, widest) != channels or into != latent * (1 + bool(classes)) or not depth:
        raise _another(source, network, "its widths do not halve with resolution, or its z and w differ in size")
    settings = dict(resolution=sizes[-1], base=base, widest=widest, latent=latent, mapping=depth, classes=classes)
    return Config(**settings, reduced=min(_fp16(network), len(sizes))), drawn


def _refuse_variants(source, network, tensors):
    """Settings of the synthesis network that draw other images from the same tensors."""
    told = network.arguments.get("synthesis_kwargs")
    told = {**network.arguments, **(told if type(told) is dict else {})}
    for key, value in OURS_TOO.items():
        if key in told and not _equal(told[key], value):
            raise _another(source, network, f"it was built with {_setting(key, told[key])}")
    for key, value in tensors.items():
        if key.endswith("resample_filter") and not (
            value.shape == (4, 4) and torch.allclose(value.float(), binomial())
        ):
            raise _another(source, network, f"its {key} is not [1, 3, 3, 1]")


def _equal(told, ours):
    """Whether a setting is ours; of what is nested, or no word or number, nothing is compared."""
    plain = all(type(part) in PLAIN for part in (told if type(told) is list else [told]))
    return plain and told == ours


def _setting(key, told):
    """A setting in a few words: what is nested may take exponential time to be written out, or never end."""
    return f"{key}={str(told)[:40]}" if type(told) in PLAIN else f"a {type(told).__name__} for {key}"


def _fp16(network):
    told = network.arguments.get("synthesis_kwargs")
    count = told.get("num_fp16_res", 0) if type(told) is dict else 0
    return count if type(count) is int and count >= 0 else 0


def _another(source, network, reason):
    return BadInput(
        f"{source} holds a {network.kind[:40]} of another family than StyleGAN2-ADA's skip generator ({reason}); "
        "import one that its train.py wrote"
    )
