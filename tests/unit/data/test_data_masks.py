"""Which tokens are learned: for each template, the conversation and its supervised part as a person reads them."""

from __future__ import annotations

from typing import Any

import pytest

from lab.data.masks import IGNORED, encode
from lab.data.template import choose_template
from lab.data.turns import render
from tests.fixtures.golden_rows import supervised
from tests.fixtures.odd_templates import CAPITALS, LLAMA2, TEMPLATES


def test_smollm2_multi_turn_reads_as_it_should(chatml: Any, row: Any) -> None:
    encoded = encode(row(*CAPITALS), choose_template(chatml, "auto"), "all-assistant")
    assert chatml.decode(encoded.input_ids) == (
        "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
        "<|im_start|>assistant\nParis.<|im_end|>\n"
        "<|im_start|>user\nAnd of Italy?<|im_end|>\n"
        "<|im_start|>assistant\nRome, the eternal city.<|im_end|>\n"
    )
    assert supervised(encoded, chatml) == ["Paris.<|im_end|>", "Rome, the eternal city.<|im_end|>"]
    assert encoded.supervised == sum(label != IGNORED for label in encoded.labels)


def test_last_supervises_only_the_last_turn(chatml: Any, row: Any) -> None:
    template = choose_template(chatml, "auto")
    every, last = (encode(row(*CAPITALS), template, train_on) for train_on in ("all-assistant", "last"))
    assert supervised(last, chatml) == ["Rome, the eternal city.<|im_end|>"]
    assert last.input_ids == every.input_ids


def test_a_tokenizer_without_a_template_gets_alpaca_with_eos_after_each_answer(base: Any, row: Any) -> None:
    template = choose_template(base, "auto")
    encoded = encode(row(*CAPITALS), template, "all-assistant")
    assert template.source == "alpaca"
    assert base.decode(encoded.input_ids) == (
        "Below is an instruction that describes a task. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nWhat is the capital of France?\n\n### Response:\nParis.</s>\n\n"
        "### Instruction:\nAnd of Italy?\n\n### Response:\nRome, the eternal city.</s>"
    )
    assert supervised(encoded, base) == ["Paris.</s>", "Rome, the eternal city.</s>"]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_kind_of_template(name: str, make_tokenizer: Any, row: Any) -> None:
    special, eos, bos, text, expected = TEMPLATES[name]
    tokenizer = make_tokenizer(*special, eos=eos, bos=bos, template=text, llama3=name == "llama-3")
    template = choose_template(tokenizer, "auto")
    encoded = encode(row(*CAPITALS), template, "all-assistant")
    assert supervised(encoded, tokenizer) == expected
    last = encode(row(*CAPITALS), template, "last")
    assert supervised(last, tokenizer) == expected[-1:]


@pytest.mark.parametrize("name", [name for name in TEMPLATES if name not in ("glm", "no special tokens")])
def test_tokens_are_those_of_the_whole_conversation(name: str, make_tokenizer: Any, row: Any) -> None:
    special, eos, bos, text, _ = TEMPLATES[name]
    tokenizer = make_tokenizer(*special, eos=eos, bos=bos, template=text, llama3=name == "llama-3")
    chat = row(*CAPITALS)
    encoded = encode(chat, choose_template(tokenizer, "auto"), "all-assistant")
    assert encoded.input_ids == tokenizer.apply_chat_template(chat.chat(), return_dict=False)


def test_the_eos_token_is_one_token_and_not_text(base: Any, row: Any) -> None:
    encoded = encode(row("a", "b"), choose_template(base, "auto"), "last")
    assert encoded.labels[-1] == base.eos_token_id


def test_bos_comes_once_where_the_tokenizer_adds_one_by_itself(make_tokenizer: Any, row: Any) -> None:
    own = make_tokenizer("<s>", "</s>", eos="</s>", bos="<s>", template=LLAMA2, adds_bos=True)
    bare = make_tokenizer("<s>", "</s>", eos="</s>", bos="<s>", adds_bos=True)
    for tokenizer in (own, bare):
        encoded = encode(row("a", "b"), choose_template(tokenizer, "auto"), "last")
        assert encoded.input_ids.count(tokenizer.bos_token_id) == 1
        assert encoded.input_ids[0] == tokenizer.bos_token_id


def test_alpaca_has_no_bos_where_the_tokenizer_adds_none(make_tokenizer: Any, row: Any) -> None:
    tokenizer = make_tokenizer("<s>", "</s>", eos="</s>", bos="<s>")
    encoded = encode(row("a", "b"), choose_template(tokenizer, "auto"), "last")
    assert tokenizer.bos_token_id not in encoded.input_ids


@pytest.mark.parametrize(
    ("turns", "expected"),
    [
        ((("user", "What is the capital of France?"), ("assistant", "Paris.")), "You are terse."),
        ((("system", "You rhyme."), ("user", "a"), ("assistant", "b")), "You rhyme."),
    ],
)
def test_the_system_prompt_goes_to_rows_without_a_system_message(
    turns: tuple[tuple[str, str], ...], expected: str, chatml: Any, row: Any
) -> None:
    encoded = encode(row(*turns), choose_template(chatml, "auto", "You are terse."), "last")
    text = chatml.decode(encoded.input_ids)
    assert text.startswith(f"<|im_start|>system\n{expected}<|im_end|>\n<|im_start|>user\n")
    assert text.count("<|im_start|>system") == 1


def test_a_conversation_that_the_assistant_begins(chatml: Any, row: Any) -> None:
    chat = row(("assistant", "Good night!"), ("user", "Good bye"), ("assistant", "Rome"))
    encoded = encode(chat, choose_template(chatml, "auto"), "all-assistant")
    assert supervised(encoded, chatml) == ["Good night!<|im_end|>", "Rome<|im_end|>"]


def test_contents_that_repeat_each_other_and_the_template(chatml: Any, row: Any) -> None:
    chat = row("assistant", "assistant", "assistant\nassistant", "user\nassistant\n")
    encoded = encode(chat, choose_template(chatml, "auto"), "all-assistant")
    assert supervised(encoded, chatml) == ["assistant<|im_end|>", "user\nassistant\n<|im_end|>"]


def test_the_next_header_is_no_end_of_turn(make_tokenizer: Any, row: Any) -> None:
    """gpt-oss ends the last turn with another token than the others, so a turn's end is known only for the last."""
    text = (
        "{% for m in messages %}{{ '<|start|>' + m['role'] + '<|message|>' + m['content'] }}"
        "{{ '<|return|>' if loop.last and m['role'] == 'assistant' else '<|end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|start|>assistant<|message|>' }}{% endif %}"
    )
    tokenizer = make_tokenizer("<|start|>", "<|message|>", "<|end|>", "<|return|>", eos="<|return|>", template=text)
    encoded = encode(row(*CAPITALS), choose_template(tokenizer, "auto"), "all-assistant")
    assert supervised(encoded, tokenizer) == ["Paris.<|end|>", "Rome, the eternal city.<|return|>"]


def test_spans_do_not_depend_on_how_they_are_found(chatml: Any, row: Any) -> None:
    rendered = render(row(*CAPITALS), choose_template(chatml, "auto"))
    assert [rendered.text[start:end] for start, end in rendered.turns] == [
        "Paris.<|im_end|>",
        "Rome, the eternal city.<|im_end|>",
    ]
