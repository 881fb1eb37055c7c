"""Answers in batches: the same whatever the batch, in fp32; halved where memory is too small; the head in one piece."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import torch

from lab.evaluation.generate import Answered, Answerer, contiguous_head
from lab.modeling.load import load_tokenizer
from lab.modeling.source import resolve_model
from lab.profile.schema import Evaluate
from tests.fixtures.tiny_llama import save_tiny_llama
from tests.fixtures.tiny_model import base

SHARED = [1, *range(20, 44)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny_llama(tmp_path_factory.mktemp("model"))


@pytest.fixture(scope="module")
def prompts() -> list[list[int]]:
    draw = random.Random(0)
    return [[*SHARED, *(draw.randrange(4, 250) for _ in range(draw.randrange(2, 40)))] for _ in range(23)]


def answerer(folder: Path, *, share: bool = False, tokens: int = 12) -> Answerer:
    tokenizer = load_tokenizer(resolve_model(str(folder)))
    # A penalty keeps random weights from saying one token for ever, which would hide a wrong position.
    decoding = Evaluate(max_new_tokens=tokens, repetition_penalty=1.3)
    return Answerer(base(folder), tokenizer, frozenset({2}), decoding, share)


def said(by: Answerer, prompts: list[list[int]], size: int) -> dict[int, tuple[str, int, str]]:
    found = [one for batch in by.answers(prompts, size) for one in batch]
    return {one.index: (one.text, one.tokens, one.finish) for one in found}


@pytest.mark.parametrize("share", [False, True])
@pytest.mark.parametrize("size", [2, 5, 8, 23])
def test_in_fp32_the_batch_never_changes_a_greedy_answer(
    folder: Path, prompts: list[list[int]], size: int, share: bool
) -> None:
    alone = said(answerer(folder), prompts, 1)
    assert len({text for text, _, _ in alone.values()}) > 8  # else the test could not tell answers apart
    assert said(answerer(folder, share=share), prompts, size) == alone


@pytest.mark.parametrize("size", [1, 4, 23])
def test_a_prompt_near_the_end_of_the_window_is_cut_at_it_in_any_batch(folder: Path, size: int) -> None:
    draw = random.Random(1)
    prompts = [[draw.randrange(4, 250) for _ in range(length)] for length in (510, 509, 509, 40, 41)]
    found = said(answerer(folder), prompts, size)
    assert found == said(answerer(folder), prompts, 1)
    assert [found[place][1] for place in (0, 1, 2)] == [2, 3, 3]


def test_a_batch_that_does_not_fit_is_halved_and_every_prompt_is_answered(
    folder: Path, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    by = answerer(folder, tokens=4)
    whole = said(by, prompts, 23)
    generate = type(by.model).generate

    def small(self: Any, *, input_ids: Any, **options: Any) -> Any:
        if len(input_ids) > 6:
            raise torch.OutOfMemoryError("out of memory")
        return generate(self, input_ids=input_ids, **options)

    monkeypatch.setattr(type(by.model), "generate", small)
    told: list[str] = []
    batches = list(by.answers(prompts, 23, say=told.append))
    assert told == ["GPU memory is full: 12 prompts at once", "GPU memory is full: 6 prompts at once"]
    assert max(map(len, batches)) == 6
    assert {one.index: (one.text, one.tokens, one.finish) for batch in batches for one in batch} == whole


def test_one_prompt_that_does_not_fit_is_an_error(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    by = answerer(folder)

    def full(*_: Any, **__: Any) -> Any:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(type(by.model), "generate", full)
    with pytest.raises(torch.OutOfMemoryError):
        list(by.answers([[5, 6]], 4))


def test_the_head_gets_its_states_in_one_piece_and_is_left_as_it_was(folder: Path) -> None:
    model = base(folder)
    hidden = torch.randn(4, 9, 64)
    seen: list[bool] = []
    with contiguous_head(model):
        watch = model.lm_head.register_forward_hook(lambda m, inputs, out: seen.append(inputs[0].is_contiguous()))
        with torch.inference_mode():
            inside = model.lm_head(hidden[:, -1:, :])
        watch.remove()
    assert not hidden[:, -1:, :].is_contiguous()
    assert not model.lm_head._forward_pre_hooks
    with torch.inference_mode():
        torch.testing.assert_close(inside, model.lm_head(hidden[:, -1:, :]))
    assert seen == [True]


def test_stopping_leaves_whole_batches(folder: Path, prompts: list[list[int]]) -> None:
    found: list[list[Answered]] = []
    for batch in answerer(folder, tokens=2).answers(prompts, 8, stop_asked=lambda: len(found) == 1):
        found.append(batch)
    assert [len(batch) for batch in found] == [8]
