"""What a run keeps and when it ends: the best weights, patience, the way a step is split, trackers. A tiny model."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from lab.runs.reader import read_json
from lab.training import trackers
from lab.training.callbacks import RunCallback
from lab.training.fit import trained_steps, training_done
from lab.training.stopping import StopWish
from lab.training.trackers import Tracker
from tests.fixtures.fitting import Fitting, fitting
from tests.fixtures.tiny_runs import events, losses, tiny, tiny_study

# PEFT still asks transformers by a name that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

SHORT = ("train.max_steps=6", "train.eval_every=1", "train.save_every=2")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    tiny_study(path)
    return path


@pytest.fixture
def begin(folder: Path, tmp_path: Path) -> Callable[..., Fitting]:
    return lambda name, *sets: fitting(tiny(folder, *SHORT, *sets), tmp_path / name)


@pytest.fixture
def validated(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Let validation say what the test says, step after step."""

    def say(*values: float) -> None:
        told = RunCallback.on_evaluate

        def on_evaluate(self: Any, args: Any, state: Any, control: Any, metrics: Any = None, **_: Any) -> None:
            told(self, args, state, control, {**metrics, "eval_loss": values[state.global_step - 1]})

        monkeypatch.setattr(RunCallback, "on_evaluate", on_evaluate)

    return say


def state(one: Fitting) -> dict[str, Any]:
    return read_json(one.run.state) or {}


def adapter(one: Fitting) -> dict[str, Any]:
    return load_file(one.run.adapter / "adapter_model.safetensors")


def same(left: Mapping[str, Any], right: Mapping[str, Any]) -> bool:
    return left.keys() == right.keys() and all(bool((left[name] == right[name]).all()) for name in left)


def test_the_best_weights_are_kept_and_are_those_of_their_step(
    begin: Callable[..., Fitting], validated: Callable[..., None]
) -> None:
    validated(9.0, 5.0, 7.0, math.nan, 6.0, 5.0)
    best = begin("best", "train.keep=best")
    assert best.fit()
    assert trained_steps(best.run) == state(best)["facts"]["kept_step"] == 2
    assert state(best)["step"] == 6
    assert events(best.run, "alert")[-1]["text"].startswith("The weights of step 2 are kept")
    assert same(adapter(best), load_file(best.run.best)) is False, "PEFT has names of its own"
    kept = sorted(float(tensor.double().sum()) for tensor in load_file(best.run.best).values())
    assert sorted(float(tensor.double().sum()) for tensor in adapter(best).values()) == kept
    live = dict(best.begun.model.named_parameters())
    assert all(bool((live[name] == tensor).all()) for name, tensor in load_file(best.run.best).items())
    assert training_done(best.run, 6)


def test_a_resume_keeps_the_best_of_the_attempt_before(
    begin: Callable[..., Fitting], validated: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    validated(9.0, 4.0, 8.0, 7.0, 6.0, 5.0)
    first = begin("resumed", "train.keep=best")
    with monkeypatch.context() as patch:
        patch.setattr(StopWish, "asked", lambda self: bool(first.run.best.exists()))
        assert not first.fit()
    assert not training_done(first.run, 6)
    weights = load_file(first.run.best)
    again = fitting(first.resolved, first.run.folder)
    assert again.fit(attempt=2)
    assert [r["from_step"] for r in events(again.run, "resume")] == [2]
    assert trained_steps(again.run) == 2
    assert same(load_file(again.run.best), weights)


def test_patience_ends_a_run_which_then_is_done(begin: Callable[..., Fitting], validated: Callable[..., None]) -> None:
    validated(9.0, 5.0, 6.0, 5.5, 1.0, 1.0)
    one = begin("patience", "train.early_stopping_patience=2", "train.keep=best")
    assert one.fit()
    assert max(losses(one.run)) == 4
    assert state(one)["facts"]["training_end"] == {"step": 4, "of": 6, "early": True}
    alert, _ = events(one.run, "alert")
    assert "2 validations in a row brought no lower loss than 5" in alert["text"]
    assert training_done(one.run, 6)
    assert not training_done(one.run, 8), "more epochs train on"
    assert (one.run.checkpoints / "checkpoint-4" / "complete.json").exists(), "from there"


@pytest.fixture(scope="module")
def splits(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[int, float]]:
    """The losses of one profile, 16 rows a step, by how a step is split and what is recomputed."""
    place, found = tmp_path_factory.mktemp("splits"), {}
    sets = ("train.examples_per_step=16", "train.max_steps=4", "train.eval_every=0")
    for rows, count, checkpointing in ((16, 1, "off"), (4, 4, "off"), (2, 8, "off"), (16, 1, "every-2")):
        name = f"{rows}x{count} {checkpointing}"
        own = (f"train.micro_batch={rows}", f"train.checkpointing={checkpointing}")
        one = fitting(tiny(folder, *sets, *own), place / name)
        assert one.fit()
        found[name] = losses(one.run)
    return found


@pytest.mark.parametrize("name", ["4x4 off", "2x8 off", "16x1 every-2"])
def test_losses_do_not_depend_on_how_a_step_is_split(splits: dict[str, dict[int, float]], name: str) -> None:
    whole = splits["16x1 off"]
    assert len(whole) == 4
    assert whole[4] < whole[1]
    assert splits[name] == pytest.approx(whole, rel=1e-5)


def test_only_every_nth_layer_recomputes(begin: Callable[..., Fitting]) -> None:
    one = begin("every", "train.checkpointing=every-2", "train.max_steps=1")
    assert one.fit()
    layers = one.begun.model.get_base_model().model.layers
    assert [layer.gradient_checkpointing for layer in layers] == [True, False]


def test_trackers_get_the_curves_and_a_failing_one_is_left_alone(
    begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[tuple[dict[str, float], int]] = []

    def log(values: Mapping[str, float], step: int) -> None:
        told.append((dict(values), step))

    def broken(values: Mapping[str, float], step: int) -> None:
        raise ConnectionError("no\nnetwork")

    closed: list[str] = []
    opened = {
        "wandb": Tracker(broken, lambda: closed.append("wandb")),
        "trackio": Tracker(log, lambda: closed.append("trackio")),
    }
    monkeypatch.setattr(trackers, "TRACKERS", {name: lambda *_, name=name: opened[name] for name in opened})
    one = begin("tracked", 'train.report_to=["wandb", "trackio"]', "train.max_steps=2")
    assert one.fit()
    steps = [(values["train/loss"], step) for values, step in told if "train/loss" in values]
    assert steps == [(loss, step) for step, loss in losses(one.run).items()]
    assert [step for values, step in told if "eval/loss" in values] == [1, 2]
    (alert,) = events(one.run, "alert")
    assert alert["text"] == "wandb gets no more curves (ConnectionError: no)"
    assert closed == ["trackio"]


@pytest.mark.skipif(importlib.util.find_spec("tensorboard") is None, reason="tensorboard is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_what_was_written(begin: Callable[..., Fitting]) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    one = begin("board", 'train.report_to=["tensorboard"]', "train.max_steps=2")
    assert one.fit()
    read = EventAccumulator(str(one.run.trackers / "tensorboard"))
    read.Reload()
    found = {event.step: event.value for event in read.Scalars("train/loss")}
    assert found == pytest.approx(losses(one.run), rel=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("wandb") is None, reason="wandb is not installed")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_wandb_stays_offline(begin: Callable[..., Fitting], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WANDB_MODE", raising=False)
    one = begin("wandb", 'train.report_to=["wandb"]', "train.max_steps=2")
    assert one.fit()
    assert events(one.run, "alert") == []
    assert list(one.run.trackers.glob("wandb/offline-run-*/*.wandb"))
