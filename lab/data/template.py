"""The chat template: which one, and rendering through it. Called by `prepare`; `turns` renders.

Rendering is transformers' own `apply_chat_template`, so what trains is what any other tool makes of the template.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import DataError, NotFoundError
from lab.text import sanitize

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# Stanford Alpaca's text for instructions without input (a row's input is already part of its user turn), with later
# turns in the same shape; a system message takes the place of the preamble.
ALPACA = """\
{%- if messages[0]['role'] == 'system' -%}
{{ messages[0]['content'] }}
{%- else -%}
{{ 'Below is an instruction that describes a task. Write a response that appropriately completes the request.' }}
{%- endif -%}
{%- for message in messages -%}
{%- if message['role'] == 'user' -%}
{{ '\\n\\n### Instruction:\\n' + message['content'] }}
{%- elif message['role'] == 'assistant' -%}
{{ '\\n\\n### Response:\\n' + message['content'] + eos_token }}
{%- elif not loop.first -%}
{{ '\\n\\n' + message['content'] }}
{%- endif -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{ '\\n\\n### Response:\\n' }}
{%- endif -%}
"""


# Some templates write the day's date, but a run's prompts must not depend on the day. So the date is always the one
# that Llama 3's falls back to. transformers passes no functions to templates, hence a macro of the same name.
FIXED_DATE = {"%d": "26", "%b": "Jul", "%B": "July", "%m": "07", "%Y": "2024", "%y": "24", "%A": "Friday", "%a": "Fri"}
FIXED_DATE_MACRO = (
    "{%- macro strftime_now(format) -%}{{ format"
    + "".join(f" | replace('{code}', '{value}')" for code, value in FIXED_DATE.items())
    + " }}{%- endmacro %}{{ '' }}"
)


@dataclass(frozen=True)
class Template:
    """A chat template, bound to the tokenizer whose special tokens it writes.

    Attributes:
        source: "tokenizer", "alpaca", or the path of a Jinja file.
        text: the Jinja source.
        system_prompt: system message for rows that have none.
        control: matches any special token of the tokenizer.
    """

    tokenizer: PreTrainedTokenizerBase
    source: str
    text: str
    system_prompt: str
    control: re.Pattern[str]

    @property
    def hash(self) -> str:
        """The first 12 hex digits of the text's sha256."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:12]

    def render(self, chat: list[dict[str, str]], *, generation: bool = False) -> str:
        """Return the text of a chat; `generation` ends it with the header of the answer to come.

        Raises:
            ValueError: the template refuses the chat; the text says why.
        """
        from jinja2 import TemplateError

        try:
            text: str = self.tokenizer.apply_chat_template(
                chat,
                chat_template=FIXED_DATE_MACRO + self.text if "strftime_now" in self.text else self.text,
                tokenize=False,
                add_generation_prompt=generation,
            )
        except (TemplateError, TypeError, ValueError, LookupError, AttributeError) as error:
            raise ValueError(sanitize(str(error), newlines=False, limit=200).rstrip(".")) from error
        return text


def choose_template(tokenizer: PreTrainedTokenizerBase, setting: str, system_prompt: str = "") -> Template:
    """Return the template that `data.template` asks for.

    Args:
        setting: "auto" takes the tokenizer's own, and Alpaca's text for a tokenizer without one; else a Jinja file.

    Raises:
        NotFoundError: no such file.
        DataError: the template fails on the simplest chat or loses its words, or an EOS token is needed and missing.
    """
    source, text = _own(tokenizer) if setting == "auto" else (setting, _read(setting))
    template = Template(tokenizer, source, text, system_prompt, _control(tokenizer))
    _try(template)
    return template


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
    begins = tokenizer("a").input_ids[:1] == [tokenizer.bos_token_id]
    return "{{ bos_token }}" + ALPACA if begins else ALPACA


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
