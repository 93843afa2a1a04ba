"""Files in the format of official snapshots, written by us: networks as the text of a module, a class name and a state."""

import pickle
import re
import sys
from collections import OrderedDict
from types import ModuleType

import numpy as np
import torch

SOURCE = "raise SystemExit('the text of a module inside a snapshot was run')"


def _reconstruct_persistent_obj(meta):
    raise SystemExit("a network was made by its own code")


class EasyDict(dict):
    """Its namesake of the official code holds settings."""


class Net:
    """What an official network pickles to."""

    def __init__(self, kind, tensors=(), parts=(), **kwargs):
        self.state = {
            "training": False,
            "_parameters": OrderedDict((k, v) for k, v in dict(tensors).items() if isinstance(v, torch.nn.Parameter)),
            "_buffers": OrderedDict((k, v) for k, v in dict(tensors).items() if not isinstance(v, torch.nn.Parameter)),
            "_non_persistent_buffers_set": {"scratch"},
            "_forward_hooks": OrderedDict(),
            "_modules": OrderedDict(parts),
            "act_gain": np.sqrt(2),
            "_init_args": (),
            "_init_kwargs": EasyDict(kwargs),
        }
        self.kind = kind

    def __reduce__(self):
        meta = dict(type="class", version=6, module_src=SOURCE, class_name=self.kind, state=self.state)
        return _reconstruct_persistent_obj, (meta,)


def dumps(what, protocol=4):
    """A pickle that names the official modules, which are not here, for what stands in for them above."""
    homes = {"torch_utils.persistence": _reconstruct_persistent_obj, "dnnlib.util": EasyDict}
    for home, thing in homes.items():
        module = ModuleType(home)
        setattr(module, thing.__name__, thing)
        sys.modules.setdefault(home.partition(".")[0], ModuleType(home.partition(".")[0]))
        sys.modules[home], thing.__module__ = module, home
    try:
        return pickle.dumps(what, protocol)
    finally:
        for home, thing in homes.items():
            thing.__module__ = __name__
            del sys.modules[home]
            sys.modules.pop(home.partition(".")[0], None)


def dumps_at_home(what):
    """The same, naming this module, so that Python's own unpickler finds what to run."""
    return pickle.dumps(what)


def generator(model, channels=1, tint=0.0, **settings):
    """The `Net` of our model's generator: names, shapes and constructor arguments of the official one.

    With three channels each row of the weights that draw is the grey one, `tint` more in the first and less in the last.
    """
    parts: dict = {}
    for name, value in model.G.state_dict().items():
        if name not in ("grain", "class_share"):
            _put(parts, _official(name), _drawn(name, value, channels, tint))
    for (i, layer), noise in zip(_layers(model.G), model.G.grain.split([r * r for r in model.G.maps])):
        side = int(len(noise) ** 0.5)
        _put(parts, f"synthesis.b{4 * 2**i}.{layer}.noise_const", noise.view(side, side))
    _put(parts, "synthesis.b4.resample_filter", torch.outer(*[torch.tensor([1.0, 3, 3, 1]) / 8] * 2))
    c = model.config
    told = dict(channel_base=c.base, channel_max=c.widest, num_fp16_res=c.reduced, conv_clamp=256, **settings)
    shape = dict(z_dim=c.latent, w_dim=c.latent, c_dim=c.classes, img_resolution=c.resolution, img_channels=channels)
    return _net(
        parts, "Generator", **shape, mapping_kwargs=EasyDict(num_layers=c.mapping), synthesis_kwargs=EasyDict(told)
    )


def generator_like(what):
    """A network whose only part is something else."""
    return Net("Generator", parts={"mapping": what})


def write_snapshot(path, model, protocol=4, **settings):
    """An official snapshot whose averaged generator is our model's."""
    networks = {"G": Net("Generator"), "D": Net("Discriminator"), "augment_pipe": None}
    data = {"path": "/home/somebody/echo.zip", "resolution": model.config.resolution}
    snapshot = {"training_set_kwargs": data, **networks, "G_ema": generator(model, **settings)}
    path.write_bytes(dumps(snapshot, protocol))
    return path


def _drawn(name, value, channels, tint):
    value = torch.nn.Parameter(value, requires_grad=False) if name not in ("w_mean",) else value
    if re.search(r"grey\.(weight|bias)$", name):
        shades = 1 + tint * torch.linspace(-1, 1, channels) if channels > 1 else torch.ones(1)
        rows = shades.view(-1, *[1] * value.ndim) * value
        return torch.nn.Parameter(rows[..., None, None] if value.ndim else rows, requires_grad=False)
    return value


def _official(name):
    name = re.sub(r"^blocks\.(\d+)\.", lambda m: f"synthesis.b{4 * 2 ** int(m[1])}.", name)
    pairs = {
        ".up.": ".conv0.",
        ".conv.": ".conv1.",
        ".grey.": ".torgb.",
        ".style.": ".affine.",
        ".strength": ".noise_strength",
    }
    for ours, theirs in pairs.items():
        name = name.replace(ours, theirs)
    name = re.sub(r"^mapping\.layers\.(\d+)", r"mapping.fc\1", name)
    return {"const": "synthesis.b4.const", "w_mean": "mapping.w_avg"}.get(name, name)


def _layers(G):
    return [(i, layer) for i in range(len(G.blocks)) for layer in ("conv0", "conv1") if i or layer == "conv1"]


def _put(tree, dotted, value):
    *path, last = dotted.split(".")
    for step in path:
        tree = tree.setdefault(step, {})
    tree[last] = value


def _net(tree, kind="Layer", **kwargs):
    tensors = {k: v for k, v in tree.items() if not isinstance(v, dict)}
    return Net(kind, tensors, {k: _net(v) for k, v in tree.items() if isinstance(v, dict)}, **kwargs)
