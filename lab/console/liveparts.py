"""The lines of the Live page as parts: who runs, how far, the numbers, what happened."""

from __future__ import annotations

from lab.console.live import Live
from lab.console.livecharts import NO_GPU, rate, speed
from lab.console.looks import Looks
from lab.console.notes import Note
from lab.console.request import View
from lab.console.widgets.bars import progress
from lab.console.widgets.parts import Fact, Part, width_of
from lab.text import byte_size, duration, number, plural

SAFE = ("safe to close: the run goes on", "safe to close")
_NOTE_STYLES = {"error": "$error", "alert": "$warning", "resume": "$secondary", "checkpoint": "", "end": "bold"}
Both = tuple[list[Part], list[Part]]
"""The left and the right end of a line."""


def identity(live: Live, looks: Looks) -> tuple[list[Part], ...]:
    """Return who runs: state and name on the left, then what may stand on the right, the longest first."""
    row = live.row
    sign, word = looks.state(row.state)
    left: list[Part] = [sign, (" ", ""), word, ("  ", ""), (row.title, "bold")]
    left += [(f"  {live.short_id}", "$quiet")] if live.short_id not in row.title else []
    stepping = live.phase == "training" and live.loss is not None
    doing = ("" if stepping else live.detail) if row.live else (row.reason or row.detail)
    left += [(f"  {doing}", "$quiet")] if doing else []
    machine = NO_GPU if live.measured and not live.has_gpu else row.device
    attempt = f"attempt {row.attempt}" if row.attempt > 1 else ""
    ends = [(row.model, row.method, machine, attempt), (row.method, machine, attempt), (machine, attempt), (attempt,)]
    return left, *([(" · ".join(part for part in end if part), "$quiet")] for end in ends)


def progress_line(live: Live, width: int, looks: Looks) -> Both:
    """Return the bar with steps, percentage and ETA behind it."""
    steps = f"{live.step:,}" + (f" / {live.total:,}" if live.total else "")
    share = "" if live.share is None else f"  {live.share:.0%}"
    right: list[Part] = [(f" step {steps}", ""), (share, "bold")]
    if live.read_share < 1:
        right.append((f"  reading {live.read_share:.0%}", "$accent"))
    elif live.row.live and live.row.state == "training":
        right += [("  ETA ", "$quiet"), (duration(live.eta), "bold")]
    style = "$primary" if live.row.live else "$secondary"
    return progress(live.share, max(width - width_of(right) - 2, 4), plain=looks.plain, style=style), right


def facts(live: Live, view: View) -> list[Fact]:
    """Return the numbers of the newest step, or of the cursor's alone, the weightiest first."""
    if live.loss is None:
        return machine_facts(live)
    found: list[Fact] = [("at step", str(live.cursor), "bold $accent")] if live.cursor is not None else []
    found.append(("loss", number(live.loss), "bold"))
    if view.smoothing:
        found.append((f"ema .{view.smoothing * 10:.0f}", number(live.smoothed), ""))
    if live.eval_loss is not None:
        found.append(("eval", number(live.eval_loss), "$accent"))
    if live.tokens_per_second is not None:
        found.append(("speed", speed(live.tokens_per_second), ""))
    if live.wh is not None and live.cursor is None:
        found.append(("energy", f"{number(live.wh, 1)} Wh", ""))
    found += [("lr", rate(live.lr), ""), ("grad", number(live.grad_norm, 2), "")]
    return found + machine_facts(live)


def machine_facts(live: Live) -> list[Fact]:
    """Return what the machine does: watts and VRAM with a GPU, else host load and resident memory."""
    found: list[Fact] = []
    if live.has_gpu:
        limit = f"/{live.limit_watts:.0f}" if live.limit_watts else ""
        found.append(("power", f"{number(live.meter('watts'), 0)}{limit} W", ""))
        found.append(("VRAM", byte_size(live.meter("gpu_bytes")), ""))
        if (load := live.meter("utilization")) is not None:
            found.append(("busy", f"{load:.0f} %", ""))
        if (heat := live.meter("celsius")) is not None:
            found.append(("heat", f"{heat:.0f} °C", ""))
    elif live.measured:
        found.append(("CPU", f"{number(live.meter('cpu_percent'), 0)} %", ""))
        found.append(("memory", byte_size(live.meter("process_bytes")), ""))
    return found


def note_lines(live: Live, count: int) -> list[tuple[list[Part], ...]]:
    """Return the newest notes, the newest at the bottom, with the promise that the console may be closed."""
    notes = [_note(note) for note in live.notes[-count:]]
    lines: list[list[Part]] = [[]] * (count - len(notes)) + notes
    if live.hint or live.quiet is not None:
        lines[-1] = [(live.hint or f"no step for {(live.quiet or 0) // 60} min", "$warning")]
    warned = sum(note.kind in ("alert", "error") for note in live.notes)
    alerts: list[Part] = [("a", "bold $primary"), (f" {plural(warned, 'alert')}  ", "$warning")] if warned else []
    safe: list[list[Part]] = [[*alerts, (text, "$quiet")] for text in SAFE] if live.row.live else []
    return [*((line,) for line in lines[:-1]), (lines[-1], *safe, alerts)]


def all_notes(live: Live) -> list[Part]:
    """Return every note of the run for a panel, the newest first."""
    parts: list[Part] = [(f"{live.row.title}\n\n", "bold")]
    for note in reversed(live.notes):
        parts += [*_note(note), ("\n", "")]
    return parts if live.notes else [*parts, ("Nothing has happened yet.", "$quiet")]


def _note(note: Note) -> list[Part]:
    return [(f"{note.clock} ", "$quiet"), (note.text, _NOTE_STYLES.get(note.kind, ""))]
