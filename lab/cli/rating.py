"""`lab samples A B --rate`: blind A/B in the terminal, and `--ratings`: what the verdicts amount to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import typer

from lab.cli.output import note, print_json, width

if TYPE_CHECKING:
    from lab.compare.rating import Question, Session, Summary
    from lab.runs.store import RunInfo

KEYS = "1 or 2 better   t tie   s skip   r reference   f TEXT flag   u undo   q quit"
VERDICTS = {"1": "left", "2": "right", "t": "tie", "s": "skip"}


def rate(infos: Sequence[RunInfo], *, seed: int = 0) -> None:
    """Ask for a verdict on each open pair, without saying whose answer is whose, until all are judged or `q`."""
    session = open_session(infos, seed=seed)
    typer.echo(f"{len(session.open)} pairs to judge, in a random order. {KEYS}\n")
    while (question := session.next) is not None:
        typer.echo(_shown(session, question))
        if not _answered(session, question):
            break
    typer.echo()
    print_summary(infos, session)


def show(infos: Sequence[RunInfo], *, json: bool = False) -> None:
    """Print what was said of two runs so far."""
    print_summary(infos, open_session(infos), json=json)


def open_session(infos: Sequence[RunInfo], *, seed: int = 0) -> Session:
    """Return the session of two runs. Raises UsageError for more or fewer, DataError for runs without common rows."""
    from lab.compare.entry import load_entry
    from lab.compare.rating import begin
    from lab.errors import UsageError

    if len(infos) != 2:
        raise UsageError(f"Rating takes two runs, not {len(infos)}.", "Name two: `lab samples A B --rate`.")
    one, other = infos
    return begin(load_entry(one), load_entry(other), (one.run, other.run), seed=seed)


def _answered(session: Session, question: Question) -> bool:
    """Ask until something moves on; False means to leave."""
    from lab.compare.rating import flag, record, undo

    acts: dict[str, Callable[[str], None]] = {
        "f": lambda text: flag(session, question, text),
        "r": lambda text: typer.echo("reference:\n" + "\n".join(question.references) + "\n"),
    }
    while True:
        try:
            key, _, text = input("> ").strip().partition(" ")
        except EOFError:
            return False
        if key in VERDICTS:
            record(session, question, VERDICTS[key])
            return True
        if key in ("q", "u"):
            if key == "u" and undo(session) is None:
                note("There is nothing to take back.")
            return key == "u"
        if key in acts:
            acts[key](text)
        elif key:
            note(KEYS)


def _shown(session: Session, question: Question) -> str:
    """Return a pair side by side, under names that say nothing."""
    from lab.cli.compare import ascii_only
    from lab.compare.views.samples import pair_as_text

    done = len(session.questions) - len(session.open)
    title = f"{done + 1} of {len(session.questions)}"
    texts = [("1", question.left), ("2", question.right)]
    return pair_as_text(title, question.prompt, texts, width(), ascii_only=ascii_only())


def print_summary(infos: Sequence[RunInfo], session: Session, *, json: bool = False) -> None:
    """Print what the verdicts amount to, seen from the run that was named first."""
    from lab.compare.rating import summary
    from lab.compare.views.ratings import summary_as_text

    found = summary(session, infos[0].id)
    if json:
        print_json(as_json(found))
    else:
        typer.echo(summary_as_text(found, {info.id: _name(info) for info in infos}))


def as_json(found: Summary) -> dict[str, Any]:
    """Return what `lab samples --ratings --json` prints."""
    notes = [{"row": row, "note": text} for row, text in found.notes]
    return {**vars(found), "notes": notes}


def _name(info: RunInfo) -> str:
    return info.labels.row or info.labels.name or info.id
