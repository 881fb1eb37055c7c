"""Ollama's templates from the run's own: what Go's template writes is what Jinja writes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.data.template import Template, choose_template
from lab.exporting.modelfile import go_template, modelfile, turns_of
from lab.profile.schema import Evaluate
from tests.fixtures.tiny_families import _TOKENIZERS, FAMILIES

SYSTEM = {"role": "system", "content": "Be brief."}
CHAT = [
    {"role": "user", "content": "One?"},
    {"role": "assistant", "content": "Yes."},
    {"role": "user", "content": "Two?"},
]


def template(family: str) -> Template:
    return choose_template(_TOKENIZERS[family](), "auto")


def go(text: str, chat: list[dict[str, str]]) -> str:
    """Evaluate the few constructs that `go_template` writes, as Go would."""
    system = chat[0]["content"] if chat[0]["role"] == "system" else ""
    head, _, body = text.partition("{{ range $i, $m := .Messages }}")
    match = re.fullmatch(r"\{\{ if \.System \}\}(.*)\{\{ else \}\}(.*)\{\{ end \}\}", head, re.DOTALL)
    if match:
        head = match[1].replace("{{ .System }}", system) if system else match[2]
    parts = re.fullmatch(
        r'\{\{ if eq \$m\.Role "user" \}\}(.*)\{\{ else if eq \$m\.Role "assistant" \}\}(.*)'
        r"\{\{ end \}\}\{\{ end \}\}",
        body,
        re.DOTALL,
    )
    assert parts is not None
    out = head
    for place, message in enumerate(chat):
        said = {"user": parts[1], "assistant": parts[2], "system": ""}[message["role"]]
        folded = re.search(r"\{\{ if and \(le \$i 1\) \$\.System \}\}(.*?)\{\{ end \}\}", said, re.DOTALL)
        if folded:
            shown = folded[1].replace("{{ $.System }}", system) if place <= 1 and system else ""
            said = said.replace(folded[0], shown)
        out += said.replace("{{ $m.Content }}", message["content"])
    return out


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("chat", [CHAT, CHAT[:1], [SYSTEM, *CHAT]], ids=["turns", "one turn", "system"])
def test_go_writes_what_jinja_writes(family: str, chat: list[dict[str, str]]) -> None:
    own = template(family)
    try:
        wanted = own.render(chat, generation=True)
    except ValueError:
        assert (family, chat[0]["role"]) == ("mistral", "system")
        return
    bos = own.tokenizer.bos_token or ""
    if own.tokenizer("a").input_ids[:1] == [own.tokenizer.bos_token_id]:
        wanted = wanted.removeprefix(bos)  # llama.cpp puts it in front
    assert go(go_template(turns_of(own)), chat) == wanted


def test_the_file_names_weights_stops_and_sampling(tmp_path: Path) -> None:
    text = modelfile("a.gguf", template("smollm2"), Evaluate(temperature=0.3), ["<|im_end|>", 'odd"\n'])
    assert text.startswith("FROM ./a.gguf\nTEMPLATE")
    for line in ('PARAMETER stop "<|im_end|>"', 'PARAMETER stop "odd\\"\\n"', "PARAMETER temperature 0.3"):
        assert line in text.split("\n")
