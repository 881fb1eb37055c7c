"""The Runs page as parts: columns, a run's row, the lines about the one under the cursor."""

from __future__ import annotations

import time
from dataclasses import replace

from lab.compare.tasks import metric_name
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
DEMO = "lab demo --quick"
START: tuple[Part, ...] = (
    ("1", "bold $primary"),
    ("  picks a profile to start\n", "$quiet"),
    ("or, in a shell:  ", "$quiet"),
    (f"{DEMO}\n", "bold"),
    ("which brings its own model and data.", "$quiet"),
)
"""What to do where no run is there."""
EMPTY: tuple[Part, ...] = (("No runs yet.\n\n", "bold"), *START)


def heading_parts(
    shown: int, total: int, order: Order, query: str, complaint: str, *, archived: int = 0
) -> tuple[list[Part], ...]:
    """Return the heading: how many runs, what is wrong with the filter; on the right the order and the filter.

    Args:
        archived: how many of those that fit are left out for being archived.
    """
    left: list[Part] = [("runs  ", "bold"), (str(shown) if total else "", "bold $primary")]
    left += [(f" of {total}", "$quiet")] if shown != total else []
    left += [(f"  {archived} archived: A shows them", "$quiet")] if archived else []
    left += [(f"  {complaint}", "$warning")] if complaint else []
    sort = f"by {order.sort}" + (", reversed" if order.reverse else "")
    sort = "" if sort == f"by {Order().sort}" else sort
    right = "  ".join(part for part in (query, sort) if part)
    return left, [(right, "$accent")] if right else []


def table_row(row: RunRow, looks: Looks, *, marked: bool) -> Row:
    """Return the table's row of a run."""
    sign, word = looks.state(row.state)
    if row.archived:  # its sign still tells how it ended
        word = ("archived", "$quiet")
    mark: list[Part] = [(looks.mark, "bold $accent"), (" ", "")] if marked else []
    text = "$quiet" if row.archived else ""
    return Row(
        row.folder,
        (
            (sign,),
            (word,),
            (*mark, (row.title, "bold" if row.live else text)),
            ((row.method, text),),
            tuple(looks.progress(row, BAR)),
            ((number(row.loss), text),),
            ((number(row.best), text),),
            ((sparkline(row.spark, CURVE, plain=looks.plain), text or "$secondary"),),
            ((number(row.energy_wh, 1), text),),
            ((started(row.created), "$quiet"),),
        ),
    )


def started(t: float) -> str:
    return time.strftime("%b %d %H:%M", time.localtime(t)) if t else "-"


def told(row: RunRow, looks: Looks, width: int) -> list[list[Part]]:
    """Return four lines about a run: its id; what it is; what it does or how it ended; what can be done now.

    A remedy that has no room behind its reason begins the last line: it is what somebody came to read.
    """
    what = [row.profile, row.method, f"study {row.study}" if row.study else "", row.device, row.model]
    sign, word = looks.state(row.state)
    attempt = f"  attempt {row.attempt}" if row.attempt > 1 else ""
    tags = "".join(f"  #{tag}" for tag in row.tags)
    away = ", archived: a puts it back" if row.archived else ""
    state: list[Part] = [sign, (" ", ""), word, (attempt + away, "$quiet")]
    ending = " ".join(part for part in (row.reason, row.remedy) if part)
    fits = width_of(state) + 2 + display_width(ending) <= width
    below = "" if fits else row.remedy
    ended = ending if fits else row.reason or row.remedy
    doing = ended if row.reason else row.detail
    return [
        [(row.title, "bold"), ("  ", ""), (row.id if row.id != row.title else "", "$quiet"), (tags, "$accent")],
        [(" · ".join(part for part in what if part), "")],
        [*state, (f"  {doing}" if doing else "", "$quiet"), (f"  {figures(row)}", "$accent")],
        [(f"{below} " if below else "", ""), (_next(row), "$quiet")],
    ]


def figures(row: RunRow) -> str:
    """Return what was measured of a run, as far as the list may have no room for it."""
    found = [f"eval loss {number(row.best)}"] if row.best is not None else []
    found += [f"{number(row.energy_wh, 1)} Wh"] if row.energy_wh is not None else []
    for name, value in row.metrics[:4]:
        known = metric_name(name)
        found.append(f"{known.label if known else name} {number(value)}")
    return "  ".join(found)


def columns_for(order: Order) -> tuple[Column, ...]:
    """Return the columns; the one that is sorted by stays where others give way."""
    kept = {"eval": "best"}.get(order.sort, order.sort)
    return tuple(replace(column, rank=0) if column.name == kept else column for column in COLUMNS)


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
