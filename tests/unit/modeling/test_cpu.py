"""CPUs that announce AMX, and those that mean it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab.modeling import cpu

AMX = "fpu avx512f amx_bf16 amx_tile amx_int8"
PLAIN = "fpu avx2 avx512_bf16"


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> object:
    """Return a function that makes this machine one of the given flags and highest CPUID leaf."""
    monkeypatch.setenv(cpu.ISA_LIMIT, "")
    monkeypatch.delenv(cpu.ISA_LIMIT)

    def pretend(flags: str, level: str, limit: str | None = None) -> None:
        fields = {"flags": flags, "cpuid level": level, "model name": "Some CPU"}
        monkeypatch.setattr(cpu, "_cpuinfo", lambda field: fields.get(field, ""))
        if limit is not None:
            monkeypatch.setenv(cpu.ISA_LIMIT, limit)

    return pretend


@pytest.mark.parametrize(
    ("flags", "level", "user", "limit", "fast"),
    [
        (AMX, "31", None, None, True),
        (AMX, "29", None, None, True),
        (AMX, "28", None, cpu.WITHOUT_AMX, False),
        (AMX, "13", None, cpu.WITHOUT_AMX, False),
        (AMX, "", None, cpu.WITHOUT_AMX, False),
        (AMX, "13", "AVX2", "AVX2", False),
        (AMX, "13", "AVX512_CORE_AMX", "AVX512_CORE_AMX", False),
        (AMX, "31", "AVX512_CORE_BF16", "AVX512_CORE_BF16", False),
        (AMX, "31", "AVX512_CORE_AMX", "AVX512_CORE_AMX", True),
        (PLAIN, "31", None, None, False),
        (PLAIN, "13", None, None, False),
        ("", "", None, None, False),
    ],
)
def test_limit_and_speed(fake: object, flags: str, level: str, user: str | None, limit: str | None, fast: bool) -> None:
    assert callable(fake)
    fake(flags, level, user)
    cpu.limit_cpu()
    assert os.environ.get(cpu.ISA_LIMIT) == limit
    assert cpu.fast_bf16() is fast


def test_fields_are_read_from_the_first_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (
        "processor\t: 0\nmodel name\t: First: CPU\ncpuid level\t: 31\nflags\t\t: fpu amx_tile\n\nmodel name\t: Second\n"
    )
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: text)
    assert cpu.cpu_name() == "First: CPU"
    assert cpu.cpu_flags() == {"fpu", "amx_tile"}
    assert cpu.tiles_described()


def test_a_machine_without_the_file_knows_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr(Path, "read_text", gone)
    assert (cpu.cpu_name(), cpu.cpu_flags(), cpu.tiles_described(), cpu.fast_bf16()) == ("", set(), False, False)
