"""What an export says of itself to people, from its `exported.json`. Called by `lab export` and the card."""

from __future__ import annotations

from typing import Any

from lab.text import byte_size


def file_rows(record: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return name, size and tensor types of each file that was made."""
    held = record.get("tensors") or {}
    return [
        (name, byte_size(about["bytes"]), types_line(held.get(name) or {})) for name, about in record["files"].items()
    ]


def types_line(counts: dict[str, int]) -> str:
    """Return "210 Q5_0, 61 F32": what a file truly holds, whatever its name says."""
    return ", ".join(f"{count} {name}" for name, count in counts.items())


def parity_lines(record: dict[str, Any]) -> list[str]:
    """Return how far what was made agrees with the run, a line for each file."""
    parity = record.get("parity")
    if parity is None:
        return ["Not checked against the run: llama.cpp is not installed."] if record.get("types") else []
    if record["kind"] == "merge":
        return [
            f"Parity: {parity['agreeing']} of {parity['rows']} greedy answers agree with {parity['reference']}; "
            f"logits differ by {parity['mean']:.2g} on average, {parity['largest']:.2g} at most "
            f"({parity['relative']:.2g} standard deviations)"
        ]
    return [
        f"Parity of {kind}: {one['agreeing']} of {one['rows']} greedy answers are the run's"
        for kind, one in parity.items()
    ]
