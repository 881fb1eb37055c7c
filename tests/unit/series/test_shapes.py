"""Parameter counts as transformers instantiates them (on the meta device), and adapters as PEFT builds them."""

from __future__ import annotations

from typing import Any

import pytest

from lab.errors import UsageError
from lab.series.families import shape_from_config
from lab.series.shapes import ModelShape, ParameterCounts, adapter_parameters, parameter_counts


def config(kind: str, *sizes: int, tied: bool | None = None, **more: Any) -> dict[str, Any]:
    """Return a config.json: hidden, intermediate, layers, heads, key-value heads, vocabulary."""
    names = ("hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads")
    values = dict(zip((*names, "vocab_size"), sizes, strict=True))
    extra = {} if tied is None else {"tie_word_embeddings": tied}
    return {"model_type": kind, **values, **extra, **more}


SMOLLM2_135M = config("llama", 576, 1536, 30, 9, 3, 49152, tied=True)
LLAMA_32_1B = config("llama", 2048, 8192, 16, 32, 8, 128256, tied=True, head_dim=64)
GEMMA_3_1B = config("gemma3_text", 1152, 6912, 26, 4, 1, 262144, head_dim=256, sliding_window=512)
TINY_BIASED = config("llama", 576, 1536, 3, 9, 3, 4915, attention_bias=True, mlp_bias=True)

# total, decoder linears, biases, norms, embedding, LoRA of rank 16 on all linears
COUNTS = [
    (SMOLLM2_135M, 134515008, 106168320, 0, 35136, 28311552, 4884480),
    (LLAMA_32_1B, 1235814400, 973078528, 0, 67584, 262668288, 11272192),
    (
        config("llama", 3072, 8192, 28, 24, 8, 128256, tied=True, head_dim=128),
        *(3212749824, 2818572288, 0, 175104, 394002432, 24313856),
    ),
    (
        config("llama", 4096, 14336, 32, 32, 8, 128256, tied=False),
        *(8030261248, 6979321856, 0, 266240, 525336576, 41943040),
    ),
    (
        config("mistral", 4096, 14336, 32, 32, 8, 32768, sliding_window=None),
        *(7248023552, 6979321856, 0, 266240, 134217728, 41943040),
    ),
    (
        config("qwen2", 896, 4864, 24, 14, 2, 151936, tied=True),
        *(494032768, 357826560, 27648, 43904, 136134656, 8798208),
    ),
    (
        config("qwen2", 1536, 8960, 28, 12, 2, 151936, tied=True),
        *(1543714304, 1310195712, 57344, 87552, 233373696, 18464768),
    ),
    (
        config("qwen2", 3584, 18944, 28, 28, 4, 152064, tied=False),
        *(7615616512, 6525288448, 129024, 204288, 544997376, 40370176),
    ),
    (
        config("qwen3", 1024, 3072, 28, 16, 8, 151936, tied=True, head_dim=128),
        *(596049920, 440401920, 0, 65536, 155582464, 10092544),
    ),
    (GEMMA_3_1B, 999885952, 697761792, 0, 134272, 301989888, 13045760),
    (
        config("gemma2", 2304, 9216, 26, 8, 4, 256000, head_dim=256),
        *(2614341888, 2024275968, 0, 241920, 589824000, 20766720),
    ),
]


@pytest.mark.parametrize(("spec", "total", "decoder", "biases", "norms", "embedding", "lora"), COUNTS)
def test_counts_are_those_of_the_real_classes(
    spec: dict[str, Any], total: int, decoder: int, biases: int, norms: int, embedding: int, lora: int
) -> None:
    shape = shape_from_config(spec)
    head = 0 if shape.tied else embedding
    assert parameter_counts(shape) == ParameterCounts(decoder, biases, norms, embedding, head)
    assert parameter_counts(shape).total == total
    assert adapter_parameters(shape, 16) == lora


def test_biases_that_a_configuration_asks_for_are_counted() -> None:
    shape = shape_from_config(TINY_BIASED)
    assert parameter_counts(shape).biases == 3 * (576 + 192 + 192 + 576 + 1536 + 1536 + 576)


@pytest.mark.parametrize(
    ("targets", "dora", "expected"),
    [
        ("attention", False, 30 * 8 * (2 * (576 + 576) + 2 * (576 + 192))),
        ("mlp", False, 30 * 8 * 3 * (576 + 1536)),
        (["q_proj", "v_proj"], False, 30 * 8 * (576 + 576 + 576 + 192)),
        (["q_proj", "q_proj"], False, 30 * 8 * (576 + 576)),
        (["q_proj"], True, 30 * (8 * (576 + 576) + 576)),
        (["lm_head"], False, 8 * (576 + 49152)),
        ([], False, 0),
    ],
)
def test_adapter_parameters(targets: str | list[str], dora: bool, expected: int) -> None:
    assert adapter_parameters(shape_from_config(SMOLLM2_135M), 8, targets, dora=dora) == expected


@pytest.mark.parametrize(
    ("targets", "message"),
    [("atention", "Did you mean 'attention'"), (["q_proj", "v_prj"], "Did you mean 'v_proj'")],
)
def test_unknown_targets_are_refused(targets: str | list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        adapter_parameters(shape_from_config(SMOLLM2_135M), 8, targets)


@pytest.mark.parametrize(
    ("spec", "window", "layers"),
    [
        (GEMMA_3_1B, 512, 22),
        ({**GEMMA_3_1B, "layer_types": ["sliding_attention"] * 20 + ["full_attention"] * 6}, 512, 20),
        (config("gemma2", 2304, 9216, 26, 8, 4, 256000), 4096, 13),
        (config("mistral", 4096, 14336, 32, 32, 8, 32000, sliding_window=4096), 4096, 32),
        (config("mistral", 4096, 14336, 32, 32, 8, 32768, sliding_window=None), 0, 0),
        (config("qwen2", 896, 4864, 24, 14, 2, 151936, sliding_window=4096), 0, 0),
        (
            config(
                "qwen2",
                896,
                4864,
                24,
                14,
                2,
                151936,
                sliding_window=4096,
                use_sliding_window=True,
                max_window_layers=20,
            ),
            *(4096, 4),
        ),
        (LLAMA_32_1B, 0, 0),
    ],
)
def test_sliding_layers(spec: dict[str, Any], window: int, layers: int) -> None:
    shape = shape_from_config(spec)
    assert (shape.window, shape.windowed_layers) == (window, layers)


def test_keys_that_are_left_out_take_the_family_s_defaults() -> None:
    nested = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text", "num_hidden_layers": 7}}
    assert shape_from_config(nested) == ModelShape(
        2304, 9216, 7, 8, 4, 256, 262208, tied=True, hidden_norms=4, head_norms=2, window=4096, windowed_layers=6
    )
    plain = config("llama", 64, 128, 2, 4, 2, 100)
    del plain["num_key_value_heads"]
    shape = shape_from_config(plain)
    assert (shape.kv_heads, shape.head_dim, shape.tied) == (4, 16, False)


def test_a_tied_head_may_be_said_outside_the_text_part() -> None:
    text = config("llama", 64, 128, 2, 4, 2, 100)
    assert shape_from_config({"model_type": "llava", "tie_word_embeddings": True, "text_config": text}).tied


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (config("mixtral", 64, 128, 2, 4, 2, 100), "'mixtral'"),
        ({}, "''"),
        ({"model_type": "ev\x1b[31mil"}, "'evil'"),
        ({**LLAMA_32_1B, "hidden_size": None}, "'hidden_size' is missing"),
        ({**LLAMA_32_1B, "hidden_size": "2048"}, "'hidden_size' is no positive"),
        ({**LLAMA_32_1B, "num_hidden_layers": 0}, "'num_hidden_layers' is no positive"),
        ({**LLAMA_32_1B, "vocab_size": True}, "'vocab_size' is no positive"),
    ],
)
def test_what_cannot_be_told_is_refused(spec: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        shape_from_config(spec)
