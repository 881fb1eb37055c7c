"""The Runs page as parts: columns, a run's row, the lines about the one under the cursor."""

from __future__ import annotations

import time

from lab.console.looks import Looks
from lab.console.ordering import Order
from lab.console.rows import RunRow
from lab.console.widgets.bars import sparkline
from lab.console.widgets.parts import Part, width_of
from lab.console.widgets.table import Column, Row
from lab.text import display_width, number, plural

CURVE, BAR = 10, 12
COLUMNS = (
    Column("sign", "", 1),
    Column("state", "state", 10, rank=2),
    Column("title", "run", 18, flexible=True),
    Column("method", "method", 9, rank=3),
    Column("progress", "progress", BAR, rank=1),
    Column("loss", "loss", 7, right=True),
    Column("best", "eval", 7, right=True, rank=5),
    Column("curve", "curve", CURVE),
    Column("energy", "Wh", 7, right=True, rank=6),
    Column("created", "started", 12, rank=4),
)
EMPTY: tuple[Part, ...] = (
    ("No runs yet.\n\n", "bold"),
    ("1", "bold $primary"),
    ("  pick a profile and start a run\n", "$quiet"),
    ("or, in a shell:  ", "$quiet"),
    ("lab demo --quick\n", "bold"),
    ("which brings its own model and data, and shows up here.", "$quiet"),
)


def heading_parts(shown: int, total: int, order: Order, query: str, complaint: str) -> tuple[list[Part], ...]:
    """Return the heading: how many runs, what is wrong with the filter; on the right the order and the filter."""
    left: list[Part] = [("runs  ", "bold"), (str(shown) if total else "", "bold $primary")]
    left += [(f" of {total}", "$quiet")] if shown != total else []
    left += [(f"  {complaint}", "$warning")] if complaint else []
    sort = f"by {order.sort}" + (", reversed" if order.reverse else "")
    sort = "" if sort == f"by {Order().sort}" else sort
    right = "  ".join(part for part in (query, sort) if part)
    return left, [(right, "$accent")] if right else []


def table_row(row: RunRow, looks: Looks, *, marked: bool) -> Row:
    """Return the table's row of a run."""
    sign, word = looks.state(row.state)
    mark: list[Part] = [(looks.mark, "bold $accent"), (" ", "")] if marked else []
    style = "bold" if row.live else ("$quiet" if row.archived else "")
    return Row(
        row.folder,
        (
            (sign,),
            (word,),
            (*mark, (row.title, style)),
            ((row.method, ""),),
            tuple(looks.progress(row, BAR)),
            ((number(row.loss), ""),),
            ((number(row.best), ""),),
            ((sparkline(row.spark, CURVE, plain=looks.plain), "$secondary"),),
            ((number(row.energy_wh, 1), ""),),
            ((started(row.created), "$quiet"),),
        ),
    )


def started(t: float) -> str:
    return time.strftime("%b %d %H:%M", time.localtime(t)) if t else "-"


def told(row: RunRow, looks: Looks, width: int) -> list[list[Part]]:
    """Return four lines about a run: its id; what it is; what it does or how it ended; what can be done now.

    A remedy that has no room behind its reason begins the last line: it is what somebody came to read.
    """
    what = [row.profile, row.method, row.model, row.device, f"study {row.study}" if row.study else ""]
    figures = [f"{name} {value:.3f}" for name, value in row.metrics[:4]]
    sign, word = looks.state(row.state)
    attempt = f"  attempt {row.attempt}" if row.attempt > 1 else ""
    tags = "".join(f"  #{tag}" for tag in row.tags)
    state: list[Part] = [sign, (" ", ""), word, (attempt, "$quiet")]
    ending = " ".join(part for part in (row.reason, row.remedy) if part)
    fits = width_of(state) + 2 + display_width(ending) <= width
    below = "" if fits else row.remedy
    ended = ending if fits else row.reason or row.remedy
    return [
        [(row.title, "bold"), ("  ", ""), (row.id if row.id != row.title else "", "$quiet"), (tags, "$accent")],
        [(" · ".join(part for part in what if part), ""), ("  " + "  ".join(figures), "$accent")],
        [*state, ("  " + (ended if row.reason else row.detail), "$quiet")],
        [(f"{below} " if below else "", ""), (_next(row), "$quiet")],
    ]


def _next(row: RunRow) -> str:
    kept = f"{row.usable} is usable." if row.usable else "No weights were saved."
    resume = f"r goes on from step {row.checkpoint:,}." if row.checkpoint else "r starts over from step 0."
    if row.live:
        return "It runs by itself: the console may be closed. x stops it."
    if row.state == "lost":
        return f"Its worker is gone. {resume} {kept}"
    if row.state in ("stopped", "failed"):
        return f"It stands at {plural(row.step, 'step')}. {resume} {kept}"
    return row.notes.replace("\n", " ")
