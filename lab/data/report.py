"""The data report (`data.json`) and the gate in front of training. Called by `prepare`."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from lab.data.masks import IGNORED, Encoded
from lab.data.rows import SPLITS, Row, split_hash
from lab.data.tally import REMEDIES, UNSUPERVISED, Drawn, Tally
from lab.data.template import Template
from lab.errors import DataError
from lab.text import sanitize

LIMIT = 0.05
"""Share of the rows that may get lost unasked."""

Kept = Mapping[str, Sequence[tuple[Row, Encoded]]]
"""What is left of each split."""


class GateError(DataError):
    """The data is not fit to train on; `report` says what it is like."""

    def __init__(self, problem: str, remedy: str, report: dict[str, Any]) -> None:
        super().__init__(problem, remedy)
        self.report = report


def build_report(drawn: Drawn, kept: Kept, template: Template) -> dict[str, Any]:
    """Return the content of `data.json`. Lengths are tokens a row; what no row was there to measure is None."""
    encoded = [item for name in SPLITS for _, item in kept[name]]
    tokens = sum(len(item.input_ids) for item in encoded)
    first = next(iter(encoded), None)
    return {
        "schema": 1,
        "sources": _sources(drawn, kept),
        "splits": {name: _split(kept[name]) for name in SPLITS},
        "template": {"hash": template.hash, "source": template.source, "folds_system": template.folds},
        "supervised_share": sum(item.supervised for item in encoded) / tokens if tokens else None,
        "dropped_share": _lost_share(drawn),
        "example": [] if first is None else example(first, template),
    }


def example(encoded: Encoded, template: Template) -> list[dict[str, Any]]:
    """Return a row as text again, cut where supervision begins and ends: read from the labels that training gets."""
    pairs = groupby(zip(encoded.input_ids, encoded.labels, strict=True), key=lambda pair: pair[1] != IGNORED)
    return [{"text": _decoded([token for token, _ in part], template), "supervised": flag} for flag, part in pairs]


def gate(report: dict[str, Any], drawn: Drawn, required: Sequence[str]) -> None:
    """Refuse data that is not worth a run.

    Args:
        required: the splits that must have rows.

    Raises:
        GateError: a required split is empty, nothing is supervised, or more than 5 % of the rows got lost unasked.
    """
    told = _told(drawn)
    for name in required:
        if report["splits"][name]["rows"] == 0:
            raise GateError(_empty(name, drawn, told), _remedy(drawn), report)
    if report["dropped_share"] > LIMIT:
        problem = f"{report['dropped_share']:.1%} of the rows were dropped unasked: {told}."
        raise GateError(problem, _remedy(drawn), report)


def _empty(name: str, drawn: Drawn, told: str) -> str:
    if any(tally.dropped[UNSUPERVISED] for tally in drawn.tallies):
        return f"Nothing is supervised in the {name} rows: {told}."
    return f"There are no {name} rows" + (f": {told}." if told else ".")


def _told(drawn: Drawn) -> str:
    return "; ".join(f"{tally.name}: {tally.told}" for tally in drawn.tallies if tally.dropped)


def _remedy(drawn: Drawn) -> str:
    reasons = dict.fromkeys(reason for tally in drawn.tallies for reason, _ in tally.dropped.most_common())
    steps = list(dict.fromkeys(REMEDIES[reason] for reason in reasons if reason in REMEDIES))
    text = "; or ".join(steps) or "ask for rows in data.source.N.train, validation and test"
    return text[0].upper() + text[1:] + "."


def _lost_share(drawn: Drawn) -> float:
    """Return the chance that a row which was asked for got lost: while reading, or after the draw."""
    read = sum(tally.read for tally in drawn.tallies)
    after = sum(tally.unasked for tally in drawn.tallies) - drawn.read_lost
    reading = drawn.read_lost / read if read else 0.0
    return reading + (1 - reading) * (after / drawn.count if drawn.count else 0.0)


def _sources(drawn: Drawn, kept: Kept) -> list[dict[str, Any]]:
    counts = {name: Counter(row.source for row, _ in kept[name]) for name in SPLITS}
    return [_source(tally, {name: counts[name][tally.label] for name in SPLITS}) for tally in drawn.tallies]


def _source(tally: Tally, splits: dict[str, int]) -> dict[str, Any]:
    rows = sum(splits.values())
    return {
        "name": tally.name,
        "format": tally.format,
        "chosen_by": tally.saw,
        "commit": tally.commit,
        "read": tally.read,
        "kept": rows,
        "splits": splits,
        "unused": tally.read - rows - tally.dropped.total(),
        "dropped": dict(tally.dropped),
        "meta_instructions": None if tally.cuts is None else tally.cuts.as_json(),
    }


def _split(kept: Sequence[tuple[Row, Encoded]]) -> dict[str, Any]:
    lengths = sorted(len(encoded.input_ids) for _, encoded in kept)
    return {
        "rows": len(kept),
        "groups": len({row.group for row, _ in kept if row.group}) or None,
        "hash": split_hash([row for row, _ in kept]) if kept else None,
        "tokens": sum(lengths),
        "supervised_tokens": sum(encoded.supervised for _, encoded in kept),
        "lengths": {
            "min": lengths[0] if lengths else None,
            "median": statistics.median(lengths) if lengths else None,
            "p90": lengths[math.ceil(0.9 * len(lengths)) - 1] if lengths else None,  # nearest rank
            "max": lengths[-1] if lengths else None,
        },
    }


def _decoded(ids: list[int], template: Template) -> str:
    text = template.tokenizer.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
    return sanitize(text, limit=max(len(text), 1))
