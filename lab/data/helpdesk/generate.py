"""The generator: draws labels, then a sentence plan that can carry them, then words for every slot of the plan."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product
from random import Random

from lab.data.helpdesk.cues import REFUND_CLAUSES, REFUND_TAGS, URGENCY_CLAUSES, URGENCY_TAGS
from lab.data.helpdesk.draw import chance, pick, shuffled
from lab.data.helpdesk.faults import DANGERS, DEFECTS, USES
from lab.data.helpdesk.labels import CATEGORIES, PRODUCTS, URGENCIES, Answer
from lab.data.helpdesk.noise import careless, contract, misspell
from lab.data.helpdesk.plans import PLANS_SEEN, PLANS_TEST, Plan
from lab.data.helpdesk.problems import GENERAL, TIMES, Bank
from lab.data.helpdesk.vocabulary import (
    CUSTOMERS_SEEN,
    CUSTOMERS_TEST,
    MODELS_SEEN,
    MODELS_TEST,
    PLURAL_PRODUCTS,
)

_REFUND_SHARE = {"delivery": 0.55, "defect": 0.55, "billing": 0.55, "account": 0.3, "warranty": 0.35, "how-to": 0.3}
_REASONS = frozenset({"delivery", "defect", "billing"})
"""Categories whose problems are a reason to want one's money back."""
_CONTRACTED = {"polite": 0.0, "plain": 0.3, "chatty": 0.8, "terse": 0.7, "angry": 0.6}
_MEDIUM_UNSAID = 0.35
_NO_REFUND_UNSAID = 0.5
"""Shares of the messages of medium urgency, and of those without a refund, that say nothing of it."""
_SINGULAR = {"is": "is", "has": "has", "was": "was", "them": "it"}
_PLURAL = {"is": "are", "has": "have", "was": "were", "them": "them"}


@dataclass(frozen=True)
class Style:
    """What one split may use, and how carelessly its customers write."""

    seed: int
    customers: tuple[str, ...]
    models: dict[str, tuple[str, ...]]
    plans: tuple[Plan, ...]
    fresh: float
    """Share of the clauses drawn from those that only the test split has."""
    typos: float
    """Share of the messages with one or two misspelt words."""
    careless: float
    """Share of the messages without capitals, and of those without the last full stop."""


_TRAIN = Style(20_250, CUSTOMERS_SEEN, MODELS_SEEN, PLANS_SEEN, fresh=0.0, typos=0.15, careless=0.08)
STYLES = {
    "train": _TRAIN,
    "validation": Style(20_251, CUSTOMERS_SEEN, MODELS_SEEN, PLANS_SEEN, fresh=0.0, typos=0.15, careless=0.08),
    "test": Style(20_252, CUSTOMERS_TEST, MODELS_TEST, PLANS_TEST, fresh=0.2, typos=0.35, careless=0.12),
}


@dataclass(frozen=True)
class Ticket:
    """One message with its labels and the plan it was written by."""

    plan: str
    message: str
    answer: Answer


def tickets(style: Style, count: int, taken: set[str]) -> list[Ticket]:
    """Return `count` tickets whose messages are not in `taken`, and add them to it."""
    rng = Random(style.seed)
    kinds = list(product(PRODUCTS, CATEGORIES, URGENCIES))
    result: list[Ticket] = []
    while len(result) < count:
        for kind in shuffled(rng, kinds)[: count - len(result)]:
            ticket = _ticket(rng, style, *kind)
            while ticket.message in taken:
                ticket = _ticket(rng, style, *kind)
            taken.add(ticket.message)
            result.append(ticket)
    return result


def _ticket(rng: Random, style: Style, line: str, category: str, urgency: str) -> Ticket:
    answer = Answer(line, category, urgency, chance(rng, _REFUND_SHARE[category]))
    danger = urgency == "high" and category == "defect" and chance(rng, 0.5)
    plan = _plan(rng, style, answer, danger)
    model = pick(rng, style.models[line])
    text = _fill(rng, style, plan, answer, danger, model)
    if chance(rng, _CONTRACTED[plan.tone]):
        text = contract(text)
    if chance(rng, style.typos):
        text = misspell(rng, text, 1 if chance(rng, 0.6) else 2, keep=model)
    return Ticket(plan.id, careless(rng, text, style.careless), answer)


def _plan(rng: Random, style: Style, answer: Answer, danger: bool) -> Plan:
    """Pick a plan that says what has to be said; a danger, medium urgency and no refund may go unsaid."""
    says_urgency = not (danger or (answer.urgency == "medium" and chance(rng, _MEDIUM_UNSAID)))
    says_refund = answer.refund or not chance(rng, _NO_REFUND_UNSAID)
    fitting = [
        plan
        for plan in style.plans
        if plan.says_urgency == says_urgency
        and plan.says_refund == says_refund
        and (not plan.gives_reason or (answer.refund and answer.category in _REASONS))
        and (answer.urgency == "high" or plan.tone != "angry")
    ]
    tone = pick(rng, sorted({plan.tone for plan in fitting}))
    return pick(rng, [plan for plan in fitting if plan.tone == tone])


def _fill(rng: Random, style: Style, plan: Plan, answer: Answer, danger: bool, model: str) -> str:
    mood = "angry" if plan.tone == "angry" else answer.urgency
    customer = pick(rng, style.customers)
    words = {
        "P": _problem(rng, style, plan, answer, danger, model),
        "U": _draw(rng, style, URGENCY_CLAUSES[mood]),
        "R": _draw(rng, style, REFUND_CLAUSES[answer.refund]),
        "u": _draw(rng, style, URGENCY_TAGS[answer.urgency]),
        "r": _draw(rng, style, REFUND_TAGS[answer.refund]),
        "N": customer,
        "F": customer.split()[0],
        "so": "so" if answer.refund else "but",
        "and": "but" if answer.urgency == "low" else "and",
    }
    return _punctuate(plan.text.format(**words))


def _problem(rng: Random, style: Style, plan: Plan, answer: Answer, danger: bool, model: str) -> str:
    bank = DANGERS[answer.product] if danger else _bank(rng, answer)
    clause = _draw(rng, style, bank)
    while plan.statement and clause.endswith("?"):
        clause = _draw(rng, style, bank)
    number = _PLURAL if answer.product in PLURAL_PRODUCTS else _SINGULAR
    return clause.format(p=model, when=pick(rng, TIMES), **number)


def _bank(rng: Random, answer: Answer) -> Bank:
    special = {"defect": DEFECTS, "how-to": USES}.get(answer.category)
    if special and chance(rng, 0.6):
        return special[answer.product]
    return GENERAL[answer.category]


def _draw(rng: Random, style: Style, bank: Bank) -> str:
    return pick(rng, bank.fresh if chance(rng, style.fresh) else bank.seen)


def _punctuate(text: str) -> str:
    """Let a question keep its mark, and start every sentence with a capital."""
    text = text.replace("?.", "?")
    return re.sub(r"(?:^|[.!?] )[a-z]", lambda match: match[0].upper(), text)
