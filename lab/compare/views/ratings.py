"""What people's verdicts on two runs amount to, in words. Called by `lab samples --ratings` and the report."""

from __future__ import annotations

from collections.abc import Mapping

from lab.compare.rating import Summary
from lab.compare.views.cells import quality


def summary_as_text(found: Summary, names: Mapping[str, str]) -> str:
    """Return the win rate with its interval, what it is made of, and the flagged rows, a line each."""
    run, other = names[found.run], names[found.other]
    counts = f"{found.wins} won, {found.losses} lost, {found.ties} tied ({found.same} of them the same answer)"
    if found.rate is None or found.low is None or found.high is None:
        first = f"{run} against {other}: no verdict yet"
    else:
        low, high = quality(found.low, "fraction"), quality(found.high, "fraction")
        first = f"{run} wins {quality(found.rate, 'fraction')} [{low} {high}] against {other}: {counts}"
    rest = f"{found.skipped} skipped, {found.left} left to judge"
    flags = [f"  flagged {row}: {text}" if text else f"  flagged {row}" for row, text in found.notes]
    return "\n".join([first, rest, *flags])
