"""Every fast piece against the plain path, in fp32 on the CPU: the checks that a GPU host runs in bf16."""

from __future__ import annotations

import pytest
import torch

from lab.bench import fastchecks
from lab.bench.checking import LIMITS, Setting

CPU = torch.device("cpu")
CHECKS = fastchecks.checks(CPU)


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PEFT calls what transformers has renamed
@pytest.mark.parametrize("name", CHECKS)
def test_fast_piece_computes_what_the_plain_path_does(name: str) -> None:
    torch.manual_seed(0)
    assert CHECKS[name](Setting(CPU, "fp32")) <= LIMITS["fp32"]


def test_a_wrong_piece_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(fastchecks, "checks", lambda device: {"a": lambda at: 0.1, "b": lambda at: 1 / 0})
    assert not fastchecks.run(CPU, "fp32")
    printed = capsys.readouterr().out
    assert "TOO FAR" in printed
    assert "ZeroDivisionError" in printed
