"""Quality over the adapter's rank, where a study varies it. Called by the page.

Rows that differ in nothing but their rank make one curve.
"""

from __future__ import annotations

from lab import jsonio
from lab.compare.columns import Column
from lab.compare.entry import Entry
from lab.compare.report.chartlist import Chart, axis_title, bounds_of, finite
from lab.compare.report.gather import Report, ReportRow
from lab.compare.report.markup import Markup
from lab.compare.report.plots import Spot, ranks
from lab.compare.trees import at
from lab.compare.views.text import filled_columns

ADAPTERS = ("lora", "qlora")
METRICS = 4
LEVELS = 6
_KEYS = (
    *("model.name", "method.kind", "method.target_modules", "method.variant", "model.quantization"),
    *("train.learning_rate", "train.seed"),
)


def rank_charts(report: Report) -> list[Chart]:
    """Return a chart for each of the first metrics; none where no two rows differ in their rank alone."""
    shown = [column for column in filled_columns(report.table) if column.quality]
    columns = sorted(shown, key=lambda column: column != report.headline)  # it comes first, the others as they were
    drawn = [(column, *_chart(report, column)) for column in columns[:METRICS]]
    return [Chart(f"{column.label} over rank", chart, note) for column, chart, note in drawn if chart is not None]


def _chart(report: Report, column: Column) -> tuple[Markup | None, str]:
    """Return the chart and which rows its lines join; None where no line has two points."""
    known = [row for row in report.rows if finite(row.entry, column) is not None]
    curves = [rows for rows in _groups(known) if len({_rank(row.entry) for row in rows}) > 1]
    if not curves:
        return None, ""
    lines = [_line(rows, column) for rows in curves]
    others = [row for row in known if row.entry.method not in ADAPTERS][:LEVELS]
    levels = [Spot(row.number, row.shade, row.label, 0.0, finite(row.entry, column) or 0.0) for row in others]
    joined = ", ".join("\u2011".join(str(row.number) for row in rows) for rows in curves)
    return ranks(lines, levels, axis_title(column)), (
        f"A line joins rows that differ in their rank alone: {joined}.{_across(others)}"
    )


def _across(rows: list[ReportRow]) -> str:
    names = "; ".join(f"{row.number} {row.label}" for row in rows)
    return f" Dotted, without a rank: {names}." if rows else ""


def _groups(rows: list[ReportRow]) -> list[list[ReportRow]]:
    """Return the rows with adapters that agree in all but their rank, by rising rank, each rank once a group."""
    groups: dict[tuple[str, int], list[ReportRow]] = {}
    seen: dict[tuple[str, int], int] = {}
    for row in rows:
        if row.entry.method in ADAPTERS and _rank(row.entry) > 0:
            rest = _rest(row.entry)
            again = seen.get((rest, _rank(row.entry)), 0)
            seen[rest, _rank(row.entry)] = again + 1
            groups.setdefault((rest, again), []).append(row)
    return [sorted(group, key=lambda row: _rank(row.entry)) for group in groups.values()]


def _line(rows: list[ReportRow], column: Column) -> list[Spot]:
    bounds = bounds_of(rows, column)
    return [
        Spot(row.number, row.shade, row.label, float(_rank(row.entry)), finite(row.entry, column) or 0.0, low, high)
        for row, (low, high) in zip(rows, bounds, strict=True)
    ]


def _rank(entry: Entry) -> int:
    rank = at(entry.tree, "method.rank")
    return rank if isinstance(rank, int) else 0


def _rest(entry: Entry) -> str:
    """Return what else a row was trained with, as one text: equal ones lie on one curve."""
    return jsonio.dumps([at(entry.tree, key) for key in _KEYS])
