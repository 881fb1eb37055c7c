"""Plain texts, and the data sets that are a task: what is asked, what is right, and what is no such row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.data.columns import pick_format
from lab.data.fields import FormatError
from lab.data.formats import FORMATS
from lab.data.masks import TestRow, encode_test_rows
from lab.data.read import read_rows
from lab.data.rows import Message, Row, halved, split_hash
from lab.data.template import choose_template
from lab.errors import DataError
from lab.profile.schema import Data, Source

SQUAD = {"context": "Rome lies on the Tiber.", "question": "Where?", "answers": {"text": ["the Tiber", "Tiber"]}}
PUBMED = {"question": "Does it help?", "contexts": ["It was tried.", "It was seen."], "final_decision": "Yes"}


def said(name: str, raw: dict[str, Any]) -> list[str]:
    found = FORMATS[name].read(raw)
    return [*(message.content for message in found.messages), *found.alternatives]


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        ({"text": ["the Tiber", "Tiber", "the Tiber"], "answer_start": [0, 0, 0]}, ["the Tiber", "Tiber"]),
        ([{"text": "the Tiber", "answer_start": 3}, {"text": "Tiber"}], ["the Tiber", "Tiber"]),
        (["the Tiber", " "], ["the Tiber"]),
    ],
)
def test_squad_learns_the_first_answer_and_takes_any(answers: Any, expected: list[str]) -> None:
    question, *found = said("squad", {**SQUAD, "answers": answers})
    assert question.endswith("Text: Rome lies on the Tiber.\n\nQuestion: Where?")
    assert found == expected


@pytest.mark.parametrize(
    ("label", "word"),
    [(1, "positive"), (0, "negative"), ("1", "positive"), ("Negative", "negative"), ("positive", "positive")],
)
def test_sst2_labels_become_words(label: Any, word: str) -> None:
    question, answer = said("sst2", {"sentence": "a joy ", "label": label})
    assert question.endswith("alone.\n\na joy")
    assert answer == word


@pytest.mark.parametrize(
    "contexts",
    [{"contexts": ["It was tried.", "It was seen."]}, {"context": {"contexts": ["It was tried.", "It was seen."]}}],
)
def test_pubmedqa_as_its_authors_and_as_the_hub_spell_it(contexts: dict[str, Any]) -> None:
    question, answer = said("pubmedqa", {"question": "Does it help?", "final_decision": "Yes", **contexts})
    assert question.endswith("Abstract: It was tried.\nIt was seen.\n\nQuestion: Does it help?")
    assert answer == "yes"


def test_pubmedqa_without_an_abstract() -> None:
    question, _ = said("pubmedqa", {"question": "Does it help?", "final_decision": "no"})
    assert question.endswith("alone.\n\nQuestion: Does it help?")


REFUSED: dict[str, tuple[str, dict[str, Any], str]] = {
    "unanswerable": ("squad", {**SQUAD, "answers": {"text": []}}, "'answers' holds no text, so the question cannot"),
    "no answers": ("squad", {**SQUAD, "answers": None}, "'answers' is missing, not a list of texts"),
    "odd answer": ("squad", {**SQUAD, "answers": {"text": [3]}}, "'answers' holds a number where a text should be"),
    "no label": ("sst2", {"sentence": "a", "label": -1}, "'label' is '-1', not 0, 1, negative or positive"),
    "truth": ("sst2", {"sentence": "a", "label": True}, "'label' is true or false, not 0, 1"),
    "missing label": ("sst2", {"sentence": "a"}, "'label' is missing, not 0, 1"),
    "poison": ("sst2", {"sentence": "a", "label": "\x1b[1mx"}, "'label' is 'x', not"),
    "decision": ("pubmedqa", {**PUBMED, "final_decision": "perhaps"}, "'final_decision' is 'perhaps', not yes, no"),
    "contexts": ("pubmedqa", {**PUBMED, "contexts": "a"}, "'contexts' is text, not a list of texts"),
    "text": ("text", {"text": 5}, "'text' is a number, not text"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_rows_that_break_the_promise(case: str) -> None:
    name, raw, words = REFUSED[case]
    with pytest.raises(FormatError, match=words):
        FORMATS[name].read(raw)


@pytest.mark.parametrize(
    ("present", "expected"),
    [
        (["id", "title", "context", "question", "answers"], ("squad", "columns context, question, answers")),
        (["idx", "sentence", "label"], ("sst2", "columns sentence, label")),
        (
            ["pubid", "question", "context", "long_answer", "final_decision"],
            ("pubmedqa", "columns question, final_decision, context"),
        ),
        (["text", "url"], ("text", "columns text")),
        (["instruction", "input", "output", "text"], ("alpaca", "columns instruction, output, input")),
    ],
)
def test_detection_says_what_it_saw(present: list[str], expected: tuple[str, str]) -> None:
    assert pick_format(0, Source(name="s"), present) == expected


def test_a_column_map_serves_tasks_too() -> None:
    source = Source(name="s", format="sst2", columns={"sentence": "review"})
    assert pick_format(0, source, ["review", "label"]) == ("sst2", "the profile")
    with pytest.raises(DataError, match="no column 'sentence'"):
        pick_format(0, Source(name="s", format="sst2"), ["review", "label"])


def test_every_right_answer_reaches_the_test_row(tmp_path: Path, chatml: Any) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(json.dumps(SQUAD) + "\n")
    (row,) = read_rows(Data(source=[Source(name=str(path), test=1)])).splits["test"]
    (test,) = encode_test_rows([row], choose_template(chatml, "auto"))
    assert isinstance(test, TestRow)
    assert test.references == ("the Tiber", "Tiber")
    assert row.reference == "the Tiber"


def test_other_right_answers_make_another_split(row: Any) -> None:
    one = row("q", "a")
    other = Row(one.id, one.messages, "", "r", alternatives=("b",))
    assert split_hash([one]) != split_hash([other])


@pytest.mark.parametrize(
    ("text", "halves"),
    [
        ("one two three four", ("one two three", " four")),
        ("one two thre four", ("one two thre", " four")),
        ("unbroken", ("unbr", "oken")),
        ("a", ("a", "")),
    ],
)
def test_a_plain_test_row_is_asked_to_go_on(text: str, halves: tuple[str, str]) -> None:
    row = Row("1", (Message("assistant", text),), "", "r", plain=True)
    assert tuple(message.content for message in halved(row).messages) == halves


def test_a_plain_text_goes_by_no_template(chatml: Any) -> None:
    row = Row("1", (Message("assistant", "Good night and good bye"),), "", "r", plain=True)
    (test,) = encode_test_rows([row], choose_template(chatml, "auto", "You are terse."))
    assert isinstance(test, TestRow)
    assert (test.prompt_text, test.references) == ("Good night and", (" good bye",))
    assert chatml.decode(test.encoded.input_ids) == "Good night and good bye<|im_end|>"
    assert chatml.decode([t for t in test.encoded.labels if t >= 0]) == " good bye<|im_end|>"
