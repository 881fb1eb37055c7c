"""The trial before step 0, on a tiny model: it leaves no trace, and what does not fit is made smaller."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.bench.memory import TOLERANCE, Case, Finding, find
from lab.errors import TrainingError
from lab.modeling.choice import Choice
from lab.runs.reader import read_json
from lab.training import probe as probing
from lab.training.probe import measure, probe
from lab.training.recipe import Recipe
from lab.training.trainer import LabTrainer
from tests.fixtures.fitting import Fitting, fitting
from tests.fixtures.tiny_runs import events, losses, tiny, tiny_study

# PEFT still asks transformers by a name that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

SHORT = ("train.max_steps=3", "train.eval_every=2", "train.save_every=0")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    tiny_study(path)
    return path


@pytest.fixture
def begin(folder: Path, tmp_path: Path) -> Callable[..., Fitting]:
    return lambda name, *sets: fitting(tiny(folder, *SHORT, *sets), tmp_path / name)


def weights(trainer: LabTrainer) -> dict[str, torch.Tensor]:
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}


def trained(one: Fitting, *, tried: bool) -> tuple[dict[str, torch.Tensor], list[torch.Tensor], torch.Tensor]:
    """Return weights, moments and the random state after three steps, with dropout so that draws matter."""
    torch.manual_seed(5)
    trainer = one.trainer()
    if tried:
        assert (measure(trainer, "cpu") or 0) > 10_000_000
    trainer.train()
    moments = [value for state in trainer.optimizer.state.values() for value in state.values()]
    return weights(trainer), moments, torch.get_rng_state()


def test_training_is_bitwise_the_same_after_a_trial(begin: Callable[..., Fitting]) -> None:
    plain, tried = (trained(begin(str(flag), "method.dropout=0.5"), tried=flag) for flag in (False, True))
    assert plain[0].keys() == tried[0].keys()
    assert all(torch.equal(plain[0][name], tried[0][name]) for name in plain[0])
    assert len(plain[1]) == len(tried[1]) > 0
    assert all(torch.equal(one, other) for one, other in zip(plain[1], tried[1], strict=True))
    assert torch.equal(plain[2], tried[2])


def test_a_trial_that_breaks_off_leaves_no_trace_either(
    begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = begin("broken").trainer()
    before, random = weights(trainer), torch.get_rng_state()
    monkeypatch.setattr(trainer, "try_validation", lambda: (_ for _ in ()).throw(MemoryError()))
    with pytest.raises(MemoryError):
        measure(trainer, "cpu")
    after = weights(trainer)
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert all(p.grad is None for p in trainer.model.parameters())
    assert torch.equal(random, torch.get_rng_state())


def starved(monkeypatch: pytest.MonkeyPatch, fits: Callable[[LabTrainer, dict[str, Any]], bool]) -> None:
    """Let memory run out in every micro-batch that does not fit."""
    whole = LabTrainer.compute_loss

    def compute(self: LabTrainer, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> torch.Tensor:
        if not fits(self, inputs):
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate much.")
        return whole(self, model, inputs, *args, **kwargs)

    monkeypatch.setattr(LabTrainer, "compute_loss", compute)
    monkeypatch.setattr(probing, "PLENTY", 0.0)  # so that a CPU tries at all


def tried(one: Fitting, recipe: Recipe | None = None) -> probing.Probed:
    return probe(one.trainer, recipe or one.recipe, one.profile, one.prepared)


def test_fewer_rows_are_tried_before_activations_are_recomputed(
    begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = begin("fewer", "train.micro_batch=4")
    monkeypatch.setattr("lab.training.tighter.FLOORS", {"cpu": 1})
    starved(monkeypatch, lambda trainer, batch: len(batch["input_ids"]) <= 2)
    found = tried(one)
    assert (found.recipe.micro_batch.value, found.recipe.checkpointing.value) == (2, "off")
    assert found.changes == ["micro_batch 4 -> 2"]
    assert found.choice.value == "run"
    assert (found.measured or 0) > 10_000_000


def test_then_some_layers_recompute_and_then_all(
    begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = begin("all", "train.micro_batch=4")
    starved(monkeypatch, lambda trainer, batch: trainer.recipe.checkpointing.value == "all")
    found = tried(one)
    assert found.recipe.checkpointing.value == "all"
    assert found.recipe.shared_prefix.value is False
    assert [line.split()[0] for line in found.changes] == ["checkpointing"] * 3
    assert found.recipe.micro_batch.value == 4, "below the floor of tokens rows stay"


def test_what_fits_in_no_form_is_refused(begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch) -> None:
    starved(monkeypatch, lambda trainer, batch: False)
    with pytest.raises(TrainingError, match="longest row does not fit") as caught:
        tried(begin("none"))
    assert "data.max_length" in caught.value.remedy


def test_another_error_is_no_lack_of_memory(begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch) -> None:
    def compute(self: LabTrainer, *args: Any, **kwargs: Any) -> torch.Tensor:
        raise RuntimeError("shapes do not match")

    monkeypatch.setattr(LabTrainer, "compute_loss", compute)
    monkeypatch.setattr(probing, "PLENTY", 0.0)
    with pytest.raises(RuntimeError, match="shapes"):
        tried(begin("other"))


def test_on_a_cpu_with_plenty_of_memory_nothing_is_tried(
    begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "room", lambda device: 1 << 50)
    monkeypatch.setattr(probing, "measure", lambda *_: pytest.fail("it was tried"))
    found = tried(begin("plenty"))
    assert (found.choice.value, found.measured) == ("skipped", None)
    assert "less than half" in found.choice.why
    assert (found.estimated or 0) > 10_000_000


def test_on_a_cpu_an_estimate_beyond_all_memory_is_not_tried(
    begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel would kill the process: what is certain not to fit is made smaller unseen."""
    one = begin("hopeless")
    monkeypatch.setattr(probing, "room", lambda device: 1000)
    monkeypatch.setattr(probing, "measure", lambda *_: pytest.fail("it was tried"))
    with pytest.raises(TrainingError, match="longest row does not fit"):
        tried(one)


def test_the_run_says_what_was_tried_and_changed(
    begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = begin("told", "train.micro_batch=4")
    starved(monkeypatch, lambda trainer, batch: trainer.recipe.checkpointing.value == "every-2")
    assert one.fit()
    record = read_json(one.run.recipe) or {}
    assert record["choices"]["probe"]["value"] == "run"
    assert record["choices"]["checkpointing"] == {"value": "every-2", "why": "more did not fit into memory"}
    assert Recipe.from_json(record).checkpointing == Choice("every-2", "more did not fit into memory")
    (alert,) = events(one.run, "alert")
    assert "checkpointing off -> every-4, checkpointing every-4 -> every-2" in alert["text"]
    facts = (read_json(one.run.state) or {})["facts"]
    assert facts["estimated_peak_bytes"] > 0
    assert facts["probed_peak_bytes"] > 0
    assert len(losses(one.run)) == 3


def test_memory_that_runs_out_later_leaves_a_checkpoint_and_a_smaller_recipe(
    begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = begin("whole", "train.micro_batch=4")
    assert whole.fit()
    one = begin("later", "train.micro_batch=4")
    with monkeypatch.context() as patch:
        starved(patch, lambda trainer, batch: trainer.state.global_step < 2 or len(batch["input_ids"]) < 4)
        patch.setattr("lab.training.tighter.FLOORS", {"cpu": 1})
        with pytest.raises(TrainingError, match="Memory ran out in step 3, with 4 rows a micro-step") as caught:
            one.fit()
    assert "goes on from step 2 with micro_batch 4 -> 2" in caught.value.remedy
    record = read_json(one.run.recipe) or {}
    again = fitting(one.resolved, one.run.folder)
    again.recipe = Recipe.from_json(record)
    assert again.recipe.micro_batch.value == 2
    assert again.fit(attempt=2)
    assert [r["from_step"] for r in events(one.run, "resume")] == [2]
    for step, loss in losses(whole.run).items():
        assert math.isclose(losses(one.run)[step], loss, rel_tol=1e-5)


@pytest.mark.parametrize("method", ["lora", "qlora"])
def test_the_bench_holds_an_estimate_against_a_trial(method: str) -> None:
    found = find(Case("tiny", method, 4, 64, sets=("model.dtype=fp32", "train.checkpointing=every-2")))
    assert (found.estimated or 0) > 1_000_000
    assert (found.measured or 0) > 1_000_000
    assert found.choices["checkpointing"] == "every-2"
    assert f"tiny          {method:<6}  4 x 64" in found.line


def test_an_estimate_is_judged_by_its_share_of_what_was_measured() -> None:
    case = Case("tiny", "lora", 1, 8)
    assert Finding(case, "cpu", 120, 100, {}).off == pytest.approx(0.2)
    assert Finding(case, "cpu", None, 100, {}).off is Finding(case, "cpu", 1, None, {}).off is None
    assert TOLERANCE == 0.15
