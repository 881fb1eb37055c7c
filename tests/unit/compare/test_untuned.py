"""The untuned model joins a table that lacks it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.compare.entry import load_entry
from lab.compare.table import build_table
from lab.compare.untuned import with_untuned
from lab.runs.paths import RunPaths
from lab.runs.store import RunInfo, read_run
from tests.fixtures.folders import make_run


def info_of(run: RunPaths) -> RunInfo:
    found = read_run(run)
    assert found is not None
    return found


@pytest.fixture
def tuned(tmp_path: Path) -> RunInfo:
    return info_of(make_run(tmp_path, "lora"))


def test_it_stands_first_and_says_why(tmp_path: Path, tuned: RunInfo) -> None:
    base = info_of(make_run(tmp_path, "baseline"))
    found = with_untuned([load_entry(tuned)], [tuned, base])
    assert [entry.id for entry in found] == [base.id, tuned.id]
    table = build_table(found, tests=False)
    assert table.reference == base.id
    assert any("untuned model on the same rows, added" in note for note in table.notes)
    assert with_untuned(found, [tuned, base]) == found


@pytest.mark.parametrize(
    "options",
    [
        {"spec": {"rows_hash": "other"}},
        {"spec": {"decoding": {"max_new_tokens": 9}}},
        {"spec": {"template_hash": "other"}},
        {"environment": {"model": {"label": "another model"}}},
        {"metrics": None},
        {"state": "failed"},
    ],
)
def test_one_that_answered_otherwise_does_not_join(tmp_path: Path, tuned: RunInfo, options: dict[str, Any]) -> None:
    base = info_of(make_run(tmp_path, "baseline", **options))
    found = with_untuned([load_entry(tuned)], [base])
    assert [entry.id for entry in found] == [tuned.id]
    assert any("untuned model is not among these rows" in note for note in build_table(found, tests=False).notes)


def test_rows_without_answers_need_none(tmp_path: Path) -> None:
    base = info_of(make_run(tmp_path, "baseline"))
    late = load_entry(info_of(make_run(tmp_path, "late", metrics=None)))
    assert with_untuned([late], [base]) == [late]
