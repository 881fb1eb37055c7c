"""Jinja text of the lab's own: Alpaca's template, and a date that never changes. Called by `template`."""

from __future__ import annotations

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
