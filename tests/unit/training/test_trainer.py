"""What a run learns does not depend on how its rows are laid out, and nothing bad is saved."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback

from lab.data.masks import IGNORED, Encoded
from lab.errors import TrainingError
from lab.modeling.choice import Choice
from lab.modeling.hardware import Hardware
from lab.modeling.methods import METHODS
from lab.profile.load import resolve
from lab.profile.schema import Profile
from lab.training.recipe import decide
from lab.training.settings import trainer_settings
from lab.training.trainer import LabTrainer
from tests.fixtures.tiny_llama import save_tiny_llama

pytestmark = [  # what PEFT, TRL and torch say to each other
    pytest.mark.filterwarnings("ignore::FutureWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning:torch"),
]
CPU = Hardware("cpu", "some CPU", False, 1, 1)
PLAIN = ("model.attention=sdpa",)
PACKED = ("model.attention=varlen",)


class Listener(TrainerCallback):
    """Keeps the reported steps; raises at a step where asked to."""

    def __init__(self, fail_at: int = 0) -> None:
        self.fail_at = fail_at
        self.trainer: Any = None
        self.steps: list[Any] = []

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        if "loss" not in logs:
            return
        self.steps.append(self.trainer.measured)
        assert logs["step"] == self.trainer.measured.step
        if logs["step"] == self.fail_at:
            raise TrainingError("The loss became nan.", "Look.")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("model"))


def rows(count: int) -> list[Encoded]:
    generator = torch.Generator().manual_seed(5)
    made = []
    for index in range(count):
        length = 4 + index * 7 % 23
        ids = [*range(3, 21), *torch.randint(3, 200, (length,), generator=generator).tolist()]
        made.append(Encoded(f"row-{index}", ids, [IGNORED] * 19 + ids[19:]))
    return made


def profile(*sets: str) -> Profile:
    tree = {
        "data": {"source": [{"name": "bundled:helpdesk"}]},
        "model": {"dtype": "fp32"},
        "method": {"rank": 4},
        "train": {"examples_per_step": 6, "epochs": 2.0, "learning_rate": 0.02, "save_every": 0, "eval_every": 0},
    }
    return resolve("some", tree, {}, sets).profile


def make(folder: Path, output: Path, *sets: str, listener: Listener | None = None, **choices: str) -> LabTrainer:
    chosen, train = profile(*sets), rows(20)
    base = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    recipe = decide(chosen, CPU, [len(row.input_ids) for row in train], sharable=True, config=base.config)
    recipe = dataclasses.replace(recipe, **{name: Choice(value, "") for name, value in choices.items()})
    model = METHODS["lora"](base.requires_grad_(False), chosen.method, 1)
    settings = trainer_settings(chosen, recipe, str(output), train, validates=True)
    listener = listener or Listener()
    tokenizer = AutoTokenizer.from_pretrained(folder)
    trainer = LabTrainer(model, settings, recipe, tokenizer, train, rows(5), [listener])
    listener.trainer = trainer
    return trainer


def run(folder: Path, output: Path, *sets: str, **choices: str) -> tuple[list[Any], dict[str, torch.Tensor], float]:
    """Return reported steps, trained weights and validation loss."""
    listener = Listener()
    trainer = make(folder, output, *sets, listener=listener, **choices)
    trainer.train()
    weights = {name: p.detach().clone() for name, p in trainer.model.named_parameters() if p.requires_grad}
    return listener.steps, weights, trainer.evaluate()["eval_loss"]


@pytest.fixture(scope="module")
def plain(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return run(folder, tmp_path_factory.mktemp("plain"), *PLAIN, "train.micro_batch=6", shared_prefix="")


@pytest.mark.parametrize(
    ("sets", "choices"),
    [
        ((*PLAIN, "train.micro_batch=2"), {}),
        (PACKED, {}),
        ((*PACKED, "train.micro_batch=2"), {}),
        (PACKED, {"attention": "sdpa"}),
        (PACKED, {"micro_tokens": 60}),
        (PACKED, {"cuda_graph": "on"}),
        ((*PLAIN, "train.checkpointing=all"), {}),
        ((*PACKED, "train.checkpointing=all"), {}),
    ],
)
def test_the_layout_changes_nothing_that_is_learnt(
    folder: Path, tmp_path: Path, plain: Any, sets: tuple[str, ...], choices: dict[str, Any]
) -> None:
    steps, weights, loss = run(folder, tmp_path, *sets, **choices)
    expected_steps, expected_weights, expected_loss = plain
    assert [one.step for one in steps] == list(range(1, 9))
    for ours, theirs in zip(steps, expected_steps, strict=True):
        assert ours.loss == pytest.approx(theirs.loss, rel=1e-4)
        # Adam blows rounding up where gradients are nearly zero, so only the first step is the same to the digit.
        assert ours.grad_norm == pytest.approx(theirs.grad_norm, rel=1e-5 if ours.step == 1 else 1e-2)
        assert ours.learning_rate == theirs.learning_rate
        assert ours.counts == theirs.counts
        assert {one for ids in ours.ids for one in ids} == {one for ids in theirs.ids for one in ids}
        assert sum(ours.losses) == pytest.approx(ours.loss)
    distance = sum(float((weight - expected_weights[name]).norm() ** 2) for name, weight in weights.items()) ** 0.5
    assert distance < 0.02 * sum(float(weight.norm() ** 2) for weight in weights.values()) ** 0.5
    assert loss == pytest.approx(expected_loss, rel=1e-4)


@pytest.mark.parametrize(
    ("choices", "draws"),
    [
        ({}, True),
        ({"fused_lora": "on"}, True),
        ({"fused_head": "on"}, True),
        ({"fused_lora": "on", "fused_head": "on"}, False),
    ],
)
def test_generators_are_kept_unless_nothing_can_be_drawn(
    folder: Path, tmp_path: Path, choices: dict[str, str], draws: bool
) -> None:
    trainer = make(folder, tmp_path, "train.checkpointing=every-2", **choices)
    expected = {"use_reentrant": False, "preserve_rng_state": draws, "every_n_layers": 2}
    assert trainer.args.activation_checkpointing_kwargs == expected


def test_a_head_that_cannot_be_fast_is_left_and_named(folder: Path, tmp_path: Path) -> None:
    trainer = make(folder, tmp_path, *PACKED, fused_head="on", cuda_graph="on")
    head = trainer.model.get_output_embeddings()
    head.bias = torch.nn.Parameter(torch.zeros(head.out_features), requires_grad=False)
    with trainer.engaged():
        assert trainer._fast is None
    assert trainer.left == dict.fromkeys(("fused_head", "cuda_graph", "short_attention"), "the head has a bias")


def test_it_learns_and_every_row_comes_twice(plain: Any) -> None:
    steps, _, _ = plain
    assert steps[-1].loss < steps[0].loss
    seen = [row for step in steps for ids in step.ids for row in ids]
    assert sorted(seen) == sorted([f"row-{n}" for n in range(20)] * 2)


def test_steps_of_tokens_hold_at_most_so_many(folder: Path, tmp_path: Path) -> None:
    steps, _, _ = run(folder, tmp_path, *PACKED, "train.tokens_per_step=150")
    held = [step.counts.tokens for step in steps]
    assert max(held) <= 150
    assert sum(held) == 2 * sum(len(row.input_ids) for row in rows(20))


@pytest.mark.parametrize("sets", [PLAIN, PACKED])
def test_a_resume_goes_on_where_it_was(folder: Path, tmp_path: Path, sets: tuple[str, ...]) -> None:
    whole, weights, _ = run(folder, tmp_path / "whole", *sets)
    saving = (*sets, "train.save_every=5")
    listener = Listener(fail_at=6)
    trainer = make(folder, tmp_path / "cut", *saving, listener=listener)
    with pytest.raises(TrainingError):
        trainer.train()
    listener = Listener()
    trainer = make(folder, tmp_path / "cut", *saving, listener=listener)
    trainer.train(resume_from_checkpoint=str(tmp_path / "cut" / "checkpoint-5"))
    assert [(one.step, one.ids) for one in listener.steps] == [(one.step, one.ids) for one in whole[5:]]
    assert [one.loss for one in listener.steps] == pytest.approx([one.loss for one in whole[5:]], rel=1e-5)
    for name, parameter in trainer.model.named_parameters():
        if name in weights:
            torch.testing.assert_close(parameter, weights[name], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("lag", [0, 1])
def test_a_bad_step_is_reported_before_its_weights_are_saved(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lag: int
) -> None:
    listener = Listener(fail_at=4)
    trainer = make(folder, tmp_path, *PLAIN, "train.save_every=4", listener=listener)
    report = trainer._report
    monkeypatch.setattr(trainer, "_report", lambda leave: report(lag if not trainer.control.should_save else leave))
    with pytest.raises(TrainingError):
        trainer.train()
    assert [one.step for one in listener.steps] == [1, 2, 3, 4]
    assert not list(tmp_path.glob("checkpoint-*"))


def test_the_model_is_left_as_it_was(folder: Path, tmp_path: Path) -> None:
    trainer = make(folder, tmp_path, *PACKED)
    own = dict(vars(trainer.model))
    with trainer.engaged():
        assert trainer.model.get_base_model().config._attn_implementation == "lab_varlen"
    assert trainer.model.get_base_model().config._attn_implementation == "sdpa"
    assert vars(trainer.model).keys() == own.keys()


def test_the_rows_of_a_loss_that_is_no_number_are_named(folder: Path, tmp_path: Path) -> None:
    trainer = make(folder, tmp_path, *PLAIN, "train.micro_batch=2")
    assert trainer.suspects() == []
    with trainer.engaged():
        batch = trainer.longest_batch()
        trainer.training_step(trainer.model, batch, batch["counts"].supervised)
    assert batch["input_ids"].shape == (2, 44)
    assert all(p.grad is not None for p in trainer.model.parameters() if p.requires_grad)
    trainer.model.zero_grad()
