"""The tables of a report's page: rows with intervals, differences to the reference row, what stands against comparing.

Called by the page.
"""

from __future__ import annotations

from collections.abc import Sequence

from lab.compare.columns import Column
from lab.compare.deltas import same_answers
from lab.compare.entry import Entry
from lab.compare.report.chartlist import finite
from lab.compare.report.gather import Report, ReportRow
from lab.compare.report.markup import Markup, element, join
from lab.compare.views.cells import BRACKETS, cell, delta_cell
from lab.compare.views.text import filled_columns


def table(report: Report) -> Markup:
    """Return the table: floor and ceiling among the rows, the best of each column marked."""
    columns = filled_columns(report.table)
    by_id = {row.entry.id: row for row in report.rows}
    head = [_head("#", "none"), _head("row"), _head("method"), *(_head(c.label, c.better or "none") for c in columns)]
    body = [_line(report, entry, by_id.get(entry.id), columns) for entry in report.table.entries]
    return _table(head, body)


def _line(report: Report, entry: Entry, row: ReportRow | None, columns: Sequence[Column]) -> Markup:
    first = element("td", dot(row.number, row.shade) if row else "", class_="num")
    name = element("th", report.table.labels[entry.id], scope="row")
    cells = [_value(report, entry, column) for column in columns]
    return element("tr", first, name, element("td", entry.method or "-"), *cells, class_=entry.kind)


def _value(report: Report, entry: Entry, column: Column) -> Markup:
    value, _, interval = cell(entry, column, BRACKETS).partition(" [")
    best = entry.id in report.table.best[column.key]
    number = element("strong", value, title="best of the rows that may be compared") if best else value
    beside = element("span", f" [{interval}", class_="ci") if interval else ""
    sort = finite(entry, column)
    return element("td", number, beside, class_="num", data_sort=None if sort is None else repr(sort))


def differences(report: Report) -> Markup:
    """Return each row's tested differences to the reference row; nothing where none was tested."""
    deltas, reference = report.table.deltas, report.table.reference
    tested = [entry for entry in report.table.entries if any(run == entry.id for run, _ in deltas)]
    if not tested or reference is None:
        return Markup("")
    columns = [column for column in report.table.columns if any(metric == column.key for _, metric in deltas)]
    head = [_head("row"), *(_head(column.label, "none") for column in columns)]
    body = []
    for entry in tested:
        found = [delta_cell(deltas.get((entry.id, column.key)), column, BRACKETS) for column in columns]
        name = element("th", report.table.labels[entry.id], scope="row")
        body.append(element("tr", name, *(element("td", text, class_="num") for text in found)))
    text = (
        f"Differences to {report.table.labels[reference]} on the same {same_answers(deltas.values())}: 95 % "
        f"intervals of the paired bootstrap, p corrected by Holm over {len(deltas):,} tests."
    )
    return join([element("p", text), _table(head, body)])


def signatures(report: Report) -> Markup:
    """Return how each metric was computed."""
    lines = [
        join([element("dt", labels), element("dd", element("code", signature))])
        for signature, labels in report.table.signatures.items()
    ]
    return element("dl", *lines, class_="signatures") if lines else Markup("")


def fairness(report: Report) -> Markup:
    """Return what stands against comparing these rows, in words, then the notes on figures."""
    found = [
        element("li", element("b", finding.level), f": {finding.sentence}", class_=finding.level)
        for finding in report.table.findings
    ]
    clear = "Nothing was found that stands against comparing these rows."
    listed = element("ul", *found, class_="findings") if found else element("p", clear)
    notes = [element("li", note) for note in report.table.notes]
    absent = [element("li", f"{name} has no finished run.") for name in report.missing]
    return join([listed, element("ul", *notes, *absent) if notes or absent else ""])


def dot(number: int, shade: str) -> Markup:
    """Return a row's number in its colour, as the charts have it."""
    return element("span", str(number), class_=f"dot {shade}")


def _head(text: str, better: str = "") -> Markup:
    arrow = {"higher": " ↑", "lower": " ↓"}.get(better, "")
    hint = {"higher": "higher is better", "lower": "lower is better"}.get(better)
    return element("th", text + arrow, scope="col", title=hint, class_="num" if better else None)


def _table(head: Sequence[Markup], body: Sequence[Markup]) -> Markup:
    inside = element("table", element("thead", element("tr", *head)), element("tbody", *body), class_="sortable")
    return element("div", inside, class_="wide", tabindex=0)
