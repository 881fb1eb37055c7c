"""Masks under the templates of well-known models: against files for people's eyes, and against the rendered text."""

from __future__ import annotations

import importlib.util
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest

from lab.data.masks import Encoded, TestRow, encode_rows, encode_test_rows
from lab.data.rows import Row
from lab.data.template import choose_template
from tests.fixtures.chat_templates import CHATML, FAMILIES, template_text
from tests.fixtures.golden_rows import check, marked, page, supervised

TURNS = ("The capital of France?", "Paris.", "And of Italy?", "Rome, the eternal city.")
SYSTEM = ("system", "You are terse.")
ENDS = {
    "llama-3.2": "<|eot_id|>",
    "mistral-v0.3": "</s>",
    "smollm2": "<|im_end|>",
    "gemma-2": "<end_of_turn>",
    "gemma-3": "<end_of_turn>",
    "qwen-2.5": "<|im_end|>",
    "phi-3": "<|end|>",
}
FOLDING = ("gemma-2", "mistral-v0.3")


@pytest.fixture(scope="module")
def tokenizers(make_tokenizer: Any) -> dict[str, Any]:
    return {
        name: make_tokenizer(*f.special, eos=f.eos, bos=f.bos, template=template_text(name), llama3=f.llama3)
        for name, f in FAMILIES.items()
    }


@pytest.fixture
def chats(row: Any) -> list[Row]:
    named = [(("user", "assistant")[i % 2], text) for i, text in enumerate(TURNS)]
    return [row(*named, id="plain"), row(SYSTEM, *named, id="system")]


def encoded(rows: list[Row], tokenizer: Any, train_on: str = "all-assistant") -> list[Encoded]:
    found = encode_rows(rows, choose_template(tokenizer, "auto"), train_on)
    assert all(isinstance(item, Encoded) for item in found), found
    return [item for item in found if isinstance(item, Encoded)]


@pytest.mark.parametrize("name", FAMILIES)
def test_what_a_family_learns_reads_as_it_should(name: str, tokenizers: Any, chats: list[Row]) -> None:
    tokenizer = tokenizers[name]
    every = zip([row.chat() for row in chats], encoded(chats, tokenizer), strict=True)
    entries = [(chat, marked(item, tokenizer)) for chat, item in every]
    (last,) = encoded(chats[1:], tokenizer, "last")
    entries.append(("the second one again, train_on = last", marked(last, tokenizer)))
    check(f"template-{name}", page(f"the template of {name}", entries))


@pytest.mark.parametrize("name", FAMILIES)
def test_each_answer_and_its_end_is_learned_and_nothing_else(name: str, tokenizers: Any, chats: list[Row]) -> None:
    tokenizer = tokenizers[name]
    for item in encoded(chats, tokenizer):
        parts = supervised(item, tokenizer)
        assert [part.lstrip() for part in parts] == [f"{answer}{ENDS[name]}" for answer in TURNS[1::2]]
    for item in encoded(chats, tokenizer, "last"):
        assert [part.lstrip() for part in supervised(item, tokenizer)] == [f"{TURNS[3]}{ENDS[name]}"]


@pytest.mark.parametrize("name", FAMILIES)
def test_tokens_are_those_of_the_rendered_text(name: str, tokenizers: Any, chats: list[Row]) -> None:
    tokenizer, template = tokenizers[name], choose_template(tokenizers[name], "auto")
    for row, item in zip(chats, encoded(chats, tokenizer), strict=True):
        text = template.render(template.chat(row))
        assert item.input_ids == tokenizer(text, add_special_tokens=False)["input_ids"]
        assert "You are terse." in text or row.id == "plain"


@pytest.mark.parametrize("name", FAMILIES)
def test_prompts_are_what_the_rows_begin_with(name: str, tokenizers: Any, chats: list[Row]) -> None:
    template = choose_template(tokenizers[name], "auto")
    for row, test in zip(chats, encode_test_rows(chats, template), strict=True):
        assert isinstance(test, TestRow)
        assert test.prompt_text == template.render(template.chat(row)[:-1], generation=True)
        assert test.encoded.input_ids[: len(test.prompt_ids)] == test.prompt_ids
        assert "Rome" not in test.prompt_text


@pytest.mark.parametrize("name", FAMILIES)
def test_templates_without_a_system_role_get_it_in_the_first_user_turn(
    name: str, tokenizers: Any, chats: list[Row]
) -> None:
    template = choose_template(tokenizers[name], "auto")
    assert template.folds == (name in FOLDING)
    roles = [message["role"] for message in template.chat(chats[1])]
    assert roles == (["user", "assistant"] * 2 if template.folds else ["system", *["user", "assistant"] * 2])
    if template.folds:
        assert template.chat(chats[1])[0]["content"] == "You are terse.\n\nThe capital of France?"


def test_a_system_message_without_a_user_turn_is_not_folded(tokenizers: Any, row: Any) -> None:
    (refused,) = encode_rows(
        [row(SYSTEM, ("assistant", "Hello!"))], choose_template(tokenizers["gemma-2"], "auto"), "last"
    )
    assert "System role not supported" in str(refused)


def test_the_chats_of_a_system_prompt_are_folded_too(tokenizers: Any, chats: list[Row]) -> None:
    template = choose_template(tokenizers["mistral-v0.3"], "auto", "Be kind.")
    assert template.chat(chats[0])[0] == {"role": "user", "content": "Be kind.\n\nThe capital of France?"}
    assert template.chat(chats[1])[0]["content"].startswith("You are terse.\n\n")


TRL = {  # TRL's file: special tokens, EOS, BOS
    "llama3": (("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"), "<|eot_id|>"),
    "gemma": (("<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"), "<eos>"),
    "gemma3": (("<eos>", "<bos>", "<start_of_turn>", "<end_of_turn>"), "<eos>"),
    "qwen2_5": (CHATML, "<|im_end|>"),
    "phi3": (("<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"), "<|endoftext|>"),
    "phi3_5": (("<|end|>", "<|system|>", "<|user|>", "<|assistant|>", "<|endoftext|>"), "<|endoftext|>"),
}


@pytest.mark.parametrize("name", TRL)
def test_masks_agree_with_the_marked_templates_of_trl(name: str, make_tokenizer: Any, chats: list[Row]) -> None:
    """TRL marks in its copies of these templates what the assistant writes; found here without marks, it is the same
    but for white space around a turn, and Phi-3's second end."""
    special, eos = TRL[name]
    spec = importlib.util.find_spec("trl")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "chat_templates"
    bos = next((token for token in special if token in ("<|begin_of_text|>", "<bos>")), None)
    own, marks = ((folder / f"{name}{end}.jinja").read_text() for end in ("", "_training"))
    tokenizer = make_tokenizer(*special, eos=eos, bos=bos, template=own, llama3=name == "llama3")
    (item,) = encoded(chats[:1], tokenizer)
    theirs = tokenizer.apply_chat_template(
        chats[0].chat(), chat_template=marks, return_dict=True, return_assistant_tokens_mask=True
    )
    pairs = groupby(zip(theirs["input_ids"], theirs["assistant_masks"], strict=True), key=lambda pair: pair[1])
    expected = [tokenizer.decode([token for token, _ in part]).strip() for flag, part in pairs if flag]
    second_end = "" if eos in supervised(item, tokenizer)[0] else eos
    assert supervised(item, tokenizer) == [text.removesuffix(second_end).strip() for text in expected]
