"""Token ids with the assistant mask: which tokens are learned. Called by `prepare` and by evaluation.

A token is supervised if it starts inside the span of a supervised turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lab.data.contents import Span
from lab.data.rows import Message, Row, halved
from lab.data.template import Template
from lab.data.tokens import Tokens, tokenise
from lab.data.turns import Rendered, RowError, render, render_all

IGNORED = -100
"""Label of a token that is not supervised: the value that PyTorch's cross entropy leaves out."""


@dataclass(frozen=True)
class Encoded:
    """One row as tokens; `labels` equal `input_ids` where supervised and are IGNORED elsewhere, unshifted."""

    id: str
    input_ids: list[int]
    labels: list[int]

    @property
    def supervised(self) -> int:
        """The number of supervised tokens."""
        return len(self.labels) - self.labels.count(IGNORED)


@dataclass(frozen=True)
class TestRow:
    """A test row as a question.

    Attributes:
        prompt_text: the conversation up to where the last answer begins, the generation prompt included.
        prompt_ids: its tokens: those with which `encoded` begins.
        encoded: the whole row with only its last turn supervised, for the reference's likelihood.
    """

    __test__ = False  # no test, whatever pytest makes of the name

    row: Row
    prompt_text: str
    prompt_ids: list[int]
    encoded: Encoded

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def group(self) -> str:
        return self.row.group

    @property
    def references(self) -> tuple[str, ...]:
        """Every right answer: what answers are held against."""
        return self.row.references


def encode(row: Row, template: Template, train_on: str) -> Encoded:
    """Return one row as tokens. Raises RowError where the row cannot be encoded."""
    (encoded,) = encode_rows([row], template, train_on)
    if isinstance(encoded, RowError):
        raise encoded
    return encoded


def encode_rows(rows: Sequence[Row], template: Template, train_on: str) -> list[Encoded | RowError]:
    """Return `rows` as tokens, in their order; a row that cannot be encoded comes back as the reason why.

    Args:
        train_on: "all-assistant" supervises every assistant turn, "last" only the last one.
    """
    encoded: list[Encoded | RowError] = []
    for row, pair in zip(rows, _tokenised(render_all(rows, template), template), strict=True):
        if isinstance(pair, RowError):
            encoded.append(pair)
            continue
        rendered, tokens = pair
        turns = rendered.turns[-1:] if train_on == "last" else rendered.turns
        encoded.append(Encoded(row.id, tokens.ids, _labels(tokens, turns)))
    return encoded


def encode_test_rows(rows: Sequence[Row], template: Template) -> list[TestRow | RowError]:
    """Return `rows` as questions, in their order; a row that cannot be encoded comes back as the reason why.

    Prompts are rendered one by one, as generation renders them. A plain text is asked to go on from its middle.
    """
    tests: list[TestRow | RowError] = []
    rows = [halved(row) if row.plain else row for row in rows]
    for row, pair in zip(rows, _tokenised([_render(row, template) for row in rows], template), strict=True):
        if isinstance(pair, RowError):
            tests.append(pair)
            continue
        rendered, tokens = pair
        turn = rendered.turns[-1]
        encoded = Encoded(row.id, tokens.ids, _labels(tokens, [turn]))
        tests.append(TestRow(row, rendered.text[: turn[0]], tokens.ids[: tokens.first_from(turn[0])], encoded))
    return tests


def stop_ids(template: Template) -> list[int]:
    """Return the tokens that end an answer: what this template ends a turn with, and the tokenizer's EOS."""
    chat = (Message("user", "a"), Message("assistant", "b"))
    last = encode(Row("probe", chat, "", ""), template, "last")
    ends = {token for token in last.labels if token != IGNORED and token in template.tokenizer.all_special_ids}
    return sorted(ends | ({template.tokenizer.eos_token_id} - {None}))


def _labels(tokens: Tokens, turns: Sequence[Span]) -> list[int]:
    labels = [IGNORED] * len(tokens.ids)
    for start, end in turns:
        first, last = tokens.first_from(start), tokens.first_from(end)
        labels[first:last] = tokens.ids[first:last]
    labels[:1] = [IGNORED]  # nothing comes before the first token to tell it from
    return labels


def _tokenised(rendered: Sequence[Rendered | RowError], template: Template) -> list[tuple[Rendered, Tokens] | RowError]:
    tokens = iter(tokenise([item for item in rendered if isinstance(item, Rendered)], template))
    return [(item, next(tokens)) if isinstance(item, Rendered) else item for item in rendered]


def _render(row: Row, template: Template) -> Rendered | RowError:
    try:
        return render(row, template)
    except RowError as refusal:
        return refusal
