"""Rank against quality: which rows a line joins."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.compare.report.gather import Report, gather
from lab.compare.report.rankchart import rank_charts
from lab.runs.labels import Labels
from tests.fixtures.folders import answered, make_run, right_answers
from tests.unit.compare.report.conftest import infos_of


def gathered(home: Path, *methods: dict[str, Any]) -> Report:
    runs = [
        make_run(
            home,
            f"{number}-{method.get('kind', 'lora')}",
            method=method.get("kind", "lora"),
            generations=answered(right_answers(8, number)),
            profile={"method": method},
            labels=Labels(row=f"row {number}"),
            metrics=("json_match",),
        )
        for number, method in enumerate(methods, 1)
    ]
    return gather(infos_of(runs), name="s")


@pytest.mark.parametrize(
    ("methods", "joined"),
    [
        ([{"rank": 4}, {"rank": 8}, {"rank": 16}], "1‑2‑3"),
        ([{"rank": 16}, {"rank": 4}], "2‑1"),
        ([{"rank": 4}, {"rank": 4, "kind": "qlora"}, {"rank": 8}, {"rank": 8, "kind": "qlora"}], "1‑3, 2‑4"),
        ([{"rank": 4}, {"rank": 8}, {"rank": 4, "target_modules": "mlp"}], "1‑2"),
        ([{"rank": 4}, {"rank": 4}, {"rank": 8}, {"rank": 8}], "1‑3, 2‑4"),
    ],
)
def test_a_line_joins_rows_that_differ_in_rank_alone(
    tmp_path: Path, methods: list[dict[str, Any]], joined: str
) -> None:
    (chart,) = rank_charts(gathered(tmp_path, *methods))
    assert chart.note == f"A line joins rows that differ in their rank alone: {joined}."


@pytest.mark.parametrize(
    "methods",
    [
        [{"rank": 4}, {"rank": 4}],
        [{"rank": 4}, {"rank": 8, "kind": "qlora"}],
        [{"rank": 4, "kind": "full"}, {"rank": 8, "kind": "full"}],
    ],
)
def test_without_two_ranks_there_is_no_chart(tmp_path: Path, methods: list[dict[str, Any]]) -> None:
    assert rank_charts(gathered(tmp_path, *methods)) == []


def test_rows_without_a_rank_are_drawn_across(tmp_path: Path) -> None:
    (chart,) = rank_charts(gathered(tmp_path, {"kind": "baseline"}, {"rank": 4}, {"rank": 8}, {"kind": "full"}))
    assert chart.drawing is not None
    assert chart.drawing.count('class="mark"') == 2
    for name in ("row 1", "row 4"):
        assert f"<title>{name}</title>" in chart.drawing
    assert chart.note.endswith("Dotted, without a rank: 1 row 1; 4 row 4.")
