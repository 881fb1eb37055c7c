"""The profile's data, ready for training and evaluation. Called by the worker and by `lab plan`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from lab.data.cache import cache_key, cached
from lab.data.masks import Encoded, TestRow, encode_rows, encode_test_rows, stop_ids
from lab.data.pack import Parts
from lab.data.read import read_rows
from lab.data.report import build_report, gate
from lab.data.rows import Row
from lab.data.sources import commits_of
from lab.data.tally import OVERLONG, UNSUPERVISED, Drawn
from lab.data.template import Template, choose_template
from lab.data.turns import RowError
from lab.errors import DataError
from lab.profile.schema import Data, Profile

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

__all__ = ["Prepared", "TestRow", "prepare"]


@dataclass(frozen=True)
class Prepared:
    """Rows as tokens, and what is known about them.

    Attributes:
        report: the content of `data.json`.
        stop_ids: the tokens that end an answer under this template.
    """

    train: list[Encoded]
    validation: list[Encoded]
    test: list[TestRow]
    report: dict[str, Any]
    template: Template
    stop_ids: list[int]


def prepare(profile: Profile, tokenizer: PreTrainedTokenizerBase, *, cache: bool = True) -> Prepared:
    """Read, split, render and mask the profile's rows, or take them from the cache where they were prepared before.

    Raises:
        GateError: the data is not fit to train on; it carries the report.
        LabError: a source, its columns or the chat template cannot be used, or a row is too long where that is an
            error.
    """
    data, required = profile.data, _required(profile)
    commits = commits_of(data)
    template = choose_template(tokenizer, data.template, data.system_prompt)
    key = cache_key(data, commits, required, template) if cache else None
    parts = cached(key, lambda: _make(data, commits, required, template))
    return Prepared(parts.train, parts.validation, parts.test, parts.report, template, parts.stop_ids)


def _make(data: Data, commits: list[str | None], required: list[str], template: Template) -> Parts:
    drawn = read_rows(data, commits)
    train, validation = (_train_rows(drawn, name, template, data) for name in ("train", "validation"))
    test = _test_rows(drawn, template, data)
    kept = {"train": train, "validation": validation, "test": [(item.row, item.encoded) for item in test]}
    report = build_report(drawn, kept, template)
    gate(report, drawn, required)
    learned, watched = ([encoded for _, encoded in rows] for rows in (train, validation))
    return Parts(learned, watched, test, report, stop_ids(template))


def _required(profile: Profile) -> list[str]:
    """Return the splits that must have rows: those asked for, and train rows where something trains."""
    held_out = [name for name in ("validation", "test") if any(getattr(s, name) for s in profile.data.source)]
    return held_out if profile.method.kind == "baseline" else ["train", *held_out]


def _train_rows(drawn: Drawn, split: str, template: Template, data: Data) -> list[tuple[Row, Encoded]]:
    rows = drawn.splits[split]
    items = encode_rows(rows, template, data.train_on)
    checked = [(row, _checked(row, item, data, drawn)) for row, item in zip(rows, items, strict=True)]
    return [(row, encoded) for row, encoded in checked if encoded]


def _test_rows(drawn: Drawn, template: Template, data: Data) -> list[TestRow]:
    kept = []
    for row, item in zip(drawn.splits["test"], encode_test_rows(drawn.splits["test"], template), strict=True):
        encoded = _checked(row, item.encoded if isinstance(item, TestRow) else item, data, drawn)
        if encoded and isinstance(item, TestRow):
            kept.append(replace(item, encoded=encoded))
    return kept


def _checked(row: Row, item: Encoded | RowError, data: Data, drawn: Drawn) -> Encoded | None:
    """Return a row within `data.max_length` tokens; None, and count it, where it cannot be used."""
    if isinstance(item, RowError):
        drawn.tally(row).drop(item.reason, f"{row.id}, {item.problem.rstrip('.')}")
        return None
    tokens = len(item.input_ids)
    if tokens > data.max_length and data.overlong == "error":
        problem = f"Row {row.id} has {tokens:,} tokens, but data.max_length is {data.max_length:,}."
        raise DataError(problem, 'Raise data.max_length, or set data.overlong to "drop" or "truncate".')
    if tokens > data.max_length and data.overlong == "drop":
        drawn.tally(row).drop(OVERLONG, f"{row.id} with {tokens:,} tokens, data.max_length is {data.max_length:,}")
        return None
    cut = item
    if tokens > data.max_length:
        cut = Encoded(item.id, item.input_ids[: data.max_length], item.labels[: data.max_length])
    if not cut.supervised:
        drawn.tally(row).drop(UNSUPERVISED, f"{row.id}, whose answer begins after data.max_length")
        return None
    return cut
