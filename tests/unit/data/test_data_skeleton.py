"""One rendering a chat: what a skeleton finds is what rendering the beginnings finds, or it is not used."""

from __future__ import annotations

import random
from typing import Any

import pytest

from lab.data import turns
from lab.data.rows import Message, Row
from lab.data.skeleton import learn
from lab.data.template import choose_template
from lab.data.turns import RowError, render, render_all
from tests.fixtures.chat_templates import FAMILIES, template_text

WORDS = [
    "",
    " ",
    "\n",
    "Rome",
    "assistant",
    "user\n",
    " <|im_",
    "é 🙂",
    "[INST",
    "a  b",
    "\t",
    "model\n",
    "lab-mark-1-",
]
LOOKS_INSIDE = (
    "{% for m in messages %}{{ '<|im_start|>' + m['role'] + '\n' }}"
    "{% if 'Rome' in m['content'] %}{{ '(of Rome) ' }}{% endif %}{{ m['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
CHATML = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def rows(count: int, seed: int = 0) -> list[Row]:
    """Return chats of all kinds: odd white space, words of the templates, empty turns, with and without system."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        said = [("system", "x")] if draw.random() < 0.3 else []
        for _ in range(draw.choice((1, 1, 2, 3))):
            said += [("user", "u"), ("assistant", "a")]
        texts = ["".join(draw.choices(WORDS, k=draw.randint(1, 5))) for _ in said]
        messages = (Message(role, text) for (role, _), text in zip(said, texts, strict=True))
        found.append(Row(str(number), tuple(messages), "", "r"))
    return found


def outcome(item: Any) -> Any:
    return (item.reason, str(item)) if isinstance(item, RowError) else item


def slowly(row: Row, template: Any) -> Any:
    try:
        return render(row, template)
    except RowError as refusal:
        return refusal


@pytest.mark.parametrize("name", [*FAMILIES, "looks inside"])
def test_the_fast_way_finds_what_the_slow_way_finds(name: str, make_tokenizer: Any) -> None:
    if name == "looks inside":
        tokenizer = make_tokenizer(*CHATML, eos="<|im_end|>", template=LOOKS_INSIDE)
    else:
        f = FAMILIES[name]
        tokenizer = make_tokenizer(*f.special, eos=f.eos, bos=f.bos, template=template_text(name), llama3=f.llama3)
    template = choose_template(tokenizer, "auto")
    chats = rows(120)
    assert [outcome(item) for item in render_all(chats, template)] == [outcome(slowly(row, template)) for row in chats]


@pytest.mark.parametrize("name", FAMILIES)
def test_known_families_have_skeletons(name: str, make_tokenizer: Any) -> None:
    f = FAMILIES[name]
    tokenizer = make_tokenizer(*f.special, eos=f.eos, bos=f.bos, template=template_text(name), llama3=f.llama3)
    skeleton = learn(("user", "assistant", "user", "assistant"), choose_template(tokenizer, "auto"))
    assert skeleton is not None
    assert sorted(skeleton.margins) == [1, 3]


def test_a_refused_chat_does_not_spoil_the_others(make_tokenizer: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    f = FAMILIES["gemma-2"]
    tokenizer = make_tokenizer(*f.special, eos=f.eos, bos=f.bos, template=template_text("gemma-2"))
    template = choose_template(tokenizer, "auto")
    chats = [row for row in rows(40) if all(m.content.strip() for m in row.messages)]
    bad = Row("bad", (Message("user", "a"), Message("user", "b"), Message("assistant", "c")), "", "r")
    found = render_all([*chats[:3], bad, *chats[3:]], template)
    assert "must alternate" in str(found[3])
    assert [outcome(x) for x in found[:3] + found[4:]] == [outcome(slowly(row, template)) for row in chats]


def test_chats_are_rendered_once(chatml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    slow: list[Any] = []
    monkeypatch.setattr(turns, "find_turns", lambda *arguments: slow.append(1))
    template = choose_template(chatml, "auto")
    chats = [Row(str(n), (Message("user", f"q {n}"), Message("assistant", f"a {n}")), "", "r") for n in range(50)]
    assert len(render_all(chats, template)) == 50
    assert slow == []
