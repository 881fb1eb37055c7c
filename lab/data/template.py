"""The chat template: which one, and rendering through it. Called by `prepare`; `turns` renders.

Rendering is transformers' own `apply_chat_template`, so what trains is what any other tool makes of the template.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.data.alpaca import ALPACA, FIXED_DATE_MACRO
from lab.data.rows import Row
from lab.errors import DataError, NotFoundError
from lab.text import sanitize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Chat = list[dict[str, str]]

BATCH = 500
"""Chats that are rendered at once: a refused one makes the others of its batch be rendered one by one."""


@dataclass(frozen=True)
class Template:
    """A chat template, bound to the tokenizer whose special tokens it writes.

    Attributes:
        source: "tokenizer", "alpaca", or the path of a Jinja file.
        text: the Jinja source.
        system_prompt: system message for rows that have none.
        control: matches any special token of the tokenizer.
        folds: system messages go into the first user turn, because the template refuses or forgets them.
        begin: what the tokenizer begins a text with: BOS, or nothing.
    """

    tokenizer: PreTrainedTokenizerBase
    source: str
    text: str
    system_prompt: str
    control: re.Pattern[str]
    folds: bool = False
    begin: str = ""

    @property
    def hash(self) -> str:
        """The first 12 hex digits of the text's sha256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def chat(self, row: Row) -> Chat:
        """Return the messages of a row as this template takes them; it writes none around a plain text."""
        chat = row.chat("" if row.plain else self.system_prompt)
        return fold(chat) if self.folds and not row.plain else chat

    def render(self, chat: Chat, *, generation: bool = False) -> str:
        """Return the text of a chat; `generation` ends it with the header of the answer to come.

        Raises:
            ValueError: the template refuses the chat; the text says why.
        """
        from jinja2 import TemplateError

        try:
            text: str = self._apply(chat, generation)
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise ValueError(sanitize(str(error), newlines=False, limit=200).rstrip(".")) from error
        return text

    def render_all(self, chats: Sequence[Chat]) -> list[str | None]:
        """Return the texts of whole chats, None for one that the template refuses."""
        return [text for start in range(0, len(chats), BATCH) for text in self._batch(chats[start : start + BATCH])]

    def _batch(self, chats: Sequence[Chat]) -> list[str | None]:
        from jinja2 import TemplateError

        try:
            texts: list[str | None] = self._apply(list(chats), generation=False)
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError):
            return [self._or_none(chat) for chat in chats]  # one of them is at fault: which, shows by itself
        return texts

    def _or_none(self, chat: Chat) -> str | None:
        try:
            return self.render(chat)
        except ValueError:
            return None

    def _apply(self, chats: Chat | list[Chat], generation: bool) -> Any:
        return self.tokenizer.apply_chat_template(
            chats,
            chat_template=FIXED_DATE_MACRO + self.text if "strftime_now" in self.text else self.text,
            tokenize=False,
            add_generation_prompt=generation,
        )


def fold(chat: Chat) -> Chat:
    """Return a chat whose system message is the beginning of its first user turn; without one it stays as it is."""
    user = next((place for place, message in enumerate(chat) if message["role"] == "user"), None)
    if chat[0]["role"] != "system" or user is None:
        return chat
    folded = {"role": "user", "content": f"{chat[0]['content'].strip()}\n\n{chat[user]['content']}"}
    return [*chat[1:user], folded, *chat[user + 1 :]]


def choose_template(tokenizer: PreTrainedTokenizerBase, setting: str, system_prompt: str = "") -> Template:
    """Return the template that `data.template` asks for.

    Args:
        setting: "auto" takes the tokenizer's own, and Alpaca's text for a tokenizer without one; else a Jinja file.

    Raises:
        NotFoundError: no such file.
        DataError: the template fails on the simplest chat or loses its words, or an EOS token is needed and missing.
    """
    source, text = _own(tokenizer) if setting == "auto" else (setting, _read(setting))
    begin = tokenizer.bos_token if _begins(tokenizer) else ""
    template = Template(tokenizer, source, text, system_prompt, _control(tokenizer), begin=begin)
    _try(template)
    return replace(template, folds=not _keeps_system(template))


def _keeps_system(template: Template) -> bool:
    """Tell whether the template writes system messages, in prompts and in whole chats alike.

    Gemma 2's refuses them, Mistral's writes them only where the last turn is the user's.
    """
    said = [{"role": role, "content": f"lab-{role}"} for role in ("system", "user", "assistant")]
    try:
        return all("lab-system" in template.render(said[:end], generation=end == 2) for end in (2, 3))
    except ValueError:
        return False


def _try(template: Template) -> None:
    said = {"user": "lab-question", "assistant": "lab-answer"}
    problem, remedy = f"The chat template ({template.source})", "Set data.template to another Jinja file."
    try:
        text = template.render([{"role": role, "content": content} for role, content in said.items()])
    except ValueError as error:
        raise DataError(f"{problem} cannot be rendered: {error}.", remedy) from error
    lost = next((role for role, content in said.items() if content not in text), None)
    if lost:
        raise DataError(f"{problem} leaves out or changes what the {lost} says.", remedy)


def _own(tokenizer: PreTrainedTokenizerBase) -> tuple[str, str]:
    if not tokenizer.chat_template:
        return "alpaca", _alpaca(tokenizer)
    try:
        return "tokenizer", tokenizer.get_chat_template()
    except ValueError as error:
        problem = "The tokenizer has several chat templates and none of them is its default."
        raise DataError(problem, "Save one of them as a Jinja file and set data.template to it.") from error


def _alpaca(tokenizer: PreTrainedTokenizerBase) -> str:
    """Return Alpaca's template, with a BOS token in front where this tokenizer begins its texts with one."""
    if tokenizer.eos_token is None:
        problem = "The tokenizer has neither a chat template nor an EOS token to end an answer with."
        raise DataError(problem, "Set data.template to a Jinja file that ends each turn with a special token.")
    return "{{ bos_token }}" + ALPACA if _begins(tokenizer) else ALPACA


def _begins(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Tell whether the tokenizer begins its texts with BOS."""
    return tokenizer.bos_token_id is not None and tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]


def _read(setting: str) -> str:
    path = Path(setting).expanduser()
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        problem = f"The template file '{sanitize(setting, newlines=False)}' cannot be read ({error.strerror})."
        raise NotFoundError(problem, 'Set data.template to a Jinja file, or to "auto".') from error
    except UnicodeDecodeError as error:
        problem = f"The template file '{sanitize(setting, newlines=False)}' is not UTF-8 text."
        raise DataError(problem, "Save it as UTF-8.") from error


def _control(tokenizer: PreTrainedTokenizerBase) -> re.Pattern[str]:
    added = [token.content for token in tokenizer.added_tokens_decoder.values() if token.special]
    special = sorted({*tokenizer.all_special_tokens, *added} - {""}, key=lambda token: (-len(token), token))
    return re.compile("|".join(re.escape(token) for token in special if token.strip()) or r"(?!)")
