"""The same losses however a step is cut."""

from __future__ import annotations

from pathlib import Path

from lab.bench.sameness import ways
from lab.launching.child import json_lines
from lab.profile.dump import to_toml
from tests.fixtures.tiny_runs import tiny, tiny_study


def test_ways_of_a_step() -> None:
    assert [name for name, _, _ in ways(16, gpu=False)] == ["cpu fp32, 16 x 1", "cpu fp32, 4 x 4", "cpu fp32, 2 x 8"]
    found = list(ways(1, gpu=True))
    assert [name for name, _, _ in found] == ["cpu fp32, 1 x 1", "gpu fp32, 1 x 1", "gpu, by the recipe"]
    assert [exact for _, _, exact in found] == [True, True, False]
    assert [name for name, _, _ in ways(14, gpu=False)] == ["cpu fp32, 14 x 1", "cpu fp32, 7 x 2", "cpu fp32, 2 x 7"]
    assert [name for name, _, _ in ways(7, gpu=False)] == ["cpu fp32, 7 x 1"]


def test_micro_batches_of_any_size_learn_the_same(tmp_path: Path) -> None:
    tiny_study(tmp_path)
    profile = tmp_path / "tiny.toml"
    profile.write_text(to_toml(tiny(tmp_path, "train.micro_batch=0", "train.examples_per_step=4").profile))
    found = list(json_lines("lab.bench.sameness", [str(profile), "--steps", "3"], timeout=300))
    assert [one["name"] for one in found] == ["cpu fp32, 4 x 1", "cpu fp32, 2 x 2"]
    assert all(one["same"] and one["steps"] == 3 for one in found)
    assert found[1]["largest_loss_difference"] > 0  # another order of sums: they were trained apart
