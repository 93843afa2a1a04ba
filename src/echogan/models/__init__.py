"""One file per architecture. A file's name is its key; it defines `Config`, `CONFIGS` and `build(config)`."""

import importlib
import pkgutil
from types import ModuleType

from echogan.errors import BadInput, nearest


def names():
    """Keys of all architectures, without importing any."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(arch):
    """The module of an architecture, or a `BadInput` that suggests the nearest key; a module like those is returned as it is."""
    if isinstance(arch, ModuleType):
        return arch
    if arch not in names():
        raise BadInput(f"there is no architecture {arch!r}{nearest(arch, names())}")
    return importlib.import_module(f"{__name__}.{arch}")


def key(arch):
    """What the runs of an architecture (a key, or a module) are called."""
    return load(arch).__name__.rpartition(".")[2]


def config_of(arch, name):
    """Config `name` of architecture `arch`, or a `BadInput` that suggests the nearest name."""
    configs = load(arch).CONFIGS
    if name not in configs:
        raise BadInput(f"{arch} has no config {name!r}{nearest(name, configs)}")
    return configs[name]
