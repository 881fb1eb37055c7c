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


def values(*sets: str, hardware: Hardware = H100, family: str = "llama", kind: str = "lora") -> tuple[str, ...]:
    choices = fast_choices(profile(*sets, kind=kind), hardware, config_of(family, 64))
    assert all(choice.why for choice in choices.values())
    return tuple(str(choices[name].value) for name in FAST)


@pytest.mark.parametrize(
    ("sets", "expected"),
    [
        ((), ("on", "on", "on", "on")),
        (("train.tokens_per_step=16384",), ("on", "on", "off", "on")),
        (("train.tokens_per_step=4096",), ("on", "on", "on", "on")),
        (("train.checkpointing=all",), ("on", "on", "off", "on")),
        (("method.dropout=0.05",), ("off", "on", "off", "off")),
        (("method.variant=dora",), ("on", "on", "on", "on")),
        (("model.quantization=int8", "method.kind=qlora"), ("on", "on", "on", "on")),
        (("model.attention=sdpa",), ("on", "off", "off", "off")),
        (("model.dtype=fp32",), ("off", "off", "off", "off")),
    ],
)
def test_pieces_by_profile(sets: tuple[str, ...], expected: tuple[str, ...]) -> None:
    assert values(*sets) == expected


def test_unpacking_8_bits_is_told() -> None:
    choices = fast_choices(profile("model.quantization=int8", kind="qlora"), H100, config_of("llama", 64))
    assert "8-bit weights are unpacked" in choices["fused_lora"].why


def test_pieces_by_device_and_family() -> None:
    assert values(kind="qlora", family="gemma3") == ("on", "on", "on", "off")
    assert values(hardware=Hardware("cpu", "x", True, 1, 1)) == ("off",) * 4
    assert values(hardware=Hardware("cuda", "T4", False, 1, 1)) == ("off",) * 4
    no_varlen = Hardware("cuda", "A100", True, 1, 1, frozenset({"triton"}))
    assert values(hardware=no_varlen) == ("on", "off", "off", "off")
    assert fast_choices(profile(), H100, None)["fused_lora"].value == "off"


def test_pieces_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(WITHOUT, "cuda_graph,fused_block")
    assert values() == ("on", "on", "off", "off")


def test_rotary_positions_that_change_are_no_graph() -> None:
    config = config_of("llama", 64)
    config.rope_parameters = {"rope_type": "dynamic", "rope_theta": 1e4, "factor": 2.0}
    choices = fast_choices(profile(), H100, config)
    assert (choices["fused_lora"].value, choices["cuda_graph"].value) == ("on", "off")
