"""The checks of exactness pass what is exact and fail what is not."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.bench import exactness
from lab.bench.exactness import Shape, check
from lab.bench.parity import Trained, compare
from lab.errors import LabError
from lab.launching.child import json_lines
from lab.profile.dump import to_toml
from tests.fixtures.tiny_runs import tiny, tiny_study

SMALL = Shape("small", 4, 2, 8, 3, (9, 1, 0, 6))
PLAIN = Trained([2.0, 1.5, 1.0], [0.5, 0.4, 0.3], 1.1)


def test_attention_over_documents_is_exact_here() -> None:
    found = check(SMALL, "cpu")
    assert found["exact"]
    assert found["kernel"].keys() == {"output", "query", "key", "value"}


def test_attention_that_forgets_where_documents_end_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    def careless(q: Any, k: Any, v: Any, ends: Any, longest: int, scale: Any, window: Any) -> torch.Tensor:
        return exactness.attend_each(q, k, v, ends[[0, -1]], scale, window)

    monkeypatch.setattr(exactness, "attend", careless)
    assert not check(SMALL, "cpu")["exact"]


@pytest.mark.parametrize(
    ("changes", "within"),
    [
        ({}, True),
        ({"losses": [2.0, 1.515, 1.0]}, True),
        ({"losses": [2.0, 1.5, 1.03]}, False),
        ({"losses": [2.0, float("nan"), 1.0]}, False),
        ({"grad_norms": [0.5, 0.4, 0.31]}, True),
        ({"grad_norms": [0.5, 0.4, 0.4]}, False),
        ({"grad_norms": [0.5, 0.4, float("nan")]}, False),
        ({"final": 1.105}, True),
        ({"final": 1.12}, False),
        ({"final": float("nan")}, False),
    ],
)
def test_bounds_of_parity(changes: dict[str, Any], within: bool) -> None:
    assert compare(PLAIN, dataclasses.replace(PLAIN, **changes))["within"] is within


def test_packed_training_is_held_against_the_plain_way(tmp_path: Path) -> None:
    tiny_study(tmp_path)
    profile = tmp_path / "tiny.toml"
    profile.write_text(to_toml(tiny(tmp_path, "model.attention=varlen", "train.micro_batch=0").profile))
    asked = [str(profile), "--with", "fused_head", "--set", "train.learning_rate=0.001"]
    (found,) = json_lines("lab.bench.parity", asked, timeout=240)
    assert found["within"], json.dumps(found)
    assert found["steps"] == 12
    assert (found["recipe"]["batching"], found["recipe"]["attention"]) == ("packed", "varlen")
    assert found["recipe"]["fused_head"] == "on"
    assert found["last_loss"] < found["first_loss"]


@pytest.mark.parametrize(
    ("piece", "problem"),
    [
        ("fused_heat", "no piece 'fused_heat'"),
        ("cuda_graph", "cuda_graph needs fused_head"),
        ("short_attention", "short_attention needs fused_head"),
    ],
)
def test_a_piece_that_would_not_work_is_refused(tmp_path: Path, piece: str, problem: str) -> None:
    tiny_study(tmp_path)
    profile = tmp_path / "tiny.toml"
    profile.write_text(to_toml(tiny(tmp_path).profile))
    with pytest.raises(LabError, match=problem):
        list(json_lines("lab.bench.parity", [str(profile), "--with", piece], timeout=240))
