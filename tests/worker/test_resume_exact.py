"""A run that was interrupted ends with the very weights of one that was not, whatever it trains."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from lab.modeling import pissa
from lab.modeling.artifact import save_artifact
from lab.modeling.orthogonal import Projection
from lab.runs.history import read_history
from lab.training.stages import Begun
from lab.training.stopping import StopWish
from tests.fixtures.fitting import Fitting, fitting
from tests.fixtures.tiny_runs import events, start_tiny, tiny, tiny_study, wait_ended

# PEFT still asks transformers by a name that is on its way out.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")

SHORT = ("train.max_steps=6", "train.eval_every=2", "train.save_every=0")
Prepare = Callable[[Fitting, Path], Begun]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tiny")
    tiny_study(path)
    return path


def plain(one: Fitting, before: Path) -> Begun:
    return one.begun


def principal(one: Fitting, before: Path) -> Begun:
    pissa.begin(one.begun.model, one.run.beginning)
    return replace(one.begun, beginning=one.run.beginning)


def orthogonal(one: Fitting, before: Path) -> Begun:
    projection = Projection(one.begun.model, before)
    projection.project()
    return replace(one.begun, projection=projection)


@pytest.fixture(scope="module")
def before(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return an adapter that another run has trained."""
    place = tmp_path_factory.mktemp("before")
    model = fitting(tiny(folder, *SHORT), place / "run").begun.model
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_" in name:
                parameter.normal_(generator=torch.Generator().manual_seed(1))
    save_artifact(model, place / "adapter", run="before", step=1, base="tiny")
    return place / "adapter"


@pytest.mark.parametrize(
    ("sets", "prepare"),
    [
        ((), plain),
        (("train.keep=best", "method.dropout=0.1"), plain),
        (("model.attention=varlen", "train.tokens_per_step=400"), plain),
        (("method.variant=pissa",), principal),
        ((), orthogonal),
    ],
    ids=["lora", "best with dropout", "packed", "pissa", "orthogonal"],
)
def test_interrupted_or_not_the_weights_are_the_same(
    folder: Path,
    before: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sets: tuple[str, ...],
    prepare: Prepare,
) -> None:
    def begin(name: str) -> Fitting:
        one = fitting(tiny(folder, *SHORT, *sets), tmp_path / name)
        one.begun = prepare(one, before)
        return one

    whole, first = begin("whole"), begin("parts")
    assert whole.fit()
    with monkeypatch.context() as patch:
        patch.setattr(StopWish, "asked", lambda self: len(events(first.run, "step")) >= 3)
        assert not first.fit()
    again = begin("parts")
    assert again.fit(attempt=2)
    assert [mark["from_step"] for mark in events(again.run, "resume")] == [4]
    straight, resumed = (load_file(one.run.adapter / "adapter_model.safetensors") for one in (whole, again))
    assert straight.keys() == resumed.keys()
    assert all(bool((straight[name] == resumed[name]).all()) for name in straight)
    assert any(float(tensor.abs().max()) > 0 for name, tensor in straight.items() if "lora_B" in name)


def test_pissa_answers_with_what_it_saved(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its base was changed, so a fresh one is loaded; that time is none of training's."""
    monkeypatch.setenv("LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LAB_DEVICE_LOCKS", str(tmp_path / "locks"))
    run = start_tiny(folder, *SHORT, "method.variant=pissa", "evaluate.rows=2", "evaluate.max_new_tokens=2")
    end = wait_ended(run)
    assert end["state"] == "completed", run.log.read_text()
    assert end["summary"]["metrics"]["perplexity"] > 0
    names = [(phase.name, phase.detail) for phase in read_history(run).phases]
    assert names.index(("training", "first step")) < names.index(("evaluating", "loading what was saved"))
