"""Which charts a report has and what stands in them. Called by the page.

Where something was not measured there is a sentence instead of an empty chart.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from lab.compare.best import value_of
from lab.compare.columns import Column
from lab.compare.entry import Entry
from lab.compare.report.bars import Bar, bar_chart
from lab.compare.report.figures import Curve, RunCurves
from lab.compare.report.gather import Report, ReportRow
from lab.compare.report.markup import Markup
from lab.compare.report.plots import Series, Spot, curves, scatter
from lab.compare.views.cells import BRACKETS, cell
from lab.compare.views.text import filled_columns

COST_BARS = ("peak_memory_bytes", "train_seconds", "tokens_per_second", "energy_wh", "generated_tokens_per_second")
SCALES: dict[str, tuple[float, str]] = {
    "peak_memory_bytes": (1e9, "GB"),
    "train_seconds": (60.0, "minutes"),
    "energy_wh": (1.0, "Wh"),
    "tokens_per_second": (1.0, "tokens/s"),
    "generated_tokens_per_second": (1.0, "tokens/s"),
}
"""Divisor and unit in which a chart draws a cost."""

UNITS = {"bits/byte": "bits/byte"}
TRADE_OFFS = (
    ("peak_memory_bytes", "peak memory in training (GB)", "Peak memory"),
    ("energy_wh", "energy of training (Wh)", "Energy"),
    ("train_seconds", "training time (minutes)", "Training time"),
)


@dataclass(frozen=True)
class Chart:
    """A chart with what must be said beneath it; `drawing` is None where there is nothing to draw."""

    title: str
    drawing: Markup | None
    note: str = ""


def method_charts(report: Report) -> list[Chart]:
    """Return one chart of bars for each metric, then for each measured cost."""
    shown = filled_columns(report.table)
    columns = [c for c in shown if c.quality] + [c for c in shown if c.key in COST_BARS]
    return [chart for column in columns if (chart := _bars(report, column)) is not None]


def _bars(report: Report, column: Column) -> Chart | None:
    divisor, unit = SCALES.get(column.key, (1.0, ""))
    found = [(row, value) for row in report.rows if (value := finite(row.entry, column)) is not None]
    if not found:
        return None
    bars = [
        Bar(
            row.number,
            row.shade,
            row.label,
            value / divisor,
            cell(row.entry, column, BRACKETS),
            *_bounds(row.entry, column),
            best=row.entry.id in report.table.best[column.key],
        )
        for row, value in found
    ]
    floors = [(e.kind, v) for e in report.table.entries if e.kind == "floor" and (v := finite(e, column)) is not None]
    marks = floors if column.quality else ()
    return Chart(column.label, bar_chart(column.label, scale_of(column, unit), bars, marks=marks))


def trade_offs(report: Report) -> list[Chart]:
    """Return quality against memory, energy and time, each with its Pareto front."""
    return [_trade_off(report, *which) for which in TRADE_OFFS] if report.headline else []


def _trade_off(report: Report, key: str, x_title: str, name: str) -> Chart:
    column = report.headline
    assert column is not None
    spots, left_out = [], []
    for row in report.rows:
        quality, price = finite(row.entry, column), row.entry.cost.get(key)
        if quality is None or price is None:
            left_out.append(row.label)
        else:
            x = price / SCALES[key][0]
            spots.append(Spot(row.number, row.shade, row.label, x, quality, *_bounds(row.entry, column)))
    title = f"{column.label} against {name[0].lower()}{name[1:]}"
    if not spots:
        return Chart(title, None, f"{name} was not measured in any of these runs.")
    higher = column.better == "higher"
    drawing, best = scatter(spots, x_title, axis_title(column), higher_is_better=higher)
    front = "; ".join(spots[index].name for index in best)
    absent = f" Not drawn, for want of a figure: {'; '.join(left_out)}." if left_out else ""
    return Chart(title, drawing, f"On the Pareto front: {front}.{absent}")


def loss_charts(report: Report) -> list[Chart]:
    """Return training and validation losses of all runs overlaid, each in its own chart where there are many runs."""
    trained = [row for row in report.rows if row.curves.loss]
    raw = [_series(row, row.curves.raw, "faint") for row in trained] if len(trained) <= 3 else []
    training = [*raw, *(_series(row, row.curves.loss, "line") for row in trained)]
    validation = [_series(row, row.curves.validation, "dots") for row in trained if row.curves.validation]
    dashed = [_series(row, row.curves.validation, "dashed") for row in trained if row.curves.validation]
    both = "Solid: training, smoothed for the eye. Dashed: validation."
    charts = [("Training and validation loss", [*training, *dashed], both)]
    if not dashed:
        charts = [("Training loss", training, "Smoothed for the eye.")]
    charts += [("Validation loss", validation, "")] if validation else []
    found = [Chart(title, curves(own, "optimiser step", "loss (nats a token)"), note) for title, own, note in charts]
    return [chart if chart.drawing else Chart(chart.title, None, "No step was recorded.") for chart in found]


def telemetry_charts(report: Report) -> list[Chart]:
    """Return power and memory over the minutes of each run's work."""
    watts = _over_time(report, lambda c: c.watts)
    memory = _over_time(report, lambda c: c.memory)
    gpu = any(row.curves.gpu for row in report.rows)
    kind = "GPU memory of the run" if gpu else "resident memory of the process"
    minutes = "minutes of work, loading and evaluation included"
    return [
        Chart("Power", curves(watts, minutes, "GPU power (W)", zero=True), "")
        if watts
        else Chart("Power", None, "Power was not measured: no GPU told it."),
        Chart("Memory", curves(memory, minutes, f"{kind} (GB)", zero=True), "")
        if memory
        else Chart("Memory", None, "Memory over time was not recorded."),
    ]


def _over_time(report: Report, read: Callable[[RunCurves], Curve]) -> list[Series]:
    return [_series(row, curve, "line") for row in report.rows if (curve := read(row.curves))]


def _series(row: ReportRow, curve: Curve, style: str) -> Series:
    return Series(row.number, row.shade, row.label, curve.xs, curve.ys, style)


def finite(entry: Entry, column: Column) -> float | None:
    """Return a row's value as a number that can be drawn, else None."""
    value = value_of(entry, column)
    number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    return float(value) if number else None


def _bounds(entry: Entry, column: Column) -> tuple[float | None, float | None]:
    record = entry.metrics.get(column.key) if column.quality else None
    low, high = (record or {}).get("low"), (record or {}).get("high")
    known = low is not None and high is not None and math.isfinite(low) and math.isfinite(high)
    return (low, high) if known else (None, None)


def axis_title(column: Column, unit: str = "") -> str:
    """Return a metric or cost with its unit and which way is better."""
    inside = scale_of(column, unit)
    return f"{column.label} ({inside})" if inside else column.label


def scale_of(column: Column, unit: str = "") -> str:
    """Return the unit, and which way is better."""
    better = {"higher": "higher is better", "lower": "lower is better"}.get(column.better, "")
    return ", ".join(part for part in (unit or UNITS.get(column.unit, ""), better) if part)


def bounds_of(rows: Sequence[ReportRow], column: Column) -> list[tuple[float | None, float | None]]:
    """Return the (low, high) of each row's interval."""
    return [_bounds(row.entry, column) for row in rows]
