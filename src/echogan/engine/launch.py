"""Where and how exactly a run computes: device, precision, determinism, environment."""

import os
import platform
import sys

import torch

from echogan.errors import BadInput

# What a CPU run wants of its environment; it must be set before the process starts.
# - glibc gives freed blocks back to the system at once, so every step faults its activations in again. Keeping them was
#   worth 1.5x on a full-size StyleGAN2 step (nothing on small networks).
# - OpenMP threads spin for each other without end; beside another program a step then takes 2-50 times as long. Spinning
#   shortly costs a tenth on quiet cores.
ENVIRONMENT = {
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": "100000000000",
    "MALLOC_TOP_PAD_": "67108864",
    "GOMP_SPINCOUNT": "10000",
}


PRECISIONS = {"auto": None, "fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def pick_device(name="auto"):
    """The device a run asked for; a GPU that is not there is an error, never a silent CPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise BadInput(
            f"device {name!r} was asked for, but torch sees no GPU; run `echogan doctor`, or use --device cpu; in a notebook: "
            'a runtime with a GPU, or device = "cpu"'
        )
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise BadInput(f"{name!r} is not a device; use auto, cpu, cuda or cuda:N") from error
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise BadInput(f"device {name!r} was asked for, but torch sees {torch.cuda.device_count()} GPU(s)")
    return device


def visible(number):
    """What CUDA calls the GPU that is `number` here, where only some of the machine's may be seen."""
    seen = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return seen.split(",")[number].strip() if seen else str(number)


def pick_precision(name, device):
    """Autocast type, or None for fp32; "auto" is bf16 on GPUs that compute it, fp16 on older ones, fp32 on a CPU."""
    if name == "auto" and device.type == "cuda":  # a T4 (7.5) only emulates bf16
        name = "bf16" if torch.cuda.get_device_capability(device) >= (8, 0) else "fp16"
    if name not in PRECISIONS:
        raise BadInput(f"precision {name!r} is unknown; use {', '.join(PRECISIONS)}")
    return PRECISIONS[name]


def hardware(device):
    """One line that names what computed, for config.json and every caption."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    threads = torch.get_num_threads()
    return f"{threads} thread{'s' * (threads > 1)} of {_processor()}"


def peak_memory(device):
    """MB that this process has held at most: allocated on its GPU, resident on a CPU; None where the system does not tell."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 1e6
    try:
        with open("/proc/self/status", encoding="utf-8") as file:
            return next(int(line.split()[1]) * 1024 / 1e6 for line in file if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return None


def forget_peak(device):
    """Count `peak_memory` of a GPU anew: in a notebook the run before would be counted in."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def _processor():
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def make_deterministic(wanted):
    """Equal seed, machine and versions give equal numbers: always so on a CPU, on a GPU only when wanted (slower)."""
    if wanted:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    if wanted != torch.are_deterministic_algorithms_enabled():  # the call imports the compiler: seconds
        torch.use_deterministic_algorithms(wanted)


def restart_for_cpu(words):
    """Start this program again with `ENVIRONMENT` where that pays (Linux, training on the CPU) and is not yet so.

    `words` is its command line: a run on a GPU does not need it. What the user has set stays.
    """
    on_gpu = any(word.startswith("cuda") for word in words) or ("cpu" not in words and torch.cuda.is_available())
    if sys.platform == "linux" and not on_gpu and not ENVIRONMENT.keys() <= os.environ.keys():
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], {**ENVIRONMENT, **os.environ})
