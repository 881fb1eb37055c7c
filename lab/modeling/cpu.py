"""What this CPU can do, and keeping torch off instructions that it announces and the machine then refuses.

Called by every process that computes on the CPU, before it imports torch.
"""

from __future__ import annotations

import os
from pathlib import Path

ISA_LIMIT = "ONEDNN_MAX_CPU_ISA"
WITHOUT_AMX = "AVX512_CORE_FP16"
TILE_LEAF = 0x1D


def limit_cpu() -> None:
    """Hold oneDNN to instructions that work here; a limit that the user set is left alone.

    Some virtual machines announce AMX and leave out the CPUID leaf that holds the sizes of its tiles. OneDNN then
    configures tiles of no size, and the first bf16 product ends the process with SIGILL.
    """
    if "amx_tile" in cpu_flags() and not tiles_described():
        os.environ.setdefault(ISA_LIMIT, WITHOUT_AMX)


def tiles_described() -> bool:
    """Tell whether the CPU says how large AMX tiles are (CPUID leaf 0x1D, Intel SDM volume 2A)."""
    return int(_cpuinfo("cpuid level") or 0) >= TILE_LEAF


def fast_bf16() -> bool:
    """Tell whether bf16 is faster than fp32 here: with AMX tiles it is, with AVX-512's bf16 products it is not."""
    limit = os.environ.get(ISA_LIMIT, "AMX")
    return "amx_bf16" in cpu_flags() and tiles_described() and "AMX" in limit


def cpu_flags() -> set[str]:
    """Return the CPU's feature flags as Linux names them; empty where unknown."""
    return set(_cpuinfo("flags").split())


def cpu_name() -> str:
    return _cpuinfo("model name")


def _cpuinfo(field: str) -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return next((line.partition(":")[2].strip() for line in lines if line.startswith(field)), "")
