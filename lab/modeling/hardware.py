"""What the device at hand can do: asked once by the worker and by `lab plan`, written into the run."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from importlib.util import find_spec

from lab.modeling.cpu import cpu_name, fast_bf16


@dataclass(frozen=True)
class Hardware:
    """One device.

    Attributes:
        kind: "cuda" or "cpu".
        bf16: bfloat16 is faster than fp32 here; emulation does not count.
        memory_bytes: of the GPU, or of the host.
        threads: CPU threads that torch is told to use.
        kernels: what is installed and runs here of "varlen", "flash_attention_2", "liger", "triton".
    """

    kind: str
    name: str
    bf16: bool
    memory_bytes: int
    threads: int
    kernels: frozenset[str] = frozenset()

    @property
    def label(self) -> str:
        return self.name if self.kind == "cuda" else "cpu"


def detect(kind: str, threads: int = 0) -> Hardware:
    """Return the first visible device of `kind`.

    Args:
        threads: CPU threads; 0 takes the physical cores this process may use.
    """
    import psutil
    import torch

    threads = threads or physical_cores()
    if kind == "cuda":
        properties = torch.cuda.get_device_properties(0)
        # torch.cuda.is_bf16_supported() also says yes where bf16 is emulated, and slow.
        bf16 = torch.cuda.get_device_capability(0) >= (8, 0)
        kernels = gpu_kernels() if bf16 else frozenset[str]()  # all of them are made for GPUs of this age or newer
        return Hardware("cuda", properties.name, bf16, int(properties.total_memory), threads, kernels)
    name = cpu_name() or platform.processor() or platform.machine()
    return Hardware("cpu", name, fast_bf16(), int(psutil.virtual_memory().total), threads)


def gpu_kernels() -> frozenset[str]:
    """Return which fast kernels are installed, without importing them."""
    from lab.modeling.fast.varlen import varlen_available

    packages = {"flash_attention_2": "flash_attn", "liger": "liger_kernel", "triton": "triton"}
    found = {name for name, package in packages.items() if find_spec(package)}
    return frozenset(found | ({"varlen"} if varlen_available() else set()))


def physical_cores() -> int:
    """Return the number of physical cores this process may run on, at least 1."""
    import psutil

    allowed = len(os.sched_getaffinity(0))
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))
