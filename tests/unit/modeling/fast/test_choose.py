"""Which fast pieces the recipe takes, and the reason where it does not."""

from __future__ import annotations

from typing import Any

import pytest

from lab.bench.tinymodels import config_of
from lab.modeling.fast.choose import FAST, WITHOUT, fast_choices
from lab.modeling.hardware import Hardware
from lab.profile.load import resolve
from lab.profile.schema import Profile

H100 = Hardware("cuda", "NVIDIA H100", True, 80 * 10**9, 8, frozenset({"varlen", "triton", "liger"}))


def profile(*sets: str, kind: str = "lora") -> Profile:
    tree: dict[str, Any] = {"data": {"source": [{"name": "bundled:helpdesk"}]}, "method": {"kind": kind}}
    return resolve("p", tree, {}, list(sets)).profile


ALPACA, BOOKS = (60, 90, 120), (4000,) * 5


def values(
    *sets: str, hardware: Hardware = H100, family: str = "llama", kind: str = "lora", pass_tokens: int = 0
) -> tuple[str, ...]:
    choices = fast_choices(profile(*sets, kind=kind), hardware, config_of(family, 64), ALPACA, pass_tokens)
    assert all(choice.why for choice in choices.values())
    return tuple(str(choices[name].value) for name in FAST)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ((), ("on", "on", "on", "on", "on")),
        (("train.tokens_per_step=16384",), ("on", "on", "off", "on", "on")),
        (("train.tokens_per_step=4096",), ("on", "on", "on", "on", "on")),
        (("train.checkpointing=all",), ("on", "on", "on", "on", "on")),
        (("method.dropout=0.05",), ("off", "on", "off", "off", "on")),
        (("method.variant=dora",), ("on", "on", "on", "on", "on")),
        (("model.quantization=int8", "method.kind=qlora"), ("on", "on", "on", "on", "on")),
        (("model.attention=sdpa",), ("on", "off", "off", "off", "off")),
        (("model.dtype=fp32",), ("off", "off", "off", "off", "off")),
        (("method.kind=full",), ("off", "on", "on", "off", "on")),
        (("method.kind=top-layer", "method.head=true"), ("off", "on", "on", "off", "on")),
        (("method.kind=full", "train.tokens_per_step=16384"), ("off", "on", "off", "off", "on")),
    ],
)
def test_pieces_by_profile(sets: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert values(*sets) == expected


@pytest.mark.parametrize(
    ("targets", "expected"),
    [
        ('"all-linear"', ("on", "on", "on", "on")),
        ('["q_proj", "v_proj"]', ("on", "on", "on", "off")),
        ('"attention"', ("on", "on", "on", "off")),
        ('["q_proj", "lm_head"]', ("on", "off", "off", "off")),
    ],
)
def test_pieces_by_targets(targets: str, expected: tuple[str, ...]) -> None:
    """A head with an adapter is no frozen one, and a block is fused whole or not at all."""
    assert values(f"method.target_modules={targets}")[:4] == expected
    choices = fast_choices(profile(f"method.target_modules={targets}"), H100, config_of("llama", 64), ALPACA)
    assert ("share" in choices["fused_lora"].why) is (targets[1] == "a")


@pytest.mark.parametrize(
    ("sets", "lengths", "expected"),
    [
        ((), (2048,) * 40, "off"),
        (("train.examples_per_step=64",), (500,) * 99, "off"),
        (("train.examples_per_step=64", "train.micro_batch=2"), (500,) * 99, "on"),
        (("train.examples_per_step=64",), (50,) * 99, "on"),
        (("train.examples_per_step=16",), (), "on"),
    ],
)
def test_graphs_by_the_tokens_of_a_pass(sets: tuple[str, ...], lengths: tuple[int, ...], expected: str) -> None:
    choices = fast_choices(profile(*sets), H100, config_of("llama", 64), lengths, 16384)
    assert choices["cuda_graph"].value == expected


def test_what_goes_through_at_once_decides_on_graphs() -> None:
    large = "train.tokens_per_step=16384"
    assert values(large, pass_tokens=8192)[FAST.index("cuda_graph")] == "on"
    assert values(large, pass_tokens=16384)[FAST.index("cuda_graph")] == "off"


@pytest.mark.parametrize(
    ("lengths", "heads", "why"),
    [
        (ALPACA, {}, "rows are short,"),
        (BOOKS, {}, "FlashAttention serves long rows faster"),
        ((), {}, "the rows are not known"),
        (ALPACA, {"head_dim": 256}, "not made for heads 256 wide"),
        (ALPACA, {"head_dim": 96}, "not made for heads 96 wide"),
        (ALPACA, {"num_attention_heads": 9, "num_key_value_heads": 3}, "groups of 3 heads"),
    ],
)
def test_short_attention_by_rows_and_heads(lengths: tuple[int, ...], heads: dict[str, int], why: str) -> None:
    config = config_of("llama", 64)
    for name, value in heads.items():
        setattr(config, name, value)
    choice = fast_choices(profile(), H100, config, lengths)["short_attention"]
    assert why in choice.why
    assert choice.value == ("on" if why.startswith("rows are short") else "off")


def test_unpacking_8_bits_is_told() -> None:
    choices = fast_choices(profile("model.quantization=int8", kind="qlora"), H100, config_of("llama", 64))
    assert "8-bit weights are unpacked" in choices["fused_lora"].why


def test_pieces_by_device_and_family() -> None:
    assert values(kind="qlora", family="gemma3") == ("on", "on", "on", "off", "on")
    assert values(hardware=Hardware("cpu", "x", True, 1, 1)) == ("off",) * 5
    assert values(hardware=Hardware("cuda", "T4", False, 1, 1)) == ("off",) * 5
    no_varlen = Hardware("cuda", "A100", True, 1, 1, frozenset({"triton"}))
    assert values(hardware=no_varlen) == ("on", "off", "off", "off", "off")
    assert fast_choices(profile(), H100, None)["fused_lora"].value == "off"
    unknown = config_of("llama", 64)
    unknown.model_type = "phi3"
    graph = fast_choices(profile(kind="full"), H100, unknown)["cuda_graph"]
    assert (graph.value, graph.why) == ("off", "not made for phi3")


def test_pieces_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WITHOUT, "cuda_graph,fused_block")
    assert values() == ("on", "on", "off", "off", "on")


@pytest.mark.parametrize(
    ("without", "expected"),
    [
        ("fused_lora", ("off", "on", "off", "off", "on")),
        ("fused_head", ("on", "off", "off", "on", "off")),
        ("short_attention", ("on", "on", "on", "on", "off")),
    ],
)
def test_what_needs_a_piece_goes_with_it(
    monkeypatch: pytest.MonkeyPatch, without: str, expected: tuple[str, ...]
) -> None:
    monkeypatch.setenv(WITHOUT, without)
    assert values() == expected


def test_rotary_positions_that_change_are_no_graph() -> None:
    config = config_of("llama", 64)
    config.rope_parameters = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    choices = fast_choices(profile(), H100, config)
    assert (choices["fused_lora"].value, choices["cuda_graph"].value) == ("on", "off")
