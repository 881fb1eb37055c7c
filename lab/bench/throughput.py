"""How fast this machine trains: the lab's own trainer on a model of true shape. `lab bench throughput`.

`python -m lab.bench.throughput --shape llama-3.2-1b --method qlora --workload w16` prints a JSON line a row. What runs
is what users get: model loading, recipe and trainer are the worker's. A row that fails says how, and the next one runs.
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from lab.bench.workload import SHAPES, WORKLOADS, Workload, bench_profile, pick, row_lengths, save_random
from lab.modeling.cpu import limit_cpu
from lab.series.families import shape_from_config
from lab.series.flops import flops_per_token, mean_length
from lab.series.shapes import adapter_parameters
from lab.text import sanitize

SWITCHES = {
    "graphs": "cuda_graph",
    "blocks": "fused_block",
    "lora": "fused_lora",
    "head": "fused_head",
    "liger": "kernels",
    "varlen": "attention",
    "short": "short_attention",
}
"""Pieces that `--without` names -> the recipe's choice."""
NEEDS: dict[str, tuple[str, ...]] = {
    "graphs": (),
    "blocks": (),
    "lora": ("graphs", "blocks"),
    "head": ("graphs", "short"),
    "liger": (),
    "varlen": ("graphs", "head", "blocks", "short"),
    "short": (),
}
"""Pieces that cannot serve without this one."""
LADDER = ("varlen", "liger", "lora", "blocks", "head", "short", "graphs")
"""From the plain trainer up."""
ADAPTED = ("lora", "blocks")
"""Pieces that only adapters have."""
METHODS = ("lora", "qlora", "full")
PEAKS: tuple[tuple[set[str], float], ...] = (
    ({"H100", "HBM3"}, 989e12),  # SXM; the cards for PCIe have other figures, and HBM2e or "NVL" in their names
    ({"H200", "NVL"}, 835e12),
    ({"H200"}, 989e12),
    ({"A100"}, 312e12),
    ({"L40S"}, 362e12),
    ({"L4"}, 121e12),
    ({"A10"}, 125e12),
    ({"4090"}, 165e12),
)
"""Words of a GPU's name -> its dense bf16 FLOPs a second, from the vendors' data sheets; the first that fits counts."""


@dataclass(frozen=True)
class Asked:
    """One row to measure.

    Attributes:
        without: pieces of `SWITCHES` that are off.
        plain: the studies' recipe instead of the lab's.
    """

    name: str
    shape: str
    method: str
    workload: str
    without: tuple[str, ...] = ()
    lean: bool = False
    plain: bool = False
    steps: int = 0
    sets: tuple[str, ...] = ()

    def size(self) -> Workload:
        """Return the workload, with `steps` timed steps where they are given."""
        size: Workload = pick("workload", self.workload, WORKLOADS)
        return replace(size, timed=self.steps) if self.steps else size


@dataclass(frozen=True)
class Row:
    """One measured row; None where nothing measures it.

    Attributes:
        tokens_per_second: real ones; padding does not count.
        mfu: the share of the GPU's dense bf16 peak that the model's own FLOPs make (`series.flops`).
        busy: the share of time in which the GPU ran something, by NVML.
        recipe: what decided speed.
    """

    name: str
    tokens_per_second: float
    tokens_per_step: float
    seconds_per_step: float
    mfu: float | None
    peak_bytes: int | None
    reserved_bytes: int | None
    watts: float | None
    joules_per_1000_tokens: float | None
    busy: float | None
    loss: float
    device: str
    recipe: dict[str, Any]


def rows_of(asked: Asked, *, against: bool, ablate: bool) -> list[Asked]:
    """Return the rows to measure: the one asked for, then the studies' recipe, then the ladder with all pieces."""
    rows, bare = [asked], f"{asked.shape} {asked.method} {asked.workload}"
    if against:
        rows.append(replace(asked, name=f"{bare} plain", plain=True, without=(), lean=False))
    if ablate:
        bare += " lean" if asked.lean else ""
        ladder = tuple(name for name in LADDER if asked.method != "full" or name not in ADAPTED)
        for name in reversed(ladder):
            rows.append(replace(asked, name=f"{bare} without {name}", without=(name, *NEEDS[name])))
        rows += [replace(asked, name=f"{bare} up to {name}", without=off) for name, off in _cumulative(ladder)]
    return rows


def _cumulative(ladder: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Yield (the piece added last, the pieces that are off) from the bottom of the ladder up."""
    yield "nothing", ladder
    for place, name in enumerate(ladder[:-1]):
        yield name, ladder[place + 1 :]


def measure(rows: Sequence[Asked], emit: Callable[[dict[str, Any]], None], device: str = "") -> None:
    """Measure `rows` one after the other and emit a record for each, failures included."""
    limit_cpu()
    import torch

    from lab.bench.clock import launch_seconds
    from lab.training.session import quiet_libraries

    quiet_libraries()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    launch = launch_seconds(device)
    with tempfile.TemporaryDirectory(prefix="lab-throughput-") as parent:
        for asked in rows:
            folder = Path(parent) / asked.shape
            try:
                if not folder.exists():
                    save_random(asked.shape, folder, device)
                emit({**asdict(run_row(asked, folder, device)), "launch_seconds": launch})
            except Exception:  # noqa: BLE001  (a row that fails must not hide the others)
                lines = traceback.format_exc().splitlines()[-8:]
                emit({"name": asked.name, "failed": [sanitize(line, newlines=False) for line in lines]})
            _forget(device)


def _forget(device: str) -> None:
    import torch

    gc.collect()
    if device == "cuda":
        torch.cuda.empty_cache()


def run_row(asked: Asked, folder: Path, device: str) -> Row:
    """Train as `asked` says on the model in `folder` and return what was measured."""
    from lab.bench.trial import plain_trial, trial

    size = asked.size()
    lengths = row_lengths(size)
    sets = [*asked.sets, *(["train.checkpointing=all"] if asked.lean else [])]
    sets += ["model.attention=sdpa"] if "varlen" in asked.without else []
    if device == "cpu":
        sets.append("launch.gpus=0")
    profile = bench_profile(folder, asked.method, size, sets)
    done = (plain_trial if asked.plain else trial)(profile, lengths, size, device, switched_off(asked.without))
    tokens, seconds = done.tokens, done.window.seconds
    shape = shape_from_config(done.config)
    full = asked.method == "full"
    adapters = 0 if full else adapter_parameters(shape, profile.method.rank)
    flops = flops_per_token(shape, length=mean_length(lengths), adapter_parameters=adapters, frozen=not full)
    peak = peak_flops(done.device)
    joules = done.window.joules
    return Row(
        name=asked.name,
        tokens_per_second=tokens / seconds,
        tokens_per_step=tokens / done.steps,
        seconds_per_step=seconds / done.steps,
        mfu=flops * tokens / seconds / peak if peak else None,
        peak_bytes=done.window.allocated,
        reserved_bytes=done.window.reserved,
        watts=None if joules is None else joules / seconds,
        joules_per_1000_tokens=None if joules is None else joules / tokens * 1000,
        busy=done.window.busy,
        loss=done.loss,
        device=done.device,
        recipe=done.recipe,
    )


def peak_flops(device: str) -> float | None:
    """Return the dense bf16 FLOPs a second of a GPU by its name; None for one that is not known."""
    words = set(re.split(r"[^A-Za-z0-9]+", device))
    return next((value for named, value in PEAKS if named <= words), None)


def switched_off(without: Sequence[str]) -> dict[str, str]:
    """Return the recipe's choices that `without` sets, with what it sets them to."""
    for name in without:
        pick("piece", name, SWITCHES)
    values = {"liger": "torch", "varlen": "sdpa"}
    return {SWITCHES[name]: values.get(name, "off") for name in without}


def _names(text: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in text.split(",") if name.strip())
    return tuple(dict.fromkeys(part for name in names for part in (name, *NEEDS.get(name, ()))))


def asked_rows(
    shape: str,
    method: str,
    workload: str,
    without: str = "",
    *,
    lean: bool = False,
    steps: int = 0,
    against: bool = False,
    ablate: bool = False,
    sets: Sequence[str] = (),
) -> list[Asked]:
    """Return the rows of a command line.

    Raises:
        UsageError: an unknown shape, method, workload or piece.
    """
    pick("shape", shape, SHAPES)
    pick("workload", workload, WORKLOADS)
    pick("method", method, dict.fromkeys(METHODS))
    off = _names(without)
    switched_off(off)
    name = f"{shape} {method} {workload}" + (" lean" if lean else "") + (f" without {', '.join(off)}" if off else "")
    asked = Asked(name, shape, method, workload, off, lean, steps=steps, sets=tuple(sets))
    return rows_of(asked, against=against, ablate=ablate)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="lab.bench.throughput", description=__doc__)
    parser.add_argument("--shape", default="llama-3.2-1b", help=f"one of {', '.join(SHAPES)}")
    parser.add_argument("--method", nargs="+", default=["qlora"], help=", ".join(METHODS))
    parser.add_argument("--workload", nargs="+", default=["w16"], help=f"any of {', '.join(WORKLOADS)}")
    parser.add_argument("--without", default="", help=f"pieces to leave out, with commas: {', '.join(SWITCHES)}")
    parser.add_argument("--against", choices=("plain",), help="also the studies' recipe")
    parser.add_argument("--ablate", action="store_true", help="also the ladder")
    parser.add_argument("--lean", action="store_true", help="compute activations again instead of keeping them")
    parser.add_argument("--steps", type=int, default=0, help="timed steps")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", dest="sets")
    options = parser.parse_args(arguments)
    rows = [
        row
        for workload in options.workload
        for method in options.method
        for row in asked_rows(
            options.shape,
            method,
            workload,
            options.without,
            lean=options.lean,
            steps=options.steps,
            against=options.against is not None,
            ablate=options.ablate,
            sets=options.sets,
        )
    ]

    def emit(record: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()

    measure(rows, emit)
    return 0


if __name__ == "__main__":
    sys.exit(main())
