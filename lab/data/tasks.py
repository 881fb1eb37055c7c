"""Readers of plain texts and of data sets that are a task: SQuAD, SST-2, PubMedQA. Called through `formats.FORMATS`.

A task's question is worded here, once, so that every model of a table is asked the same.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lab.data.fields import Exchange, Fields, FormatError, kind, text, texts
from lab.data.rows import Message
from lab.text import sanitize

SQUAD = (
    "Answer the question with the shortest phrase of the text that answers it.\n\n"
    "Text: {context}\n\nQuestion: {question}"
)
SST2 = 'Is the sentiment of this sentence positive or negative? Answer with "positive" or "negative" alone.\n\n{text}'
PUBMEDQA = (
    "Answer the question about biomedical research with yes, no or maybe alone.\n\n{abstract}Question: {question}"
)

SENTIMENTS = {"0": "negative", "1": "positive", "negative": "negative", "positive": "positive"}
DECISIONS = ("yes", "no", "maybe")


def read_text(fields: Fields) -> Exchange:
    """Read a text that is learned whole."""
    return Exchange([Message("assistant", text(fields, "text"))])


def read_squad(fields: Fields) -> Exchange:
    """Read a question about a text. The first answer is learned; any of them is right."""
    answers = list(dict.fromkeys(answer for answer in _answers(fields.get("answers")) if answer.strip()))
    if not answers:
        raise FormatError("'answers' holds no text, so the question cannot be answered from its context")
    asked = SQUAD.format(context=text(fields, "context").strip(), question=text(fields, "question").strip())
    return Exchange([Message("user", asked), Message("assistant", answers[0])], tuple(answers[1:]))


def read_sst2(fields: Fields) -> Exchange:
    """Read a sentence and its sentiment: label 1 is "positive", 0 is "negative", and the words stand for themselves."""
    label = fields.get("label")
    known = isinstance(label, int | str) and not isinstance(label, bool)
    word = SENTIMENTS.get(str(label).strip().lower()) if known else None
    if word is None:
        told = kind(label) if label is None or not known else f"'{_short(label)}'"
        raise FormatError(f"'label' is {told}, not 0, 1, negative or positive")
    asked = SST2.format(text=text(fields, "sentence").strip())
    return Exchange([Message("user", asked), Message("assistant", word)])


def read_pubmedqa(fields: Fields) -> Exchange:
    """Read a question, the abstract without its conclusion, and the decision: yes, no or maybe."""
    decision = text(fields, "final_decision").strip().lower()
    if decision not in DECISIONS:
        raise FormatError(f"'final_decision' is '{_short(decision)}', not yes, no or maybe")
    abstract = "\n".join(part for part in _contexts(fields) if part.strip())
    question = text(fields, "question").strip()
    asked = PUBMEDQA.format(abstract=f"Abstract: {abstract}\n\n" if abstract else "", question=question)
    return Exchange([Message("user", asked), Message("assistant", decision)])


def _answers(value: Any) -> list[str]:
    """Read answers as {"text": [...]}, as the hub has them, as [{"text": ...}], the original, or as a list of texts."""
    if isinstance(value, Mapping):
        value = value.get("text")
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        value = [item.get("text") if isinstance(item, Mapping) else item for item in value]
    return texts(value, "answers")


def _contexts(fields: Fields) -> list[str]:
    """Read the abstract's parts: `contexts`, or `context` as text or as the hub nests it."""
    if fields.get("contexts") is not None:
        return texts(fields["contexts"], "contexts")
    context = fields.get("context")
    if isinstance(context, Mapping):
        return texts(context.get("contexts"), "context.contexts")
    return [] if context is None else [text(fields, "context")]


def _short(value: Any) -> str:
    return sanitize(str(value), newlines=False, limit=40)
