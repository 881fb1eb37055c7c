"""Blind rating as parts: two answers without their names, and at the end what the verdicts amount to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.console.looks import Looks
from lab.console.sampleparts import GAP, NARROWEST, Texts, below, beside, prompt_lines
from lab.console.widgets.parts import Part
from lab.console.widgets.wrap import wrap

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.compare.rating import Question, Session


def question_lines(question: Question, width: int, looks: Looks, *, reference: bool) -> list[list[Part]]:
    """Return the prompt over both answers; nothing tells whose they are.

    A long prompt is cut, so that the answers stay in sight, and told whole below them.
    """
    prompt = prompt_lines(question.prompt, width, whole=False, where="below the answers")
    whole = prompt_lines(question.prompt, width, whole=True)
    rest = [[], *whole] if len(whole) > len(prompt) else []
    lines = [*prompt, []]
    if reference:
        lines += below([([("reference", "$accent")], [("\n".join(question.references) or "-", "")])], width)
    texts: Texts = [
        ([(name, "bold $primary")], [(text or "(empty)", "" if text else "$quiet")])
        for name, text in (("1", question.left), ("2", question.right))
    ]
    room = (width - GAP) // 2
    answers = beside(texts, room, looks) if room >= NARROWEST else below(texts, width)
    return [*lines, *answers, *rest]


def heading(session: Session, *, done: bool) -> tuple[list[Part], list[Part]]:
    """Return how far the rating is."""
    judged = len(session.questions) - len(session.open)
    left: list[Part] = [("which answer is better?  ", "bold")] if not done else [("the verdicts so far  ", "bold")]
    return [*left, (f"{judged} of {len(session.questions)} judged", "$quiet")], [("esc closes", "$quiet")]


def result_lines(session: Session, run: str, names: Mapping[str, str], width: int) -> list[list[Part]]:
    """Return the win rate with its interval, what it is made of, and the flagged rows; here the names are said."""
    from lab.compare.rating import summary
    from lab.compare.views.ratings import summary_as_text

    text = summary_as_text(summary(session, run), names)
    hint = "v goes on judging" if session.open else "All pairs are judged. u takes the last verdict back."
    return [*wrap([(text, "")], width), [], [(hint, "$quiet")]]
