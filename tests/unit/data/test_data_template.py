from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from lab.data.masks import encode
from lab.data.template import choose_template
from lab.errors import DataError, NotFoundError

JINJA = "{% for m in messages %}{{ m['role'] + ': ' + m['content'] + eos_token }}{% endfor %}"


def test_auto_is_the_tokenizers_own(chatml: Any) -> None:
    template = choose_template(chatml, "auto")
    assert (template.source, template.text) == ("tokenizer", chatml.chat_template)
    assert template.hash == hashlib.sha256(chatml.chat_template.encode()).hexdigest()[:12]


def test_a_file_wins_over_the_tokenizer(chatml: Any, tmp_path: Path) -> None:
    path = tmp_path / "chat.jinja"
    path.write_text(JINJA)
    template = choose_template(chatml, str(path))
    assert template.source == str(path)
    assert template.render([{"role": "user", "content": "hi"}]) == "user: hi<|im_end|>"
    assert template.hash != choose_template(chatml, "auto").hash


def test_the_default_among_several(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer("</s>", eos="</s>", template={"default": JINJA, "tools": "x"})
    assert choose_template(tokenizer, "auto").text == JINJA


def test_alpaca_takes_system_messages_for_its_preamble(base: Any, row: Any) -> None:
    chat = row(("system", "Be kind."), ("user", "Hi"), ("assistant", "Ho"))
    encoded = encode(chat, choose_template(base, "auto"), "last")
    assert base.decode(encoded.input_ids) == "Be kind.\n\n### Instruction:\nHi\n\n### Response:\nHo</s>"


def test_a_date_in_the_template_does_not_change_from_day_to_day(make_tokenizer: Any) -> None:
    text = (
        "\n{% macro said(m) %}{{ m['content'] + strftime_now(' (%d %b %Y)') }}{% endmacro %}"
        "{% if strftime_now is defined %}{{ strftime_now('%Y-%m-%d') }}{% endif %} "
        "{% for m in messages %}{{ said(m) + eos_token }}{% endfor %}"
    )
    template = choose_template(make_tokenizer("</s>", eos="</s>", template=text), "auto")
    assert template.render([{"role": "user", "content": "hi"}]) == "\n2024-07-26 hi (26 Jul 2024)</s>"


def test_special_tokens_are_known_as_control(chatml: Any) -> None:
    control = choose_template(chatml, "auto").control
    assert [m.group() for m in control.finditer("a<|im_end|>b<|endoftext|><|im_")] == ["<|im_end|>", "<|endoftext|>"]


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("{% for m in messages %}{{ m['role'] }}{% endfor %}", "user"),
        ("{% for m in messages %}{% if m['role'] == 'user' %}{{ m['content'] }}{% endif %}{% endfor %}", "assistant"),
        ("{% for m in messages %}{{ m['content'] | upper }}{% endfor %}", "user"),
        ("{% for m in messages %}{% for p in m['content'] %}{{ p.text }}{% endfor %}{% endfor %}", "user"),
    ],
)
def test_a_template_that_loses_words_trains_nothing(text: str, who: str, make_tokenizer: Any) -> None:
    with pytest.raises(DataError, match=f"leaves out or changes what the {who} says") as error:
        choose_template(make_tokenizer("</s>", eos="</s>", template=text), "auto")
    assert "data.template" in error.value.remedy


@pytest.mark.parametrize(
    ("content", "kind", "problem", "remedy"),
    [
        (None, NotFoundError, "cannot be read", "data.template"),
        (b"\xff", DataError, "is not UTF-8 text", "UTF-8"),
        (b"{% for m in messages %}", DataError, "cannot be rendered", "data.template"),
        (b"{{ messages[0].content + nothing.at_all }}", DataError, "cannot be rendered", "data.template"),
        (b"{{ raise_exception('\x1b[31mno') }}", DataError, "cannot be rendered: no.", "data.template"),
        (b"{{ ''.__class__.__mro__ }}{{ 1 + '' }}", DataError, "cannot be rendered", "data.template"),
    ],
)
def test_templates_that_do_not_work(
    content: bytes | None, kind: type[Exception], problem: str, remedy: str, chatml: Any, tmp_path: Path
) -> None:
    path = tmp_path / "chat.jinja"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(kind) as error:
        choose_template(chatml, str(path))
    assert isinstance(error.value, DataError | NotFoundError)
    assert problem in error.value.problem
    assert remedy in error.value.remedy


def test_several_templates_without_a_default(make_tokenizer: Any) -> None:
    tokenizer = make_tokenizer("</s>", eos="</s>", template={"rag": "x", "tools": "y"})
    with pytest.raises(DataError, match=r"several chat templates.*data\.template"):
        choose_template(tokenizer, "auto")


def test_neither_template_nor_eos(make_tokenizer: Any) -> None:
    with pytest.raises(DataError, match="neither a chat template nor an EOS token"):
        choose_template(make_tokenizer(eos=None), "auto")


def test_a_template_that_ends_no_turn_without_eos(make_tokenizer: Any, row: Any) -> None:
    tokenizer = make_tokenizer(eos=None, template="{% for m in messages %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(DataError, match=r"has a token that ends a turn\. Set data\.template"):
        encode(row("a", "b"), choose_template(tokenizer, "auto"), "last")
