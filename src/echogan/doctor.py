"""`echogan doctor`: what this machine has, and the remedy for what it lacks. Returns findings; prints nothing."""

import platform
import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from echogan.config import folder, installing
from echogan.errors import first_line

NEEDED_GB = 2  # free disk for the demo with room to spare


@dataclass(frozen=True)
class Finding:
    """One line of the examination; `remedy` is empty where all is well, `fatal` where training cannot run without it."""

    about: str
    state: str
    remedy: str = ""
    fatal: bool = False


def examine():
    """All findings, in the order in which they matter."""
    checks = (_python, _torch, _torchvision, _gpu, _precision, _packages, _weights, _data, _disk)
    return [finding for check in checks for finding in check()]


def _python():
    old = sys.version_info < (3, 10)
    yield Finding("Python", platform.python_version(), "install Python 3.10 or newer" if old else "", old)


def _torch():
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("torch", f"does not import ({first_line(error)})", _reinstalling(), fatal=True)
        return
    build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "CPU only"
    yield Finding("torch", f"{torch.__version__} ({build}, {torch.get_num_threads()} threads)")


def _reinstalling():
    return f"take both from one source: {installing('torch torchvision', '--torch-backend=auto --reinstall')}"


def _torchvision():
    try:
        import torchvision
    except Exception as error:  # torchvision of another build raises RuntimeError, OSError or ImportError
        yield Finding(
            "torchvision", f"does not import beside this torch ({first_line(error)})", _reinstalling(), fatal=True
        )
        return
    yield Finding("torchvision", torchvision.__version__)


def _gpu():
    driver = _driver()
    try:
        import torch
    except (ImportError, OSError):
        return
    if torch.cuda.is_available():
        for i in range(torch.cuda.device_count()):
            p = torch.cuda.get_device_properties(i)
            yield Finding(f"GPU {i}", f"{p.name}, {p.total_memory / 2**30:.0f} GiB, driver {driver or 'unknown'}")
    elif driver:
        state = f"driver {driver} is there, but torch cannot use it"
        yield Finding("GPU", state, f"update the driver, or {_reinstalling()}")
    else:
        yield Finding("GPU", "none: training runs on the CPU, which suits the demo and the small configs")


def _driver():
    if not shutil.which("nvidia-smi"):
        return ""
    query = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=20, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return answer.stdout.strip().splitlines()[0] if answer.returncode == 0 and answer.stdout.strip() else ""


def _precision():
    try:
        from echogan.engine.launch import pick_device, pick_precision
    except (ImportError, OSError):
        return
    autocast = pick_precision("auto", pick_device("auto"))
    kind = {"torch.bfloat16": "bf16", "torch.float16": "fp16 with loss scaling"}.get(str(autocast))
    yield Finding("precision", f"{kind}, regularisers in fp32" if kind else "fp32")


def _packages():
    for name in ("numpy", "opencv-python", "pandas", "matplotlib", "safetensors", "pydicom", "tyro"):
        try:
            yield Finding(name, version(name))
        except PackageNotFoundError:
            yield Finding(name, "missing", installing(name), fatal=name != "tyro")


def _weights():
    try:
        from echogan.encoders.weights import KNOWN, locate
    except (ImportError, OSError):  # of torch, as said above
        return
    for name, known in KNOWN.items():
        place = locate(name)
        remedy = "" if place else f"echogan weights --install {name} (metrics that need no network run without it)"
        yield Finding(name, f"{known.what}: {place or 'not on this machine'}", remedy)


def _data():
    place = folder("data")
    sets = sorted(p.parent.name for p in place.glob("*/manifest.json")) if place.is_dir() else []
    yield Finding(
        "data", f"{place}: {', '.join(sets) or 'no frames yet'}", "" if sets else "echogan demo, or echogan extract"
    )


def _disk():
    wanted = folder("experiments")
    place = next((path for path in (wanted, *wanted.parents) if path.exists()), None)
    if place is None:  # not even its drive
        remedy = "set ECHOGAN_EXPERIMENTS to a folder of a disk that is here"
        yield Finding("disk", f"{wanted}: there is no such disk", remedy, fatal=True)
        return
    free = shutil.disk_usage(place).free / 2**30
    yield Finding(
        "disk", f"{free:.0f} GiB free at {place}", "" if free > NEEDED_GB else f"free at least {NEEDED_GB} GiB"
    )
