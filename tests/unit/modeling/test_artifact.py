"""What is saved is what was trained, for every method, and for artifacts that build on others."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from lab.errors import NotFoundError, ProfileError, RunStateError
from lab.evaluation.spec import artifact_hash
from lab.modeling import pissa
from lab.modeling.artifact import Earlier, describe_artifact, load_artifact, load_beneath, save_artifact
from lab.modeling.load import folder_bytes
from lab.modeling.merge import merge_adapters
from lab.modeling.methods import METHODS
from lab.modeling.weights import load_checkpoint, save_trained, trained_tensors
from lab.profile.schema import Method
from tests.fixtures.tiny_llama import save_tiny_llama
from tests.fixtures.tiny_model import PEFT_ASKS, base, logits, train

pytestmark = pytest.mark.filterwarnings(PEFT_ASKS)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("tiny") / "model")


def save(model: Any, run: Path, earlier: Earlier | None = None, **more: Any) -> Path:
    run.mkdir(exist_ok=True)
    save_artifact(model, run / "adapter", run=run.name, step=4, base="tiny", earlier=earlier, **more)
    return run / "adapter"


METHOD_ROWS: list[tuple[str, str, dict[str, Any], str]] = [
    ("lora", "none", {}, "adapter"),
    ("lora", "none", {"variant": "dora"}, "adapter"),
    ("lora", "none", {"variant": "rslora"}, "adapter"),
    ("qlora", "nf4", {}, "adapter"),
    ("qlora", "nf4", {"variant": "dora"}, "adapter"),
    ("qlora", "int8", {}, "adapter"),
    ("top-layer", "none", {}, "weights"),
    ("top-layer", "none", {"head": True}, "weights"),
    ("full", "none", {}, "weights"),
]


@pytest.mark.parametrize(("kind", "quantization", "more", "stored"), METHOD_ROWS)
def test_what_is_loaded_is_what_was_trained(
    folder: Path, tmp_path: Path, kind: Any, quantization: str, more: dict[str, Any], stored: str
) -> None:
    model = METHODS[kind](base(folder, quantization), Method(kind=kind, rank=4, **more), 1)
    train(model)
    place = save(model, tmp_path / "run")
    found = describe_artifact(place)
    assert found is not None
    assert (found.kind, found.run, found.step, found.base, found.earlier) == (stored, "run", 4, "tiny", None)
    assert found.bytes == folder_bytes(place)
    assert artifact_hash(place) == found.hash
    loaded = load_artifact(base(folder, quantization), place)
    assert not any(p.requires_grad for p in loaded.parameters())
    assert (logits(loaded) - logits(model)).abs().max() < 1e-6
    assert (logits(loaded) - logits(base(folder, quantization))).abs().max() > 1e-3


def test_only_what_trained_is_stored(folder: Path, tmp_path: Path) -> None:
    sizes = {}
    for layers in (1, 2):
        model = METHODS["top-layer"](base(folder), Method(kind="top-layer", layers=layers), 1)
        sizes[layers] = folder_bytes(save(model, tmp_path / str(layers)))
    assert sizes[2] == pytest.approx(2 * sizes[1], rel=0.02)


def test_pissa_is_stored_as_plain_lora_of_the_same_model(folder: Path, tmp_path: Path) -> None:
    method, kept = Method(rank=4, variant="pissa"), tmp_path / "beginning.safetensors"
    model = METHODS["lora"](base(folder), method, 1)
    pissa.begin(model, kept)
    assert (logits(model.eval()) - logits(base(folder))).abs().max() < 1e-5, "it begins as the base"
    taken = [p.clone() for n, p in model.named_parameters() if "base_layer" in n]
    train(model)
    place = save(model, tmp_path / "run", beginning=kept)
    assert (logits(load_artifact(base(folder), place)) - logits(model)).abs().max() < 1e-5
    again = METHODS["lora"](base(folder), method, 99)
    pissa.begin(again, kept)
    same = [p for n, p in again.named_parameters() if "base_layer" in n]
    assert all((a == b).all() for a, b in zip(taken, same, strict=True)), "a resume takes the same away"


@pytest.fixture(scope="module")
def first(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of runs with a first run, `one`: a DoRA adapter on q and v."""
    runs = tmp_path_factory.mktemp("runs")
    method = Method(rank=2, variant="dora", target_modules=["q_proj", "v_proj"])
    model = METHODS["lora"](base(folder), method, 1)
    train(model)
    save(model, runs / "one")
    return runs


@pytest.mark.parametrize("mode", ["stack", "merge"])
def test_a_chain_is_loaded_whole_and_anywhere(folder: Path, first: Path, tmp_path: Path, mode: str) -> None:
    before = describe_artifact(first / "one/adapter")
    assert before is not None
    model = load_beneath(base(folder), before.folder)
    ground = logits(model)
    if mode == "merge":
        model = merge_adapters(model)
    model = METHODS["lora"](model, Method(rank=4), 2)
    assert (logits(model.eval()) - ground).abs().max() < 1e-5, "the second stage begins where the first ended"
    assert {n.split(".")[-2] for n, p in model.named_parameters() if p.requires_grad} == {"default"}
    train(model)
    want = logits(model)
    save(model, first / mode, Earlier("one", mode, before.hash))
    moved = tmp_path / "elsewhere"
    shutil.copytree(first, moved)
    loaded = load_artifact(base(folder), moved / mode / "adapter")
    assert (logits(loaded) - want).abs().max() < 1e-5
    alone = load_artifact(base(folder), moved / "one/adapter")
    assert (logits(alone) - want).abs().max() > 1e-3

    train(again := load_artifact(base(folder), moved / "one/adapter", trainable=True))
    shutil.rmtree(moved / "one/adapter")
    save(again, moved / "one")
    with pytest.raises(RunStateError, match="one has been trained on since"):
        load_artifact(base(folder), moved / mode / "adapter")
    shutil.rmtree(moved / "one")
    with pytest.raises(NotFoundError, match="builds on the run one, which is not here"):
        load_artifact(base(folder), moved / mode / "adapter")


def test_a_chain_of_three_stacked_adapters(folder: Path, first: Path) -> None:
    previous, want = "one", None
    for number in (2, 3):
        before = describe_artifact(first / previous / "adapter")
        assert before is not None
        model = METHODS["lora"](load_beneath(base(folder), before.folder), Method(rank=2), number)
        train(model)
        want = logits(model)
        previous = f"stage{number}"
        save(model, first / previous, Earlier(before.run, "stack", before.hash))
    loaded = load_artifact(base(folder), first / previous / "adapter")
    assert sorted(loaded.peft_config) == ["default", "earlier1", "earlier2"]
    assert (logits(loaded) - want).abs().max() < 1e-6


def test_weights_that_do_not_fit_are_refused(folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    place = save(METHODS["top-layer"](base(folder), Method(kind="top-layer"), 1), tmp_path / "run")
    (path,) = place.glob("*.safetensors")
    save_file({name.replace("layers.1", "layers.7"): t for name, t in load_file(path).items()}, path)
    with pytest.raises(ProfileError, match=r"model\.layers\.7\..*does not fit the model"):
        load_artifact(base(folder), place)


def test_nothing_is_there(folder: Path, tmp_path: Path) -> None:
    assert describe_artifact(tmp_path / "adapter") is None
    assert artifact_hash(tmp_path / "adapter") == "base"
    with pytest.raises(NotFoundError, match="has no trained weights"):
        load_artifact(base(folder), tmp_path / "adapter")


@pytest.mark.parametrize("kind", ["stack", "top-layer", "full"])
def test_a_checkpoint_brings_back_what_trains(folder: Path, first: Path, tmp_path: Path, kind: Any) -> None:
    def fresh() -> Any:
        if kind == "stack":
            return METHODS["lora"](load_beneath(base(folder), first / "one/adapter"), Method(rank=4), 2)
        return METHODS[kind](base(folder), Method(kind=kind), 2)

    train(model := fresh())
    save_trained(model, tmp_path)
    load_checkpoint(again := fresh(), tmp_path)
    assert (logits(again.eval()) == logits(model)).all()
    assert {n for n, p in again.named_parameters() if p.requires_grad} == set(trained_tensors(model))
    with pytest.raises(ProfileError, match=r"which does not train now|lacks"):
        load_checkpoint(METHODS["lora"](base(folder), Method(rank=3), 2), tmp_path)
