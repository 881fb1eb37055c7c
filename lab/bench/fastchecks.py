"""Whether the fast pieces compute what the plain path does: `python -m lab.bench.fastchecks --device cuda`, in seconds.

Each check holds a fast piece against PyTorch's or PEFT's own operations on small random data and prints how far they
are apart: the norm of the difference by the norm of the plain result. A check that raises prints how, and the next one
goes on. Exit code 0 where all passed. Attention over documents has its own checks (`lab.bench.exactness`).
"""

from __future__ import annotations

import argparse
import sys
import traceback

import torch

from lab.bench.checking import LIMITS, TYPES, Check, Setting
from lab.bench.piecechecks import (
    check_flash,
    check_gated,
    check_head,
    check_norm,
    check_norm_rows,
    check_rotation,
    check_rotation_apart,
    check_short,
)
from lab.bench.stepchecks import check_steps, check_whole_weights
from lab.bench.tinymodels import FAMILIES
from lab.modeling.fast.choose import BLOCK_FAMILIES


def checks(device: torch.device) -> dict[str, Check]:
    """Return all checks for a device by their names."""
    found: dict[str, Check] = {
        "norm": check_norm,
        "norm made again": check_norm_rows,
        "rotation": check_rotation,
        "rotation, taken apart": check_rotation_apart,
        "gated product": check_gated,
        "head": check_head,
    }
    if device.type == "cuda":
        found["attention, grouped heads"] = check_flash
        found["attention, short documents"] = check_short
        for family in ("llama", "qwen2", "qwen3", "gemma3"):  # the last with windows
            found[f"short documents, {family}"] = check_steps(family, blocks=family in BLOCK_FAMILIES, short=True)
        found["short documents, replayed"] = check_steps("llama", graph=True, blocks=True, short=True)
    found |= {f"projections, {family}": check_steps(family) for family in FAMILIES}
    found |= {f"projections, {kind}": check_steps("llama", kind) for kind in ("nf4", "nf4 double", "int8")}
    found |= {f"projections, dora, {family}": check_steps(family, dora=True) for family in ("qwen2", "gemma3")}
    found["projections, dora, nf4"] = check_steps("llama", "nf4", dora=True)
    found |= {f"blocks, {family}": check_steps(family, blocks=True) for family in ("llama", "mistral", "qwen2")}
    found |= {f"blocks, {kind}": check_steps("llama", kind, blocks=True) for kind in ("nf4", "int8")}
    found["blocks, dora"] = check_steps("llama", dora=True, blocks=True)
    found["blocks, recomputed"] = check_steps("llama", recomputed=True, blocks=True)
    found["blocks, replayed"] = check_steps("llama", graph=True, blocks=True)
    found |= {
        f"blocks, {kind}, replayed": check_steps("llama", kind, graph=True, blocks=True) for kind in ("nf4", "int8")
    }
    found["blocks, dora, replayed"] = check_steps("llama", dora=True, graph=True, blocks=True)
    found["blocks, recomputed, replayed"] = check_steps("llama", recomputed=True, graph=True, blocks=True)
    found["projections, recomputed"] = check_steps("llama", recomputed=True)
    found["projections, recomputed, replayed"] = check_steps("gemma3", recomputed=True, graph=True)
    found |= {f"replayed, {family}": check_steps(family, graph=True) for family in ("llama", "gemma3")}
    found["replayed, nf4"] = check_steps("llama", "nf4", graph=True)
    found |= {f"all weights, {family}": check_whole_weights(family) for family in ("llama", "gemma3")}
    found |= {f"all weights, {family}, replayed": check_whole_weights(family, graph=True) for family in FAMILIES}
    found["last block, replayed"] = check_whole_weights("llama", layers=1, graph=True)
    if device.type == "cuda":
        found["all weights, short, replayed"] = check_whole_weights("llama", graph=True, short=True)
    return found


def run(device: torch.device, precision: str) -> bool:
    """Print a line a check; return whether all passed."""
    passed = True
    for name, check in checks(device).items():
        torch.manual_seed(0)
        try:
            distance = check(Setting(device, precision))
            line = f"{distance:.1e} {'ok' if distance <= LIMITS[precision] else 'TOO FAR'}"
        except Exception:  # noqa: BLE001  (one broken piece must not hide the others)
            line = "FAILED\n" + "".join(traceback.format_exc().splitlines(keepends=True)[-6:])
        passed &= line.endswith("ok")
        sys.stdout.write(f"{precision}  {name:28} {line}\n")
        sys.stdout.flush()
    return passed


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.bench.fastchecks", description=__doc__)
    parser.add_argument("--device", default="cuda", choices=("cuda", "cpu"))
    parser.add_argument("--precision", choices=tuple(TYPES), help="bf16 on a GPU, fp32 elsewhere")
    options = parser.parse_args(arguments)
    precision = options.precision or ("bf16" if options.device == "cuda" else "fp32")
    return 0 if run(torch.device(options.device), precision) else 1


if __name__ == "__main__":
    sys.exit(main())
