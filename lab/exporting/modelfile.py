"""An Ollama Modelfile: which file, the chat template in Go's language, stop tokens, sampling. Called by `gguf`.

Ollama's templates are no Jinja, so the run's template is rendered around marks, and the text between them is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.data.template import Template
from lab.errors import DataError
from lab.profile.schema import Evaluate

if TYPE_CHECKING:
    from collections.abc import Sequence

SYSTEM, USER, ANSWER, AGAIN = (f"lab-{name}-mark" for name in ("system", "user", "answer", "again"))


@dataclass(frozen=True)
class Turns:
    """The text that a template writes around contents.

    Attributes:
        begin: before the first user turn, without a system message.
        system: before a system message, and after it up to the user's text.
        user: before the text of any user turn.
        answer: between a user's text and an answer to come.
        lead: before an answer that is there, where that differs.
        after: behind an answer.
        folded: the system message stands inside the first user turn.
    """

    begin: str
    system: tuple[str, str]
    user: str
    answer: str
    lead: str
    after: str
    folded: bool


def modelfile(file: str, template: Template, decoding: Evaluate, stops: Sequence[str]) -> str:
    """Return the content of a Modelfile for the GGUF `file` beside it.

    Raises:
        DataError: the template renders no plain conversation.
    """
    lines = [f"FROM ./{file}", f'TEMPLATE """{go_template(turns_of(template))}"""']
    lines += [f'PARAMETER stop "{_quoted(stop)}"' for stop in stops]
    lines += [f"PARAMETER temperature {decoding.temperature}", f"PARAMETER top_p {decoding.top_p}"]
    lines.append(f"PARAMETER repeat_penalty {decoding.repetition_penalty}")
    return "\n".join(lines) + "\n"


def turns_of(template: Template) -> Turns:
    """Find out what `template` writes around contents, by rendering it."""
    try:
        chat = _chat(template, ("user", USER), ("assistant", ANSWER), ("user", AGAIN))
        begin, reply, between, answer = _split(chat, USER, ANSWER, AGAIN)
    except ValueError as error:
        raise DataError(f"The chat template cannot be put into a Modelfile ({error}).", "Write one by hand.") from error
    user = _common_end(begin, between)
    first, after = _without_bos(begin.removesuffix(user), template), between.removesuffix(user)
    lead = reply.removeprefix(answer)
    plain = Turns(first, ("", ""), user, answer, lead, after, False)
    try:
        head, link, _ = _split(_chat(template, ("system", SYSTEM), ("user", USER)), SYSTEM, USER)
    except ValueError:  # it knows no system message
        return plain
    folded = not link.endswith(user)
    before = "" if folded else _without_bos(head, template)
    return Turns(plain.begin, (before, link.removesuffix(user)), user, answer, lead, after, folded)


def go_template(turns: Turns) -> str:
    """Return the template in Go's language (https://docs.ollama.com/modelfile#template)."""
    before, after = turns.system
    if turns.folded:
        head = turns.begin
        system = "{{ if and (le $i 1) $.System }}{{ $.System }}" + after + "{{ end }}"
    else:
        head = "{{ if .System }}" + before + "{{ .System }}" + after + "{{ else }}" + turns.begin + "{{ end }}"
        system = ""
    return (
        f"{head}{{{{ range $i, $m := .Messages }}}}"
        f'{{{{ if eq $m.Role "user" }}}}{turns.user}{system}{{{{ $m.Content }}}}{turns.answer}'
        f'{{{{ else if eq $m.Role "assistant" }}}}{turns.lead}{{{{ $m.Content }}}}{turns.after}'
        "{{ end }}{{ end }}"
    )


def _chat(template: Template, *turns: tuple[str, str]) -> str:
    return template.render([{"role": role, "content": content} for role, content in turns], generation=True)


def _split(text: str, *marks: str) -> list[str]:
    """Return what stands before, between and behind `marks`. Raises ValueError where one is missing."""
    parts = []
    for mark in marks:
        before, found, text = text.partition(mark)
        if not found:
            raise ValueError(f"it leaves out {mark}")
        parts.append(before)
    return [*parts, text]


def _common_end(first: str, second: str) -> str:
    size = 0
    while size < min(len(first), len(second)) and first[-1 - size] == second[-1 - size]:
        size += 1
    return first[len(first) - size :]


def _without_bos(text: str, template: Template) -> str:
    """Return `text` without the token that llama.cpp puts in front itself."""
    bos = template.tokenizer.bos_token
    begins = bos and template.tokenizer("a").input_ids[:1] == [template.tokenizer.bos_token_id]
    return text.removeprefix(bos) if begins else text


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
