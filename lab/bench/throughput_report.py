"""Rows of the throughput benchmark as cells of a table. Standard library only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

HEADER = ("row", "tok/s", "tok/step", "s/step", "MFU", "peak GB", "reserved", "W", "J/ktok", "busy", "pieces")


def line_of(record: dict[str, Any]) -> tuple[str, ...]:
    """Return the cells of one record; "-" where nothing was measured."""
    if "failed" in record:
        return (record["name"], *["-"] * (len(HEADER) - 2), f"failed: {record['failed'][-1]}")
    return (
        record["name"],
        f"{record['tokens_per_second']:,.0f}",
        f"{record['tokens_per_step']:,.0f}",
        f"{record['seconds_per_step']:.4f}",
        _number(record["mfu"], 100, "{:.1f} %"),
        _number(record["peak_bytes"], 1e-9, "{:.2f}"),
        _number(record["reserved_bytes"], 1e-9, "{:.2f}"),
        _number(record["watts"], 1, "{:.0f}"),
        _number(record["joules_per_1000_tokens"], 1, "{:.2f}"),
        _number(record["busy"], 100, "{:.0f} %"),
        pieces(record["recipe"]),
    )


def pieces(recipe: dict[str, Any]) -> str:
    """Return what computed a row, in a few words."""
    named = ("fused_lora", "fused_block", "fused_head", "short_attention", "cuda_graph")
    fast = [name for name in named if recipe.get(name) == "on"]
    kernels = [recipe["kernels"]] if recipe.get("kernels") not in (None, "torch") else []
    return ", ".join([str(recipe["batching"]), str(recipe["attention"]), *kernels, *fast])


def launch_line(records: Sequence[dict[str, Any]]) -> str:
    """Say what launching a kernel takes on this host, and by what `busy` is measured."""
    launch = next((record["launch_seconds"] for record in records if record.get("launch_seconds")), None)
    if launch is None:
        return "No GPU: nothing was measured of memory, power and launches."
    return f"Launching one small kernel takes {launch * 1e6:.1f} us on this host; busy is NVML's utilisation."


def _number(value: float | None, factor: float, form: str) -> str:
    return "-" if value is None else form.format(value * factor)
