"""Run a script of the official StyleGAN2-ADA as it was cloned, on current PyTorch, with or without a GPU.

    python launcher.py train.py --outdir=... --data=...          (in the folder of the clone)

Nothing of the clone is changed. Before its script starts, this one puts back into PyTorch what the code of 2021 expects
there; every process that PyTorch spawns comes through here too. What it puts back, and why:

- `Sampler.__init__` took the data set as an argument until PyTorch 2.
- `distutils`, gone from Python 3.12, lent one function; the fork compares versions by `pkg_resources`, gone from setuptools.
- a grey picture (H, W, 1) is handed to Pillow as "RGB".
- without a GPU: "cuda" means the CPU, pinned memory is memory, and events and memory counters of CUDA say nothing.

And it passes on what the command line of train.py has no words for, such as the widths of small networks.
"""

import importlib
import importlib.util
import json
import os
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

SCRIPT = "ECHOGAN_OFFICIAL_SCRIPT"  # tells the processes that PyTorch spawns
SETTINGS = "ECHOGAN_OFFICIAL_SETTINGS"  # arguments of its training loop, as JSON


def adapt():
    """Put back what was there."""
    import torch
    from packaging.version import parse

    torch.utils.data.Sampler.__init__ = lambda self, data_source=None: None
    _lend("pkg_resources", parse_version=parse)
    _lend("distutils")
    _lend("distutils.util", strtobool=lambda word: word.lower() in ("y", "yes", "t", "true", "on", "1"))
    _pictures_may_be_grey()
    if not torch.cuda.is_available():
        _cpu_for_cuda(torch)


def _lend(name, **contents):
    """A module that is no longer there, with what the code takes from it."""
    top = name.partition(".")[0]
    if top in sys.modules and not hasattr(sys.modules[top], "__lent__"):
        return
    if top in sys.modules or importlib.util.find_spec(top) is None:
        sys.modules[name] = ModuleType(name)
        vars(sys.modules[name]).update(contents, __lent__=True)


def _pictures_may_be_grey():
    from PIL import Image

    theirs = Image.fromarray

    def fromarray(obj, mode=None):
        return theirs(obj[..., 0]) if obj.ndim == 3 and obj.shape[2] == 1 else theirs(obj, mode)

    Image.fromarray = fromarray


def _cpu_for_cuda(torch):
    real = torch.device

    class Device(type):
        def __instancecheck__(cls, value):
            return isinstance(value, real)

        def __call__(cls, kind, *index):
            return real("cpu") if str(kind).startswith("cuda") else real(kind, *index)

    torch.device = Device("device", (), {})
    torch.Tensor.pin_memory = lambda self, *_: self
    silent = SimpleNamespace(record=lambda *_: None, synchronize=lambda: None, elapsed_time=lambda other: [])
    torch.cuda.Event = lambda **_: silent
    torch.cuda.current_stream = lambda *_: None
    torch.cuda.max_memory_allocated = lambda *_: 0
    torch.cuda.reset_peak_memory_stats = lambda *_: None


def pass_on(settings):
    """The official training loop takes these arguments for its own, or parts of them."""
    module = importlib.import_module("training.training_loop")
    theirs = module.training_loop
    vars(module).update(training_loop=lambda **given: theirs(**_merged(given, settings)))


def _merged(given, changes):
    """`given`, of its own type, with the entries of `changes`, at every depth."""
    result = type(given)(given)
    for key, value in changes.items():
        result[key] = _merged(given[key], value) if isinstance(value, dict) else value
    return result


if __name__ in ("__main__", "__mp_main__"):
    if __name__ == "__main__":
        del sys.argv[0]
        os.environ[SCRIPT], sys.path[0] = sys.argv[0], str(Path.cwd())
    adapt()
    if settings := json.loads(os.environ.get(SETTINGS, "{}")):
        pass_on(settings)
    exec(compile(Path(os.environ[SCRIPT]).read_text(encoding="utf-8-sig"), os.environ[SCRIPT], "exec"), globals())
