"""Rows of every format, the text that they become, and what of it is learned: compared with files for people's eyes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab.data.prepare import prepare
from lab.profile.schema import Data, Profile, Source
from tests.fixtures.golden_rows import CLOSE, OPEN, check, marked, page

ROWS: dict[str, list[dict[str, Any]]] = {
    "alpaca": [
        {"instruction": "What is the capital of France?", "input": "", "output": "Paris."},
        {"instruction": "Translate to Italian.", "input": "Good night!", "output": "Buona notte!"},
    ],
    "sharegpt": [
        {
            "conversations": [
                {"from": "system", "value": "You are terse."},
                {"from": "human", "value": "The capital of France?"},
                {"from": "gpt", "value": "Paris."},
                {"from": "human", "value": "And of Italy?"},
                {"from": "gpt", "value": "Rome."},
                {"from": "human", "value": "Thanks!"},
            ]
        }
    ],
    "messages": [
        {
            "messages": [
                {"role": "user", "content": "The capital of France?"},
                {"role": "assistant", "content": "Paris."},
                {"role": "user", "content": "And of Italy?"},
                {"role": "assistant", "content": "Rome, the eternal city."},
            ]
        }
    ],
    "prompt-completion": [{"prompt": "The capital of France?", "completion": "Paris."}],
    "text": [{"text": "Rome is the capital of Italy.\nIt is called the eternal city."}],
    "squad": [
        {
            "id": "5730b541",
            "title": "Italy",
            "context": "Rome, the eternal city, is the capital of Italy. It lies on the Tiber.",
            "question": "What is Rome called?",
            "answers": {"text": ["the eternal city", "eternal city", "the eternal city"], "answer_start": [6, 10, 6]},
        }
    ],
    "sst2": [{"sentence": "one long string of cliches", "label": 0}, {"sentence": "a joy to watch", "label": 1}],
    "pubmedqa": [
        {
            "pmid": "21645374",
            "question": "Do mitochondria play a role in cell death?",
            "contexts": ["Cell death makes holes in leaves.", "Mitochondria were seen to change."],
            "long_answer": "They do.",
            "final_decision": "yes",
        }
    ],
}


@pytest.fixture
def rendered(tmp_path: Path) -> Any:
    """A function from raw rows to (raw row, text with its supervised parts marked), by a whole preparation."""

    def make(raws: list[Any], tokenizer: Any, **data: Any) -> list[tuple[Any, str]]:
        path = tmp_path / "r.jsonl"
        path.write_text("".join(json.dumps(raw) + "\n" for raw in raws))
        keys = Data(source=[Source(name=str(path))], **data)
        rows = sorted(prepare(Profile(data=keys), tokenizer).train, key=lambda row: row.id)
        return [(raw, marked(row, tokenizer)) for raw, row in zip(raws, rows, strict=True)]

    return make


@pytest.mark.parametrize("name", ROWS)
def test_a_chat_model_is_taught_the_answers(name: str, rendered: Any, chatml: Any) -> None:
    check(f"format-{name}", page(f"{name}, with SmolLM2's template", rendered(ROWS[name], chatml)))


def test_only_the_last_answer(rendered: Any, chatml: Any) -> None:
    title = 'messages, with SmolLM2\'s template and train_on = "last"'
    check("format-messages-last", page(title, rendered(ROWS["messages"], chatml, train_on="last")))


@pytest.mark.parametrize("name", ["alpaca", "sharegpt", "text"])
def test_a_base_model_is_taught_the_answers(name: str, rendered: Any, make_tokenizer: Any) -> None:
    base = make_tokenizer("<s>", "</s>", eos="</s>", bos="<s>", adds_bos=True)
    check(f"base-{name}", page(f"{name}, for a base model without a template", rendered(ROWS[name], base)))


def test_a_system_prompt_and_cleaned_questions(rendered: Any, chatml: Any) -> None:
    raws = [
        {"prompt": "Explain pooling. Include an example from industry.", "completion": "It shrinks maps."},
        {"prompt": "Briefly compare LSTM and GRU.", "completion": "A GRU has fewer gates."},
    ]
    keys = {"clean": ["meta-instructions"], "system_prompt": "Answer the question alone."}
    check("cleaned", page("prompt-completion, cleaned, with a system prompt", rendered(raws, chatml, **keys)))


@pytest.mark.parametrize("name", ROWS)
def test_marks_stand_around_whole_answers(name: str, rendered: Any, chatml: Any) -> None:
    """The files above are not trusted blindly: what is marked is what the raw row calls its answers."""
    answers = {
        "alpaca": [["Paris."], ["Buona notte!"]],
        "sharegpt": [["Paris.", "Rome."]],
        "messages": [["Paris.", "Rome, the eternal city."]],
        "prompt-completion": [["Paris."]],
        "squad": [["the eternal city"]],
        "sst2": [["negative"], ["positive"]],
        "pubmedqa": [["yes"]],
        "text": [[ROWS["text"][0]["text"][1:]]],  # nothing can tell the first token
    }[name]
    for (_, text), expected in zip(rendered(ROWS[name], chatml), answers, strict=True):
        found = [part.partition(CLOSE)[0] for part in text.split(OPEN)[1:]]
        assert found == [f"{answer}<|im_end|>" for answer in expected]
