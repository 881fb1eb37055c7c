"""Merging: every method and chain of stages says the same as one model as base and adapters do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lab.compare.artifacts import load_entries
from lab.runs.paths import RunPaths
from lab.runs.store import find_run
from tests.unit.exporting.conftest import Export

pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing:FutureWarning")  # PEFT asks transformers

CASES: dict[str, list[list[str]]] = {
    "lora": [[]],
    "rslora": [["method.variant=rslora"]],
    "dora": [["method.variant=dora"]],
    "pissa": [["method.variant=pissa"]],
    "qlora": [["method.kind=qlora"]],
    "qlora, double": [["method.kind=qlora", "model.double_quant=true"]],
    "dora over 4 bits": [["method.kind=qlora", "method.variant=dora"]],
    "top layer": [["method.kind=top-layer", "method.head=true"]],
    "full": [["method.kind=full"]],
    "two stages": [[], ["model.adapter=BEFORE", "model.adapter_mode=stack"]],
    "two stages, folded": [[], ["model.adapter=BEFORE", "model.adapter_mode=merge"]],
    "folded into 4 bits": [
        ["method.kind=qlora"],
        ["method.kind=qlora", "model.adapter=BEFORE", "model.adapter_mode=merge"],
    ],
    "hybrid": [
        ["method.kind=qlora"],
        ["model.adapter=BEFORE", "model.adapter_mode=merge", "method.orthogonal_to=BEFORE"],
    ],
    "lora over a full one": [["method.kind=full"], ["model.adapter=BEFORE", "model.adapter_mode=merge"]],
    "three stages": [
        ["method.variant=dora"],
        ["model.adapter=BEFORE", "model.adapter_mode=stack"],
        ["model.adapter=BEFORE", "model.adapter_mode=merge", "method.variant=rslora"],
    ],
}

Finished = Callable[..., RunPaths]


def stages(finished: Finished, steps: list[list[str]]) -> RunPaths:
    """Make one run after the other; BEFORE stands for the run before."""
    run = None
    for sets in steps:
        run = finished(*(text.replace("BEFORE", f"run:{run.id}" if run else "") for text in sets))
    assert run is not None
    return run


@pytest.mark.parametrize("steps", CASES.values(), ids=CASES)
def test_a_merged_model_answers_as_base_and_adapters_do(
    steps: list[list[str]], finished: Finished, export: Export, tmp_path: Path
) -> None:
    run = stages(finished, steps)
    record = export(run, tmp_path / "out", dtype="fp32", score=False)
    parity = record["parity"]
    assert (parity["agreeing"], parity["rows"]) == (20, 20)
    assert parity["relative"] < 1e-3
    assert moved(run, tmp_path / "out"), "the run must differ from its base, or this proves nothing"


def moved(run: RunPaths, folder: Path) -> bool:
    from safetensors.torch import load_file

    merged = load_file(folder / "model.safetensors")
    base = load_file(Path(find_model(run)) / "model.safetensors")
    return any(not merged[name].equal(tensor) for name, tensor in base.items())


def find_model(run: RunPaths) -> str:
    from lab.profile.load import load_profile

    return load_profile(str(run.profile)).profile.model.name


def test_qlora_may_be_merged_into_the_full_base_and_says_so(finished: Finished, export: Export, tmp_path: Path) -> None:
    run = finished("method.kind=qlora")
    full = export(run, tmp_path / "full", dtype="fp32", base="full", score=False)
    own = export(run, tmp_path / "own", dtype="fp32", score=False)
    assert (full["base"], own["base"]) == ("full", "dequantised")
    assert full["parity"]["agreeing"] == 20
    assert "full-precision base" in full["parity"]["reference"]
    assert "nf4 base, dequantised" in own["parity"]["reference"]
    assert full["files"]["model.safetensors"]["sha256"] != own["files"]["model.safetensors"]["sha256"]


def test_shards_bf16_and_what_stands_beside_the_weights(finished: Finished, export: Export, tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    run = finished()
    record = export(run, tmp_path / "out", dtype="bf16", shard_bytes=60_000)
    assert len([name for name in record["files"] if name.endswith(".safetensors")]) > 1
    assert all(about["bytes"] <= 70_000 for name, about in record["files"].items() if name.endswith(".safetensors"))
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert model.dtype == torch.bfloat16
    assert model.generation_config.eos_token_id == [model.config.eos_token_id]
    assert AutoTokenizer.from_pretrained(tmp_path / "out").chat_template
    rows = {entry.name: entry for entry in load_entries(find_run(run.id))}
    scored = rows["untrained merged bf16"]
    assert (scored.kind, scored.cost["artifact_bytes"] > 0, scored.cost["train_seconds"]) == ("artifact", True, None)
    assert not rows["untrained"].metrics, "an artefact's answers are not the run's"


def test_what_does_not_agree_is_not_kept(
    finished: Finished, export: Export, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from lab.errors import LabError
    from lab.exporting.deltas import Adapter

    monkeypatch.setattr(Adapter, "scale", lambda self, module: 0.0)
    run = finished()
    with pytest.raises(LabError, match="greedy answers agree") as refused:
        export(run, tmp_path / "place" / "out", dtype="fp32")
    assert "First at row" in refused.value.problem
    assert list((tmp_path / "place").iterdir()) == []


def test_a_streamed_merge_holds_one_tensor_at_a_time(finished: Finished, tmp_path: Path) -> None:
    """The largest tensor in fp32 thrice (stored, changed, update) bounds what merging allocates, whatever the model."""
    import weakref

    from lab.exporting.chain import resolve_chain
    from lab.exporting.weights import MergedWeights
    from lab.profile.load import load_profile

    run = finished()
    chain = resolve_chain(run, load_profile(str(run.profile)).profile)
    weights = MergedWeights(chain, Path(chain.source.path_or_id), "full")
    alive: list[Any] = []
    for _, tensor in weights.read():
        alive = [reference for reference in alive if reference() is not None]
        assert len(alive) <= 1
        alive.append(weakref.ref(tensor))
