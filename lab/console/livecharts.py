"""The charts of the Live page, out of a run's curves and meters and the view that was asked for."""

from __future__ import annotations

import math
from dataclasses import replace

from lab.console.charts import Chart, Curve, cut, nearest, step_range
from lab.console.curves import RunCurves
from lab.console.meters import RunMeters
from lab.console.request import View
from lab.console.rows import RunRow
from lab.series.columns import Columns
from lab.text import number, short_count

GIGA = 1e9
NO_GPU = "no GPU: watts not measured"


def live_charts(curves: RunCurves, meters: RunMeters, row: RunRow, view: View) -> tuple[Chart, ...]:
    """Return loss, power (or host load), grad norm, learning rate and memory, in the order of their weight."""
    steps = _steps(curves, row, view)
    clock = _clock(curves, meters, steps, view)
    load = _power(meters, clock, view) if meters.has_gpu else _host_load(meters, clock, view)
    charts = (
        _loss(curves, steps, view),
        load,
        _step_chart("grad_norm", "grad norm", curves, steps, view, digits=2),
        _step_chart("lr", "learning rate", curves, steps, view, digits=None),
        _memory(meters, clock, view),
    )
    if row.method != "baseline":
        return charts
    return tuple(replace(chart, empty="a baseline is not trained") if not chart.clock else chart for chart in charts)


def _steps(curves: RunCurves, row: RunRow, view: View) -> tuple[float, float]:
    times = curves.times
    first = times.x[0] if len(times) else 1.0
    total = row.total if row.live else None
    return step_range(first, float(curves.step), total, view.share)


def _clock(curves: RunCurves, meters: RunMeters, steps: tuple[float, float], view: View) -> tuple[float, float]:
    """Return the stretch of time at work that belongs to the steps shown."""
    end = max(meters.x, 1.0)
    start = nearest(curves.times, steps[0]) if view.share < 1 else None
    return (min(meters.at(start), end - 1.0), end) if start is not None else (0.0, end)


def _loss(curves: RunCurves, steps: tuple[float, float], view: View) -> Chart:
    raw, buckets = curves.columns["loss"], view.columns
    lines = [cut("raw" if view.smoothing else "main", raw, steps, buckets)]
    if view.smoothing:
        lines.append(cut("main", curves.smoothed.follow(view.smoothing), steps, buckets))
    evals = Columns([step for step, _ in curves.history.evals], [loss for _, loss in curves.history.evals])
    dots = cut("dot", evals, steps, buckets)
    note = [f"smoothed .{view.smoothing * 10:.0f}"] if view.smoothing else []
    note += ["◆ eval"] if dots.xs else []
    bad = raw.y_bounds.nonfinite
    note += [f"× {bad} not finite"] if bad else []
    return Chart(
        name="loss",
        title="loss",
        value=number(raw.y[-1] if len(raw) else None),
        note=" · ".join(note + (["log"] if _can_log(raw, view) else [])),
        curves=tuple(lines) if len(raw) else (),
        dots=tuple((x, y) for x, y in zip(dots.xs, dots.ys, strict=True) if steps[0] <= x <= steps[1]),
        x_range=steps,
        log=_can_log(raw, view),
        cursor=view.cursor,
        empty="no step yet",
    )


def _step_chart(
    name: str, title: str, curves: RunCurves, steps: tuple[float, float], view: View, *, digits: int | None
) -> Chart:
    column = curves.columns[name]
    last = column.y[-1] if len(column) else None
    log = name != "lr" and _can_log(column, view)
    bad = column.y_bounds.nonfinite
    return Chart(
        name=name,
        title=title,
        value=rate(last) if digits is None else number(last, digits),
        note=" · ".join(([f"× {bad} not finite"] if bad else []) + (["log"] if log else [])),
        curves=(cut("second" if name == "grad_norm" else "third", column, steps, view.columns),) if len(column) else (),
        x_range=steps,
        log=log,
        cursor=view.cursor,
        empty="not recorded" if len(curves.times) else "no step yet",
    )


def _can_log(column: Columns, view: View) -> bool:
    return view.log and (column.y_bounds.high or 0.0) > 0


def _power(meters: RunMeters, clock: tuple[float, float], view: View) -> Chart:
    watts, limit, heat = meters.last["watts"], meters.limit_watts, meters.last["celsius"]
    top = meters.columns["watts"].y_bounds.high or 1.0
    return Chart(
        name="power",
        title="power W",
        value=number(watts, 0),
        note=" · ".join([f"of {limit:.0f}"] * (limit is not None) + [f"{heat:.0f} °C"] * (heat is not None)),
        curves=_drawn("fourth", meters.columns["watts"], clock, view),
        x_range=clock,
        y_range=(0.0, max(limit or 0.0, top) * 1.08),
        limit=limit,
        clock=True,
        empty="no telemetry yet",
    )


def _host_load(meters: RunMeters, clock: tuple[float, float], view: View) -> Chart:
    percent = meters.last["cpu_percent"]
    return Chart(
        name="power",
        title="host CPU %",
        value=number(percent, 0),
        curves=_drawn("fourth", meters.columns["cpu_percent"], clock, view),
        x_range=clock,
        y_range=(0.0, 100.0),
        clock=True,
        empty="no telemetry yet",
    )


def _memory(meters: RunMeters, clock: tuple[float, float], view: View) -> Chart:
    name = "gpu_bytes" if meters.has_gpu else "process_bytes"
    used, total = meters.last[name], meters.gpu_total_bytes if meters.has_gpu else meters.memory_total_bytes
    scaled = _in_giga(_drawn("fifth", meters.columns[name], clock, view))
    return Chart(
        name="memory",
        title="VRAM GB" if meters.has_gpu else "memory GB",
        value="-" if used is None else f"{used / GIGA:.2f}",
        note="" if total is None else f"of {total / GIGA:.0f}",
        curves=scaled,
        x_range=clock,
        y_range=(0.0, total / GIGA) if meters.has_gpu and total else None,
        clock=True,
        empty="no telemetry yet",
    )


def _drawn(role: str, column: Columns, x_range: tuple[float, float], view: View) -> tuple[Curve, ...]:
    """Return the column as a curve; a pause between attempts breaks it without being marked as a fault."""
    if not len(column):
        return ()
    curve = cut(role, column, x_range, view.columns)
    return (Curve(role, curve.xs, curve.ys),)


def _in_giga(curves: tuple[Curve, ...]) -> tuple[Curve, ...]:
    return tuple(Curve(c.role, c.xs, tuple(y / GIGA if math.isfinite(y) else math.nan for y in c.ys)) for c in curves)


def rate(value: float | None) -> str:
    """Return a learning rate as people write it: 1.6e-04."""
    return "-" if value is None else f"{value:.1e}"


def speed(value: float | None) -> str:
    return "-" if value is None else f"{short_count(value)} tok/s"
