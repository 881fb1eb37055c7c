"""The model card of a run: what it is, what it learnt from, how it was measured, what it cost, how to load it.

Called by `lab export card` and `hub`. Every figure is read from the run folder; what was not measured is left out.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from lab.compare.artifacts import load_entries
from lab.compare.entry import Entry
from lab.compare.table import build_table
from lab.compare.trees import at
from lab.compare.views.markdown import as_markdown
from lab.exporting.cardbase import base_of, bundled_base, loading, origin, precisions, quantization_of, trained_over
from lab.runs.store import RunInfo
from lab.text import byte_size, duration

SETTINGS = (
    ("method", "method.kind"),
    ("variant", "method.variant"),
    ("rank", "method.rank"),
    ("alpha", "method.alpha"),
    ("dropout", "method.dropout"),
    ("target modules", "method.target_modules"),
    ("trained blocks", "method.layers"),
    ("learning rate", "train.learning_rate"),
    ("schedule", "train.scheduler"),
    ("epochs", "train.epochs"),
    ("examples a step", "train.examples_per_step"),
    ("longest row in tokens", "data.max_length"),
    ("seed", "train.seed"),
)
ONLY = {"method.layers": ("top-layer",)}
ADAPTED = ("lora", "qlora")
LIBRARIES = {"adapter": "peft", "merged": "transformers", "gguf": "gguf"}

LOADING = {
    "merged": """from transformers import AutoModelForCausalLM, AutoTokenizer

model = AutoModelForCausalLM.from_pretrained("{repo}")
tokenizer = AutoTokenizer.from_pretrained("{repo}")
""",
    "gguf": """from llama_cpp import Llama

model = Llama.from_pretrained("{repo}", filename="*.gguf")
""",
}


def model_card(info: RunInfo, what: str, repo: str = "USER/NAME", export: dict[str, Any] | None = None) -> str:
    """Return the card in Markdown with the hub's metadata in front.

    Args:
        what: "adapter", "merged" or "gguf".
        export: the content of `exported.json` where something was exported.
    """
    entries = load_entries(info)
    own = entries[0]
    base = base_of(own)
    parts = [
        _metadata(own, what, base),
        f"# {repo.partition('/')[2] or info.id}",
        _opening(own, what, base, export),
        "## Data\n\n" + _data(own),
        "## Training\n\n" + _table(_settings(own)),
        _results(entries),
        _checked(export),
        "## How to load\n\n```python\n" + _loading(own, what, repo) + "```",
        "## Licences\n\n" + _licences(own, base),
        f"Made with LoRA Lab from the run `{info.id}`.",
    ]
    return "\n\n".join(part.rstrip() for part in parts if part) + "\n"


def _metadata(own: Entry, what: str, base: str) -> str:
    """Return the YAML head; JSON's strings are YAML's, whatever a name holds."""
    sets = [
        name for source in own.data.get("sources") or [] if "/" in (name := str(source.get("name"))) and name[0] != "/"
    ]
    lines = ["---", f"base_model: {json.dumps(base)}", "tags:", "- lora-lab", f"- {own.method or 'lora'}"]
    lines.append(f"library_name: {LIBRARIES[what]}")
    lines.append("pipeline_tag: text-generation")
    if (bundled := bundled_base(own)) is not None:
        lines.append(f"license: {bundled.license.lower()}")
    if sets:
        lines += ["datasets:", *(f"- {json.dumps(name)}" for name in sets)]
    return "\n".join([*lines, "---"])


def _opening(own: Entry, what: str, base: str, export: dict[str, Any] | None) -> str:
    nouns = {"adapter": "An adapter for", "merged": "A merged model from", "gguf": "GGUF files from"}
    text = f"{nouns[what]} `{base}`, trained by {own.method}."
    if whence := origin(own):
        text += f" {whence}"
    if export is None and quantization_of(own) != "none" and (over := trained_over(own)):
        text += f" In training the base was in {over}."
    if export and export.get("quantization", "none") != "none":
        kind = "the dequantised" if export.get("base") == "dequantised" else "the full-precision"
        text += f" Training ran over a base in {export['quantization']}; what it learnt was added to {kind} base."
    if own.state != "completed":
        text += f" The run is {own.state}."
    return text


def _data(own: Entry) -> str:
    lines = []
    for source in own.data.get("sources") or []:
        name = str(source.get("name"))
        shown = name.rpartition("/")[2] if name.startswith(("/", ".")) else name
        lines.append(f"- `{shown}` ({source.get('format')}): {source.get('kept')} of {source.get('read')} rows kept")
    splits = own.data.get("splits") or {}
    counts = [f"{split.get('rows')} {name}" for name, split in splits.items() if split and split.get("rows")]
    if counts:
        lines.append(f"- Rows: {', '.join(counts)}. The test rows were never trained on.")
    return "\n".join(lines) or "Not recorded."


def _settings(own: Entry) -> Iterator[tuple[str, str]]:
    for label, key in SETTINGS:
        value = at(own.tree, key)
        if key in ONLY and own.method not in ONLY[key]:
            continue
        if key.startswith("method.") and key not in ("method.kind", *ONLY) and own.method not in ADAPTED:
            continue
        if value not in (None, ""):
            yield label, ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    yield from precisions(own)
    yield from _costs(own.cost)


def _costs(cost: dict[str, Any]) -> Iterator[tuple[str, str]]:
    shown = (
        ("trained parameters", "trainable_parameters", lambda v: f"{v:,}"),
        ("training time", "train_seconds", duration),
        ("peak memory", "peak_memory_bytes", byte_size),
        ("energy of training", "energy_wh", lambda v: f"{v:.3g} Wh"),
        ("mean power", "mean_watts", lambda v: f"{v:.0f} W"),
    )
    for label, key, words in shown:
        if cost.get(key) is not None:
            yield label, words(cost[key])
    if cost.get("energy_wh") is None:
        yield "energy of training", "not measured"


def _results(entries: list[Entry]) -> str:
    if not any(entry.metrics for entry in entries):
        return "## Results\n\nThe run was not evaluated."
    told = "On test rows that were never trained on; in brackets 95 % bootstrap intervals."
    return f"## Results\n\n{told}\n\n" + as_markdown(build_table(entries))


def _checked(export: dict[str, Any] | None) -> str:
    from lab.exporting.words import parity_lines, types_line

    if export is None:
        return ""
    held = [f"- `{name}` holds {types_line(counts)}" for name, counts in (export.get("tensors") or {}).items()]
    lines = [*(f"- {line}" for line in parity_lines(export)), *held]
    return "## Checks of the export\n\n" + "\n".join(lines) if lines else ""


def _loading(own: Entry, what: str, repo: str) -> str:
    return loading(own, repo) if what == "adapter" else LOADING[what].format(repo=repo)


def _licences(own: Entry, base: str) -> str:
    bundled = bundled_base(own)
    known = f"The terms of `{base}` hold for what was trained from it."
    if bundled is not None:
        known = f"`{base}` is under {bundled.license}."
    return f"{known} The terms of the data sets named above hold for what was learnt from them."


def _table(rows: Iterator[tuple[str, str]]) -> str:
    lines = [f"| {label} | {value.replace('|', chr(92) + '|')} |" for label, value in rows]
    return "\n".join(["| setting | value |", "|---|---|", *lines])
